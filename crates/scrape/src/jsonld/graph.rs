//! A page's JSON-LD as a graph: its postings, plain, with what they refer to put in its place.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::{
    budget::{Budget, TooMuch},
    record,
};

/// Levels of references and objects that are followed from a posting: none needs six.
const MAX_LEVELS: usize = 8;

/// A text that a reference brings along may be this long; no name or place is longer.
const MAX_REFERRED: usize = 2_000;

/// What a plain value takes.
const VALUE: usize = size_of::<Value>() + 48;

/// What schema.org's names begin with where they are written out.
const PREFIXES: [&str; 4] =
    ["schema:", "http://schema.org/", "https://schema.org/", "http://www.schema.org/"];

/// The postings of a page in its order, and every object that others may refer to.
pub(super) struct Graph<'a> {
    budget: &'a Budget,
    postings: Vec<Standing<'a>>,
    known: HashMap<&'a str, &'a Map<String, Value>>,
    /// What stands for schema.org's address in names, as the blocks declare it.
    prefixes: Vec<&'a str>,
}

/// Prefixes that are heeded of one page.
const MAX_PREFIXES: usize = 8;

/// A posting as it stands on the page.
#[derive(Clone, Copy)]
struct Standing<'a> {
    value: &'a Map<String, Value>,
    is_main: bool,
}

/// A posting as the rest of the code reads it.
pub(super) struct Plain {
    pub(super) value: Value,
    /// Whether the page says that it is about this one.
    pub(super) is_main: bool,
}

impl<'a> Graph<'a> {
    /// Looks through the values of a page's blocks.
    ///
    /// # Errors
    /// The budget is used up.
    pub(super) fn new(roots: &'a [Value], budget: &'a Budget) -> Result<Self, TooMuch> {
        let mut graph =
            Self { budget, postings: Vec::new(), known: HashMap::new(), prefixes: Vec::new() };
        for root in roots {
            graph.collect(root, false)?;
        }
        Ok(graph)
    }

    /// Returns the first postings, plain.
    ///
    /// # Errors
    /// The budget is used up.
    pub(super) fn postings(&self, at_most: usize) -> Result<Vec<Plain>, TooMuch> {
        // One that only refers to another is that other.
        let is_stub = |found: &Standing<'_>| {
            is_reference(found.value)
                && id(found.value).is_some_and(|id| self.known.contains_key(id))
        };
        let found = self.postings.iter().filter(|found| !is_stub(found));
        let plain = |found: &Standing<'a>| {
            let value = self.object(found.value, MAX_LEVELS, usize::MAX)?;
            Ok(Plain { value, is_main: found.is_main || self.refers_as_main(found.value) })
        };
        found.take(at_most).map(plain).collect()
    }

    /// Tells whether a stub of the posting stands as a page's main entity.
    fn refers_as_main(&self, posting: &Map<String, Value>) -> bool {
        let Some(own) = id(posting) else { return false };
        self.postings.iter().any(|found| found.is_main && id(found.value) == Some(own))
    }

    fn collect(&mut self, value: &'a Value, is_main: bool) -> Result<(), TooMuch> {
        self.budget.step()?;
        // The readers of JSON go no deeper than 128 levels, so this recursion is bounded.
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.collect(item, is_main)),
            Value::Object(fields) => self.collect_fields(fields, is_main),
            _ => Ok(()),
        }
    }

    fn collect_fields(
        &mut self,
        fields: &'a Map<String, Value>,
        is_main: bool,
    ) -> Result<(), TooMuch> {
        if let Some(id) = id(fields).filter(|_| !is_reference(fields)) {
            self.known.entry(id).or_insert(fields);
        }
        let declared = record::items(fields.get("@context")).iter().filter_map(Value::as_object);
        for (name, address) in declared.flatten().take(2 * MAX_PREFIXES) {
            let is_schema = address.as_str().is_some_and(|it| it.contains("schema.org"));
            if is_schema && !name.starts_with('@') && self.prefixes.len() < MAX_PREFIXES {
                self.prefixes.push(name);
            }
        }
        if is_posting(fields) {
            self.postings.push(Standing { value: fields, is_main });
            return Ok(());
        }
        fields.iter().try_for_each(|(name, field)| self.collect(field, bare(name) == "mainEntity"))
    }

    /// Returns a name without the prefix that a block declares, or one that all know.
    fn bare<'n>(&self, name: &'n str) -> &'n str {
        let own = self.prefixes.iter().find_map(|of| name.strip_prefix(*of)?.strip_prefix(':'));
        own.unwrap_or_else(|| bare(name))
    }

    /// Returns the value with names without prefixes, lists of one as their element, typed values
    /// as what they say, and what is referred to in its place.
    ///
    /// `text` is how long a text may be.
    fn plain(&self, value: &Value, levels: usize, text: usize) -> Result<Value, TooMuch> {
        self.budget.step()?;
        self.budget.take(VALUE)?;
        match value {
            Value::Array(items) => self.array(items, levels, text),
            Value::Object(fields) => self.object(fields, levels, text),
            Value::String(string) if string.len() > text => Ok(Value::Null),
            Value::String(string) => {
                self.budget.take(string.len())?;
                Ok(value.clone())
            }
            _ => Ok(value.clone()),
        }
    }

    fn array(&self, items: &[Value], levels: usize, text: usize) -> Result<Value, TooMuch> {
        if let [single] = items {
            return self.plain(single, levels, text);
        }
        let items = items.iter().take(record::MAX_ITEMS);
        let items: Result<Vec<Value>, TooMuch> =
            items.map(|item| self.plain(item, levels, text)).collect();
        items.map(Value::Array)
    }

    fn object(
        &self,
        fields: &Map<String, Value>,
        levels: usize,
        text: usize,
    ) -> Result<Value, TooMuch> {
        if let Some(said) = ["@value", "@list", "@set"].iter().find_map(|key| fields.get(*key)) {
            return self.plain(said, levels, text);
        }
        let Some(levels) = levels.checked_sub(1) else { return Ok(Value::Null) };
        let referred = id(fields).filter(|_| is_reference(fields));
        if let Some(other) = referred.and_then(|id| self.known.get(id)) {
            return self.object(other, levels, text.min(MAX_REFERRED));
        }
        let mut plain = Map::new();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let value = self.plain(value, levels, text)?;
            plain.insert(self.bare(name).to_owned(), value);
        }
        Ok(Value::Object(plain))
    }
}

fn id(fields: &Map<String, Value>) -> Option<&str> {
    fields.get("@id").and_then(Value::as_str)
}

/// Tells whether an object says nothing but which other it is.
fn is_reference(fields: &Map<String, Value>) -> bool {
    fields.contains_key("@id") && fields.keys().all(|key| matches!(key.as_str(), "@id" | "@type"))
}

fn is_posting(fields: &Map<String, Value>) -> bool {
    let kinds = fields.get("@type").or_else(|| fields.get("type"));
    record::items(kinds).iter().filter_map(Value::as_str).any(is_posting_type)
}

/// Tells whether a type is `JobPosting`, written out or not, in whatever case.
pub(super) fn is_posting_type(kind: &str) -> bool {
    let name = kind.trim().trim_end_matches('/').rsplit(['/', ':', '#']).next();
    name.is_some_and(|name| name.eq_ignore_ascii_case("JobPosting"))
}

fn bare(name: &str) -> &str {
    PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name)
}
