//! Feeds: the items of RSS 2.0, RSS 1.0 and Atom, with their namespaces respected.
//!
//! quick-xml splits the markup; entities are never expanded but for XML's five and characters by
//! number, and a bare `&` is text.

use std::{borrow::Cow, collections::BTreeMap};

use quick_xml::{
    events::{BytesStart, Event},
    name::{Namespace, ResolveResult},
    reader::NsReader,
};

use crate::{budget::Budget, parse_error::ParseError, text};

/// Elements may be nested this deep; feeds need four, and text with markup in it some more.
const MAX_DEPTH: usize = 64;

/// The texts of an item's elements by name; of several with one name the first that is not empty.
///
/// Atom's names stand for RSS's: `guid` for `id`, `pubDate` for `published`, `description` for
/// `summary`. `content` is Atom's and `content:encoded`; `language` may be the feed's.
pub(crate) type Item = BTreeMap<&'static str, String>;

/// The feeds' own elements, and what each is called here.
const OWN: [(&str, &str); 19] = [
    ("title", "title"),
    ("link", "link"),
    ("guid", "guid"),
    ("id", "guid"),
    ("region", "region"),
    ("state", "state"),
    ("country", "country"),
    ("category", "category"),
    ("type", "type"),
    ("skills", "skills"),
    ("description", "description"),
    ("summary", "description"),
    ("content", "content"),
    ("pubDate", "pubDate"),
    ("published", "pubDate"),
    ("updated", "updated"),
    ("expires_at", "expires_at"),
    ("language", "language"),
    ("company", "company"),
];

/// Namespaces of the feeds themselves, whatever prefix stands for them.
const FEEDS: [&str; 5] = [
    "http://www.w3.org/2005/Atom",
    "http://purl.org/atom/ns#",
    "http://purl.org/rss/1.0/",
    "http://backend.userland.com/rss2",
    "http://backend.userland.com/RSS2",
];

/// Elements of other namespaces that are read: prefix where none is declared, namespace, name.
const MODULES: [(&str, &str, &str, &str); 3] = [
    ("content", "http://purl.org/rss/1.0/modules/content/", "encoded", "content"),
    ("dc", "http://purl.org/dc/elements/1.1/", "date", "dc:date"),
    ("dc", "http://purl.org/dc/elements/1.1/", "language", "language"),
];

