//! Teamtailor's RSS: the postings of one company, with workplace, places and department.
//!
//! `GET https://{board}.teamtailor.com/jobs.rss?per_page=200&offset=N`; accounts in North America
//! are at `{board}.na.teamtailor.com`. Facts:
//! - The feed gives the first 100 without `per_page`, and an empty one where none is open.
//! - `remoteStatus` is none, hybrid, fully or temporary; fully remote items mostly have no place.
//! - `jobs.json` has country codes, but neither workplace nor department (2026-09); it is read too.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    json::Read,
    jsonld,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named, parts},
    record,
    setup::{BuildError, endpoint, label},
    xml::{self, Names},
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let board = label(config)?;
    let mut urls = Vec::new();
    for host in ["teamtailor.com", "na.teamtailor.com"] {
        let mut url = endpoint(config, &format!("https://{board}.{host}"), &["jobs.rss"])?;
        url.set_query(Some("per_page=200&offset={offset}"));
        urls.push(Address::new(url));
    }
    urls.dedup();
    Ok(Feed { urls, any: true, kind: Content::Any, ..Feed::new(config, parse) })
}

/// Reads a company's feed, RSS or JSON.
///
/// # Errors
/// The answer is neither, or cut off.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    if body.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return parse_json(body, context);
    }
    let names = Names { root: "element `rss`", roots: &["rss"], records: vec!["item".to_owned()] };
    let mut parsed = Parsed::default();
    xml::records(body, &names, &context.budget, |_, item| {
        parsed.add(read(&item, context), context)
    })?;
    Ok(parsed)
}

fn read(item: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(item, context);
    posting.title(&["title"]);
    posting.listing.url = posting.address(&[&["link"]]).unwrap_or_default();
    posting.id(&[&["guid"], &["guid", "#text"]]);
    let places: Vec<Location> = record::items(record::at(item, &["tt:locations", "tt:location"]))
        .iter()
        .map(|place| {
            let name = record::line(place, &["tt:name"]);
            named(name, parts(place, "tt:city", "tt:region", "tt:country"))
        })
        .collect();
    posting.places(&places);
    let remote = match posting.line(&["remoteStatus"]).as_deref() {
        Some("fully") => (Some("remote".to_owned()), Some(true)),
        Some("hybrid") => (Some("hybrid".to_owned()), None),
        Some("none") => (Some("onsite".to_owned()), Some(false)),
        _ => (None, None),
    };
    posting.workplace(&[remote.0], remote.1);
    posting.listing.job_function = posting.first(&[&["tt:department"], &["tt:role"]]);
    posting.texts(&[(None, &["description"])]);
    posting.posted(&[&["pubDate"]]);
    posting.finish()
}

/// Reads the JSON Feed, whose items carry schema.org's `JobPosting`.
fn parse_json(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let mut parsed = Parsed { repairs, ..Parsed::default() };
    for item in record::array(&root, "items", "array `items`")? {
        let read = match record::at(item, &["_jobposting"]) {
            Some(structured) => structured_of(structured, context),
            None => Ok(record::listing(&context.source, context.now)),
        };
        parsed.add(read.and_then(|listing| of_item(listing, item, context)), context)?;
    }
    Ok(parsed)
}

/// Reads the posting as a page's JSON-LD is read.
fn structured_of(structured: &Value, context: &Context) -> Result<Listing, String> {
    let block = structured.to_string().replace("</", "<\\/");
    let page = format!("<script type=\"application/ld+json\">{block}</script>");
    let postings = jsonld::postings(&page, context).map_err(|error| error.to_string())?;
    let first = postings.listings.into_iter().next();
    Ok(first.unwrap_or_else(|| record::listing(&context.source, context.now)))
}

fn of_item(mut listing: Listing, item: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::of(&mut listing, item, context);
    if let Some(url) = posting.address(&[&["url"]]) {
        posting.listing.url = url;
    }
    if let Some(title) = posting.line(&["title"]) {
        posting.listing.title = title;
    }
    // The number in the address names the posting here as in the RSS's links.
    let number = posting.listing.url.rsplit('/').next().and_then(|tail| tail.split('-').next());
    let number = number.filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    posting.listing.external_id =
        number.map(str::to_owned).or_else(|| posting.line(&["id"])).unwrap_or_default();
    if posting.listing.company.is_empty() {
        posting.listing.company.clone_from(&context.company);
    }
    if posting.listing.description.is_empty() {
        posting.texts(&[(None, &["content_html"])]);
    }
    posting.posted(&[&["date_published"]]);
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, parsed, survives};

    const FEED: &str = include_str!("../../tests/fixtures/teamtailor.rss");

    #[test]
    fn a_feed_is_read_with_workplace_places_and_department() {
        let parsed = parsed(parse, FEED);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(listing.title, "Support Engineer");
        assert_eq!(listing.location.as_deref(), Some("Oslo HQ"));
        assert_eq!(
            (listing.city.as_deref(), listing.country.as_deref()),
            (Some("Oslo"), Some("Norway"))
        );
        assert_eq!(listing.workplace.as_deref(), Some("hybrid"));
        assert_eq!(listing.job_function.as_deref(), Some("Customer"));
        assert_eq!(listing.description, "Help people.");
        assert_eq!(listing.posted_at.as_deref(), Some("2026-11-13T08:00:00+00:00"));
    }

    #[test]
    fn the_json_feed_is_read_too() {
        let body = r#"{"version":"https://jsonfeed.org/version/1.1","title":"Acme","items":[{"id":"5f-1","url":"https://acme.teamtailor.com/jobs/77-smith",
            "title":"Smith","date_published":"2026-09-04T14:50:13+03:00","_jobposting":{"@context":"http://schema.org/","@type":"JobPosting","title":"Smith",
            "datePosted":"2026-09-04T14:50:13+03:00","description":"<p>Forge.</p>","hiringOrganization":{"@type":"Organization","name":"Acme"},
            "jobLocation":[{"@type":"Place","address":{"addressLocality":"Turku","addressCountry":"FI"}}]}}]}"#;
        let parsed = parsed(parse, body);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!((listing.external_id.as_str(), listing.company.as_str()), ("77", "Acme"));
        assert_eq!(
            (listing.city.as_deref(), listing.country.as_deref()),
            (Some("Turku"), Some("FI"))
        );
        assert_eq!(listing.posted_at.as_deref(), Some("2026-09-04T11:50:13+00:00"));
    }

    #[test]
    fn an_empty_feed_is_an_honest_zero_and_a_page_is_an_error() {
        assert!(parsed(parse, "<rss><channel/></rss>").listings.is_empty());
        assert!(parse("<html><p>Sorry", &context()).is_err());
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, FEED);
    }
}
