//! URLs of sentinels, which tell where the primary is.
//!
//! | spelling | of |
//! |---|---|
//! | `sentinel://:password@h1:26379/0;sentinel://h2:26379` | kombu and Celery; the primary's name is in their transport options, `redis.sentinel_master` here |
//! | `redis+sentinel://h1:26379,h2:26379/NAME/0` | several Python libraries |
//! | `redis-sentinel://h1,h2/0#NAME` | Lettuce; `redis-sentinel://h1,h2/0?master_name=NAME` others |
//!
//! Read 2026-11-30 in kombu 5.7 and the other projects' documentation. User and password are the
//! primary's; the sentinels' own are `sentinel_username` and `sentinel_password`. `rediss+sentinel`
//! has TLS to both.
//!
//! What is read comes out in one form:
//! `redis+sentinel://user:password@h1:26379/0?master=NAME&sentinel=h2:26379`.

use super::{EXAMPLES, Given, address, decoded, split};
use crate::redact::SafeUrl;

/// What a URL of sentinels may say in its query besides what others may.
pub(super) const PARAMETERS: [&str; 5] =
    ["master", "master_name", "service_name", "sentinel_username", "sentinel_password"];

/// No installation has as many.
const MAX: usize = 32;

pub(super) fn of_sentinels(scheme: &str, rest: &str) -> Result<SafeUrl, String> {
    let mut servers = rest.split(';');
    let (first, fragment) = without_fragment(servers.next().unwrap_or_default());
    let parts = split(first);
    let mut given = Given::read(scheme, &parts)?;
    let mut addresses: Vec<&str> = parts.address.split(',').collect();
    let (name, db) = of_path(parts.path)?;
    if let Some(db) = db {
        given.database(&db)?;
    }
    for server in servers.filter(|server| !server.trim().is_empty()) {
        let server = server.trim();
        let server = server.split_once("://").map_or(server, |(_, server)| server);
        addresses.extend(split(server).address.split(','));
    }
    if addresses.len() > MAX {
        return Err(format!("the URL names over {MAX} sentinels"));
    }
    let master = take_master(&mut given).or(name).or(fragment);
    if let Some(master) = master {
        given.keep("master", &master);
    }
    for more in &addresses[1..] {
        let more = address(more, "")?;
        // Read as the first one is, so that its port is one.
        Given::default().at(scheme, &more, "")?;
        given.rest.push(("sentinel".to_owned(), more));
    }
    given.at(scheme, &address(addresses[0], "")?, "")
}

/// Splits the name of the primary off, which Lettuce has behind a `#`.
fn without_fragment(url: &str) -> (&str, Option<String>) {
    match url.rsplit_once('#') {
        Some((url, name)) if !name.is_empty() && name != "insecure" => (url, Some(decoded(name))),
        _ => (url, None),
    }
}

/// Reads `/NAME`, `/NAME/DB` or `/DB`.
fn of_path(path: &str) -> Result<(Option<String>, Option<String>), String> {
    let path = decoded(path);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    match parts[..] {
        [] => Ok((None, None)),
        [db] if is_number(db) => Ok((None, Some(db.to_owned()))),
        [name] => Ok((Some(name.to_owned()), None)),
        [name, db] => Ok((Some(name.to_owned()), Some(db.to_owned()))),
        _ => Err(format!(
            "the path of a sentinels' URL is /NAME/DATABASE, with the name of the primary; {EXAMPLES}"
        )),
    }
}

/// Takes the primary's name out of the query, by whichever of its names.
fn take_master(given: &mut Given) -> Option<String> {
    let is_name = |name: &str| ["master", "master_name", "service_name"].contains(&name);
    let found = given.rest.iter().find(|(name, _)| is_name(name)).map(|(_, name)| name.clone());
    given.rest.retain(|(name, _)| !is_name(name));
    found
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn each_spelling_of_sentinels_comes_out_in_one() {
        let check = |given: &str, expect: &str| {
            let url = parse(given).unwrap_or_else(|e| panic!("{given}: {e}"));
            assert_eq!(url.expose().as_str(), expect, "{given}");
        };
        check("sentinel://h:26379", "redis+sentinel://h:26379");
        check(
            "sentinel://:p@h1:26379/2;sentinel://:p@h2:26380/2;sentinel://h3;",
            "redis+sentinel://:p@h1:26379/2?sentinel=h2%3A26380&sentinel=h3",
        );
        check(
            "redis+sentinel://u:p@h1:26379,h2:26380/mymaster/3",
            "redis+sentinel://u:p@h1:26379/3?master=mymaster&sentinel=h2%3A26380",
        );
        check("redis+sentinel://h1/mymaster", "redis+sentinel://h1?master=mymaster");
        check("redis-sentinel://h1,h2/1#m", "redis+sentinel://h1/1?master=m&sentinel=h2");
        check("redis-sentinel://h1/1?master_name=m", "redis+sentinel://h1/1?master=m");
        check(
            "rediss+sentinel://h1/m/0?ssl_cert_reqs=none&sentinel_password=s",
            "rediss+sentinel://h1/0?ssl_cert_reqs=none&sentinel_password=s&master=m",
        );
    }

    #[test]
    fn what_names_no_sentinels_is_refused_and_no_password_is_shown() {
        let check = |given: &str, expect: &str| {
            let error = parse(given).map(|url| url.to_string()).unwrap_err();
            assert!(error.contains(expect), "{given}: {error}");
        };
        check("sentinel://", "no host");
        check("redis+sentinel://h1,/m", "no host");
        check("redis+sentinel://h1/m/x", "not a number");
        check("redis+sentinel://h1/m/1/2", "/NAME/DATABASE");
        check("redis+sentinel://h1/m?dbb=2", "`dbb` is not known");
        check(&format!("redis+sentinel://{}/m", ["h"; 40].join(",")), "over 32");
        let url = parse("redis+sentinel://:hunter2@h/m/0?sentinel_password=hunter2").unwrap();
        let shown = format!("{url} {url:?} {}", url.with_database(3));
        assert!(!shown.contains("hunter2") && shown.contains("master=m"), "{shown}");
        assert_eq!(url.with_database(3).database(), Some(3));
    }
}
