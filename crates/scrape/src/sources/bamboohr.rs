//! BambooHR's careers list: all postings of one company in one answer, bare; the rest is in each
//! posting's own.
//!
//! `GET https://{board}.bamboohr.com/careers/list` and `…/careers/{id}/detail`. Facts:
//! - An unknown company is redirected to `www.bamboohr.com`, a page for people (2026-09).
//! - `locationType` is "0" on site, "1" remote, "2" hybrid; `isRemote` is mostly null; either
//!   `location` or `atsLocation` is filled.

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
    posting::{Posting, parts},
    record,
    setup::{BuildError, endpoint, label},
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let base = format!("https://{}.bamboohr.com", label(config)?);
    let url = endpoint(config, &base, &["careers", "list"])?;
    let careers = endpoint(config, &base, &["careers"])?;
    let detail = move |listing: &Listing| {
        let mut url = careers.clone();
        url.path_segments_mut().ok()?.extend([listing.external_id.as_str(), "detail"]);
        Some(url)
    };
    Ok(Feed {
        urls: vec![Address::new(url)],
        detail: Some(Detail {
            url: Arc::new(detail),
            kind: Content::Json,
            read: Arc::new(read_detail),
        }),
        ..Feed::new(config, parse)
    })
}

/// Reads a company's list.
///
/// # Errors
/// The answer is not JSON, or has no array `result`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let rows = record::array(&root, "result", "array `result`")?;
    let total = record::number(&root, &["meta", "totalCount"]).map(|total| total as u64);
    let mut parsed = Parsed { repairs, rows: Some(rows.len()), total, ..Parsed::default() };
    for row in rows {
        parsed.add(read(row, context), context)?;
    }
    Ok(parsed)
}

fn read(row: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(row, context);
    posting.id(&[&["id"]]);
    posting.listing.url = context
        .page
        .join(&format!("/careers/{}", posting.listing.external_id))
        .map(String::from)
        .unwrap_or_default();
    fill(&mut posting);
    posting.finish()
}

/// Sets what a list's row and a posting's own answer have in common.
fn fill(posting: &mut Posting<'_>) {
    let value = posting.value;
    posting.title(&["jobOpeningName"]);
    let place = |key| record::at(value, &[key]);
    let own = place("location").map(|place| parts(place, "city", "state", "addressCountry"));
    let ats = place("atsLocation").map(|place| {
        let state = record::line(place, &["state"]).or_else(|| record::line(place, &["province"]));
        Location { state, ..parts(place, "city", "state", "country") }
    });
    let said = |place: &Location| *place != Location::default();
    if let Some(place) = own.filter(said).or(ats.filter(said)) {
        posting.places(&[place]);
    }
    let kind = posting.line(&["locationType"]);
    let said = match kind.as_deref() {
        Some("0") => Some("onsite".to_owned()),
        Some("1") => Some("remote".to_owned()),
        Some("2") => Some("hybrid".to_owned()),
        _ => None,
    };
    if said.is_some() || posting.listing.workplace.is_none() {
        posting.workplace(&[said], record::flag(value, &["isRemote"]));
    }
    posting.employment(&[posting.line(&["employmentStatusLabel"])]);
    if let Some(department) = posting.line(&["departmentLabel"]) {
        posting.listing.job_function = Some(department);
    }
}

/// Adds what a posting's own answer has.
///
/// # Errors
/// The answer is not JSON, or has no object `result.jobOpening`.
pub fn read_detail(body: &str, context: &Context, listing: &mut Listing) -> Result<(), ParseError> {
    let root = record::json(body, &context.budget)?.value;
    let expected = "object `result.jobOpening`";
    let opening =
        record::at(&root, &["result", "jobOpening"]).ok_or(ParseError::Shape { expected })?;
    let mut posting = Posting::of(listing, opening, context);
    fill(&mut posting);
    if let Some(url) = posting.address(&[&["jobOpeningShareUrl"]]) {
        posting.listing.url = url;
    }
    posting.texts(&[(None, &["description"])]);
    posting.pay_text(posting.line(&["compensation"]));
    posting.listing.seniority_level = posting.line(&["minimumExperience"]);
    posting.posted(&[&["datePosted"]]);
    *listing = posting.listing;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const LIST: &str = r#"{"meta":{"totalCount":3},"result":[
        {"id":"7","jobOpeningName":"Ranger","departmentLabel":null,"employmentStatusLabel":"Part time","location":{"city":"Banff","state":"Alberta"},"atsLocation":{"country":null,"state":null,"province":null,"city":null},"isRemote":null,"locationType":"0"},
        {"id":"8","jobOpeningName":"Guide","departmentLabel":"Trails","employmentStatusLabel":"Full time","location":{"city":null,"state":null},"atsLocation":{"country":"Canada","state":null,"province":"Alberta","city":"Jasper"},"isRemote":null,"locationType":"2"},
        {"id":"9","jobOpeningName":"Clerk","location":null,"locationType":"1"}]}"#;

    #[test]
    fn a_list_is_read() {
        let parsed = parsed(parse, LIST);
        let [ranger, guide, clerk] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(ranger.url, "https://example.test/careers/7");
        assert_eq!(ranger.location.as_deref(), Some("Banff, Alberta"));
        assert_eq!((ranger.is_remote, clerk.is_remote), (Some(false), Some(true)));
        assert_eq!(guide.location.as_deref(), Some("Jasper, Alberta, Canada"));
        assert_eq!(guide.workplace.as_deref(), Some("hybrid"));
        assert_eq!(guide.job_function.as_deref(), Some("Trails"));
    }

    #[test]
    fn a_postings_own_answer_gives_day_and_text() {
        let mut listing = parsed(parse, LIST).listings.remove(1);
        let body = r#"{"meta":{},"result":{"jobOpening":{"jobOpeningShareUrl":"https://acme.bamboohr.com/careers/8",
            "jobOpeningName":"Guide","employmentStatusLabel":"Full time","location":{"city":"Jasper","state":"Alberta","addressCountry":"Canada"},
            "description":"<p>Walk.</p>","compensation":"$25 - $30 per hour","datePosted":"2026-07-25","locationType":"2"}}}"#;
        read_detail(body, &context(), &mut listing).unwrap();
        assert_eq!(listing.url, "https://acme.bamboohr.com/careers/8");
        assert_eq!((listing.description.as_str(), listing.salary_min), ("Walk.", Some(25.0)));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-07-25T00:00:00+00:00"));
        assert_eq!(listing.job_function.as_deref(), Some("Trails"));
    }

    #[test]
    fn the_page_that_an_unknown_company_leads_to_is_no_empty_list() {
        let error = parse("<!doctype html><title>BambooHR", &context()).unwrap_err();
        assert_eq!(error.to_string(), "the answer is HTML where JSON is expected");
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, LIST, "/result");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, LIST);
    }
}
