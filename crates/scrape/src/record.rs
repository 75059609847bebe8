//! Reads JSON records whose fields may be missing or of another type, and finishes listings.

use jiff::Timestamp;
use rhubarb_core::{clock, listing::Listing};
use serde_json::Value;
use url::Url;

use crate::{
    source::{Context, ParseError},
    text,
};

/// Tags kept of one listing.
const MAX_TAGS: usize = 40;

/// Returns the JSON of an answer.
pub(crate) fn json(body: &str) -> Result<Value, ParseError> {
    let body = body.trim_start_matches('\u{feff}').trim();
    if body.is_empty() {
        return Err(ParseError::Empty);
    }
    if body.starts_with('<') {
        return Err(ParseError::Html { expected: "JSON" });
    }
    serde_json::from_str(body).map_err(|error| {
        if error.is_eof() {
            ParseError::Truncated { expected: "JSON" }
        } else {
            ParseError::Invalid { expected: "JSON", reason: error.to_string() }
        }
    })
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

/// Returns the raw text at a path, for markup.
pub(crate) fn raw<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path).and_then(Value::as_str).filter(|string| !string.trim().is_empty())
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

/// Returns the clean lines of an array, or of a lone string.
pub(crate) fn lines(value: &Value, path: &[&str]) -> Vec<String> {
    match at(value, path) {
        Some(Value::Array(items)) => items.iter().filter_map(as_line).collect(),
        Some(single) => as_line(single).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Returns the items of an array, or the lone value.
pub(crate) fn items(value: Option<&Value>) -> &[Value] {
    match value {
        Some(Value::Array(items)) => items,
        Some(single) => std::slice::from_ref(single),
        None => &[],
    }
}

/// Returns a listing of the source with nothing in it yet.
pub(crate) fn listing(source: &str, now: Timestamp) -> Listing {
    Listing { source: source.to_owned(), scraped_at: clock::iso(now), ..Listing::default() }
}

/// Checks what no listing can do without and bounds the rest.
///
/// Without an identifier of its own a listing is known by its address.
pub(crate) fn finish(mut listing: Listing, context: &Context) -> Result<Listing, String> {
    listing.title = text::line(&listing.title);
    if listing.title.is_empty() {
        return Err(format!("record `{}` has no title", listing.external_id));
    }
    let Some(url) = link(&context.page, &listing.url) else {
        let wrong = text::cut(&listing.url, 100);
        return Err(format!("record `{}` has no http address: `{wrong}`", listing.title));
    };
    listing.url = url.into();
    listing.apply_url =
        listing.apply_url.and_then(|apply| link(&context.page, &apply)).map(String::from);
    if listing.external_id.is_empty() {
        listing.external_id.clone_from(&listing.url);
    }
    listing.tags = tags(listing.tags);
    Ok(listing)
}

/// Returns the address that a link means on a page; only http and https.
pub(crate) fn link(page: &Url, href: &str) -> Option<Url> {
    let href = href.trim();
    if href.is_empty() || href.len() > 2_000 {
        return None;
    }
    page.join(href).ok().filter(|url| matches!(url.scheme(), "http" | "https"))
}

/// Cleans tags, none twice.
fn tags(tags: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for tag in tags {
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
        let check = |body: &str, expect: ParseError| assert_eq!(json(body), Err(expect), "{body}");
        check("<!doctype html><p>Sorry", ParseError::Html { expected: "JSON" });
        check("{\"jobs\":[{\"id\":1", ParseError::Truncated { expected: "JSON" });
        check(" \n", ParseError::Empty);
        assert!(matches!(json("{]"), Err(ParseError::Invalid { .. })));
        assert!(matches!(json(&"[".repeat(100_000)), Err(ParseError::Invalid { .. })));
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

    #[test]
    fn only_http_addresses_are_links() {
        let page = Url::parse("https://example.test/jobs/").unwrap();
        let check = |href: &str, expect: Option<&str>| {
            assert_eq!(link(&page, href).as_ref().map(Url::as_str), expect, "{href}");
        };
        check("/a", Some("https://example.test/a"));
        check("b?c=1", Some("https://example.test/jobs/b?c=1"));
        check("//other.test/x", Some("https://other.test/x"));
        check("javascript:alert(1)", None);
        check("data:text/html,x", None);
        check("ftp://example.test/", None);
        check("", None);
    }
}
