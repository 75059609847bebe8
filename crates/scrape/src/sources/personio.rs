//! Personio's XML of positions: all of one company in one answer.
//!
//! `GET https://{board}.jobs.personio.de/xml?language=en`, or `.com`. Facts:
//! - Without a language most texts are empty (2026-09).
//! - An unknown company leads to personio.com and a page for browsers. A company with a living
//!   careers page whose `/xml` is 404 has switched the feed off.
//! - `createdAt` may be years old.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::Posting,
    record,
    setup::{BuildError, endpoint, label},
    xml::{self, Names},
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let board = label(config)?;
    let mut urls = Vec::new();
    for domain in ["de", "com"] {
        let base = format!("https://{board}.jobs.personio.{domain}");
        let mut url = endpoint(config, &base, &["xml"])?;
        url.set_query(Some("language=en"));
        urls.push(Address::new(url));
    }
    urls.dedup();
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls,
        any: true,
        kind: Content::Xml,
        ..Feed::new(config, parse)
    })
}

/// Reads a company's positions; the configured name stands for the legal entity in the payload.
///
/// # Errors
/// The answer is not XML, is cut off, or has another root than `workzag-jobs`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let names = Names {
        root: "element `workzag-jobs`",
        roots: &["workzag-jobs"],
        records: vec!["position".to_owned()],
    };
    let mut parsed = Parsed::default();
    xml::records(body, &names, &context.budget, |_, position| {
        parsed.add(read(&position, context), context)
    })?;
    Ok(parsed)
}

fn read(position: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(position, context);
    posting.id(&[&["id"]]);
    posting.title(&["name"]);
    posting.entity(&[&["subcompany"]]);
    let id = &posting.listing.external_id;
    let page = context.page.join(&format!("job/{id}"));
    posting.listing.url = page.map(String::from).unwrap_or_default();
    let mut offices = record::lines(position, &["office"]);
    offices.extend(record::lines(position, &["additionalOffices", "office"]));
    let places: Vec<Location> = offices.iter().map(|o| Location::line(Some(o.clone()))).collect();
    posting.places(&places);
    let only = offices.first().filter(|_| offices.len() == 1).cloned();
    posting.workplace(&[only], None);
    let schedule = posting.line(&["schedule"]);
    let kind = posting.line(&["employmentType"]);
    // The term of the contract beside the hours: what is no plain employment says more.
    let special = kind.clone().filter(|kind| kind != "permanent");
    posting.employment(&[special, schedule, kind]);
    posting.listing.seniority_level = posting.line(&["seniority"]);
    posting.listing.job_function =
        posting.first(&[&["department"], &["recruitingCategory"], &["occupationCategory"]]);
    texts(&mut posting);
    posting.posted(&[&["createdAt"]]);
    posting.finish()
}

/// Puts the sections together, each under its name.
fn texts(posting: &mut Posting<'_>) {
    let sections = record::items(record::at(posting.value, &["jobDescriptions", "jobDescription"]));
    let mut markup = String::new();
    for section in sections {
        let name = record::line(section, &["name"]).unwrap_or_default().replace('<', "&lt;");
        let value = record::raw(section, &["value"]).unwrap_or_default();
        markup.push_str(&format!("<h3>{name}</h3><div>{value}</div>"));
    }
    posting.listing.description = crate::text::description(&markup, &posting.context.budget);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, parsed, survives};

    const POSITIONS: &str = include_str!("../../tests/fixtures/personio.xml");

    #[test]
    fn positions_are_read() {
        let context = Context { company: String::new(), ..context() };
        let parsed = parse(POSITIONS, &context).unwrap();
        let [first, _, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!((first.title.as_str(), first.external_id.as_str()), ("Optiker (m/w/d)", "71"));
        assert_eq!(first.company, "Acme Brillen GmbH & Co. KG");
        assert_eq!(first.location.as_deref(), Some("Jena; Weimar"));
        assert_eq!(first.employment_type.as_deref(), Some("full_time"));
        assert_eq!(first.description, "Deine Aufgaben\nGläser & Rahmen.");
        assert_eq!(first.url, "https://example.test/jobs/job/71");
        assert_eq!(second.is_remote, Some(true));
        assert_eq!(second.employment_type.as_deref(), Some("internship"));
    }

    #[test]
    fn the_configured_name_stands_for_the_legal_entity() {
        assert_eq!(parsed(parse, POSITIONS).listings[0].company, "Configured");
    }

    #[test]
    fn a_page_that_checks_browsers_is_no_empty_list() {
        let error = parse("<!DOCTYPE html><html><title>Checkpoint</title></html>", &context());
        assert_eq!(error, Err(ParseError::Html { expected: "XML" }));
        let empty = parsed(parse, "<workzag-jobs></workzag-jobs>");
        assert!(empty.listings.is_empty() && !empty.no_board);
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, POSITIONS);
    }
}
