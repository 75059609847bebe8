//! Workable's account widget: all postings of one account in one answer, with their texts.
//!
//! `GET {base}/api/v1/widget/accounts/{account}?details=true`; an unknown account answers 404. The
//! answer of the search, `POST /api/v3/accounts/{account}/jobs`, is read too. Facts:
//! - A posting has a row for each of its places, all with one shortcode: rows are no postings.
//! - One host serves all accounts and answers 429 with a long `Retry-After` (2026-08).

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    listing::Listing,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, parts},
    record, rows,
    setup::{BuildError, board, endpoint},
};

/// The API's address.
pub const BASE_URL: &str = "https://apply.workable.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let account = board(config)?;
    let mut url = endpoint(config, BASE_URL, &["api", "v1", "widget", "accounts", account])?;
    url.set_query(Some("details=true"));
    Ok(Feed { urls: vec![Address::new(url)], row_per_place: true, ..Feed::new(config, parse) })
}

/// Reads an account's answer, a row of it for a listing; what is not published is left out.
///
/// # Errors
/// The answer is not JSON, or has neither array `jobs` nor array `results`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let root = record::json(body, &context.budget)?.value;
    let key = if root.get("results").is_some() { "results" } else { "jobs" };
    let rows = record::array(&root, key, "array `jobs`")?;
    let company = record::line(&root, &["name"]);
    let mut parsed = Parsed {
        rows: Some(rows.len()),
        total: record::number(&root, &["total"]).map(|total| total as u64),
        cursor: record::line(&root, &["nextPage"]),
        ..Parsed::default()
    };
    for row in rows.iter().filter(|row| is_public(row)) {
        parsed.add(read(row, company.as_deref(), context), context)?;
    }
    rows::join(&mut parsed.listings);
    Ok(parsed)
}

fn is_public(row: &Value) -> bool {
    record::flag(row, &["isInternal"]) != Some(true)
        && !matches!(
            record::line(row, &["state"]).as_deref(),
            Some("draft" | "archived" | "closed")
        )
}

fn read(row: &Value, company: Option<&str>, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(row, context);
    posting.id(&[&["shortcode"], &["id"]]);
    posting.title(&["title"]);
    if let Some(company) = company {
        posting.listing.company = company.to_owned();
    }
    let shortcode = &posting.listing.external_id;
    let page = format!("{BASE_URL}/j/{shortcode}");
    posting.listing.url = posting.address(&[&["url"], &["shortlink"]]).unwrap_or(page);
    posting.listing.apply_url = posting.address(&[&["application_url"]]);
    // The search has codes beside the names.
    let country = if row.get("location").is_some() { "countryCode" } else { "country" };
    let mut places: Vec<_> = record::items(record::at(row, &["locations"]))
        .iter()
        .filter(|place| record::flag(place, &["hidden"]) != Some(true))
        .map(|place| parts(place, "city", "region", country))
        .collect();
    if places.is_empty() {
        let place = record::at(row, &["location"]).unwrap_or(row);
        let state = if place.get("region").is_some() { "region" } else { "state" };
        places.push(parts(place, "city", state, country));
    }
    posting.places(&places);
    let remote = ["telecommuting", "remote"].iter().find_map(|key| record::flag(row, &[key]));
    posting.workplace(&[posting.line(&["workplace"]).map(|word| word.replace('_', "-"))], remote);
    let kind = posting.first(&[&["employment_type"], &["type"]]).map(|kind| match &kind[..] {
        "full" => "full-time".to_owned(),
        "part" => "part-time".to_owned(),
        _ => kind,
    });
    posting.employment(&[kind]);
    posting.listing.seniority_level = posting.line(&["experience"]);
    posting.listing.industries = posting.line(&["industry"]);
    let department = record::lines(row, &["department"]).into_iter().next();
    posting.listing.job_function = department.or_else(|| posting.line(&["function"]));
    posting.listing.language = posting.line(&["language"]);
    posting.texts(&[(None, &["description"]), (None, &["requirements"]), (None, &["benefits"])]);
    posting.posted(&[&["published_on"], &["published"], &["created_at"]]);
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const ACCOUNT: &str = include_str!("../../tests/fixtures/workable.json");

    #[test]
    fn rows_of_one_shortcode_are_one_posting_with_several_places() {
        let parsed = parsed(parse, ACCOUNT);
        assert_eq!((parsed.rows, parsed.skipped.len()), (Some(3), 0));
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.location.as_deref(), Some("Porto, Portugal; Lisboa, Portugal"));
        assert_eq!((first.company.as_str(), first.external_id.as_str()), ("Acme", "AB12"));
        assert_eq!(first.employment_type.as_deref(), Some("full_time"));
        assert_eq!(first.posted_at.as_deref(), Some("2026-11-02T00:00:00+00:00"));
        assert_eq!(first.description, "Bake bread.");
        // The same title under another shortcode is another posting.
        assert_eq!((second.title.as_str(), second.is_remote), ("Baker", Some(true)));
    }

    #[test]
    fn an_account_without_postings_is_an_honest_zero() {
        assert!(parsed(parse, "{\"name\":\"Acme\",\"jobs\":[]}").listings.is_empty());
        assert!(parse("{\"error\":\"x\"}", &context()).is_err());
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, ACCOUNT, "/jobs");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, ACCOUNT);
    }
}
