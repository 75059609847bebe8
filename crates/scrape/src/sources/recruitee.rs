//! Recruitee's offers: all postings of one company in one answer.
//!
//! `GET https://{board}.recruitee.com/api/offers/`; an unknown company answers 404. `location` says
//! "Remote job" for a remote posting whose `city` may be filled all the same (2026-09). Pay is in
//! texts.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    json::Read,
    listing::Listing,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named, parts},
    record,
    setup::{BuildError, endpoint, label},
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let base = format!("https://{}.recruitee.com", label(config)?);
    let url = endpoint(config, &base, &["api", "offers", ""])?;
    Ok(Feed { urls: vec![Address::new(url)], ..Feed::new(config, parse) })
}

/// Reads a company's answer; offers that are not published are left out.
///
/// # Errors
/// The answer is not JSON, or has no array `offers`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let mut parsed = Parsed { repairs, ..Parsed::default() };
    for offer in record::array(&root, "offers", "array `offers`")? {
        if record::line(offer, &["status"]).is_none_or(|status| status == "published") {
            parsed.add(read(offer, context), context)?;
        }
    }
    Ok(parsed)
}

fn read(offer: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(offer, context);
    posting.id(&[&["id"], &["guid"], &["slug"]]);
    posting.title(&["title"]);
    posting.brand(&[&["company_name"]]);
    posting.listing.url = posting.address(&[&["careers_url"]]).unwrap_or_default();
    posting.listing.apply_url = posting.address(&[&["careers_apply_url"]]);
    let flag = |key: &str| record::flag(offer, &[key]).filter(|flag| *flag);
    let said = ["hybrid", "remote", "on_site"].into_iter().find(|key| flag(key).is_some());
    let said = said.map(|word| word.replace('_', "-"));
    let line = posting.line(&["location"]);
    let country =
        if record::line(offer, &["country_code"]).is_some() { "country_code" } else { "country" };
    let first = named(line.clone(), parts(offer, "city", "state_name", country));
    let others = record::items(record::at(offer, &["locations"])).iter().skip(1);
    let others = others.map(|place| parts(place, "city", "state", "country"));
    let places: Vec<_> = std::iter::once(first).chain(others).collect();
    posting.places(&places);
    posting.workplace(&[said, line], record::flag(offer, &["remote"]));
    let kind = posting.line(&["employment_type_code"]).map(|code| match &code[..] {
        // The hours are said beside the term of the contract.
        code if code.starts_with("fulltime") => "full-time".to_owned(),
        code if code.starts_with("parttime") => "part-time".to_owned(),
        _ => code.replace('_', "-"),
    });
    posting.employment(&[kind]);
    posting.listing.job_function = posting.line(&["department"]);
    posting.listing.seniority_level =
        posting.line(&["experience_code"]).map(|code| code.replace('_', " "));
    posting.listing.tags = record::lines(offer, &["tags"]);
    posting.texts(&[(None, &["description"]), (None, &["requirements"])]);
    let (currency, period) =
        (posting.line(&["salary", "currency"]), posting.line(&["salary", "period"]));
    posting.pay([&["salary", "min"], &["salary", "max"]], currency, period);
    posting.posted(&[&["published_at"], &["created_at"], &["updated_at"]]);
    posting.expires(&[&["close_at"]]);
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const OFFERS: &str = include_str!("../../tests/fixtures/recruitee.json");

    #[test]
    fn offers_are_read_without_drafts() {
        let parsed = parsed(parse, OFFERS);
        assert_eq!(parsed.skipped, [""; 0]);
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!((first.title.as_str(), first.company.as_str()), ("Florist", "Acme Blooms"));
        assert_eq!(first.location.as_deref(), Some("Delft, Netherlands"));
        assert_eq!(first.employment_type.as_deref(), Some("part_time"));
        assert_eq!(first.posted_at.as_deref(), Some("2026-11-09T08:00:00+00:00"));
        assert_eq!(first.description, "Arrange.\nPatience.");
        assert_eq!((first.salary_min, first.salary_max), (Some(18.0), Some(21.5)));
        assert_eq!(first.salary_period.as_deref(), Some("hour"));
        assert_eq!((second.is_remote, second.workplace.as_deref()), (Some(true), Some("remote")));
        assert_eq!(second.company, "Configured");
    }

    #[test]
    fn another_shape_is_an_error() {
        assert!(parse("{\"error\":\"Not found\"}", &context()).is_err());
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, OFFERS, "/offers");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, OFFERS);
    }
}
