//! Reads JSON records whose fields may be missing or of another type, and finishes listings.

use std::fmt;

use jiff::Timestamp;
use rhubarb_core::clock;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::listing::Listing;
use crate::{
    budget::Budget,
    link::{MAX_ADDRESS, link},
    source::{Context, ParseError},
    text,
};

/// Tags kept of one listing.
const MAX_TAGS: usize = 40;

/// Items read of an array in a record: places, tags, departments, a name in several forms.
const MAX_ITEMS: usize = 200;

/// Returns the JSON of an answer.
pub(crate) fn json(body: &str, budget: &Budget) -> Result<Value, ParseError> {
    let body = body.trim_start_matches('\u{feff}').trim();
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    if body.starts_with('<') {
        return Err(ParseError::Html { expected: "JSON" });
    }
    value(body, budget).map_err(|error| {
        if let Err(too_much) = budget.spent() {
            ParseError::TooMuch(too_much)
        } else if error.is_eof() {
            ParseError::Truncated { expected: "JSON" }
        } else {
            ParseError::Invalid { expected: "JSON", reason: error.to_string() }
        }
    })
}

/// Reads JSON within a budget: a few bytes of it become an object of hundreds.
pub(crate) fn value(text: &str, budget: &Budget) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Counted(budget).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// What an item and a field take in the vectors that hold them.
const ITEM: usize = size_of::<Value>();
const FIELD: usize = ITEM + size_of::<String>() + 20;

/// What the allocator takes beside a text.
const STRING: usize = 16;

/// Returns what a vector grows by for one more element than these: its room doubles, from four on.
fn growth(length: usize, element: usize) -> usize {
    match length {
        0 => 4 * element,
        1..4 => 0,
        _ if length.is_power_of_two() => length * element,
        _ => 0,
    }
}

/// Makes a JSON value, counting what it takes.
#[derive(Clone, Copy)]
struct Counted<'b>(&'b Budget);

impl Counted<'_> {
    fn take<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        self.0.step().and_then(|()| self.0.take(bytes)).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(flag.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        self.take(text.len() + STRING)?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            self.take(growth(array.len(), ITEM))?;
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            self.take(growth(object.len(), FIELD) + name.len() + STRING)?;
            object.insert(name, fields.next_value_seed(self)?);
        }
        Ok(Value::Object(object))
    }
}

/// Returns the array under a key of the answer.
pub(crate) fn array<'a>(
    root: &'a Value,
    key: &str,
    expected: &'static str,
) -> Result<&'a [Value], ParseError> {
    root.get(key).and_then(Value::as_array).map(Vec::as_slice).ok_or(ParseError::Shape { expected })
}

/// Returns the value at a path, unless it is null.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key)).filter(|value| !value.is_null())
}

/// Returns the clean text at a path; a number is text too, anything else and emptiness are none.
pub(crate) fn line(value: &Value, path: &[&str]) -> Option<String> {
    at(value, path).and_then(as_line)
}

pub(crate) fn as_line(value: &Value) -> Option<String> {
    match value {
        Value::String(string) => text::some_line(string),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the address at a path as it stands: nothing in it is an entity, and it is never cut.
pub(crate) fn address(value: &Value, path: &[&str]) -> Option<String> {
    raw(value, path).map(|address| address.trim().to_owned())
}

/// Returns the identifier at a path, a text or a number; one that is too long is none.
pub(crate) fn identifier(value: &Value, path: &[&str]) -> Option<String> {
    match at(value, path)? {
        Value::String(id) => {
            Some(id.trim()).filter(|id| id.len() <= MAX_ADDRESS).map(str::to_owned)
        }
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the raw text at a path, for markup.
pub(crate) fn raw<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path).and_then(Value::as_str).filter(|string| !string.trim().is_empty())
}

/// Returns the description at a path.
pub(crate) fn description(value: &Value, path: &[&str], context: &Context) -> String {
    raw(value, path).map(|markup| text::description(markup, &context.budget)).unwrap_or_default()
}

/// Returns the number at a path, also when it is written as text.
pub(crate) fn number(value: &Value, path: &[&str]) -> Option<f64> {
    match at(value, path)? {
        Value::Number(number) => number.as_f64(),
        Value::String(string) => string.trim().replace(',', "").parse().ok(),
        _ => None,
    }
}

/// Returns the flag at a path.
pub(crate) fn flag(value: &Value, path: &[&str]) -> Option<bool> {
    match at(value, path)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_f64() != Some(0.0)),
        Value::String(string) => string.trim().to_lowercase().parse().ok(),
        _ => None,
    }
}

