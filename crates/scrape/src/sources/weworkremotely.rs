//! We Work Remotely's RSS: the newest hundred or so remote postings.
//!
//! `GET {base}/remote-jobs.rss`, or of one category (`board = "remote-programming-jobs"`)
//! `{base}/categories/{board}.rss`. A title is `Company: Role`.

use std::collections::BTreeMap;

use quick_xml::{Reader, events::Event};
use rhubarb_core::{config::SourceConfig, redact::Address};

use crate::listing::Listing;
use crate::{
    budget::Budget,
    dates::{self, DateOrder},
    location::{self, Place},
    page::Kind,
    record,
    source::{BuildError, Context, Feed, ParseError, Parsed, endpoint},
    text,
};

/// The site's address.
pub const BASE_URL: &str = "https://weworkremotely.com";

/// Elements may be nested this deep; RSS needs four.
const MAX_DEPTH: usize = 64;

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let category = config.board.as_deref().map(|board| format!("{board}.rss"));
    let url = match &category {
        Some(file) => endpoint(config, BASE_URL, &["categories", file])?,
        None => endpoint(config, BASE_URL, &["remote-jobs.rss"])?,
    };
    Ok(Feed {
        name: config.name.clone(),
        company: config.company.clone().unwrap_or_default(),
        urls: vec![Address::new(url)],
        max_pages: 1,
        aggregates: true,
        kind: Kind::Xml,
        parse,
    })
}

/// Reads the feed.
///
/// # Errors
/// The answer is not XML, is cut off, or is not RSS.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let mut parsed = Parsed::default();
    items(body, &context.budget, |item| parsed.add(read(&item, context), context))?;
    Ok(parsed)
}

/// The texts of an item's elements by name; of several with one name the first counts.
type Item = BTreeMap<&'static str, String>;

/// The elements that are read of an item.
const FIELDS: [&str; 11] = [
    "title",
    "link",
    "guid",
    "region",
    "state",
    "country",
    "category",
    "type",
    "skills",
    "description",
    "pubDate",
];

/// Reads the items of a feed without expanding entities: only the five of XML and characters by
/// number are known.
fn items(
    body: &str,
    budget: &Budget,
    mut each: impl FnMut(Item) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    let mut reader = Reader::from_str(body);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_dangling_amp = true;
    let mut walk = Walk::default();
    loop {
        budget.step()?;
        let event = reader.read_event();
        let event = event.map_err(|error| invalid(&error.to_string()))?;
        match event {
            Event::Start(start) => walk.open(start.local_name().as_ref())?,
            Event::Empty(_) => {}
            Event::End(_) => {
                if let Some(item) = walk.close() {
                    each(item)?;
                }
            }
            Event::Text(text) => walk.text.push_str(&text),
            Event::CData(text) => walk.text.push_str(&text),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(character)) => walk.text.push(character),
                _ => walk.reference(&name),
            },
            Event::Eof => break,
            _ => {}
        }
    }
    if !walk.seen_root {
        return Err(ParseError::Shape { expected: "element `rss`" });
    }
    if !walk.path.is_empty() {
        return Err(ParseError::Truncated { expected: "RSS" });
    }
    Ok(())
}

fn invalid(reason: &str) -> ParseError {
    ParseError::Invalid { expected: "RSS", reason: text::line(reason) }
}

#[derive(Default)]
struct Walk {
    path: Vec<String>,
    text: String,
    seen_root: bool,
    item: Item,
}

impl Walk {
    fn open(&mut self, name: &str) -> Result<(), ParseError> {
        if !self.seen_root {
            match name {
                "rss" | "RDF" => self.seen_root = true,
                name if name.eq_ignore_ascii_case("html") => {
                    return Err(ParseError::Html { expected: "RSS" });
                }
                _ => return Err(ParseError::Shape { expected: "element `rss`" }),
            }
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(invalid("elements are nested too deeply"));
        }
        if name == "item" {
            self.item = Item::new();
        }
        self.path.push(name.to_owned());
        self.text.clear();
        Ok(())
    }

    /// Closes an element; that of an item ends it.
    fn close(&mut self) -> Option<Item> {
        let name = self.path.pop()?;
        let text = std::mem::take(&mut self.text);
        if self.path.last().is_some_and(|parent| parent == "item")
            && let Some(field) = FIELDS.iter().find(|field| **field == name)
        {
            self.item.entry(field).or_insert(text);
        }
        (name == "item").then(|| std::mem::take(&mut self.item))
    }

    /// A named entity; HTML's are left as they stand and are read with the text.
    fn reference(&mut self, name: &str) {
        match quick_xml::escape::resolve_xml_entity(name) {
            Some(text) => self.text.push_str(text),
            None => self.text.push_str(&format!("&{name};")),
        }
    }
}

fn read(item: &Item, context: &Context) -> Result<Listing, String> {
    let line = |key: &str| item.get(key).and_then(|value| text::some_line(value));
    let mut listing = record::listing(&context.source, context.now);
    let title = line("title").unwrap_or_default();
    let (company, role) = title.split_once(": ").unwrap_or((&context.company, &title));
    listing.company = company.trim().to_owned();
    listing.title = role.to_owned();
    listing.url = line("link").or_else(|| line("guid")).unwrap_or_default();
    listing.external_id = line("guid").unwrap_or_default();
    location::set(
        &mut listing,
        &[Place { text: line("region"), ..Place::parts(None, line("state"), line("country")) }],
    );
    location::set_workplace(&mut listing, Some("remote"), Some(true));
    listing.job_function = line("category");
    listing.employment_type =
        line("type").and_then(|kind| location::employment_type(&kind)).map(str::to_owned);
    let skills = line("skills").unwrap_or_default();
    listing.tags = skills.split(',').map(str::to_owned).chain(line("category")).collect();
    listing.description = item
        .get("description")
        .map(|markup| text::description(markup, &context.budget))
        .unwrap_or_default();
    listing.posted_at =
        line("pubDate").and_then(|date| dates::text(&date, DateOrder::DayFirst, context.now));
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