/// Calls back with each item of a feed.
///
/// # Errors
/// It is not XML, cut off, no feed, or takes too much to read; or what `each` returns.
pub(crate) fn items(
    body: &str,
    budget: &Budget,
    mut each: impl FnMut(Item) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    let mut reader = NsReader::from_str(body);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_dangling_amp = true;
    let mut walk = Walk::default();
    loop {
        budget.step()?;
        let event = reader.read_resolved_event();
        let (space, event) = event.map_err(|error| invalid(&error.to_string()))?;
        match event {
            Event::Start(start) => walk.open(&space, &start)?,
            Event::Empty(start) => {
                walk.open(&space, &start)?;
                walk.close().map_or(Ok(()), &mut each)?;
            }
            Event::End(_) => walk.close().map_or(Ok(()), &mut each)?,
            Event::Text(text) => walk.say(&text),
            Event::CData(text) => walk.say(&text),
            Event::GeneralRef(name) => match name.resolve_char_ref() {
                Ok(Some(character)) => walk.say(character.encode_utf8(&mut [0; 4])),
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

/// What an open element is.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Item,
    /// A field of the item, or the feed's language.
    Field(&'static str),
    /// Markup inside a field, by its name's end in the field's text.
    Markup,
    Other,
}

#[derive(Default)]
struct Walk {
    path: Vec<Open>,
    /// The names of open markup inside a field.
    markup: Vec<String>,
    text: String,
    seen_root: bool,
    language: Option<String>,
    item: Item,
}

impl Walk {
    fn open(
        &mut self,
        space: &ResolveResult<'_>,
        start: &BytesStart<'_>,
    ) -> Result<(), ParseError> {
        let local = start.local_name();
        let local: &str = local.as_ref();
        if !self.seen_root {
            self.root(local)?;
        }
        if self.path.len() >= MAX_DEPTH {
            return Err(invalid("elements are nested too deeply"));
        }
        let inside = self.path.last().copied();
        let open = match inside {
            Some(Open::Field(_) | Open::Markup) => {
                self.text.push_str(&format!("<{local}>"));
                self.markup.push(local.to_owned());
                Open::Markup
            }
            Some(Open::Item) => field(space, local).map_or(Open::Other, Open::Field),
            _ if is_own(space) && matches!(local, "item" | "entry") => {
                self.item = Item::new();
                Open::Item
            }
            _ if field(space, local) == Some("language") => Open::Field("language"),
            _ => Open::Other,
        };
        if let Open::Field(name) = open {
            self.text = attribute(name, start).unwrap_or_default();
        }
        self.path.push(open);
        Ok(())
    }

    fn root(&mut self, name: &str) -> Result<(), ParseError> {
        match name {
            "rss" | "RDF" | "feed" => self.seen_root = true,
            name if name.eq_ignore_ascii_case("html") => {
                return Err(ParseError::Html { expected: "RSS" });
            }
            _ => return Err(ParseError::Shape { expected: "element `rss`" }),
        }
        Ok(())
    }

    /// Closes an element; that of an item ends it.
    fn close(&mut self) -> Option<Item> {
        match self.path.pop()? {
            Open::Item => {
                let mut item = std::mem::take(&mut self.item);
                if let Some(language) = &self.language {
                    item.entry("language").or_insert_with(|| language.clone());
                }
                return Some(item);
            }
            Open::Field(name) => {
                let text = std::mem::take(&mut self.text);
                if !self.path.contains(&Open::Item) {
                    self.language.get_or_insert(text);
                } else if !text.trim().is_empty() {
                    self.item.entry(name).or_insert(text);
                }
            }
            Open::Markup => {
                let name = self.markup.pop().unwrap_or_default();
                self.text.push_str(&format!("</{name}>"));
            }
            Open::Other => {}
        }
        None
    }

    /// Text; inside markup it is made markup again, which a field's own text is.
    fn say(&mut self, said: &str) {
        match self.path.last() {
            Some(Open::Field(_)) => self.text.push_str(said),
            Some(Open::Markup) => self.text.push_str(&quick_xml::escape::escape(said)),
            _ => {}
        }
    }

    /// A named entity; HTML's are left as they stand and are read with the text.
    fn reference(&mut self, name: &str) {
        let text = match quick_xml::escape::resolve_xml_entity(name) {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(format!("&{name};")),
        };
        self.say(&text);
    }
}

fn is_own(space: &ResolveResult<'_>) -> bool {
    match space {
        ResolveResult::Unbound => true,
        ResolveResult::Bound(Namespace(name)) => FEEDS.contains(name),
        ResolveResult::Unknown(_) => false,
    }
}

/// Returns what an item's element is called here, if it is read.
fn field(space: &ResolveResult<'_>, local: &str) -> Option<&'static str> {
    if is_own(space) {
        return OWN.iter().find(|(theirs, _)| *theirs == local).map(|(_, ours)| *ours);
    }
    let is_module = |prefix: &str, uri: &str| match space {
        ResolveResult::Bound(Namespace(name)) => *name == uri,
        ResolveResult::Unknown(name) => name == prefix,
        ResolveResult::Unbound => false,
    };
    let found =
        MODULES.iter().find(|(prefix, uri, name, _)| *name == local && is_module(prefix, uri));
    found.map(|(.., ours)| *ours)
}

/// Atom keeps a link and a category in attributes.
fn attribute(field: &str, start: &BytesStart<'_>) -> Option<String> {
    let value = |name: &str| {
        let value = start.try_get_attribute(name).ok()??.value;
        let read = quick_xml::escape::unescape(&value).map(Cow::into_owned);
        // A bare `&` is none of XML's.
        Some(read.unwrap_or_else(|_| value.replace("&amp;", "&")))
    };
    match field {
        "link" if value("rel").is_none_or(|rel| rel == "alternate") => value("href"),
        "category" => value("term"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Vec<Item> {
        let mut found = Vec::new();
        let read = items(body, &Budget::unlimited(), |item| {
            found.push(item);
            Ok(())
        });
        read.unwrap();
        found
    }

    fn field(item: &str, name: &str) -> Option<String> {
        let spaces = "xmlns:media='http://search.yahoo.com/mrss/' xmlns:r='http://purl.org/rss/1.0/'
            xmlns:c='http://purl.org/rss/1.0/modules/content/' xmlns:dc='http://purl.org/dc/terms/'";
        let body = format!("<rss {spaces}><channel><item>{item}</item></channel></rss>");
        read(&body).remove(0).remove(name)
    }

    #[test]
    fn only_the_feeds_own_elements_are_its_fields() {
        let check = |item: &str, name: &str, expect: Option<&str>| {
            assert_eq!(field(item, name).as_deref(), expect, "{item}");
        };
        check("<media:title>a</media:title><title>b</title>", "title", Some("b"));
        check("<itunes:title>a</itunes:title>", "title", None);
        check("<dc:title>a</dc:title><r:title>b</r:title>", "title", Some("b"));
        check("<media:group><title>a</title></media:group><title>b</title>", "title", Some("b"));
        check("<title/><title> </title><title>b</title>", "title", Some("b"));
        check("<c:encoded>a</c:encoded>", "content", Some("a"));
        check("<content:encoded>undeclared</content:encoded>", "content", Some("undeclared"));
        check("<media:content url='x'/>", "content", None);
        check("<title xmlns='http://other.test/'>a</title><title>b</title>", "title", Some("b"));
    }

    #[test]
    fn markup_that_is_not_escaped_stays_markup() {
        let item = "<description>a <b>c &lt; d</b><br/>&lt;p&gt;e</description>";
        let expect = "a <b>c &lt; d</b><br></br><p>e";
        assert_eq!(field(item, "description").as_deref(), Some(expect));
    }

    #[test]
    fn an_address_with_a_bare_ampersand_is_taken_as_written() {
        for link in ["https://e.test/?a=1&b=2&copy=3", "https://e.test/?a=1&amp;b=2&copy=3"] {
            let expect = Some("https://e.test/?a=1&b=2&copy=3".to_owned());
            assert_eq!(field(&format!("<link>{link}</link>"), "link"), expect);
            let atom = format!(
                "<feed><entry><link rel='self' href='x'/><link href='{link}'/></entry></feed>"
            );
            assert_eq!(read(&atom).remove(0).remove("link"), expect);
        }
    }

    #[test]
    fn atom_and_rss_1_are_read() {
        let atom = "<?xml version='1.0'?><a:feed xmlns:a='http://www.w3.org/2005/Atom'><a:title>Board</a:title>
            <a:entry><a:id>tag:1</a:id><a:title type='html'>A &amp;amp; B</a:title><a:published>2026-11-05</a:published>
            <a:category term='Design'/><a:content type='xhtml'><div>Whole</div></a:content></a:entry></a:feed>";
        let item = read(atom).remove(0);
        let got = ["guid", "title", "pubDate", "category", "content"].map(|key| item[key].as_str());
        assert_eq!(got, ["tag:1", "A &amp; B", "2026-11-05", "Design", "<div>Whole</div>"]);
        let rdf = "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'>
            <channel><title>Board</title></channel><item><title>A</title><link>https://e.test/1</link></item></rdf:RDF>";
        assert_eq!(read(rdf)[0]["title"], "A");
    }

    #[test]
    fn the_feeds_language_is_its_items() {
        let body =
            "<rss><channel><language>de</language><item><title>A</title></item></channel></rss>";
        assert_eq!(read(body)[0]["language"], "de");
    }
}
