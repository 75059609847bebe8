//! Jobicy's API: remote postings that it gathers, the newest hundred.
//!
//! `GET {base}/api/v2/remote-jobs?count=100`. Pay is absent where it is unknown; its period is a
//! word like "monthly" (2026-09). Jobicy asks for a link and to be named.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    listing::Listing,
    location::Location,
    parse_error::ParseError,
    parsed::Parsed,
    posting::Posting,
    record,
    setup::{BuildError, endpoint},
};

/// The site's address.
pub const BASE_URL: &str = "https://jobicy.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let mut url = endpoint(config, BASE_URL, &["api", "v2", "remote-jobs"])?;
    url.set_query(Some("count=100"));
    Ok(Feed { urls: vec![Address::new(url)], aggregates: true, ..Feed::new(config, parse) })
}

/// Reads the answer.
///
/// # Errors
/// The answer is not JSON, or has no array `jobs`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    Parsed::of_array(body, ("jobs", "array `jobs`"), read, context)
}

fn read(job: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(job, context);
    posting.id(&[&["id"]]);
    posting.title(&["jobTitle"]);
    posting.brand(&[&["companyName"]]);
    posting.listing.url = posting.address(&[&["url"]]).unwrap_or_default();
    let region = posting.line(&["jobGeo"]).unwrap_or_default();
    // Places are parted by a comma and one blank or two.
    let places: Vec<Location> =
        region.split(',').map(|place| Location::line(Some(place.trim().to_owned()))).collect();
    posting.places(&places);
    posting.workplace(&[Some("remote".to_owned())], Some(true));
    posting.employment(&record::lines(job, &["jobType"]).into_iter().map(Some).collect::<Vec<_>>());
    posting.listing.seniority_level = posting.line(&["jobLevel"]).filter(|level| level != "Any");
    posting.listing.job_function = record::lines(job, &["jobIndustry"]).into_iter().next();
    posting.texts(&[(None, &["jobDescription"])]);
    if posting.listing.description.is_empty() {
        posting.texts(&[(None, &["jobExcerpt"])]);
    }
    let period = posting.line(&["salaryPeriod"]);
    posting.pay([&["salaryMin"], &["salaryMax"]], posting.line(&["salaryCurrency"]), period);
    posting.posted(&[&["pubDate"]]);
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const JOBS: &str = r#"{"apiVersion":"2","jobCount":2,"jobs":[{"id":15,"url":"https://jobicy.com/jobs/15-potter","jobTitle":"Potter &amp; Glazer",
        "companyName":"Acme Clay","jobIndustry":["Crafts"],"jobType":["Contract"],"jobGeo":"Europe,  USA","jobLevel":"Senior","jobExcerpt":"Turn.",
        "jobDescription":"<p>Turn clay.</p>","pubDate":"2026-09-06T10:49:12+00:00","salaryMin":5300,"salaryMax":6600,"salaryCurrency":"USD","salaryPeriod":"monthly"},
        {"id":16,"url":"https://jobicy.com/jobs/16-x","jobTitle":"Turner","companyName":"Acme","jobGeo":"Anywhere"}]}"#;

    #[test]
    fn an_answer_is_read() {
        let parsed = parsed(parse, JOBS);
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (first.title.as_str(), first.company.as_str()),
            ("Potter & Glazer", "Acme Clay")
        );
        assert_eq!(
            (first.salary_min, first.salary_period.as_deref()),
            (Some(5300.0), Some("month"))
        );
        assert_eq!(first.employment_type.as_deref(), Some("contract"));
        assert_eq!(first.location.as_deref(), Some("Europe; USA"));
        assert_eq!((second.salary_min, second.salary_display.as_deref()), (None, None));
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
