//! Lever's postings API: all postings of one site in one answer.
//!
//! `GET {base}/v0/postings/{site}?mode=json`; the site is case-sensitive. An unknown site answers
//! 404. Accounts in the European Union are on another base URL, [`EU_BASE_URL`], and 404 on the
//! first: both are asked before a site counts as gone.

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
    salary::{self, Salary},
    setup::{BuildError, board, endpoint},
    text,
};

/// The API's address.
pub const BASE_URL: &str = "https://api.lever.co";

/// The API's address for accounts in the European Union; the two share no data.
pub const EU_BASE_URL: &str = "https://api.eu.lever.co";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let site = board(config)?;
    let mut urls = Vec::new();
    for base in [BASE_URL, EU_BASE_URL] {
        let mut url = endpoint(config, base, &["v0", "postings", site])?;
        url.set_query(Some("mode=json"));
        urls.push(Address::new(url));
    }
    // With an address of its own both are the same.
    urls.dedup();
    Ok(Feed { urls, any: true, ..Feed::new(config, parse) })
}

/// Reads a site's answer.
///
/// # Errors
/// The answer is not JSON, or not an array.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let postings = root.as_array().ok_or(ParseError::Shape { expected: "array of postings" })?;
    let mut parsed = Parsed { repairs, ..Parsed::default() };
    for posting in postings {
        parsed.add(read(posting, context), context)?;
    }
    Ok(parsed.settled())
}

fn read(posting: &Value, context: &Context) -> Result<Listing, String> {
    let line = |path: &[&str]| record::line(posting, path);
    let mut listing = record::listing(&context.source, context.now);
    listing.external_id = record::identifier(posting, &["id"]).unwrap_or_default();
    listing.title = line(&["text"]).unwrap_or_default();
    listing.company.clone_from(&context.company);
    listing.url = record::address(posting, &["hostedUrl"]).unwrap_or_default();
    listing.apply_url = record::address(posting, &["applyUrl"]);
    location::set(&mut listing, &places(posting));
    let workplace = line(&["workplaceType"]);
    let workplace = workplace.as_deref().and_then(location::workplace);
    location::set_workplace(&mut listing, workplace, None);
    listing.employment_type = line(&["categories", "commitment"])
        .and_then(|commitment| location::employment_type(&commitment))
        .map(str::to_owned);
    listing.seniority_level = line(&["categories", "level"]);
    listing.job_function =
        line(&["categories", "department"]).or_else(|| line(&["categories", "team"]));
    listing.description = text::description(&markup(posting), &context.budget);
    listing.posted_at = record::number(posting, &["createdAt"]).and_then(dates::epoch);
    if let Some(range) = record::at(posting, &["salaryRange"]) {
        let interval = record::line(range, &["interval"]);
        Salary::from_numbers(
            record::number(range, &["min"]),
            record::number(range, &["max"]),
            record::line(range, &["currency"]).as_deref(),
            interval.as_deref().and_then(salary::period),
        )
        .set(&mut listing);
    }
    record::finish(listing, context)
}

/// The first location carries the country; `allLocations` repeats it and names the others.
fn places(posting: &Value) -> Vec<Location> {
    let mut names = record::lines(posting, &["categories", "location"]);
    names.extend(record::lines(posting, &["categories", "allLocations"]));
    let mut places: Vec<Location> =
        names.into_iter().map(|name| Location::line(Some(name))).collect();
    if places.is_empty() {
        places.push(Location::default());
    }
    places[0].country = record::line(posting, &["country"]);
    places
}

/// The text is in pieces: opening and body, lists with a heading each, what comes at the end.
fn markup(posting: &Value) -> String {
    let mut markup = record::raw(posting, &["description"]).unwrap_or_default().to_owned();
    for list in record::items(record::at(posting, &["lists"])) {
        let heading = record::raw(list, &["text"]).unwrap_or_default();
        let content = record::raw(list, &["content"]).unwrap_or_default();
        markup.push_str(&format!("<h3>{heading}</h3><ul>{content}</ul>"));
    }
    markup.push_str(record::raw(posting, &["additional"]).unwrap_or_default());
    markup
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const SITE: &str = include_str!("../../tests/fixtures/lever_postings.json");

    #[test]
    fn a_site_is_read() {
        let parsed = parsed(parse, SITE);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(listing.title, "Data Platform Engineer");
        assert_eq!(listing.company, "Configured");
        assert_eq!(listing.external_id, "0f0e0d0c-0000-4000-8000-000000000001");
        assert_eq!(listing.location.as_deref(), Some("Berlin; Remote - Germany"));
        assert_eq!(listing.country.as_deref(), Some("DE"));
        assert_eq!(listing.workplace.as_deref(), Some("hybrid"));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!(listing.job_function.as_deref(), Some("Platform"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-10-31T00:00:00+00:00"));
        assert_eq!((listing.salary_min, listing.salary_max), (Some(70e3), Some(90e3)));
        assert_eq!(listing.salary_period.as_deref(), Some("year"));
        assert!(
            listing
                .description
                .contains("You will build pipelines.\nRequirements\n- Rust or Go\n- SQL")
        );
        assert!(listing.apply_url.as_deref().is_some_and(|url| url.ends_with("/apply")));
    }

    #[test]
    fn a_malformed_record_never_loses_the_others() {
        let body = r#"[{"text":"A"},{"text":"B","hostedUrl":"https://example.test/b","createdAt":"soon",
            "categories":[],"lists":{"a":1},"salaryRange":"much"},5]"#;
        let parsed = parsed(parse, body);
        assert_eq!(parsed.listings.len(), 1);
        assert_eq!(parsed.listings[0].external_id, "https://example.test/b");
        assert_eq!(parsed.skipped.len(), 2);
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, SITE, "");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, SITE);
    }
}
