//! Pages that hold schema.org `JobPosting`s as JSON-LD: each configured URL is such a page.
//!
//! A page that is gone (404, 410) is a posting that was closed, unless it is a search.

use std::sync::Arc;

use rhubarb_core::redact::Address;

use crate::{
    blocked,
    config::SourceConfig,
    context::Context,
    dom,
    empty::Empty,
    fetch::Fetcher,
    following::Following,
    gathering::Gathering,
    jsonld,
    page::Content,
    parse_error::ParseError,
    parsed::{Parsed, only_matching},
    query::Query,
    setup::{BuildError, are_for_all, urls},
    source::{Running, Source},
};

/// Pages with postings, each read by itself.
#[derive(Debug)]
pub(crate) struct Pages {
    name: String,
    company: String,
    urls: Vec<Address>,
    empty: Option<Arc<Empty>>,
}

pub(crate) fn build(config: &SourceConfig) -> Result<Pages, BuildError> {
    Ok(Pages {
        name: config.name.clone(),
        company: config.company.clone().unwrap_or_default(),
        urls: urls(config)?,
        empty: config.selectors.empty.as_deref().map(|setting| Arc::new(Empty::new(setting))),
    })
}

impl Source for Pages {
    fn name(&self) -> &str {
        &self.name
    }

    fn aggregates(&self) -> bool {
        false
    }

    fn gives_all(&self) -> bool {
        are_for_all(&self.urls)
    }

    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        let asking = Following {
            name: &self.name,
            company: &self.company,
            max_pages: 1,
            kind: Content::Html,
            of_postings: true,
            fetcher,
            query,
            found,
        };
        let (empty, wanted) = (self.empty.clone(), query.clone());
        let matching = move |body: &str, context: &Context| {
            only_matching(read(body, context, empty.as_deref())?, &wanted, context)
        };
        Box::pin(async move { drop(asking.all(&self.urls, matching).await) })
    }
}

/// Reads a page. One without any posting is doubted.
///
/// # Errors
/// The page is empty or takes too much to read.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    read(body, context, None)
}

fn read(body: &str, context: &Context, empty: Option<&Empty>) -> Result<Parsed, ParseError> {
    if body.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let mut parsed = jsonld::postings(body, context)?;
    if parsed.listings.is_empty() && parsed.n_skipped == 0 {
        let budget = &*context.budget;
        let page = dom::document(body, budget)?;
        if !empty.is_some_and(|empty| empty.is_shown(&page, budget)) {
            let missing = "no `JobPosting` in JSON-LD";
            let todo = "read it as `html`, or tell by `selectors.empty` what an empty page shows";
            parsed.doubt = Some(blocked::doubt(&page, context, missing, todo));
        }
        budget.spent()?;
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        source_status::Ending,
        testing::{context, parsed, survives},
    };

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
    fn a_page_without_postings_is_doubted_unless_it_shows_that_it_is_empty() {
        let doubt = parsed(parse, "<p>No openings").doubt.unwrap();
        assert_eq!((doubt.ending, doubt.permanent), (Ending::Suspicious, true));
        assert!(doubt.reason.contains("selectors.empty"), "{}", doubt.reason);
        let shown = read("<p>No openings", &context(), Some(&Empty::new("no openings")));
        assert_eq!(shown, Ok(Parsed::default()));
        assert_eq!(parse(" ", &context()), Err(ParseError::Empty));
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, PAGE);
    }
}
