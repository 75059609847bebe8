//! We Work Remotely's RSS: the newest hundred or so remote postings.
//!
//! `GET {base}/remote-jobs.rss`, or of one category (`board = "remote-programming-jobs"`)
//! `{base}/categories/{board}.rss`. A title is `Company: Role`.

use rhubarb_core::redact::Address;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    link,
    listing::Listing,
    location::{self, Location},
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    record,
    rss::{self, Item},
    setup::{BuildError, endpoint},
    text,
};

/// The site's address.
pub const BASE_URL: &str = "https://weworkremotely.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let category = config.board.as_deref().map(|board| format!("{board}.rss"));
    let url = match &category {
        Some(file) => endpoint(config, BASE_URL, &["categories", file])?,
        None => endpoint(config, BASE_URL, &["remote-jobs.rss"])?,
    };
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls: vec![Address::new(url)],
        max_pages: 1,
        aggregates: true,
        kind: Content::Xml,
        ..Feed::new(config, parse)
    })
}

/// Reads the feed.
///
/// # Errors
/// The answer is not XML, is cut off, or is not RSS.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let mut parsed = Parsed::default();
    rss::items(body, &context.budget, |item| parsed.add(read(&item, context), context))?;
    Ok(parsed.settled())
}

fn read(item: &Item, context: &Context) -> Result<Listing, String> {
    let line = |key: &str| item.get(key).and_then(|value| text::some_line(value));
    let mut listing = record::listing(&context.source, context.now);
    let title = item.get("title").map(|title| text::title(title)).unwrap_or_default();
    let (company, role) = title.split_once(": ").unwrap_or((&context.company, &title));
    listing.company = company.trim().to_owned();
    listing.title = role.to_owned();
    let address = |key: &str| item.get(key).map(|address| address.trim().to_owned());
    listing.url = address("link").or_else(|| address("guid")).unwrap_or_default();
    listing.external_id =
        address("guid").filter(|id| id.len() <= link::MAX_ADDRESS).unwrap_or_default();
    location::set(
        &mut listing,
        &[Location {
            text: line("region"),
            ..Location::parts(None, line("state"), line("country"))
        }],
    );
    location::set_workplace(&mut listing, Some("remote"), Some(true));
    listing.job_function = line("category");
    listing.employment_type =
        line("type").and_then(|kind| location::employment_type(&kind)).map(str::to_owned);
    let skills = line("skills").unwrap_or_default();
    listing.tags = skills.split(',').map(str::to_owned).chain(line("category")).collect();
    // A feed may have a short text and the whole one.
    let texts = ["content", "description"].iter().filter_map(|key| item.get(key));
    listing.description = texts
        .max_by_key(|markup| markup.len())
        .map(|markup| text::description(markup, &context.budget))
        .unwrap_or_default();
    let date = |key: &str| context.date(&line(key)?);
    listing.posted_at = ["pubDate", "dc:date", "updated"].iter().find_map(|key| date(key));
    listing.valid_through = date("expires_at");
    listing.language = line("language").and_then(|tag| text::language(&tag));
    record::finish(listing, context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, parsed, survives};

    const FEED: &str = include_str!("../../tests/fixtures/wwr.rss");

    #[test]
    fn the_feed_is_read() {
        let parsed = parsed(parse, FEED);
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.company, "Example Labs");
        assert_eq!(first.title, "Senior Python Engineer (Django: v6)");
        assert_eq!(first.location.as_deref(), Some("Anywhere in the World"));
        assert_eq!(first.tags, ["Python", "Django", "Redis", "Back-End Programming"]);
        assert_eq!(first.employment_type.as_deref(), Some("full_time"));
        assert_eq!(first.description, "Own the job pipeline & caches.");
        assert_eq!(first.posted_at.as_deref(), Some("2026-11-16T10:00:00+00:00"));
        assert_eq!(
            (second.title.as_str(), second.company.as_str()),
            ("No colon in this title", "Configured")
        );
        assert_eq!(second.posted_at, None);
        assert_eq!(second.external_id, "x-2");
    }

    #[test]
    fn what_is_no_feed_is_named() {
        let check = |body: &str, expect: &str| {
            let error = parse(body, &context()).unwrap_err();
            assert_eq!(error.to_string(), expect, "{body}");
        };
        check(
            "<!DOCTYPE html><html><body>Sorry</body></html>",
            "the answer is HTML where RSS is expected",
        );
        check("<rss><channel><item><title>A", "the answer is cut off: RSS ends too early");
        check("", "the answer is empty");
        check("{}", "the answer has no element `rss`");
        check(
            &format!("<rss>{}", "<a>".repeat(1000)),
            "the answer is not valid RSS: elements are nested too deeply",
        );
    }

    #[test]
    fn entities_are_never_expanded() {
        let body = "<!DOCTYPE rss [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">\
            <!ENTITY x SYSTEM \"file:///etc/passwd\">]><rss><channel><item>\
            <title>&b;&x; &amp; R&nbsp;D &#8211; &</title><link>https://example.test/1</link></item></channel></rss>";
        let listing = &parsed(parse, body).listings[0];
        assert_eq!(listing.title, "&b;&x; & R D – &");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, FEED);
    }
}
