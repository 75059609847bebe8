//! Rippling's board API: all postings of one board in one answer, a row for each of their places.
//!
//! `GET {base}/platform/api/ats/v1/board/{board}/jobs`; day, pay and text are at `…/jobs/{uuid}`.
//! The pages of `ats.rippling.com/api/v2/board/{board}/jobs` are read too. 746 rows were 395
//! postings (2026-07): rows of one id are one posting.

use std::sync::Arc;

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::{Detail, Feed},
    json::Read,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named, parts},
    record, rows,
    setup::{BuildError, board, endpoint},
};

/// The API's address.
pub const BASE_URL: &str = "https://api.rippling.com";

/// Where people see the postings.
const PUBLIC: &str = "https://ats.rippling.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let board = board(config)?;
    let path = ["platform", "api", "ats", "v1", "board", board, "jobs"];
    let url = endpoint(config, BASE_URL, &path)?;
    let base = url.clone();
    let detail = move |listing: &Listing| {
        let mut url = base.clone();
        url.path_segments_mut().ok()?.push(&listing.external_id);
        Some(url)
    };
    Ok(Feed {
        urls: vec![Address::new(url)],
        row_per_place: true,
        detail: Some(Detail {
            url: Arc::new(detail),
            kind: Content::Json,
            read: Arc::new(read_detail),
        }),
        ..Feed::new(config, parse)
    })
}

/// Reads a board's answer, rows of one id as one listing.
///
/// # Errors
/// The answer is not JSON, or neither an array nor one with an array `items`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let rows = match root.as_array() {
        Some(rows) => rows,
        None => record::array(&root, "items", "array of postings")?,
    };
    let total = record::number(&root, &["totalItems"]).map(|total| total as u64);
    let mut parsed = Parsed { repairs, rows: Some(rows.len()), total, ..Parsed::default() };
    for row in rows {
        parsed.add(read(row, context), context)?;
    }
    rows::join(&mut parsed.listings);
    Ok(parsed)
}

fn read(row: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(row, context);
    posting.id(&[&["uuid"], &["id"]]);
    posting.title(&["name"]);
    posting.brand(&[&["companyName"]]);
    let board = context.page.path_segments().and_then(|mut segments| {
        segments.find(|segment| *segment == "board").and_then(|_| segments.next())
    });
    let page = board.map(|board| format!("{PUBLIC}/{board}/jobs/{}", posting.listing.external_id));
    posting.listing.url = posting.address(&[&["url"]]).or(page).unwrap_or_default();
    let mut places: Vec<Location> = record::items(record::at(row, &["locations"]))
        .iter()
        .map(|place| {
            named(record::line(place, &["name"]), parts(place, "city", "state", "country"))
        })
        .collect();
    places.extend(posting.line(&["workLocation", "label"]).map(|l| Location::line(Some(l))));
    places.extend(
        record::lines(row, &["workLocations"]).into_iter().map(|l| Location::line(Some(l))),
    );
    posting.places(&places);
    let said = record::items(record::at(row, &["locations"])).iter();
    let said = said.map(|place| record::line(place, &["workplaceType"]));
    let mut words: Vec<_> = said.map(|word| word.map(|word| word.replace('_', "-"))).collect();
    words.push(posting.listing.location.clone());
    posting.workplace(&words, None);
    posting.employment(&[posting.line(&["employmentType", "id"])]);
    posting.listing.job_function =
        posting.first(&[&["department", "name"], &["department", "label"]]);
    posting.listing.language = posting.line(&["language"]);
    posting.texts(&[(None, &["description", "role"]), (None, &["description", "company"])]);
    posting.posted(&[&["createdOn"]]);
    posting.finish()
}

