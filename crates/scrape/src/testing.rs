//! What the tests of several parsers share.

use std::time::Duration;

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
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
