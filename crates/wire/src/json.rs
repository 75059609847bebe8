//! JSON the way Python reads it; `dump` has how it writes it.
//!
//! Python's `json` module writes some things that the standard does not know and that `serde_json`
//! refuses. They are rewritten before parsing, by one rule: *a number that cannot be held exactly
//! arrives as its text*. So `NaN`, `Infinity` and `-Infinity`, integers beyond 64 bits and floats
//! beyond the range of `f64` become JSON strings. Half of a surrogate pair becomes U+FFFD.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Parses JSON from Python; the error is the reason as text.
///
/// Depth is bounded by `serde_json` (128 levels); size is the caller's to bound.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    serde_json::from_str(&standard(text)).map_err(|error| format!("not JSON: {error}"))
}

/// Takes a known field out of `map` when `read` accepts its value.
///
/// A null counts as absent and goes; a value of an odd type stays, so that it is written back.
pub(crate) fn take<T>(
    map: &mut Map<String, Value>,
    key: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    let value = map.get(key)?;
    let taken = read(value);
    if taken.is_some() || value.is_null() {
        map.shift_remove(key);
    }
    taken
}

/// The text of a string value, for [`take`].
pub(crate) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The object of an object value, for [`take`].
pub(crate) fn object(value: &Value) -> Option<Map<String, Value>> {
    value.as_object().cloned()
}

/// Adds what was kept aside; a known field that says something wins over it.
pub(crate) fn extend(map: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        if map.get(key).is_none_or(is_blank) {
            map.insert(key.clone(), value.clone());
        }
    }
}

/// Whether a value says nothing.
pub(crate) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(Value::is_null),
        Value::Object(map) => map.is_empty(),
    }
}

/// What a person calls the type of `value`.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A number of seconds as Python writes it: `30` for a whole one, `0.5` otherwise.
///
/// Not a number and infinite values become null.
pub(crate) fn seconds(value: f64) -> Value {
    // Whole numbers up to 2^53 are exact in an f64.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "whole and within 2^53, checked above"
        )]
        return Value::from(value as i64);
    }
    Value::from(value)
}

/// A float as Python's `repr` prints it.
pub(crate) fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..16).contains(&exponent) {
        return format!("{value:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// `text` with Python's extensions rewritten; borrowed when there are none.
pub(crate) fn standard(text: &str) -> Cow<'_, str> {
    let mut rewriter = Rewriter { text, at: 0, copied: 0, out: String::new() };
    while let Some(byte) = rewriter.peek(0) {
        match byte {
            b'"' => rewriter.string(),
            b'-' | b'+' | b'.' => rewriter.token(),
            byte if byte.is_ascii_alphanumeric() => rewriter.token(),
            _ => rewriter.at += 1,
        }
    }
    rewriter.finish()
}

/// Walks over JSON text once and copies it only where something has to change.
struct Rewriter<'a> {
    text: &'a str,
    at: usize,
    copied: usize,
    out: String,
}

impl<'a> Rewriter<'a> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    /// Skips a string; the position is on its opening quote.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' if self.peek(1) == Some(b'u') => self.escape(),
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Skips `\uXXXX`, or replaces it when it is half of a surrogate pair.
    fn escape(&mut self) {
        match self.code(self.at) {
            Some(0xD800..=0xDBFF) => match self.code(self.at + 6) {
                Some(0xDC00..=0xDFFF) => self.at += 12,
                _ => self.replace(6, "\\ufffd"),
            },
            Some(0xDC00..=0xDFFF) => self.replace(6, "\\ufffd"),
            Some(_) => self.at += 6,
            None => self.at += 2,
        }
    }

    /// The code of the `\uXXXX` that starts at `start`.
    fn code(&self, start: usize) -> Option<u32> {
        let digits = self.text.get(start..start + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    }

    /// Skips a bare word or number, or puts it in quotes.
    fn token(&mut self) {
        let rest = &self.text[self.at..];
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = rest.bytes().take_while(|byte| inside(*byte)).count();
        let token = &rest[..length];
        if fits(token) {
            self.at += length;
        } else {
            self.replace(length, &format!("\"{token}\""));
        }
    }

    fn replace(&mut self, length: usize, by: &str) {
        self.out.push_str(&self.text[self.copied..self.at]);
        self.out.push_str(by);
        self.at += length;
        self.copied = self.at;
    }

    fn finish(mut self) -> Cow<'a, str> {
        if self.copied == 0 {
            return Cow::Borrowed(self.text);
        }
        self.out.push_str(&self.text[self.copied..]);
        Cow::Owned(self.out)
    }
}

/// Whether `serde_json` may see the token: false for numbers that it cannot hold exactly.
fn fits(token: &str) -> bool {
    if matches!(token, "NaN" | "Infinity" | "-Infinity") {
        return false;
    }
    let digits = token.strip_prefix('-').unwrap_or(token);
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return true;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let malformed = digits.len() > 1 && digits.starts_with('0');
        return malformed || token.parse::<i64>().is_ok() || token.parse::<u64>().is_ok();
    }
    let numeric =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    !digits.bytes().all(numeric) || token.parse::<f64>().map_or(true, f64::is_finite)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_python_writes() {
        let check = |text: &str, expected: Value| {
            assert_eq!(read(text.as_bytes()), Ok(expected), "{text}");
        };
        check("[NaN, Infinity, -Infinity]", json!(["NaN", "Infinity", "-Infinity"]));
        check("18446744073709551615", json!(u64::MAX));
        check("-9223372036854775808", json!(i64::MIN));
        check(
            "[18446744073709551616,-9223372036854775809]",
            json!(["18446744073709551616", "-9223372036854775809"]),
        );
        check("[1e400, -1.5E+999, 1e308]", json!(["1e400", "-1.5E+999", 1e308]));
        check(r#"{"NaN": "say \"NaN\" 1e999"}"#, json!({"NaN": "say \"NaN\" 1e999"}));
        check(r#""\ud83e\udd80 \ud83e \udd80 \ud83eA""#, json!("🦀 \u{fffd} \u{fffd} \u{fffd}A"));
        check("[true, false, null, -0.5]", json!([true, false, null, -0.5]));
    }

    #[test]
    fn keeps_refusing_what_is_not_json() {
        for text in [
            "",
            "{",
            "nan",
            "-inf",
            "01",
            "1.2.3",
            "[NaN",
            "trueNaN",
            "\"\\",
            "\"\\u12",
            "\"\\u12\u{e9}4\"",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }

    #[test]
    fn hostile_depth_is_an_error() {
        assert!(read("[".repeat(1_000_000).as_bytes()).is_err());
        assert!(read("{\"a\":".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn seconds_are_whole_when_they_can_be() {
        assert_eq!(seconds(30.0), json!(30));
        assert_eq!(seconds(0.5), json!(0.5));
        assert_eq!(seconds(f64::NAN), Value::Null);
    }
}
