//! JOIN's company pages: five postings a page, in the data that the page's script begins with.
//!
//! `GET https://join.com/companies/{board}?page=N`; a posting's text is in the same place of its
//! own page. The number in a posting's address may differ from its identifier (2026-10).

use std::sync::Arc;

use rhubarb_core::redact::Address;
use serde_json::Value;
use url::Url;

use crate::{
    config::SourceConfig,
    context::Context,
    embedded,
    feed::{Detail, Feed},
    listing::Listing,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, parts},
    record,
    setup::{BuildError, board, endpoint},
};

/// The site's address.
pub const BASE_URL: &str = "https://join.com";

const STATE: [&str; 3] = ["props", "pageProps", "initialState"];

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let mut url = endpoint(config, BASE_URL, &["companies", board(config)?])?;
    url.set_query(Some("page={page}"));
    Ok(Feed {
        urls: vec![Address::new(url)],
        kind: Content::Html,
        detail: Some(Detail {
            url: Arc::new(|listing| Url::parse(&listing.url).ok()),
            kind: Content::Html,
            read: Arc::new(read_detail),
        }),
        ..Feed::new(config, parse)
    })
}

/// Reads a company's page.
///
/// # Errors
/// The page has no data, or no list of postings in it.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let root = embedded::next_data(body, &context.budget)?;
    let expected = "array `initialState.jobs.items`";
    let state = record::at(&root, &STATE).ok_or(ParseError::Shape { expected })?;
    let jobs = record::at(state, &["jobs"]).ok_or(ParseError::Shape { expected })?;
    let rows = record::array(jobs, "items", expected)?;
    let total = record::number(jobs, &["pagination", "total"])
        .or_else(|| record::number(jobs, &["pagination", "rowCount"]));
    let company = record::line(state, &["company", "name"]);
    let total = total.map(|total| total as u64);
    let mut parsed = Parsed { rows: Some(rows.len()), total, ..Parsed::default() };
    for row in rows {
        parsed.add(read(row, company.as_deref(), context), context)?;
    }
    Ok(parsed)
}

fn read(row: &Value, company: Option<&str>, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(row, context);
    posting.id(&[&["id"]]);
    posting.title(&["title"]);
    if let Some(company) = company {
        posting.listing.company = company.to_owned();
    }
    if let Some(path) = posting.line(&["idParam"]) {
        let mut page = context.page.clone();
        page.set_query(None);
        if let Ok(mut segments) = page.path_segments_mut() {
            segments.pop_if_empty().push(&path);
        }
        posting.listing.url = page.into();
    }
    fill(&mut posting);
    posting.finish()
}

fn fill(posting: &mut Posting<'_>) {
    let value = posting.value;
    if let Some(city) = record::at(value, &["city"]) {
        let mut place = parts(city, "cityName", "regionName", "countryName");
        let code = posting.first(&[&["country", "iso3166"]]);
        place.country = code.or(place.country);
        posting.places(&[place]);
    }
    posting.workplace(&[posting.line(&["workplaceType"])], None);
    posting.employment(&[posting.line(&["employmentType", "name"])]);
    posting.listing.job_function = posting.line(&["category", "name"]);
    if record::flag(value, &["settings", "showSalary"]) != Some(false) {
        let currency = posting.first(&[
            &["salaryAmountFrom", "currency"],
            &["salaryAmountTo", "currency"],
            &["salaryCurrency"],
        ]);
        let period = posting.line(&["salaryFrequency"]).map(|word| word.replace("PER_", ""));
        let money = |key: &'static str| match record::at(value, &[key]) {
            // Amounts are in cents.
            Some(amount) => record::number(amount, &["amount"]).map(|cents| cents / 100.0),
            None => None,
        };
        let (min, max) = (money("salaryAmountFrom"), money("salaryAmountTo"));
        posting.pay_numbers(min, max, currency, period);
    }
    posting.posted(&[&["createdAt"]]);
}

/// Adds what a posting's own page has.
///
/// # Errors
/// The page has no data, or no posting in it.
pub fn read_detail(body: &str, context: &Context, listing: &mut Listing) -> Result<(), ParseError> {
    let root = embedded::next_data(body, &context.budget)?;
    let expected = "object `initialState.job`";
    let state = record::at(&root, &STATE).ok_or(ParseError::Shape { expected })?;
    let job = record::at(state, &["job"]).ok_or(ParseError::Shape { expected })?;
    let mut posting = Posting::of(listing, job, context);
    fill(&mut posting);
    posting.texts(&[
        (None, &["description"]),
        (None, &["unifiedDescription"]),
        (None, &["tasks"]),
        (None, &["requirements"]),
        (None, &["benefits"]),
    ]);
    *listing = posting.listing;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, parsed, survives};

    const PAGE: &str = r#"<html><body><script id="__NEXT_DATA__" type="application/json">{"props":{"pageProps":{"initialState":{
        "company":{"name":"Acme Tea"},"jobs":{"items":[{"id":11,"idParam":"12-taster-m-w-d","title":"Taster (m/w/d)",
        "createdAt":"2026-10-05T13:33:03.404Z","salaryFrequency":"PER_YEAR","workplaceType":"ONSITE",
        "city":{"cityName":"Chur","countryName":"Switzerland"},"employmentType":{"name":"Employee"},"category":{"name":"Quality"},
        "settings":{"showSalary":true},"country":{"iso3166":"CH"}}],"pagination":{"page":1,"pageCount":2,"total":6}}}}}}</script>"#;

    #[test]
    fn a_page_is_read_out_of_its_script() {
        let parsed = parsed(parse, PAGE);
        assert_eq!((parsed.total, parsed.rows), (Some(6), Some(1)));
        let listing = &parsed.listings[0];
        assert_eq!((listing.external_id.as_str(), listing.company.as_str()), ("11", "Acme Tea"));
        assert_eq!(listing.url, "https://example.test/jobs/board/12-taster-m-w-d");
        assert_eq!(listing.location.as_deref(), Some("Chur, CH"));
        assert_eq!((listing.salary_min, listing.workplace.as_deref()), (None, Some("onsite")));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-10-05T13:33:03.404000+00:00"));
    }

    #[test]
    fn a_postings_own_page_gives_its_text() {
        let mut listing = parsed(parse, PAGE).listings.remove(0);
        let page = r#"<script id="__NEXT_DATA__">{"props":{"pageProps":{"initialState":{"job":{"description":"<p>Taste.</p>",
            "salaryAmountFrom":{"amount":6000000,"currency":"CHF"},"salaryAmountTo":{"amount":7000000,"currency":"CHF"},"salaryFrequency":"PER_YEAR"}}}}}</script>"#;
        read_detail(page, &context(), &mut listing).unwrap();
        assert_eq!((listing.description.as_str(), listing.salary_max), ("Taste.", Some(70e3)));
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, PAGE);
    }
}
