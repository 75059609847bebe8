//! `cache`: the application's caches, by the names of the one table of them.

use std::time::Duration;

use rhubarb_cache::{PyValue, Timeout, Ttl};
use rhubarb_core::redact;
use rhubarb_jobs::{Caches, DOMAINS, DomainCache, FoundKeys, Holds};
use serde::Serialize;
use serde_json::Value;

use super::{Context, pauses::confirmed};
use crate::{
    cli::{CacheClearArgs, CacheCommand, CacheShowArgs, Shown},
    error::Error,
    output::{self, Format},
    table::{Grid, clean, escaped},
};

/// Runs a command on the caches.
pub(crate) async fn run(context: &Context, command: CacheCommand) -> Result<(), Error> {
    let caches = Caches::new(&context.config.cache, &context.connections)?;
    match command {
        CacheCommand::List(shown) => list(&caches, shown).await,
        CacheCommand::Show(args) => show(&caches, &args).await,
        CacheCommand::Clear(args) => clear(&caches, &args).await,
    }
}

/// One cache in the list.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'static str,
    about: &'static str,
    holds: &'static str,
    db: u32,
    /// As it stands in Redis.
    key: String,
    timeout_s: Option<f64>,
    max_bytes: usize,
    hits: u64,
    misses: u64,
    #[serde(skip)]
    cache: &'a DomainCache,
}

async fn list(caches: &Caches, shown: Shown) -> Result<(), Error> {
    let mut listed = Vec::new();
    for cache in caches.domains() {
        let Some((place, key, timeout)) = cache.place() else { continue };
        let domain = cache.domain();
        let counts = cache.counts().await?;
        let timeout = match timeout {
            Timeout::Default => place.default_timeout(),
            Timeout::Never => None,
            Timeout::After(after) => Some(after),
        };
        listed.push(Listed {
            name: domain.name,
            about: domain.about,
            holds: domain.holds.name(),
            db: place.redis().db(),
            key: place.raw_key(key),
            timeout_s: timeout.map(|timeout| timeout.as_secs_f64()),
            max_bytes: domain.max_bytes,
            hits: counts.hits,
            misses: counts.misses,
            cache,
        });
    }
    Ok(Format::of(shown.json).show(&listed, |listed| table(listed))?)
}

