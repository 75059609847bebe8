//! Pages that hold schema.org `JobPosting`s as JSON-LD: each configured URL is such a page.
//!
//! A page that is gone (404, 410) is a posting that was closed; when all are, the source is not
//! found.

use rhubarb_core::config::SourceConfig;

use crate::{
    jsonld,
    page::Kind,
    source::{BuildError, Context, Feed, ParseError, Parsed, urls},
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    Ok(Feed {
        name: config.name.clone(),
        company: config.company.clone().unwrap_or_default(),
        urls: urls(config)?,
        max_pages: 1,
        aggregates: false,
        kind: Kind::Html,
        parse,
    })
}

/// Reads a page. A page without any posting is an honest zero: sites remove the markup of closed
/// postings.
///
/// # Errors
/// The page is empty or takes too much to read.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    if body.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    jsonld::postings(body, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, parsed, survives};

    const PAGE: &str = include_str!("../../tests/fixtures/jsonld.html");

    #[test]
    fn a_page_is_read() {
        let parsed = parsed(parse, PAGE);
        assert_eq!(parsed.skipped, [""; 0]);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(listing.title, "Platform Engineer");
        assert_eq!(listing.company, "Example Org");
        assert_eq!(listing.external_id, "PE-77");
        assert_eq!(listing.url, "https://example.test/jobs/pe-77");
        assert_eq!(listing.location.as_deref(), Some("Austin, TX, US"));
        assert_eq!(listing.workplace.as_deref(), Some("remote"));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!(listing.industries.as_deref(), Some("Software"));
        assert_eq!(listing.tags, ["Rust", "Redis"]);
        assert_eq!((listing.salary_min, listing.salary_max), (Some(60.0), Some(75.0)));
        assert_eq!(listing.salary_display.as_deref(), Some("USD 60–75 per hour"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-11-05T00:00:00+00:00"));
    }

    #[test]
    fn a_page_without_postings_is_an_honest_zero_and_an_empty_one_an_error() {
        assert_eq!(parsed(parse, "<p>No openings"), Parsed::default());
        assert_eq!(parse(" ", &context()), Err(ParseError::Empty));
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, PAGE);
    }
}
