//! SmartRecruiters' posting API: the postings of one company, a hundred a page.
//!
//! `GET {base}/v1/companies/{company}/postings?limit=100&offset=N`; a posting's text is at
//! `…/postings/{id}`. Any name answers 200 with `totalFound` 0, so that nothing found proves
//! nothing (2026-09).

use std::sync::Arc;

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::{Detail, Feed},
    gathering::SourceLimits,
    json::Read,
    listing::Listing,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named, parts},
    record,
    setup::{BuildError, board, endpoint},
};

/// The API's address.
pub const BASE_URL: &str = "https://api.smartrecruiters.com";

/// Where people see the postings.
const PUBLIC: &str = "https://jobs.smartrecruiters.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let company = board(config)?;
    let mut url = endpoint(config, BASE_URL, &["v1", "companies", company, "postings"])?;
    let base = url.clone();
    url.set_query(Some("limit=100&offset={offset}"));
    let detail = move |listing: &Listing| {
        let mut url = base.clone();
        url.path_segments_mut().ok()?.push(&listing.external_id);
        Some(url)
    };
    Ok(Feed {
        urls: vec![Address::new(url)],
        detail: Some(Detail {
            url: Arc::new(detail),
            kind: Content::Json,
            read: Arc::new(read_detail),
        }),
        limits: SourceLimits { zero_proves_nothing: true, ..SourceLimits::default() },
        ..Feed::new(config, parse)
    })
}

/// Reads a page of postings.
///
/// # Errors
/// The answer is not JSON, or has no array `content`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let rows = record::array(&root, "content", "array `content`")?;
    let total = record::number(&root, &["totalFound"]).map(|total| total as u64);
    let mut parsed = Parsed { repairs, rows: Some(rows.len()), total, ..Parsed::default() };
    for row in rows.iter().filter(|row| is_public(row)) {
        parsed.add(read(row, context), context)?;
    }
    Ok(parsed)
}

fn is_public(row: &Value) -> bool {
    record::line(row, &["visibility"]).is_none_or(|who| who.eq_ignore_ascii_case("public"))
}

fn read(row: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(row, context);
    posting.id(&[&["id"], &["uuid"]]);
    posting.title(&["name"]);
    posting.brand(&[&["company", "name"]]);
    let company = posting.line(&["company", "identifier"]);
    let page = |company| format!("{PUBLIC}/{company}/{}", posting.listing.external_id);
    posting.listing.url = posting
        .address(&[&["postingUrl"]])
        .or_else(|| company.map(page))
        .or_else(|| posting.address(&[&["ref"]]))
        .unwrap_or_default();
    posting.listing.apply_url = posting.address(&[&["applyUrl"]]);
    if let Some(place) = record::at(row, &["location"]) {
        let line = record::line(place, &["fullLocation"]);
        posting.places(&[named(line, parts(place, "city", "region", "country"))]);
    }
    let flag = |key| record::flag(row, &["location", key]);
    let hybrid = flag("hybrid").filter(|hybrid| *hybrid).map(|_| "hybrid".to_owned());
    posting.workplace(&[hybrid], flag("remote"));
    posting.employment(&[posting.line(&["typeOfEmployment", "label"])]);
    posting.listing.seniority_level = posting.line(&["experienceLevel", "label"]);
    posting.listing.industries = posting.line(&["industry", "label"]);
    // The department of some companies is the company again.
    let department = posting.line(&["department", "label"]);
    posting.listing.job_function = department
        .filter(|department| *department != posting.listing.company)
        .or_else(|| posting.line(&["function", "label"]));
    posting.listing.language = posting.line(&["language", "code"]);
    posting.posted(&[&["releasedDate"], &["createdOn"]]);
    posting.finish()
}

/// Adds a posting's text.
///
/// # Errors
/// The answer is not JSON, or has no object `jobAd`.
pub fn read_detail(body: &str, context: &Context, listing: &mut Listing) -> Result<(), ParseError> {
    let root = record::json(body, &context.budget)?.value;
    let expected = "object `jobAd`";
    record::at(&root, &["jobAd"]).ok_or(ParseError::Shape { expected })?;
    let mut posting = Posting::of(listing, &root, context);
    let section = |name: &'static str| -> (Option<String>, [&'static str; 4]) {
        let title = record::line(&root, &["jobAd", "sections", name, "title"]);
        (title, ["jobAd", "sections", name, "text"])
    };
    let sections =
        ["companyDescription", "jobDescription", "qualifications", "additionalInformation"]
            .map(section);
    let texts: Vec<_> = sections.iter().map(|(title, path)| (title.clone(), &path[..])).collect();
    posting.texts(&texts);
    if let Some(url) = posting.address(&[&["postingUrl"]]) {
        posting.listing.url = url;
    }
    posting.listing.apply_url = posting.address(&[&["applyUrl"]]).or(posting.listing.apply_url);
    *listing = posting.listing;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const PAGE: &str = include_str!("../../tests/fixtures/smartrecruiters.json");

    #[test]
    fn a_page_is_read() {
        let parsed = parsed(parse, PAGE);
        assert_eq!((parsed.total, parsed.skipped.len()), (Some(2), 0));
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!((listing.title.as_str(), listing.company.as_str()), ("Glazier", "Acme Glass"));
        assert_eq!(listing.url, "https://jobs.smartrecruiters.com/AcmeGlass1/744000000000001");
        assert_eq!(listing.location.as_deref(), Some("Gent, Belgium"));
        assert_eq!(listing.workplace.as_deref(), Some("hybrid"));
        assert_eq!(listing.job_function.as_deref(), Some("Production"));
        assert_eq!(listing.language.as_deref(), Some("nl"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-11-10T09:00:00+00:00"));
    }

    #[test]
    fn nothing_found_is_no_proof_that_there_is_nothing() {
        assert!(parsed(parse, "{\"totalFound\":0,\"content\":[]}").listings.is_empty());
    }

    #[test]
    fn a_postings_sections_are_its_text() {
        let mut listing = parsed(parse, PAGE).listings.remove(0);
        let body = r#"{"jobAd":{"sections":{"jobDescription":{"title":"Job","text":"<p>Set panes.</p>"},
            "qualifications":{"title":"You","text":""}}},"applyUrl":"https://example.test/a?x=1&region=2"}"#;
        read_detail(body, &context(), &mut listing).unwrap();
        assert_eq!(listing.description, "Job\nSet panes.");
        assert_eq!(listing.apply_url.as_deref(), Some("https://example.test/a?x=1&region=2"));
        assert_eq!(listing.title, "Glazier");
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, PAGE, "/content");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, PAGE);
    }
}
