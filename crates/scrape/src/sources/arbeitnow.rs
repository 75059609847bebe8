//! Arbeitnow's job board API: postings mostly from Germany, a hundred a page.
//!
//! `GET {base}/api/job-board-api?page=N`; `links.next` is null on the last page.

use rhubarb_core::redact::Address;
use serde_json::Value;
use url::Url;

use crate::{
    config::SourceConfig,
    context::Context,
    dates,
    feed::Feed,
    json::Read,
    listing::Listing,
    location::{self, Location},
    parse_error::ParseError,
    parsed::Parsed,
    record,
    setup::{BuildError, endpoint},
};

/// The site's address.
pub const BASE_URL: &str = "https://www.arbeitnow.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let mut url = endpoint(config, BASE_URL, &["api", "job-board-api"])?;
    url.set_query(Some("page=1"));
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls: vec![Address::new(url)],
        aggregates: true,
        ..Feed::new(config, parse)
    })
}

/// Reads one page.
///
/// # Errors
/// The answer is not JSON, or has no array `data`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let mut parsed = Parsed { repairs, ..Parsed::default() };
    for posting in record::array(&root, "data", "array `data`")? {
        parsed.add(read(posting, context), context)?;
    }
    parsed.next =
        record::address(&root, &["links", "next"]).and_then(|next| next_page(&next, &context.page));
    Ok(parsed.settled())
}

/// Takes only the page's number from the link: the server stays the one that is configured.
fn next_page(next: &str, page: &Url) -> Option<Url> {
    let number = |url: &Url| -> Option<u32> {
        url.query_pairs().find(|(key, _)| key == "page")?.1.parse().ok()
    };
    let next = number(&page.join(next).ok()?)?;
    if next <= number(page).unwrap_or(1) {
        return None;
    }
    let mut url = page.clone();
    url.set_query(Some(&format!("page={next}")));
    Some(url)
}

fn read(posting: &Value, context: &Context) -> Result<Listing, String> {
    let line = |path: &[&str]| record::line(posting, path);
    let mut listing = record::listing(&context.source, context.now);
    listing.external_id = record::identifier(posting, &["slug"]).unwrap_or_default();
    listing.title = line(&["title"]).unwrap_or_default();
    listing.company = line(&["company_name"]).unwrap_or_else(|| context.company.clone());
    listing.url = record::address(posting, &["url"]).unwrap_or_default();
    location::set(&mut listing, &[Location::line(line(&["location"]))]);
    location::set_workplace(&mut listing, None, record::flag(posting, &["remote"]));
    let kinds = record::lines(posting, &["job_types"]);
    listing.employment_type =
        kinds.iter().find_map(|kind| location::employment_type(kind)).map(str::to_owned);
    listing.tags = record::lines(posting, &["tags"]);
    listing.job_function = listing.tags.first().cloned();
    listing.description = record::description(posting, &["description"], context);
    listing.posted_at = record::number(posting, &["created_at"]).and_then(dates::epoch);
    record::finish(listing, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const PAGE: &str = include_str!("../../tests/fixtures/arbeitnow_p1.json");

    #[test]
    fn a_page_is_read() {
        let parsed = parsed(parse, PAGE);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(listing.title, "Backend Entwickler (Rust)");
        assert_eq!(listing.company, "Beispiel GmbH");
        assert_eq!(listing.location.as_deref(), Some("München"));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!(listing.is_remote, Some(false));
        assert_eq!(listing.description, "Wir bauen Warteschlangen.");
        assert_eq!(listing.posted_at.as_deref(), Some("2026-11-22T23:26:40+00:00"));
    }

    #[test]
    fn the_next_page_stays_on_the_configured_server_and_goes_forward() {
        let page = context().page;
        let check = |next: &str, expect: Option<&str>| {
            let got = next_page(next, &page);
            assert_eq!(got.as_ref().and_then(Url::query), expect, "{next}");
            assert!(got.is_none_or(|got| got.host() == page.host()));
        };
        check("https://www.arbeitnow.com/api/job-board-api?page=2", Some("page=2"));
        check("http://169.254.169.254/latest?page=3", Some("page=3"));
        check("?page=1", None);
        check("?page=-2", None);
        check("file:///etc/passwd", None);
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, PAGE, "/data");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, PAGE);
    }
}
