//! Pinpoint's postings: all of one company in one answer, with their texts.
//!
//! `GET https://{board}.pinpointhq.com/postings.json`. There is no day of posting. Four texts each
//! have a heading under `…_header`; pay that is not to be seen says so in `compensation_visible`.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    listing::Listing,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named, parts},
    record,
    setup::{BuildError, endpoint, label},
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let base = format!("https://{}.pinpointhq.com", label(config)?);
    let url = endpoint(config, &base, &["postings.json"])?;
    Ok(Feed { urls: vec![Address::new(url)], ..Feed::new(config, parse) })
}

/// Reads a company's answer.
///
/// # Errors
/// The answer is not JSON, or has no array `data`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    Parsed::of_array(body, ("data", "array `data`"), read, context)
}

fn read(value: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(value, context);
    posting.id(&[&["id"]]);
    posting.title(&["title"]);
    posting.listing.url = posting.address(&[&["url"], &["path"]]).unwrap_or_default();
    if let Some(place) = record::at(value, &["location"]) {
        let line = record::line(place, &["name"]);
        posting.places(&[named(line, parts(place, "city", "province", "country"))]);
    }
    let said = posting.line(&["workplace_type"]);
    posting.workplace(&[said, posting.line(&["location", "name"])], None);
    posting.employment(&[
        posting.line(&["employment_type"]).map(|kind| kind.replace('_', "-")),
        posting.line(&["employment_type_text"]),
    ]);
    posting.listing.job_function = posting.line(&["job", "department", "name"]);
    let heading = |key: &str| record::line(value, &[key]);
    posting.texts(&[
        (None, &["description"]),
        (heading("key_responsibilities_header"), &["key_responsibilities"]),
        (heading("skills_knowledge_expertise_header"), &["skills_knowledge_expertise"]),
        (heading("benefits_header"), &["benefits"]),
    ]);
    if record::flag(value, &["compensation_visible"]) != Some(false) {
        let currency = posting.line(&["compensation_currency"]);
        let period = posting.line(&["compensation_frequency"]);
        posting.pay_text(posting.line(&["compensation"]));
        posting.pay([&["compensation_minimum"], &["compensation_maximum"]], currency, period);
    }
    posting.expires(&[&["deadline_at"]]);
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const POSTINGS: &str = r#"{"data":[{"id":"54","title":"Miller","url":"https://acme.pinpointhq.com/en/postings/x-1","path":"/en/postings/x-1",
        "description":"<div><!--block-->Grind corn.","benefits":"<ul><li><!--block-->Flour</li></ul>","benefits_header":"We offer",
        "compensation":"£25,000 - £30,000 / year","compensation_minimum":25000.0,"compensation_maximum":30000.0,"compensation_currency":"GBP",
        "compensation_frequency":"year","compensation_visible":true,"deadline_at":"2026-12-24","employment_type":"full_time","workplace_type":"onsite",
        "job":{"department":{"name":"Mill"}},"location":{"city":"York","name":"York mill ","province":"North Yorkshire"}},
        {"id":"55","title":"Sifter","url":"https://acme.pinpointhq.com/en/postings/x-2","compensation_minimum":1.0,"compensation_visible":false,
        "employment_type":"part_time","workplace_type":"remote","location":{"name":"Remote"}}]}"#;

    #[test]
    fn postings_are_read_and_hidden_pay_is_not() {
        let parsed = parsed(parse, POSTINGS);
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.description, "Grind corn.\nWe offer\n- Flour");
        assert_eq!((first.salary_min, first.salary_max), (Some(25e3), Some(30e3)));
        assert_eq!(first.salary_currency.as_deref(), Some("GBP"));
        assert_eq!(first.location.as_deref(), Some("York mill"));
        assert_eq!(first.employment_type.as_deref(), Some("full_time"));
        assert!(first.valid_through.as_deref().is_some_and(|day| day.starts_with("2026-12-24")));
        assert_eq!((second.salary_min, second.is_remote), (None, Some(true)));
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, POSTINGS, "/data");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, POSTINGS);
    }
}
