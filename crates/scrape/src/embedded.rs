//! JSON that stands in a page: a script's whole text, or the value that a script gives to a name.

use scraper::{Html, Selector};
use serde_json::Value;

use crate::{budget::Budget, dom, parse_error::ParseError, record};

/// Where in a page the JSON stands.
#[derive(Clone, Debug)]
pub(crate) enum Spot {
    /// The text of the first element that this selects.
    Element(Selector),
    /// What is assigned to this name: `window.__STATE__`, `var jobs`.
    Name(String),
}

impl Spot {
    /// Reads a setting: a name as a script writes it, or a CSS selector.
    ///
    /// # Errors
    /// It is neither; says why.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if is_name(text) {
            return Ok(Self::Name(text.trim_start_matches("var ").trim().to_owned()));
        }
        Selector::parse(text)
            .map(Self::Element)
            .map_err(|error| format!("`{text}` is neither a CSS selector nor a name ({error})"))
    }

    /// Returns the JSON that stands there.
    ///
    /// # Errors
    /// It is not there, is no JSON, or takes too much to read.
    pub(crate) fn read(&self, body: &str, budget: &Budget) -> Result<Value, ParseError> {
        match self {
            Self::Element(selector) => element(body, selector, budget),
            Self::Name(name) => assigned(body, name, budget),
        }
    }
}

/// Tells whether it is written as a name of a script is, and not as an element or class.
fn is_name(text: &str) -> bool {
    let bare = text.strip_prefix("var ").unwrap_or(text).trim();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
    let dotted = bare.contains('.') || bare.starts_with('_') || text.starts_with("var ");
    dotted && !bare.starts_with('.') && bare.chars().all(word) && !bare.starts_with("script.")
}

/// Returns what a page of Next.js begins with.
///
/// # Errors
/// As for [`Spot::read`].
pub(crate) fn next_data(body: &str, budget: &Budget) -> Result<Value, ParseError> {
    if body.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    let expected = "script `__NEXT_DATA__`";
    let start = body.find("\"__NEXT_DATA__\"").ok_or(ParseError::Shape { expected })?;
    let rest = &body[start..];
    let open = rest.find('>').ok_or(ParseError::Truncated { expected: "HTML" })?;
    let text = &rest[open + 1..];
    let end = text.find("</script").ok_or(ParseError::Truncated { expected: "HTML" })?;
    record::json(&text[..end], budget).map(|read| read.value)
}

fn element(body: &str, selector: &Selector, budget: &Budget) -> Result<Value, ParseError> {
    let page: Html = dom::document(body, budget)?;
    let found = dom::select_all(&page, selector, budget).next();
    budget.spent()?;
    let element = found.ok_or(ParseError::Shape { expected: "element with the JSON" })?;
    let text: String = element.text().collect();
    let text = text.trim();
    // Some scripts assign; the value begins at its first brace.
    if text.starts_with(['{', '[']) {
        return record::json(text.trim_end_matches(';'), budget).map(|read| read.value);
    }
    match text.find(['{', '[']) {
        Some(start) => prefix(&text[start..], budget),
        None => Err(ParseError::Shape { expected: "JSON in the element" }),
    }
}

/// Finds `name =` where the name is no part of a longer one, and a value follows.
fn assigned(body: &str, name: &str, budget: &Budget) -> Result<Value, ParseError> {
    let mut rest = body;
    let mut before = None;
    while let Some(at) = rest.find(name) {
        budget.step()?;
        before = rest[..at].chars().next_back().or(before);
        let after = rest[at + name.len()..].trim_start();
        let part = before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
        let after_bracket = after.trim_start_matches(['"', '\'', ']']).trim_start();
        if let (false, Some(value)) = (part, after_bracket.strip_prefix('=')) {
            let value = value.trim_start();
            if let Some(text) = value.strip_prefix("JSON.parse(") {
                return quoted(text.trim_start(), budget);
            }
            if value.starts_with(['{', '[']) {
                return prefix(value, budget);
            }
        }
        before = name.chars().next_back();
        rest = &rest[at + name.len()..];
    }
    Err(ParseError::Shape { expected: "value of the configured name" })
}

/// Reads the JSON at the beginning of a script's rest.
fn prefix(text: &str, budget: &Budget) -> Result<Value, ParseError> {
    let end = end(text).ok_or(ParseError::Truncated { expected: "JSON" })?;
    record::json(&text[..end], budget).map(|read| read.value)
}

/// Returns where the value ends whose bracket the text begins with.
fn end(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Reads JSON out of a script's string, `"…"` or `'…'`.
fn quoted(text: &str, budget: &Budget) -> Result<Value, ParseError> {
    let cut = ParseError::Truncated { expected: "JSON" };
    let open =
        text.bytes().next().filter(|byte| matches!(byte, b'"' | b'\'')).ok_or(cut.clone())?;
    let mut inner = String::new();
    let mut escaped = false;
    for c in text[1..].chars() {
        if !escaped && c == open as char {
            let text: String = serde_json::from_str(&format!("\"{inner}\"")).map_err(|error| {
                ParseError::Invalid { expected: "JSON", reason: error.to_string() }
            })?;
            return record::json(&text, budget).map(|read| read.value);
        }
        match c {
            // In a string in single quotes they stand for themselves.
            '"' if !escaped => inner.push_str("\\\""),
            '\'' if escaped => {
                inner.pop();
                inner.push('\'');
            }
            _ => inner.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    Err(cut)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(spot: &str, body: &str) -> Result<Value, ParseError> {
        Spot::new(spot).unwrap().read(body, &Budget::unlimited())
    }

    #[test]
    fn json_is_found_in_an_element_or_behind_a_name() {
        let check = |spot: &str, body: &str| {
            assert_eq!(read(spot, body), Ok(json!({"a": [1, "};"]})), "{spot} in {body}");
        };
        let value = r#"{"a":[1,"};"]}"#;
        let page = |script: &str| format!("<p>x</p><script>{script}</script><p>y");
        check("script", &page(value));
        check("script", &page(&format!("self.x = {value}; more({{}})")));
        check(
            "script#d",
            &format!("<script>1</script><script id=d type=application/json>{value}</script>"),
        );
        check("window.__STATE__", &page(&format!("window.__STATE__={value};window.b={{}}")));
        check("window.jobs", &page(&format!("window.jobsList=[]; window.jobs = {value}")));
        check("var jobs", &page(&format!("var jobs = {value};")));
        check("_s", &page(&format!("window[\"_s\"] = {value}")));
        check("_s", &page(r#"window._s = JSON.parse("{\"a\":[1,\"};\"]}")"#));
        check("_s", &page(r#"window._s = JSON.parse('{"a":[1,"};"]}')"#));
        let data =
            format!("<script id=\"__NEXT_DATA__\" type=\"application/json\">{value}</script>");
        assert!(next_data(&data, &Budget::unlimited()).is_ok());
    }

    #[test]
    fn what_is_not_there_is_said() {
        let check = |spot: &str, body: &str, expect: &str| {
            assert_eq!(read(spot, body).unwrap_err().to_string(), expect, "{body}");
        };
        check("script", "<p>", "the answer has no element with the JSON");
        check("window.a", "<script>window.ab={}", "the answer has no value of the configured name");
        check("window.a", "window.a={\"b\":", "the answer is cut off: JSON ends too early");
        assert!(Spot::new("div[").is_err());
    }
}
