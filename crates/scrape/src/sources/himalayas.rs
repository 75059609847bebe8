//! Himalayas' API: remote postings that it gathers, newest first, by a cursor.
//!
//! `GET {base}/jobs/api?limit=50&cursor=…`; `nextCursor` of an answer asks for the next one. It has
//! about a hundred thousand: `max_pages` says how far back to read. `offset` is to be removed, by
//! its own notice of 2026-08-21.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    json::Read,
    listing::Listing,
    location::Location,
    parse_error::ParseError,
    parsed::Parsed,
    posting::Posting,
    record,
    setup::{BuildError, endpoint},
};

/// The site's address.
pub const BASE_URL: &str = "https://himalayas.app";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let mut url = endpoint(config, BASE_URL, &["jobs", "api"])?;
    url.set_query(Some("limit=50&cursor={cursor}"));
    Ok(Feed { urls: vec![Address::new(url)], aggregates: true, ..Feed::new(config, parse) })
}

/// Reads a page.
///
/// # Errors
/// The answer is not JSON, or has no array `jobs`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let cursor = record::line(&root, &["nextCursor"]);
    let total = record::number(&root, &["totalCount"]).map(|total| total as u64);
    let mut parsed = Parsed { repairs, cursor, total, ..Parsed::default() };
    for job in record::array(&root, "jobs", "array `jobs`")? {
        parsed.add(read(job, context), context)?;
    }
    Ok(parsed)
}

fn read(job: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(job, context);
    posting.id(&[&["guid"], &["id"]]);
    posting.title(&["title"]);
    posting.brand(&[&["companyName"]]);
    posting.listing.url = posting.address(&[&["guid"], &["applicationLink"]]).unwrap_or_default();
    posting.listing.apply_url = posting.address(&[&["applicationLink"]]);
    let places: Vec<Location> = record::items(record::at(job, &["locationRestrictions"]))
        .iter()
        .map(|place| {
            Location::line(record::as_line(place).or_else(|| record::line(place, &["name"])))
        })
        .collect();
    posting.places(&places);
    posting.workplace(&[Some("remote".to_owned())], Some(true));
    posting.employment(&[posting.line(&["employmentType"])]);
    posting.listing.seniority_level = record::lines(job, &["seniority"]).into_iter().next();
    posting.listing.job_function = record::lines(job, &["parentCategories"]).into_iter().next();
    let tags = record::lines(job, &["categories"]);
    posting.listing.tags = tags.into_iter().map(|tag| tag.replace('-', " ")).collect();
    posting.texts(&[(None, &["description"])]);
    if posting.listing.description.is_empty() {
        posting.texts(&[(None, &["excerpt"])]);
    }
    let period = posting.line(&["salaryPeriod"]);
    posting.pay([&["minSalary"], &["maxSalary"]], posting.line(&["currency"]), period);
    posting.posted(&[&["pubDate"]]);
    posting.expires(&[&["expiryDate"]]);
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const JOBS: &str = r#"{"updatedAt":1790401136,"limit":50,"totalCount":96495,"nextCursor":"abc","jobs":[{"title":"Sherpa & Guide",
        "excerpt":"Climb.","companyName":"Acme Peaks","employmentType":"Contractor","minSalary":15,"maxSalary":30,"salaryPeriod":"hourly","currency":"USD",
        "seniority":["Entry-level"],"locationRestrictions":["Nepal","India"],"categories":["Mountain-Guide"],"parentCategories":["Travel"],
        "description":"<p>Climb high.</p>","pubDate":1790401136,"expiryDate":1795585136,
        "applicationLink":"https://himalayas.app/companies/acme/jobs/sherpa","guid":"https://himalayas.app/companies/acme/jobs/sherpa"}]}"#;

    #[test]
    fn a_page_is_read_with_its_cursor() {
        let parsed = parsed(parse, JOBS);
        assert_eq!(parsed.cursor.as_deref(), Some("abc"));
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (listing.title.as_str(), listing.company.as_str()),
            ("Sherpa & Guide", "Acme Peaks")
        );
        assert_eq!(
            (listing.salary_min, listing.salary_period.as_deref()),
            (Some(15.0), Some("hour"))
        );
        assert_eq!(listing.location.as_deref(), Some("Nepal; India"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-09-26T05:38:56+00:00"));
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, JOBS, "/jobs");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, JOBS);
    }
}
