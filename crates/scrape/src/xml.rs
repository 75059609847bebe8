//! XML records as the values that the readers of JSON take: postings of feeds, entries of sitemaps.
//!
//! An element becomes an object of its children, a text where it has none; children of one name an
//! array; attributes stand under `@name`, and text beside children under `#text`. A name keeps its
//! prefix. Entities are never expanded but for XML's five and characters by number.

use std::borrow::Cow;

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};
use serde_json::{Map, Value};

use crate::{budget::Budget, parse_error::ParseError, text};

/// Elements may be nested this deep.
const MAX_DEPTH: usize = 64;

/// Calls back with each element of one of these names that is in no other of them.
///
/// # Errors
/// It is not XML, cut off, has another root, or takes too much to read; or what `each` returns.
pub(crate) fn records(
    body: &str,
    names: &Names,
    budget: &Budget,
    mut each: impl FnMut(&str, Value) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let body = body.trim_start_matches('\u{feff}').trim_start();
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    let mut reader = Reader::from_str(body);
    reader.config_mut().check_end_names = false;
    reader.config_mut().allow_dangling_amp = true;
    let mut walk = Walk { names, root: false, depth: 0, open: Vec::new() };
    loop {
        budget.step()?;
        let event = reader.read_event().map_err(|error| match error {
            // All of these are that the input ended before what had begun.
            quick_xml::Error::Syntax(_) if walk.root => ParseError::Truncated { expected: "XML" },
            error => invalid(&error.to_string()),
        })?;
        let closed = match event {
            Event::Start(start) => walk.enter(&start, budget).map(|()| None)?,
            Event::Empty(start) => {
                walk.enter(&start, budget)?;
                walk.leave(budget)?
            }
            Event::End(_) => walk.leave(budget)?,
            Event::Text(text) => walk.say(&text, budget).map(|()| None)?,
            Event::CData(text) => walk.say(&text, budget).map(|()| None)?,
            Event::GeneralRef(name) => {
                let said = match name.resolve_char_ref() {
                    Ok(Some(character)) => Cow::Owned(character.to_string()),
                    _ => entity(&name),
                };
                walk.say(&said, budget).map(|()| None)?
            }
            Event::Eof => break,
            _ => None,
        };
        if let Some((name, value)) = closed {
            each(&name, value)?;
        }
    }
    match (walk.root, walk.depth) {
        (false, _) => Err(ParseError::Shape { expected: names.root }),
        (true, 0) => Ok(()),
        (true, _) => Err(ParseError::Truncated { expected: "XML" }),
    }
}

/// What a document is made of.
pub(crate) struct Names {
    /// What its root is, for people.
    pub(crate) root: &'static str,
    /// The names that a root may have, without prefix; none: any but `html`.
    pub(crate) roots: &'static [&'static str],
    /// The records' names, without prefix.
    pub(crate) records: Vec<String>,
}

fn invalid(reason: &str) -> ParseError {
    ParseError::Invalid { expected: "XML", reason: text::line(reason) }
}

fn entity(name: &str) -> Cow<'static, str> {
    match quick_xml::escape::resolve_xml_entity(name) {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(format!("&{name};")),
    }
}

/// An element of a record whose end has not come.
struct Open {
    name: String,
    children: Map<String, Value>,
    text: String,
}

struct Walk<'n> {
    names: &'n Names,
    root: bool,
    depth: usize,
    open: Vec<Open>,
}

