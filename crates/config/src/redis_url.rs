//! Redis URLs in the spellings of redis-py (and so of django-redis), kombu and Celery.
//!
//! Each form is obeyed, or refused with one sentence that names the part: nothing that says where
//! or how to connect is passed over. What is read comes out in one form:
//! `redis://user:password@host:port/db?…` and `unix:///path?user=…&pass=…&db=…`.
//!
//! | part | obeyed | refused |
//! |---|---|---|
//! | scheme | `redis`, `rediss`, `unix`, `redis+socket`, `socket`, `redis+unix`; Sentinel's, see `sentinels` | several servers, what is not Redis |
//! | user and password | before the host or path (percent-escaped), or `username`, `password`, `user`, `pass` | `credential_provider` |
//! | database | the path, `db`, `virtual_host` (a socket's too) | two that differ; what is no number |
//! | host | a name, IPv4, `[IPv6]`, percent-escaped | none; a path |
//! | TLS (`rediss`) | `ssl_cert_reqs`, `ssl_check_hostname`, `ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`; `#insecure` | all other `ssl_…`; any of them without TLS |
//! | deadlines | `socket_timeout`, `socket_connect_timeout`: 0.1 to 60 s | others |
//! | what changes nothing here | see [`UNUSED`] | every other parameter |
//!
//! A parameter without a value is none, and the first of several counts, as in redis-py; two that
//! differ are refused where they say where to connect.

mod sentinels;

use std::time::Duration;

use crate::redact::SafeUrl;

const EXAMPLES: &str =
    "for example redis://:password@host:6379/0, rediss://… for TLS or unix:///path?db=0";

/// What a password that ends the host's part too early needs.
const ESCAPES: &str = "; a `/`, `?` or `#` in a password is written %2F, %3F, %23";

/// Parameters that are about the Python client's inside: this one has one connection with keepalive
/// for each database, and finds out the protocol by itself.
const UNUSED: [&str; 16] = [
    "client_name",
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "legacy_responses",
    "lib_name",
    "lib_version",
    "max_connections",
    "protocol",
    "retry_on_error",
    "retry_on_timeout",
    "socket_keepalive",
    "socket_read_size",
    "socket_type",
    "timeout",
];

const TLS: [&str; 5] =
    ["ssl_cert_reqs", "ssl_check_hostname", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"];

const DEADLINES: [&str; 2] = ["socket_timeout", "socket_connect_timeout"];

/// What is between the scheme and the end, before it is read.
struct Parts<'t> {
    /// User and password, as they stand; absent when there is no `@`.
    login: Option<&'t str>,
    /// Host and port of a server.
    address: &'t str,
    path: &'t str,
    query: &'t str,
    fragment: Option<&'t str>,
}

/// Splits as Python's `urlsplit` does: the authority ends at the first `/`, `?` or `#`, its login
/// at the last `@`.
fn split(rest: &str) -> Parts<'_> {
    let (rest, fragment) = match rest.split_once('#') {
        Some((rest, fragment)) => (rest, Some(fragment)),
        None => (rest, None),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, address) = match authority.rsplit_once('@') {
        Some((login, address)) => (Some(login), address),
        None => (None, authority),
    };
    Parts { login, address, path, query, fragment }
}

/// Reads a Redis URL.
///
/// # Errors
///
/// One sentence on what is wrong; it never holds the URL's password.
pub fn parse(text: &str) -> Result<SafeUrl, String> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(not_redis(text, ""));
    };
    match scheme {
        "redis" | "rediss" => of_server(scheme, rest),
        "unix" | "redis+socket" | "socket" | "redis+unix" => of_socket(rest),
        "sentinel" | "redis+sentinel" | "redis-sentinel" => {
            sentinels::of_sentinels("redis+sentinel", rest)
        }
        "rediss+sentinel" | "rediss-sentinel" => sentinels::of_sentinels("rediss+sentinel", rest),
        _ => Err(not_redis(text, scheme)),
    }
}