fn table(listed: &[Listed<'_>]) -> String {
    let numbers = ["TIMEOUT", "MOST", "HITS", "MISSES"];
    let mut grid = Grid::new(&["NAME", "HOLDS", "DB", "KEY", "TIMEOUT", "MOST", "HITS", "MISSES"])
        .right(&numbers)
        .spare(&["MOST", "HOLDS"]);
    for row in listed {
        let holds = match row.cache.domain().holds {
            Holds::Anything => row.about.to_owned(),
            _ => format!("{}: {}", row.about, row.holds),
        };
        grid.row([
            row.name.to_owned(),
            holds,
            row.db.to_string(),
            row.key.clone(),
            row.timeout_s.map_or_else(|| "none".to_owned(), |timeout| format!("{timeout} s")),
            bytes(row.max_bytes),
            row.hits.to_string(),
            row.misses.to_string(),
        ]);
    }
    grid.render()
}

/// A value with its key, as `--json` has it.
#[derive(Serialize)]
struct Found {
    cache: &'static str,
    key: String,
    /// Absent for ever.
    ttl_s: Option<f64>,
    value: Value,
}

/// A key in a list of them.
#[derive(Serialize)]
struct Key {
    key: String,
    ttl_s: Option<f64>,
}

async fn show(caches: &Caches, args: &CacheShowArgs) -> Result<(), Error> {
    let cache = find(caches, &args.name)?;
    let format = Format::of(args.shown.json);
    let argument = match (&args.argument, cache.has_many()) {
        (Some(argument), true) => argument,
        (Some(_), false) => return Err(takes_none(cache)),
        (None, true) => return show_keys(cache, args.limit, format).await,
        (None, false) => "",
    };
    let (value, ttl) = cache.get(argument).await?.ok_or_else(|| nothing(cache))?;
    let found = Found {
        cache: cache.domain().name,
        key: raw_key(cache, argument),
        ttl_s: seconds(ttl),
        value: shown(cache, &value),
    };
    Ok(format.show(&found, text)?)
}

fn text(found: &Found) -> String {
    let left = found.ttl_s.map_or_else(|| "for ever".to_owned(), |ttl| format!("{ttl:.0} s left"));
    // JSON escapes what could steer a terminal, but for the marks of writing direction.
    let value = serde_json::to_string_pretty(&found.value).unwrap_or_default();
    let value: Vec<String> = value.lines().map(shown_line).collect();
    format!("{} ({left})\n{}", escaped(&found.key), value.join("\n"))
}

/// Cleans a line and keeps its indentation.
fn shown_line(line: &str) -> String {
    let inner = line.trim_start();
    format!("{}{}", &line[..line.len() - inner.len()], clean(inner))
}

async fn show_keys(cache: &DomainCache, limit: u32, format: Format) -> Result<(), Error> {
    let FoundKeys { keys, has_more, no_text } = cache.keys(limit as usize).await?;
    if no_text > 0 {
        let name = cache.domain().name;
        output::note(&format!(
            "note: {no_text} more with keys that are not UTF-8; `rhubarb cache clear {name}` deletes them, too"
        ));
    }
    let Some((place, ..)) = cache.place() else { return Err(nothing(cache)) };
    let mut found = Vec::new();
    for key in keys {
        match place.ttl(&key).await? {
            Ttl::Missing => {}
            ttl => found.push(Key { key: place.raw_key(&key), ttl_s: seconds(ttl) }),
        }
    }
    if found.is_empty() && no_text == 0 {
        return Err(nothing(cache));
    }
    if has_more {
        output::note(output::MORE);
    }
    Ok(format.show(&found, |found| {
        let mut grid = Grid::new(&["KEY", "LEFT"]).right(&["LEFT"]);
        for key in found {
            let left = key.ttl_s.map_or_else(|| "for ever".to_owned(), |ttl| format!("{ttl:.0} s"));
            grid.row([escaped(&key.key), left]);
        }
        grid.render()
    })?)
}

/// How many values went.
#[derive(Serialize)]
struct Gone {
    cache: &'static str,
    deleted: u64,
}

async fn clear(caches: &Caches, args: &CacheClearArgs) -> Result<(), Error> {
    let cache = find(caches, &args.name)?;
    if args.argument.is_some() && !cache.has_many() {
        return Err(takes_none(cache));
    }
    let name = cache.domain().name;
    let what = match &args.argument {
        Some(argument) => format!("the value of {name} for \"{}\"", clean(argument)),
        None => format!("every value of {name}"),
    };
    if !args.yes && !confirmed(&format!("Delete {what}?"))? {
        return Err(Error::Failed("nothing was deleted".to_owned()));
    }
    let deleted = match &args.argument {
        Some(argument) => cache.delete(argument).await?,
        None => cache.clear().await?,
    };
    let gone = Gone { cache: name, deleted };
    Ok(Format::of(args.shown.json).show(&gone, |gone| format!("deleted: {}", gone.deleted))?)
}

fn find<'c>(caches: &'c Caches, name: &str) -> Result<&'c DomainCache, Error> {
    caches.domain(name).ok_or_else(|| {
        let known: Vec<&str> = DOMAINS.iter().map(|domain| domain.name).collect();
        Error::Usage(format!("no cache `{}`; there are: {}", clean(name), known.join(", ")))
    })
}

fn takes_none(cache: &DomainCache) -> Error {
    Error::Usage(format!("{} is one value: it takes no argument", cache.domain().name))
}

fn nothing(cache: &DomainCache) -> Error {
    Error::Failed(format!("nothing is cached in {}", cache.domain().name))
}

fn raw_key(cache: &DomainCache, argument: &str) -> String {
    cache.place().map_or_else(String::new, |(place, template, _)| {
        place.raw_key(&rhubarb_jobs::template::of(template, argument))
    })
}

fn shown(cache: &DomainCache, value: &PyValue) -> Value {
    if cache.domain().secret { without_passwords(value.shown()) } else { value.shown() }
}

/// Hides the passwords of URLs, wherever they stand.
fn without_passwords(json: Value) -> Value {
    match json {
        Value::String(text) => Value::String(redact::text(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(without_passwords).collect()),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (redact::text(&key), without_passwords(value)))
            .collect(),
        other => other,
    }
}

fn seconds(ttl: Ttl) -> Option<f64> {
    match ttl {
        Ttl::Left(left) => Some(left.as_secs_f64()),
        Ttl::Never => None,
        Ttl::Missing => Some(Duration::ZERO.as_secs_f64()),
    }
}

/// A cap of the table, which are whole KiB or MiB.
fn bytes(n: usize) -> String {
    if n.is_multiple_of(1 << 20) { format!("{} MiB", n >> 20) } else { format!("{} KiB", n >> 10) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn passwords_are_hidden_wherever_they_stand() {
        let shown =
            without_passwords(json!(["http://u:hunter2@h:1", {"a": ["socks5://u:hunter2@h"]}, 1]));
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert!(shown.to_string().contains("h:1"), "{shown}");
    }

    #[test]
    fn a_value_is_shown_indented_and_steers_no_terminal() {
        let value = json!({"a": "x\u{1b}[31m\u{202e}y"});
        let found = Found { cache: "users", key: "p:1:user:7".into(), ttl_s: None, value };
        assert_eq!(text(&found), "p:1:user:7 (for ever)\n{\n  \"a\": \"x\\u001b[31m y\"\n}");
    }
}
