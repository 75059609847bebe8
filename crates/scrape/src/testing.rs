//! What the tests of several parsers share.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use url::Url;

use crate::{
    config::{ScrapeConfig, SourceConfig, SourceKind},
    context::Context,
    parse_error::ParseError,
    parsed::Parsed,
};

pub(crate) fn context() -> Context {
    let page = Url::parse("https://example.test/jobs/board").unwrap();
    Context::new("source", "Configured", &page, "2026-11-23T12:00:00Z".parse().unwrap())
}

pub(crate) fn config(kind: SourceKind) -> SourceConfig {
    SourceConfig {
        name: "source".into(),
        board: Some("board".into()),
        company: Some("Configured".into()),
        max_pages: 3,
        ..SourceConfig::new(kind)
    }
}

/// Settings for asking servers of the test on this machine, without waiting.
pub(crate) fn scrape_config() -> ScrapeConfig {
    ScrapeConfig {
        min_interval: Duration::ZERO,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(2),
        source_timeout: Duration::from_secs(5),
        max_body_bytes: 1_000_000,
        allow_private: vec!["*".into()],
        allow_private_proxies: vec!["*".into()],
        concurrent_sources: 8,
        ..ScrapeConfig::default()
    }
}

pub(crate) fn parsed(
    parse: impl Fn(&str, &Context) -> Result<Parsed, ParseError>,
    body: &str,
) -> Parsed {
    parse(body, &context()).unwrap()
}

/// Feeds a parser arbitrary bytes and a payload with pieces cut out, put in and changed.
pub(crate) fn survives(
    parse: impl Fn(&str, &Context) -> Result<Parsed, ParseError>,
    payload: &str,
) {
    let context = context();
    let mut runner =
        // The default is 256, and PROPTEST_CASES in its place.
        TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let bytes = proptest::collection::vec(any::<u8>(), 0..600);
    runner
        .run(&bytes, |bytes| {
            let _ = parse(&String::from_utf8_lossy(&bytes), &context);
            Ok(())
        })
        .unwrap();
    let pieces = prop_oneof![
        Just("null"),
        Just("[]"),
        Just("{}"),
        Just("-1e999"),
        Just("\""),
        Just("<"),
        Just("]]>"),
        Just("&"),
        Just("\u{0}"),
        Just("é"),
        Just(""),
        Just("<!--"),
        Just("99999999999999999999"),
    ];
    let edits = proptest::collection::vec((0..payload.len(), 0..40_usize, pieces), 1..6);
    runner
        .run(&edits, |edits| {
            let mut mutated = payload.to_owned();
            for (at, length, piece) in edits {
                let from = mutated.floor_char_boundary(at.min(mutated.len()));
                let to = mutated.floor_char_boundary((at + length).min(mutated.len())).max(from);
                mutated.replace_range(from..to, piece);
            }
            let _ = parse(&mutated, &context);
            Ok(())
        })
        .unwrap();
}

/// Puts records that no server should send before the others: each value of the first one in turn
/// exchanged for what it never is. The others are read as they were.
pub(crate) fn others_stay(
    parse: impl Fn(&str, &Context) -> Result<Parsed, ParseError>,
    payload: &str,
    rows: &str,
) {
    let root: Value = serde_json::from_str(payload).unwrap();
    let expect = parsed(&parse, payload).listings;
    assert!(!expect.is_empty());
    let first = root.pointer(rows).and_then(Value::as_array).unwrap();
    let other = another(first.iter().max_by_key(|row| row.to_string().len()).unwrap());
    let mut places = vec![String::new()];
    places.extend(places_in(&other, "", 6));
    for place in places {
        for odd in odd_values() {
            let (mut record, mut changed) = (other.clone(), root.clone());
            *record.pointer_mut(&place).unwrap() = odd.clone();
            let all = changed.pointer_mut(rows).and_then(Value::as_array_mut).unwrap();
            all.insert(0, record);
            let parsed = parse(&changed.to_string(), &context());
            let parsed = parsed.unwrap_or_else(|error| panic!("{place} = {odd}: {error}"));
            for listing in &expect {
                let stays = parsed.listings.contains(listing);
                assert!(stays, "{place} = {odd}: {listing:?} is not in {:?}", parsed.listings);
            }
        }
    }
}

/// Returns a record like this one with nothing that is the same.
fn another(value: &Value) -> Value {
    match value {
        Value::String(text) => format!("{text}9").into(),
        Value::Number(number) => {
            json!(number.as_f64().unwrap_or_default().trunc() as i64 * 1_000 + 7)
        }
        Value::Array(items) => items.iter().map(another).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), another(value))).collect()
        }
        other => other.clone(),
    }
}

fn odd_values() -> Vec<Value> {
    let deep = (0..40).fold(json!("x"), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("\u{0}\u{202e}<b>&amp;"),
        json!("9".repeat(400)),
        json!([]),
        json!({}),
        json!([null, 5, "x", {}]),
        json!({"name": {"a": []}, "value": 7}),
        deep,
    ]
}

/// Returns the pointers to the values inside a value.
fn places_in(value: &Value, at: &str, levels: usize) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(idx, value)| (idx.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let mut places = Vec::new();
    for (name, value) in inner.into_iter().filter(|_| levels > 0) {
        let place = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        places.extend(places_in(value, &place, levels - 1));
        places.push(place);
    }
    places
}