/// Adds what a posting's own answer has.
///
/// # Errors
/// The answer is not JSON, or has no `name`.
pub fn read_detail(body: &str, context: &Context, listing: &mut Listing) -> Result<(), ParseError> {
    let root = record::json(body, &context.budget)?.value;
    record::at(&root, &["name"]).ok_or(ParseError::Shape { expected: "text `name`" })?;
    let mut posting = Posting::of(listing, &root, context);
    posting.brand(&[&["companyName"]]);
    if posting.listing.title.is_empty() {
        posting.title(&["name"]);
    }
    if posting.listing.location.is_none() {
        let places = record::lines(&root, &["workLocations"]);
        posting.places(&places.into_iter().map(|l| Location::line(Some(l))).collect::<Vec<_>>());
    }
    let department = posting.line(&["department", "name"]);
    posting.listing.job_function = department.or(posting.listing.job_function.take());
    posting.texts(&[(None, &["description", "role"]), (None, &["description", "company"])]);
    // The identifier holds the words, the label a code.
    posting.employment(&[posting.line(&["employmentType", "id"])]);
    posting.posted(&[&["createdOn"]]);
    let range = record::items(record::at(&root, &["payRangeDetails"])).first();
    *listing = posting.listing;
    let Some(range) = range else { return Ok(()) };
    let mut pay = Posting::of(listing, range, context);
    let bound = |of: [&'static str; 3]| of.into_iter().find(|key| range.get(key).is_some());
    let min = bound(["rangeStart", "minimum", "min"]).unwrap_or("min");
    let max = bound(["rangeEnd", "maximum", "max"]).unwrap_or("max");
    let currency = pay.first(&[&["currency"], &["currencyCode"]]);
    let period = pay.first(&[&["frequency"], &["payFrequency"], &["period"]]);
    pay.pay([&[min], &[max]], currency, period);
    *listing = pay.listing;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const BOARD: &str = r#"[{"uuid":"u-1","name":"Welder","department":{"id":"Yard","label":"Yard"},
        "url":"https://ats.rippling.com/acme/jobs/u-1","workLocation":{"label":"Kiel","id":"Kiel"}},
        {"uuid":"u-1","name":"Welder","url":"https://ats.rippling.com/acme/jobs/u-1",
        "workLocation":{"label":"Remote (Germany)"}},
        {"uuid":"u-2","name":"Welder","url":"https://ats.rippling.com/acme/jobs/u-2",
        "workLocation":{"label":"Remote (Germany)"}}]"#;

    #[test]
    fn rows_of_one_id_are_one_posting_and_of_one_title_are_not() {
        let parsed = parsed(parse, BOARD);
        assert_eq!(parsed.rows, Some(3));
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.location.as_deref(), Some("Kiel; Remote (Germany)"));
        assert_eq!((first.is_remote, second.is_remote), (None, Some(true)));
        assert_eq!(first.job_function.as_deref(), Some("Yard"));
    }

    #[test]
    fn the_pages_of_the_second_version_are_read() {
        let body = r#"{"items":[{"id":"u-1","name":"Welder","url":"https://ats.rippling.com/acme/jobs/u-1",
            "department":{"name":"Yard"},"language":"de","locations":[{"name":"Kiel, SH",
            "country":"Germany","state":"SH","city":"Kiel","workplaceType":"ON_SITE"}]}],
            "page":0,"totalItems":7,"totalPages":7}"#;
        let parsed = parsed(parse, body);
        let listing = &parsed.listings[0];
        assert_eq!((parsed.total, listing.workplace.as_deref()), (Some(7), Some("onsite")));
        assert_eq!(listing.location.as_deref(), Some("Kiel, SH"));
    }

    #[test]
    fn a_postings_own_answer_gives_day_pay_and_text() {
        let mut listing = parsed(parse, BOARD).listings.remove(0);
        let body = r#"{"uuid":"u-1","name":"Welder ","companyName":"Acme Yards","createdOn":"2026-11-01T10:00:00Z",
            "description":{"company":"<p>We float.</p>","role":"<p>Weld hulls.</p><p styl"},
            "employmentType":{"id":"Salaried, full-time","label":"SALARIED_FT"},
            "payRangeDetails":[{"rangeStart":20,"rangeEnd":30,"currency":"EUR","frequency":"HOUR"}]}"#;
        read_detail(body, &context(), &mut listing).unwrap();
        assert_eq!(listing.description, "Weld hulls.\nWe float.");
        assert_eq!((listing.salary_min, listing.salary_max), (Some(20.0), Some(30.0)));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!((listing.title.as_str(), listing.company.as_str()), ("Welder", "Acme Yards"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-11-01T10:00:00+00:00"));
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, BOARD, "");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, BOARD);
    }
}
