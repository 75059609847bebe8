//! JSON that stands in a page: a script's whole text, or the value that a script gives to a name.

use scraper::{Html, Selector};
use serde_json::Value;

use crate::{budget::Budget, dom, json, parse_error::ParseError, record};

/// Values of a script that are tried.
const MAX_VALUES: usize = 20;

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
    let read = first(text, budget);
    let Err(ParseError::Invalid { .. }) = read else { return read };
    values(text).find_map(|value| first(value, budget).ok()).ok_or_else(|| {
        budget
            .spent()
            .err()
            .map_or(ParseError::Shape { expected: "JSON in the element" }, ParseError::TooMuch)
    })
}

/// Returns where in a script a value may begin: at a bracket that is assigned or an argument.
fn values(text: &str) -> impl Iterator<Item = &str> {
    let is_value = |at: &usize| text[..*at].trim_end().ends_with(['=', '(']);
    text.match_indices(['{', '['])
        .map(|(at, _)| at)
        .filter(is_value)
        .take(MAX_VALUES)
        .map(|at| &text[at..])
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
            if value.starts_with(['{', '[']) || value.starts_with("JSON.parse") {
                return first(value, budget);
            }
        }
        before = name.chars().next_back();
        rest = &rest[at + name.len()..];
    }
    Err(ParseError::Shape { expected: "value of the configured name" })
}

/// Reads the value at the beginning of a script's rest.
fn first(text: &str, budget: &Budget) -> Result<Value, ParseError> {
    json::first(text, budget).map_err(record::broken)
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
        check("_s", &page("window._s = {a:[1,'};'],}; more(/'/)"));
        check("script", &page("window['jobs'] = {a:[1,`};`]}; more(/'/)"));
        check("script", &page(r#"(function(){window.jobs={"a":[1,"};"]}})()"#));
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