impl Walk<'_> {
    fn enter(&mut self, start: &BytesStart<'_>, budget: &Budget) -> Result<(), ParseError> {
        let local = start.local_name();
        let local: &str = local.as_ref();
        if !self.root {
            self.begin(local)?;
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(invalid("elements are nested too deeply"));
        }
        if self.open.is_empty() && !self.names.records.iter().any(|name| name == local) {
            return Ok(());
        }
        let name = start.name();
        let name: &str = if self.open.is_empty() { local } else { name.as_ref() };
        budget.take(size_of::<Open>() + name.len())?;
        let mut children = Map::new();
        for attribute in start.attributes().flatten().take(20) {
            let value = quick_xml::escape::unescape(&attribute.value);
            let value =
                value.map_or_else(|_| attribute.value.replace("&amp;", "&"), Cow::into_owned);
            budget.take(value.len() + 100)?;
            children.insert(format!("@{}", attribute.key.as_ref() as &str), value.into());
        }
        self.open.push(Open { name: name.to_owned(), children, text: String::new() });
        Ok(())
    }

    fn begin(&mut self, root: &str) -> Result<(), ParseError> {
        if root.eq_ignore_ascii_case("html") {
            return Err(ParseError::Html { expected: "XML" });
        }
        self.root = self.names.roots.is_empty() || self.names.roots.contains(&root);
        if self.root { Ok(()) } else { Err(ParseError::Shape { expected: self.names.root }) }
    }

    fn say(&mut self, said: &str, budget: &Budget) -> Result<(), ParseError> {
        if let Some(open) = self.open.last_mut() {
            budget.take(said.len())?;
            open.text.push_str(said);
        }
        Ok(())
    }

    /// Closes an element; a record's end returns it.
    fn leave(&mut self, budget: &Budget) -> Result<Option<(String, Value)>, ParseError> {
        self.depth = self.depth.saturating_sub(1);
        let Some(Open { name, mut children, text }) = self.open.pop() else { return Ok(None) };
        let value = if children.is_empty() {
            Value::String(text)
        } else {
            if !text.trim().is_empty() {
                children.insert("#text".to_owned(), text.into());
            }
            Value::Object(children)
        };
        let Some(parent) = self.open.last_mut() else { return Ok(Some((name, value))) };
        budget.take(200 + name.len())?;
        match parent.children.get_mut(&name) {
            None => drop(parent.children.insert(name, value)),
            Some(Value::Array(siblings)) => siblings.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
        Ok(None)
    }
}

/// Returns the text of an element, whether it has attributes or not.
pub(crate) fn text_of(value: &Value) -> Option<&str> {
    let text = value.as_str().or_else(|| value.get("#text")?.as_str())?;
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names() -> Names {
        Names { root: "element `list`", roots: &["list"], records: vec!["item".into()] }
    }

    fn read(body: &str) -> Result<Vec<Value>, ParseError> {
        let mut all = Vec::new();
        records(body, &names(), &Budget::unlimited(), |_, value| {
            all.push(value);
            Ok(())
        })?;
        Ok(all)
    }

    #[test]
    fn a_record_is_an_object_of_its_children() {
        let body = "<?xml version=\"1.0\"?><list><head><item-like/></head><x:item id=\"7\">\
            <a>1 &amp; 2&#33;</a><x:b><c>p</c><c>q</c></x:b><d k='v&amp;w'>t</d><e/><![CDATA[<f>]]>\
            </x:item></list>";
        let expect = json!({"@id": "7", "a": "1 & 2!", "x:b": {"c": ["p", "q"]},
            "d": {"@k": "v&w", "#text": "t"}, "e": "", "#text": "<f>"});
        assert_eq!(read(body), Ok(vec![expect]));
    }

    #[test]
    fn what_is_no_such_document_is_named() {
        let check = |body: &str, expect: &str| {
            assert_eq!(read(body).unwrap_err().to_string(), expect, "{body}");
        };
        check("<!doctype html><html><p>Sorry", "the answer is HTML where XML is expected");
        check("<other/>", "the answer has no element `list`");
        for cut in
            ["<list><item>", "<list><it", "<list><item a='", "<list><!-- ", "<list><![CDATA[x"]
        {
            check(cut, "the answer is cut off: XML ends too early");
        }
        check(" ", "the answer is empty");
        let deep = format!("<list>{}", "<a>".repeat(1000));
        check(&deep, "the answer is not valid XML: elements are nested too deeply");
    }

    #[test]
    fn entities_are_never_expanded() {
        let body =
            "<!DOCTYPE list [<!ENTITY a \"aaaa\">]><list><item><t>&a;&nbsp;&</t></item></list>";
        assert_eq!(read(body), Ok(vec![json!({"t": "&a;&nbsp;&"})]));
    }
}
