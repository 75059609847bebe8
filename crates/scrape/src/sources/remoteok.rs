//! RemoteOK's API: the newest hundred or so remote postings.
//!
//! `GET {base}/api`. The first element is a legal notice: whoever shows the postings links back to
//! them and names Remote OK. A salary of zero means none; numbers are US dollars a year.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    dates,
    feed::Feed,
    json::Read,
    listing::Listing,
    location::{self, Location},
    parse_error::ParseError,
    parsed::Parsed,
    record,
    salary::Salary,
    setup::{BuildError, endpoint},
};

/// The site's address.
pub const BASE_URL: &str = "https://remoteok.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls: vec![Address::new(endpoint(config, BASE_URL, &["api"])?)],
        max_pages: 1,
        aggregates: true,
        ..Feed::new(config, parse)
    })
}

/// Reads the API's answer.
///
/// # Errors
/// The answer is not JSON, or not an array.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let postings = root.as_array().ok_or(ParseError::Shape { expected: "array of postings" })?;
    let mut parsed = Parsed { repairs, ..Parsed::default() };
    for posting in postings.iter().filter(|posting| !is_notice(posting)) {
        parsed.add(read(posting, context), context)?;
    }
    Ok(parsed.settled())
}

fn is_notice(element: &Value) -> bool {
    element.get("legal").is_some() && element.get("position").is_none()
}

fn read(posting: &Value, context: &Context) -> Result<Listing, String> {
    let line = |path: &[&str]| record::line(posting, path);
    let mut listing = record::listing(&context.source, context.now);
    let id = |key| record::identifier(posting, &[key]);
    listing.external_id = id("id").or_else(|| id("slug")).unwrap_or_default();
    listing.title = line(&["position"]).unwrap_or_default();
    listing.company = line(&["company"]).unwrap_or_else(|| context.company.clone());
    listing.url = record::address(posting, &["url"]).unwrap_or_default();
    listing.apply_url = record::address(posting, &["apply_url"]);
    location::set(&mut listing, &[Location::line(line(&["location"]))]);
    location::set_workplace(&mut listing, Some("remote"), Some(true));
    listing.tags = record::lines(posting, &["tags"]);
    let kinds = listing.tags.iter().filter(|tag| tag.as_str() != "other");
    listing.employment_type =
        kinds.filter_map(|tag| location::employment_type(tag)).next().map(str::to_owned);
    listing.description = record::description(posting, &["description"], context);
    let date = line(&["date"]).and_then(|date| context.date(&date));
    listing.posted_at = date.or_else(|| record::number(posting, &["epoch"]).and_then(dates::epoch));
    let number = |key| record::number(posting, &[key]);
    Salary::from_numbers(number("salary_min"), number("salary_max"), Some("USD"), Some("year"))
        .set(&mut listing);
    record::finish(listing, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const FEED: &str = include_str!("../../tests/fixtures/remoteok.json");

    #[test]
    fn the_feed_is_read_without_its_legal_notice() {
        let parsed = parsed(parse, FEED);
        assert_eq!(parsed.skipped, [""; 0]);
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.title, "Rust Engineer");
        assert_eq!(first.company, "ExampleHQ");
        assert_eq!(first.tags, ["rust", "backend", "dev"]);
        assert_eq!(first.description, "Async Rust & Redis.");
        assert_eq!(first.location.as_deref(), Some("Worldwide"));
        assert_eq!(first.workplace.as_deref(), Some("remote"));
        assert_eq!((first.salary_min, first.salary_max), (Some(90e3), Some(120e3)));
        assert_eq!(first.posted_at.as_deref(), Some("2026-11-22T06:26:40+00:00"));
        assert_eq!((second.salary_min, second.salary_currency.as_deref()), (None, None));
        assert_eq!(second.location, None);
    }

    #[test]
    fn a_feed_of_nothing_but_the_notice_is_an_honest_zero() {
        let parsed = parsed(parse, "[{\"legal\":\"x\"}]");
        assert!(parsed.listings.is_empty() && parsed.skipped.is_empty());
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, FEED, "");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, FEED);
    }
}