fn not_redis(text: &str, scheme: &str) -> String {
    let of_word = |word: &str| {
        (1..=30).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b))
    };
    match scheme {
        "" if of_word(text) => not_redis("", text),
        other if of_word(other) => {
            format!("`{other}` is not Redis, and Rhubarb speaks only to Redis; {EXAMPLES}")
        }
        _ => format!("not a URL; {EXAMPLES}"),
    }
}

fn of_server(scheme: &str, rest: &str) -> Result<SafeUrl, String> {
    if rest.split_once(';').is_some_and(|(_, after)| after.contains("://")) {
        return Err("more than one server in a URL is not supported yet; give one".to_owned());
    }
    let parts = split(rest);
    let mut given = Given::read(scheme, &parts)?;
    let is_cut = parts.login.is_none() && rest.contains('@');
    let hint = if is_cut { ESCAPES } else { "" };
    let address = address(parts.address, hint)?;
    let path = decoded(parts.path);
    let path = path.trim_matches('/');
    if !path.is_empty() {
        given.database(path)?;
    }
    given.at(scheme, &address, hint)
}

/// Reads host and port of one server.
fn address(text: &str, hint: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with(':') {
        return Err(format!("the URL has no host{hint}; {EXAMPLES}"));
    }
    let address = decoded(text);
    if address.contains(['/', ';', ',', '@', '?', '#', '\\'])
        || address.contains(char::is_whitespace)
    {
        return Err(format!("the URL's host is no name of one server{hint}; {EXAMPLES}"));
    }
    Ok(address)
}

fn of_socket(rest: &str) -> Result<SafeUrl, String> {
    let parts = split(rest);
    if !parts.address.is_empty() || parts.path.trim_matches('/').is_empty() {
        return Err(format!("a socket's URL has three slashes and a path; {EXAMPLES}"));
    }
    let given = Given::read("unix", &parts)?;
    let mut url = url::Url::parse("unix:///").map_err(|e| e.to_string())?;
    url.set_path(&decoded(parts.path).replace('%', "%25"));
    let db = given.db.map(|db| db.to_string());
    let login = [("user", given.user), ("pass", given.password), ("db", db)];
    let login = login.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let pairs: Vec<(String, String)> = login.chain(given.rest).collect();
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    as_safe(&url)
}

fn as_safe(url: &url::Url) -> Result<SafeUrl, String> {
    url.as_str().parse().map_err(|e| format!("not a URL ({e}); {EXAMPLES}"))
}

/// What a URL says besides its host or path.
#[derive(Default)]
struct Given {
    user: Option<String>,
    password: Option<String>,
    db: Option<u32>,
    insecure: bool,
    /// The parameters that are read where the connection is made.
    rest: Vec<(String, String)>,
}

impl Given {
    fn read(scheme: &str, parts: &Parts<'_>) -> Result<Self, String> {
        let mut given = Self::default();
        if let Some(login) = parts.login {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            given.user = Some(decoded(user)).filter(|user| !user.is_empty());
            given.password = Some(decoded(password)).filter(|password| !password.is_empty());
        }
        for (name, value) in url::form_urlencoded::parse(parts.query.as_bytes()) {
            if !value.is_empty() {
                given.parameter(scheme, &name, &value)?;
            }
        }
        match parts.fragment {
            None | Some("") => {}
            Some("insecure") if scheme.starts_with("rediss") => given.insecure = true,
            Some(_) => {
                return Err(format!(
                    "a `#` in the URL is written %23, in a password say; {EXAMPLES}"
                ));
            }
        }
        Ok(given)
    }