/// Returns the clean lines of an array's first items, or of a lone string.
pub(crate) fn lines(value: &Value, path: &[&str]) -> Vec<String> {
    match at(value, path) {
        Some(Value::Array(items)) => items.iter().take(MAX_ITEMS).filter_map(as_line).collect(),
        Some(single) => as_line(single).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Returns the first items of an array, or the lone value.
pub(crate) fn items(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => &items[..items.len().min(MAX_ITEMS)],
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

/// Returns a listing of the source with nothing in it yet.
pub(crate) fn listing(source: &str, now: Timestamp) -> Listing {
    Listing { source: source.to_owned(), scraped_at: clock::iso(now), ..Listing::default() }
}

/// Checks what no listing can do without and bounds the rest.
pub(crate) fn finish(mut listing: Listing, context: &Context) -> Result<Listing, String> {
    listing.title = text::title(&listing.title);
    if listing.title.is_empty() {
        return Err(format!("record `{}` has no title", listing.external_id));
    }
    let Some(url) = link(&context.page, &listing.url) else {
        let wrong = text::cut(&listing.url, 100);
        let why = if listing.url.len() > MAX_ADDRESS { "an overlong" } else { "no http" };
        return Err(format!("record `{}` has {why} address: `{wrong}`", listing.title));
    };
    listing.url = url.into();
    listing.apply_url =
        listing.apply_url.and_then(|apply| link(&context.page, &apply)).map(String::from);
    listing.tags = tags(listing.tags);
    Ok(listing)
}

/// Returns how much memory a listing takes.
pub(crate) fn size(listing: &Listing) -> usize {
    let optional = [
        &listing.location,
        &listing.city,
        &listing.state,
        &listing.country,
        &listing.apply_url,
        &listing.employment_type,
        &listing.seniority_level,
        &listing.job_function,
        &listing.industries,
        &listing.workplace,
        &listing.salary_display,
        &listing.salary_currency,
        &listing.salary_period,
        &listing.posted_at,
        &listing.valid_through,
        &listing.language,
    ];
    let needed = [
        &listing.title,
        &listing.company,
        &listing.url,
        &listing.source,
        &listing.external_id,
        &listing.description,
        &listing.scraped_at,
    ];
    let texts = optional.into_iter().flatten().chain(needed).map(|text| STRING + text.len());
    let lists = listing.tags.iter().chain(&listing.locations);
    let lists = lists.map(|item| size_of::<String>() + STRING + item.len());
    size_of::<Listing>() + texts.sum::<usize>() + lists.sum::<usize>()
}

/// Cleans tags, none twice.
fn tags(tags: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags.into_iter().take(MAX_ITEMS) {
        let tag = text::line(text::cut(&tag, 100));
        if !tag.is_empty() && !kept.contains(&tag) && kept.len() < MAX_TAGS {
            kept.push(tag);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_is_no_json_is_named() {
        let check = |body: &str, expect: ParseError| {
            assert_eq!(json(body, &Budget::unlimited()), Err(expect), "{body}")
        };
        check("<!doctype html><p>Sorry", ParseError::Html { expected: "JSON" });
        check("{\"jobs\":[{\"id\":1", ParseError::Truncated { expected: "JSON" });
        check(" \n", ParseError::Empty);
        let invalid = |body: &str| {
            let read = json(body, &Budget::unlimited());
            assert!(matches!(read, Err(ParseError::Invalid { .. })), "{read:?}");
        };
        invalid("{]");
        invalid("[] x");
        invalid(&"[".repeat(100_000));
    }

    proptest! {
        #[test]
        fn json_is_read_as_serde_json_reads_it(text in "[\\[\\]{}:,\"a0-9.eE\\\\u -]{0,40}") {
            let ours = value(&text, &Budget::unlimited()).ok();
            prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).ok());
        }
    }

    #[test]
    fn json_of_each_kind_is_read_as_serde_json_reads_it() {
        for text in [
            r#"{"a": [1, -2, 3.5, 1e400, 18446744073709551615, null, true, "é\u00e9\n"], "a": {}, "b": []}"#,
            "1e-400",
            "99999999999999999999999",
        ] {
            let ours = value(text, &Budget::unlimited()).ok();
            assert_eq!(ours, serde_json::from_str::<Value>(text).ok(), "{text}");
        }
    }

    #[test]
    fn fields_of_an_unexpected_type_are_none_or_read_all_the_same() {
        let value =
            json!({"id": 7, "name": {"a": 1}, "pay": "60,000", "remote": "true", "tags": "x"});
        assert_eq!(line(&value, &["id"]).as_deref(), Some("7"));
        assert_eq!(line(&value, &["name"]), None);
        assert_eq!(line(&value, &["name", "a", "b"]), None);
        assert_eq!(number(&value, &["pay"]), Some(60_000.0));
        assert_eq!(flag(&value, &["remote"]), Some(true));
        assert_eq!(lines(&value, &["tags"]), ["x"]);
    }
}
