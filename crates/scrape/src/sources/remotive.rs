//! Remotive's API: remote postings that it gathers.
//!
//! `GET {base}/api/remote-jobs`, all in one answer. Remotive asks for at most two requests a minute
//! and about four a day, a link back, and no republishing elsewhere.

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
pub const BASE_URL: &str = "https://remotive.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let url = endpoint(config, BASE_URL, &["api", "remote-jobs"])?;
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
    posting.title(&["title"]);
    posting.brand(&[&["company_name"]]);
    posting.listing.url = posting.address(&[&["url"]]).unwrap_or_default();
    posting.places(&[Location::line(posting.line(&["candidate_required_location"]))]);
    posting.workplace(&[Some("remote".to_owned())], Some(true));
    posting.employment(&[posting.line(&["job_type"]).map(|kind| kind.replace('_', "-"))]);
    posting.listing.job_function = posting.line(&["category"]);
    posting.listing.tags = record::lines(job, &["tags"]);
    posting.pay_text(posting.line(&["salary"]));
    posting.texts(&[(None, &["description"])]);
    posting.posted(&[&["publication_date"]]);
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const JOBS: &str = r#"{"00-warning":"x","job-count":1,"jobs":[{"id":91,"url":"https://remotive.com/remote-jobs/design/typesetter-91",
        "title":"Typesetter","company_name":"Acme Fonts","category":"Design","tags":["print","css "],"job_type":"full_time",
        "publication_date":"2026-09-18T16:43:22","candidate_required_location":"USA, Canada","salary":"$90k - $105k","description":"<p>Kern.</p>"}]}"#;

    #[test]
    fn an_answer_is_read() {
        let parsed = parsed(parse, JOBS);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (listing.title.as_str(), listing.company.as_str()),
            ("Typesetter", "Acme Fonts")
        );
        assert_eq!((listing.salary_min, listing.is_remote), (Some(90e3), Some(true)));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!(listing.location.as_deref(), Some("USA, Canada"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-09-18T16:43:22+00:00"));
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
