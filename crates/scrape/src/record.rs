//! Reads JSON records whose fields may be missing or of another type, and finishes listings.

use jiff::Timestamp;
use rhubarb_core::clock;
use serde_json::Value;

use crate::listing::Listing;
use crate::{
    budget::Budget,
    context::Context,
    json::{self, Broken, Read},
    link::{MAX_ADDRESS, link},
    parse_error::ParseError,
    text,
};

/// Tags kept of one listing.
const MAX_TAGS: usize = 40;

/// Items read of an array in a record: places, tags, departments, a name in several forms.
pub(crate) const MAX_ITEMS: usize = 200;

/// Returns the JSON of an answer, and how often it had to be repaired.
pub(crate) fn json(body: &str, budget: &Budget) -> Result<Read, ParseError> {
    let body = body.trim_start_matches('\u{feff}').trim();
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    if body.starts_with('<') && !body.starts_with("<!--") {
        return Err(ParseError::Html { expected: "JSON" });
    }
    json::read(body, budget).map_err(broken)
}

/// Says of a whole answer why it is no JSON.
pub(crate) fn broken(error: Broken) -> ParseError {
    match error {
        Broken::TooMuch(too_much) => ParseError::TooMuch(too_much),
        Broken::CutOff => ParseError::Truncated { expected: "JSON" },
        Broken::Invalid(reason) => ParseError::Invalid { expected: "JSON", reason },
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
    listing.language = listing.language.and_then(|tag| text::language(&tag));
    Ok(listing)
}

/// What the allocator takes beside a text.
const STRING: usize = 16;

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
    let lists = listing.tags.iter().chain(&listing.locations).chain(&listing.also);
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
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_that_is_no_json_is_named() {
        let check = |body: &str, expect: ParseError| {
            assert_eq!(super::json(body, &Budget::unlimited()), Err(expect), "{body}")
        };
        check("<!doctype html><p>Sorry", ParseError::Html { expected: "JSON" });
        check("{\"jobs\":[{\"id\":1", ParseError::Truncated { expected: "JSON" });
        check(" \n", ParseError::Empty);
        let invalid = |body: &str| {
            let read = super::json(body, &Budget::unlimited());
            assert!(matches!(read, Err(ParseError::Invalid { .. })), "{read:?}");
        };
        invalid("{]");
        invalid("Sorry");
        invalid(&"[".repeat(100_000));
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
