//! The writer: the very bytes of `json.dumps`.
//!
//! Separators are `", "` and `": "`, all is ASCII, floats are as Python prints them. A message that
//! is read and written again is therefore the same text. It is ours because `serde_json` escapes
//! and spaces otherwise, and knows neither of Python's numbers.

use std::io::Write;

use serde_json::{Map, Value};

use crate::seal::unsealed;

/// How many characters of a text are looked at in one step; compilers make a few instructions of
/// it.
const BLOCK: usize = 16;

/// Appends the JSON of a value, what was sealed as it was read.
pub fn dump(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(number) => out.extend_from_slice(float(number).as_bytes()),
            None => display(out, number),
        },
        Value::String(text) => dump_text(out, text),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                dump(out, item);
            }
            out.push(b']');
        }
        Value::Object(map) => dump_map(out, map),
    }
}

/// [`dump`] for an object's members.
pub fn dump_map(out: &mut Vec<u8>, map: &Map<String, Value>) {
    out.push(b'{');
    for (index, (key, value)) in map.iter().enumerate() {
        separate(out, index);
        dump_text(out, key);
        out.extend_from_slice(b": ");
        dump(out, value);
    }
    out.push(b'}');
}

/// Appends the JSON of a text, in ASCII.
pub fn dump_text(out: &mut Vec<u8>, text: &str) {
    if let Some(json) = unsealed(text) {
        return ascii(out, json);
    }
    out.push(b'"');
    let mut rest = text;
    loop {
        // What does not stand for itself begins a character: all bytes of a longer one are outside
        // ASCII.
        let (plain, special) = rest.split_at(plain_len(rest.as_bytes()));
        out.extend_from_slice(plain.as_bytes());
        let mut chars = special.chars();
        let Some(c) = chars.next() else { break };
        escape(out, c);
        rest = chars.as_str();
    }
    out.push(b'"');
}

pub(super) fn separate(out: &mut Vec<u8>, index: usize) {
    if index > 0 {
        out.extend_from_slice(b", ");
    }
}

fn display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into memory cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends a sealed value: a number, or a text with its quotes and escapes.
fn ascii(out: &mut Vec<u8>, json: &str) {
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            display(out, c);
        } else {
            escape(out, c);
        }
    }
}

/// How many bytes at the beginning stand for themselves.
fn plain_len(text: &[u8]) -> usize {
    let blocks = text.chunks_exact(BLOCK);
    let plain =
        blocks.take_while(|block| block.iter().fold(true, |all, byte| all & is_plain(*byte)));
    let at = plain.count() * BLOCK;
    at + text[at..].iter().take_while(|byte| is_plain(**byte)).count()
}

/// Without branches, so that a block of bytes is looked at together.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

fn escape(out: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        '\u{8}' => b"\\b",
        '\u{c}' => b"\\f",
        _ => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                display(out, format_args!("\\u{unit:04x}"));
            }
            return;
        }
    };
    out.extend_from_slice(short);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn dumped(value: &Value) -> String {
        let mut out = Vec::new();
        dump(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_the_bytes_of_json_dumps() {
        let check = |value: Value, expected: &str| assert_eq!(dumped(&value), expected);
        check(json!({"a": [1, 2, {}], "b": null}), r#"{"a": [1, 2, {}], "b": null}"#);
        check(
            json!([true, false, -7, u64::MAX, []]),
            "[true, false, -7, 18446744073709551615, []]",
        );
        check(json!("ü🦀\u{7f}\n\u{1}\"\\/"), r#""\u00fc\ud83e\udd80\u007f\n\u0001\"\\/""#);
        check(json!("\u{8}\u{c}\r\t\u{b}\u{1f}"), r#""\b\f\r\t\u000b\u001f""#);
        check(
            json!([1.5, 1e16, 1e15, 1e-5, 1.25e-7, 0.0001, 1e22, -0.0]),
            "[1.5, 1e+16, 1000000000000000.0, 1e-05, 1.25e-07, 0.0001, 1e+22, -0.0]",
        );
    }

    #[test]
    fn a_special_character_is_found_wherever_it_stands() {
        for at in 0..3 * BLOCK {
            let (before, after) = ("x".repeat(at), "y".repeat(3 * BLOCK - at));
            for (special, escaped) in [("\"", "\\\""), ("é", "\\u00e9"), ("\u{7f}", "\\u007f")] {
                let text = format!("{before}{special}{after}");
                assert_eq!(dumped(&json!(text)), format!("\"{before}{escaped}{after}\""));
            }
        }
    }

    proptest! {
        #[test]
        fn texts_are_read_back_and_are_ascii(text in any::<String>()) {
            let written = dumped(&json!(text));
            prop_assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
        }
    }
}