    /// Returns the URL of a server at this [`address`].
    fn at(&self, scheme: &str, address: &str, hint: &str) -> Result<SafeUrl, String> {
        let db = self.db.map_or(String::new(), |n| n.to_string());
        let text = format!("{scheme}://{address}/{db}");
        let mut url =
            url::Url::parse(&text).map_err(|e| format!("not a URL ({e}){hint}; {EXAMPLES}"))?;
        if url.port() == Some(0) {
            return Err(format!("the URL's port is 0; {EXAMPLES}"));
        }
        if self.db.is_none() {
            url.set_path("");
        }
        let cannot = |()| format!("the URL has no place for a user and password; {EXAMPLES}");
        // `url` leaves a percent sign as it is, and it would be read as an escape.
        let escaped = |text: &String| text.replace('%', "%25");
        let (user, password) =
            (self.user.as_ref().map(escaped), self.password.as_ref().map(escaped));
        url.set_username(user.as_deref().unwrap_or_default()).map_err(cannot)?;
        url.set_password(password.as_deref()).map_err(cannot)?;
        if !self.rest.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.rest);
        }
        if self.insecure {
            url.set_fragment(Some("insecure"));
        }
        as_safe(&url)
    }

    fn parameter(&mut self, scheme: &str, name: &str, value: &str) -> Result<(), String> {
        let is_tls = scheme.starts_with("rediss");
        match name {
            "db" | "virtual_host" => self.database(value.trim_matches('/'))?,
            "username" | "user" => {
                self.user.get_or_insert_with(|| value.to_owned());
            }
            "password" | "pass" => {
                self.password.get_or_insert_with(|| value.to_owned());
            }
            _ if TLS.contains(&name) && is_tls => self.keep(name, value),
            _ if name == "ssl" || (name.starts_with("ssl_") && !is_tls) => {
                return Err(format!(
                    "the URL's parameter `{name}` is for TLS, which a URL asks for by rediss://"
                ));
            }
            _ if name.starts_with("ssl_") => {
                return Err(format!(
                    "the URL's parameter `{name}` is not supported; those for TLS are {}",
                    TLS.join(", ")
                ));
            }
            "credential_provider" => {
                return Err(
                    "the URL's parameter `credential_provider` names a class of Python; give \
                            the user and the password"
                        .to_owned(),
                );
            }
            _ if DEADLINES.contains(&name) => {
                deadline(name, value)?;
                self.keep(name, value);
            }
            _ if sentinels::PARAMETERS.contains(&name) && scheme.ends_with("+sentinel") => {
                self.keep(name, value);
            }
            _ if UNUSED.contains(&name) => {}
            _ => return Err(format!("the URL's parameter `{}` is not known", shown(name))),
        }
        Ok(())
    }

    fn keep(&mut self, name: &str, value: &str) {
        if self.rest.iter().all(|(known, _)| known != name) {
            self.rest.push((name.to_owned(), value.to_owned()));
        }
    }

    fn database(&mut self, text: &str) -> Result<(), String> {
        let Ok(db) = text.parse::<u32>() else {
            return Err(format!("the database in the URL is not a number; {EXAMPLES}"));
        };
        if self.db.is_some_and(|known| known != db) {
            return Err("the URL names two databases; give one, in its path or as db".to_owned());
        }
        self.db = Some(db);
        Ok(())
    }
}

/// A parameter's name may be anything, a mistyped password too.
fn shown(name: &str) -> String {
    let is_word = name.len() <= 40 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if is_word { name.to_owned() } else { "…".to_owned() }
}

fn deadline(name: &str, value: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(100)..=Duration::from_secs(60);
    let read = value.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
    read.filter(|read| range.contains(read))
        .ok_or_else(|| format!("the URL's parameter `{name}` may be 0.1 to 60 seconds"))
}

/// Returns a deadline that a URL names: `socket_timeout` or `socket_connect_timeout`.
pub fn deadline_of(url: &SafeUrl, name: &str) -> Option<Duration> {
    let (_, value) = url.expose().query_pairs().find(|(known, _)| known == name)?;
    deadline(name, &value).ok()
}

