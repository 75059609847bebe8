//! Breezy's board as JSON: all postings of one company in one answer, their texts on their pages.
//!
//! `GET https://{board}.breezy.hr/json`, on a company's own domain too (`base_url`). Facts:
//! - An unknown company was seen answering 200 with `[]`, as one without postings does: nothing
//!   found proves nothing. 403 is a closed account (2026-06).
//! - `locations` may be empty while `location` is filled, and `is_remote` missing. `salary` is one
//!   text with an en dash. The description is on the posting's page only, as JSON-LD.

use std::sync::Arc;

use rhubarb_core::redact::Address;
use serde_json::Value;
use url::Url;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::{Detail, Feed},
    gathering::SourceLimits,
    json::Read,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named},
    record,
    setup::{BuildError, endpoint, label},
    sources::html,
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let base = format!("https://{}.breezy.hr", label(config)?);
    let url = endpoint(config, &base, &["json"])?;
    let host = url.clone();
    // An address on another host is the company's own affair.
    let detail = move |listing: &Listing| {
        Url::parse(&listing.url).ok().filter(|url| url.host() == host.host())
    };
    Ok(Feed {
        urls: vec![Address::new(url)],
        detail: Some(Detail {
            url: Arc::new(detail),
            kind: Content::Html,
            read: Arc::new(html::read_structured),
        }),
        limits: SourceLimits { zero_proves_nothing: true, ..SourceLimits::default() },
        ..Feed::new(config, parse)
    })
}

/// Reads a company's answer.
///
/// # Errors
/// The answer is not JSON, or not an array.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let postings = root.as_array().ok_or(ParseError::Shape { expected: "array of postings" })?;
    let mut parsed = Parsed { repairs, ..Parsed::default() };
    for posting in postings {
        parsed.add(read(posting, context), context)?;
    }
    Ok(parsed)
}

fn read(value: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(value, context);
    posting.id(&[&["id"], &["friendly_id"]]);
    posting.title(&["name"]);
    posting.brand(&[&["company", "name"]]);
    posting.listing.url = posting.address(&[&["url"]]).unwrap_or_default();
    let primary = record::at(value, &["location"]);
    let mut places: Vec<Location> = primary.into_iter().map(place).collect();
    let others = record::items(record::at(value, &["locations"])).iter();
    places
        .extend(others.filter(|other| record::flag(other, &["primary"]) != Some(true)).map(place));
    posting.places(&places);
    let remote = primary.and_then(|place| record::flag(place, &["is_remote"]));
    posting.workplace(&[posting.line(&["location", "remote_details", "value"])], remote);
    posting.employment(&[posting.line(&["type", "id"]), posting.line(&["type", "name"])]);
    posting.listing.job_function = posting.line(&["department"]);
    posting.listing.seniority_level = posting.line(&["experience", "name"]);
    posting.pay_text(posting.line(&["salary"]));
    posting.texts(&[(None, &["description"])]);
    posting.posted(&[&["published_date"]]);
    posting.finish()
}

fn place(value: &Value) -> Location {
    let part = |path: &[&str]| record::line(value, path);
    let country = part(&["country", "id"]).or_else(|| part(&["country", "name"]));
    let state = part(&["state", "name"]).or_else(|| part(&["state", "id"]));
    named(part(&["name"]), Location::parts(part(&["city"]), state, country))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const BOARD: &str = r#"[{"id":"b1","friendly_id":"b1-piper","name":"Piper","url":"https://acme.breezy.hr/p/b1-piper",
        "published_date":"2026-10-15T14:37:22.684Z","type":{"id":"fullTime","name":"Full-Time"},
        "location":{"country":{"name":"Ireland","id":"IE"},"state":{"id":"C","name":"Cork"},"city":"Cobh","primary":true,"is_remote":false,"name":"Cobh, Cork"},
        "department":"Band","salary":"€30,000 – €35,000 / year","company":{"name":"Acme Pipes"},
        "locations":[{"name":"Cobh, Cork","primary":true},{"name":"Galway","city":"Galway"}]},
        {"id":"b2","name":"Drummer","url":"https://acme.breezy.hr/p/b2-drummer","location":{"name":"Cobh"},"locations":[]}]"#;

    #[test]
    fn a_board_is_read() {
        let parsed = parsed(parse, BOARD);
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!((first.title.as_str(), first.company.as_str()), ("Piper", "Acme Pipes"));
        assert_eq!(first.location.as_deref(), Some("Cobh, Cork; Galway"));
        assert_eq!(first.country.as_deref(), Some("IE"));
        assert_eq!(first.employment_type.as_deref(), Some("full_time"));
        assert_eq!((first.salary_min, first.is_remote), (Some(30e3), Some(false)));
        assert_eq!((second.location.as_deref(), second.is_remote), (Some("Cobh"), None));
    }

    #[test]
    fn nothing_found_is_no_proof_that_there_is_nothing() {
        assert!(parsed(parse, "[]").listings.is_empty());
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
