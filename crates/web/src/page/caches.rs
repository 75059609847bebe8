//! Caches: hit rates, keys and memory, and what is in one.

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_monitor::{census::NamespaceReport, report::Report};
use serde::Deserialize;

use super::{Frame, html, text};
use crate::{
    access::Reader,
    caching::{self, CacheKeys, CacheRow, CacheValue},
    problem::Problem,
    shown::url_encoded,
    site::Site,
};

/// So many keys of a cache are shown.
const KEYS: usize = 200;
/// So many namespaces are shown.
const NAMESPACES: usize = 100;
/// So many characters of a value are shown.
const VALUE: usize = 40_000;

#[derive(Template)]
#[template(path = "caches.html")]
struct CachesPage {
    frame: Frame,
    rows: Vec<Row>,
    namespaces: Vec<Namespace>,
}

struct Row {
    name: &'static str,
    about: &'static str,
    key: String,
    kept: String,
    hits: u64,
    misses: u64,
    rate: String,
}

impl Row {
    fn of(row: &CacheRow) -> Self {
        Self {
            name: row.name,
            about: row.about,
            key: text(&format!("{} in db {}", row.key, row.db), 200),
            kept: row.timeout_s.map_or_else(|| "for ever".to_owned(), |s| format!("{s} s")),
            hits: row.hits,
            misses: row.misses,
            rate: row.hit_rate().map_or_else(String::new, |rate| format!("{:.0} %", rate * 100.0)),
        }
    }
}

/// Keys that belong together.
struct Namespace {
    name: String,
    place: String,
    keys: String,
    bytes: String,
    greatest: String,
}

impl Namespace {
    fn of(place: &str, one: &NamespaceReport) -> Self {
        let greatest = one.greatest.as_ref().map(|greatest| text(&greatest.key, 80));
        Self {
            name: text(&one.name, 100),
            place: text(place, 60),
            keys: one.keys.shown(),
            bytes: one.bytes.map_or_else(String::new, |bytes| bytes.shown_bytes()),
            greatest: greatest.unwrap_or_default(),
        }
    }
}

/// Returns the namespaces of Django's caches, the largest first.
fn namespaces(report: &Report) -> Vec<Namespace> {
    let all = report.databases.iter().flat_map(|database| {
        let caches = database.namespaces.iter().filter(|one| one.kind.is_cache());
        caches.map(|one| (database.name(), one))
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(_, one)| std::cmp::Reverse((one.bytes.map(|bytes| bytes.n), one.keys.n)));
    all.iter().take(NAMESPACES).map(|(place, one)| Namespace::of(place, one)).collect()
}

/// Shows all.
///
/// # Errors
///
/// Redis is away.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
) -> Result<Html<String>, Problem> {
    let seen = site.report().await?;
    let rows = caching::rows(&site).await?;
    html(&CachesPage {
        frame: Frame::new(&site, &visitor, "/caches", "Caches").aged(seen.at.elapsed().as_secs()),
        rows: rows.iter().map(Row::of).collect(),
        namespaces: namespaces(&seen.what),
    })
}

/// Which cache and value.
#[derive(Debug, Default, Deserialize)]
pub struct Which {
    /// The cache's name.
    #[serde(default)]
    name: String,
    /// The keyword, id or path.
    #[serde(default)]
    argument: String,
}

#[derive(Template)]
#[template(path = "cache.html")]
struct CachePage {
    frame: Frame,
    name: String,
    about: &'static str,
    has_many: bool,
    argument: String,
    raw_argument: String,
    keys: Vec<Key>,
    has_more: bool,
    value: Option<String>,
    key: String,
    left: String,
}

struct Key {
    url: String,
    key: String,
    left: String,
}

fn left(ttl_s: Option<f64>) -> String {
    ttl_s.map_or_else(|| "for ever".to_owned(), |s| format!("{s:.0} s"))
}

fn key_rows(name: &str, keys: &CacheKeys) -> Vec<Key> {
    let all = keys.items.iter().map(|one| Key {
        url: format!("/cache?name={}&argument={}", url_encoded(name), url_encoded(&one.argument)),
        key: text(&one.key, 150),
        left: left(one.ttl_s),
    });
    all.collect()
}

/// Writes a value for a person; text by text, so that nothing in it steers the page.
fn written(value: &CacheValue) -> String {
    let json = serde_json::to_string_pretty(&value.value).unwrap_or_default();
    let lines: Vec<String> = json.lines().map(|line| text(line, 1_000)).collect();
    let all = lines.join("\n");
    if all.chars().nth(VALUE).is_none() {
        return all;
    }
    all.chars().take(VALUE).chain("…\n(cut)".chars()).collect()
}

/// Shows one: its keys, or the value that is meant.
///
/// # Errors
///
/// There is no such cache, nothing is there, or Redis is away.
pub async fn one(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(Which { name, argument }): Query<Which>,
) -> Result<Html<String>, Problem> {
    let cache = caching::named(&site, &name)?;
    let is_list = cache.has_many() && argument.is_empty();
    let none = CacheKeys { items: Vec::new(), has_more: false };
    let keys = if is_list { caching::keys(cache, KEYS).await? } else { none };
    let value = match is_list {
        true => None,
        false => match caching::value(cache, &argument).await {
            Err(problem) if problem.status == 404 => None,
            found => Some(found?),
        },
    };
    html(&CachePage {
        frame: Frame::new(&site, &visitor, "/cache", "Cache"),
        about: cache.domain().about,
        has_many: cache.has_many(),
        keys: key_rows(&name, &keys),
        has_more: keys.has_more,
        key: value.as_ref().map_or_else(String::new, |one| text(&one.key, 200)),
        left: value.as_ref().map_or_else(String::new, |one| left(one.ttl_s)),
        value: value.as_ref().map(written),
        name: text(&name, 60),
        argument: text(&argument, 200),
        raw_argument: argument,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_written_safely_and_cut() {
        let value = |value| CacheValue { key: String::new(), ttl_s: None, value };
        let evil = written(&value(json!({"a": ["\u{202e}x", 1]})));
        assert_eq!(evil, "{\n  \"a\": [\n    \"\u{fffd}x\",\n    1\n  ]\n}");
        let long = written(&value(json!(vec!["y".repeat(900); 100])));
        assert!(long.ends_with("…\n(cut)") && long.len() < VALUE + 20, "{}", long.len());
    }
}