/// Reads percent-escapes as Python's `unquote` does: what is none stays, and so does a plus.
fn decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_form_that_python_takes_comes_out_in_one() {
        let check = |given: &str, expect: &str| {
            let url = parse(given).unwrap_or_else(|e| panic!("{given}: {e}"));
            assert_eq!(url.expose().as_str(), expect, "{given}");
        };
        check("redis://h", "redis://h");
        check("redis://h?db=5", "redis://h/5");
        check("redis://h/5?db=5", "redis://h/5");
        check("redis://h/%35/", "redis://h/5");
        check("redis://h?virtual_host=/5", "redis://h/5");
        check("redis://h:6390/?username=u&password=a%26b", "redis://u:a&b@h:6390");
        check("redis://:p@ss;w%2Frd@h/1", "redis://:p%40ss%3Bw%2Frd@h/1");
        check("redis://u:a+b%@h", "redis://u:a+b%25@h");
        check("redis://u:a%2541@h", "redis://u:a%2541@h");
        check("redis://[::1]:6390/2?max_connections=20", "redis://[::1]:6390/2");
        check("redis://my%2Dhost/0?socket_timeout=5", "redis://my-host/0?socket_timeout=5");
        check("rediss://h?ssl_cert_reqs=none&ssl_ca_certs=", "rediss://h?ssl_cert_reqs=none");
        check("rediss://h/3#insecure", "rediss://h/3#insecure");
        check("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2");
        check("unix:///run/my%20redis.sock", "unix:///run/my%20redis.sock");
        check("unix://u:p%40w@/run/r.sock?db=2", "unix:///run/r.sock?user=u&pass=p%40w&db=2");
        check("redis+socket:///run/r.sock?virtual_host=2", "unix:///run/r.sock?db=2");
        check("redis+socket://u:p@/run/r.sock", "unix:///run/r.sock?user=u&pass=p");
        check("socket:///run/r.sock?password=p", "unix:///run/r.sock?pass=p");
    }

    #[test]
    fn what_is_not_obeyed_is_refused_by_its_name() {
        let check = |given: &str, expect: &str| {
            let error = parse(given).map(|url| url.to_string()).unwrap_err();
            assert!(error.contains(expect), "{given}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        };
        check("amqp://u:hunter2@h//", "`amqp` is not Redis");
        check("rpc://", "`rpc` is not Redis");
        check("django-db", "`django-db` is not Redis");
        check("cache+memcached://h", "`cache+memcached` is not Redis");
        check("redis://h?master=m", "`master` is not known");
        check("redis://h1;redis://h2", "more than one server");
        check("redis://h1,h2/0", "no name of one server");
        check("redis://:hunter2@h/zero", "not a number");
        check("redis://h/1/2", "not a number");
        check("redis://h/-1", "not a number");
        check("redis://h/1?db=2", "two databases");
        check("redis://:hunter2@", "no host");
        check("redis://:6379", "no host");
        check("redis://h:0", "port is 0");
        check("redis://:hunt/er2@h", "%2F");
        check("redis://:hunt#er2@h", "%23");
        check("redis://%2Frun%2Fredis.sock", "no name of one server");
        check(":hunter2@h:6379", "not a URL");
        check("unix://run/redis.sock", "three slashes");
        check("unix:///r.sock?db=x", "not a number");
        check("", "not a URL");
        check("redis://h?ssl_cert_reqs=none", "`ssl_cert_reqs` is for TLS");
        check("redis://h?ssl=true", "`ssl` is for TLS");
        check("rediss://h?ssl_ca_path=/etc", "`ssl_ca_path` is not supported");
        check("rediss://h?ssl_min_version=772", "`ssl_min_version` is not supported");
        check("redis://h?credential_provider=a.B", "`credential_provider`");
        check("redis://h?socket_timeout=soon", "`socket_timeout` may be");
        check("redis://h?socket_connect_timeout=1000", "`socket_connect_timeout` may be");
        check("redis://h?dbb=5", "`dbb` is not known");
        check("redis://h?Hunter2!hunter2=5", "`…` is not known");
    }

    proptest! {
        #[test]
        fn no_url_panics_and_none_gives_its_password_away(
            scheme in "(redis|rediss|unix|redis\\+socket|amqp|[a-z+]{1,9})",
            (user, rest) in ("[a-z%]{0,5}", "[a-z0-9:/?=&;@#%\\[\\]é]{0,30}"),
        ) {
            let text = format!("{scheme}://{user}:hunter2secret@{rest}");
            let said = match parse(&text) {
                Ok(url) => format!("{url} {url:?} {}", url.with_database(7)),
                Err(error) => error,
            };
            prop_assert!(!said.contains("hunter2secret"), "{said}");
            let _ = parse(&rest);
        }
    }
}
