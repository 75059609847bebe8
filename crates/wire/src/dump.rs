//! JSON the way Python writes it, without trees of values in between.
//!
//! What is written are the very bytes of `json.dumps`: separators `", "` and `": "`, ASCII only, floats as Python prints
//! them. A message that is read and written again is therefore the same text.

use std::io::Write;

use serde_json::{Map, Number, Value};

use crate::exact::unsealed;
use crate::json::{float, is_blank};

/// How many characters of a text are looked at in one step; compilers make a few instructions of it.
const BLOCK: usize = 16;

/// Something that has a form in JSON.
pub(crate) trait Json {
    /// Appends it.
    fn dump(&self, out: &mut Vec<u8>);

    /// Whether it says nothing, so that it gives way to what was kept aside: see [`Fields`].
    fn is_blank(&self) -> bool;
}

/// Returns the bytes of `json.dumps`.
pub(crate) fn dumps(value: &(impl Json + ?Sized)) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    value.dump(&mut out);
    out
}

/// Appends an object of known fields and, behind them, of those kept aside.
pub(crate) fn object(
    out: &mut Vec<u8>,
    other: &Map<String, Value>,
    known: impl FnOnce(&mut Fields<'_>),
) {
    out.push(b'{');
    let other = Some(other).filter(|other| !other.is_empty());
    let mut fields = Fields { out, other, written: Vec::new(), is_first: true };
    known(&mut fields);
    fields.put_others();
    out.push(b'}');
}

/// The fields of an object under way.
///
/// One of the same name that was kept aside takes the place of a known field that says nothing.
pub(crate) struct Fields<'a> {
    out: &'a mut Vec<u8>,
    /// Those kept aside, as long as any are to be written.
    other: Option<&'a Map<String, Value>>,
    /// The known ones, if any were kept aside.
    written: Vec<&'static str>,
    is_first: bool,
}

impl Fields<'_> {
    /// Appends a field. Its name, as that of any known field, has nothing that would have to be escaped.
    pub(crate) fn put(&mut self, name: &'static str, value: &(impl Json + ?Sized)) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\": ");
        let Some(other) = self.other else { return value.dump(self.out) };
        self.written.push(name);
        match other.get(name) {
            Some(kept) if value.is_blank() => kept.dump(self.out),
            _ => value.dump(self.out),
        }
    }

    /// Appends a field unless it is absent.
    pub(crate) fn put_some(&mut self, name: &'static str, value: Option<&(impl Json + ?Sized)>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// Appends a field behind those kept aside; it wins over one of its name.
    pub(crate) fn put_last(&mut self, name: &'static str, value: &(impl Json + ?Sized)) {
        self.written.push(name);
        self.put_others();
        self.put(name, value);
    }

    fn separate(&mut self) {
        if !self.is_first {
            self.out.extend_from_slice(b", ");
        }
        self.is_first = false;
    }

    fn put_others(&mut self) {
        for (name, value) in self.other.take().into_iter().flatten() {
            if !self.written.contains(&name.as_str()) {
                self.separate();
                name.dump(self.out);
                self.out.extend_from_slice(b": ");
                value.dump(self.out);
            }
        }
    }
}

fn list<'v>(out: &mut Vec<u8>, items: impl IntoIterator<Item = &'v (impl Json + 'v)>) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        item.dump(out);
    }
    out.push(b']');
}

fn display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing into memory cannot fail.
    let _ = write!(out, "{value}");
}

impl Json for Value {
    fn dump(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(flag) => flag.dump(out),
            Self::Number(number) => number.dump(out),
            Self::String(text) => text.as_str().dump(out),
            Self::Array(items) => items.as_slice().dump(out),
            Self::Object(map) => map.dump(out),
        }
    }

    fn is_blank(&self) -> bool {
        is_blank(self)
    }
}

impl Json for Map<String, Value> {
    fn dump(&self, out: &mut Vec<u8>) {
        object(out, self, |_| {});
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Json> Json for [T] {
    fn dump(&self, out: &mut Vec<u8>) {
        list(out, self);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Json> Json for Option<T> {
    fn dump(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.dump(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn is_blank(&self) -> bool {
        self.as_ref().is_none_or(Json::is_blank)
    }
}

impl<T: Json + ?Sized> Json for &T {
    fn dump(&self, out: &mut Vec<u8>) {
        (**self).dump(out);
    }

    fn is_blank(&self) -> bool {
        (**self).is_blank()
    }
}

impl Json for Number {
    fn dump(&self, out: &mut Vec<u8>) {
        match self.as_f64().filter(|_| self.is_f64()) {
            Some(number) => out.extend_from_slice(float(number).as_bytes()),
            None => display(out, self),
        }
    }

    fn is_blank(&self) -> bool {
        self.as_f64() == Some(0.0)
    }
}

impl Json for u64 {
    fn dump(&self, out: &mut Vec<u8>) {
        display(out, self);
    }

    fn is_blank(&self) -> bool {
        *self == 0
    }
}

impl Json for bool {
    fn dump(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }

    fn is_blank(&self) -> bool {
        !self
    }
}

impl Json for String {
    fn dump(&self, out: &mut Vec<u8>) {
        self.as_str().dump(out);
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl Json for str {
    fn dump(&self, out: &mut Vec<u8>) {
        if let Some(json) = unsealed(self) {
            return ascii(out, json);
        }
        out.push(b'"');
        let mut rest = self;
        loop {
            // What does not stand for itself begins a character: all bytes of a longer one are outside ASCII.
            let (plain, special) = rest.split_at(plain_len(rest.as_bytes()));
            out.extend_from_slice(plain.as_bytes());
            let mut chars = special.chars();
            let Some(c) = chars.next() else { break };
            escape(out, c);
            rest = chars.as_str();
        }
        out.push(b'"');
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn dumped(value: &(impl Json + ?Sized)) -> String {
        String::from_utf8(dumps(value)).unwrap()
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
                assert_eq!(dumped(text.as_str()), format!("\"{before}{escaped}{after}\""));
            }
        }
    }

    #[test]
    fn a_field_that_says_nothing_gives_way_to_the_one_kept_aside() {
        let other = json!({"text": 5, "none": {}, "z": [1], "number": 7, "absent": "x"});
        let other = other.as_object().unwrap();
        let mut out = Vec::new();
        object(&mut out, other, |fields| {
            fields.put("text", "said");
            fields.put("none", &None::<String>);
            fields.put("number", &0_u64);
            fields.put("own", "");
            fields.put_some("absent", None::<&str>);
        });
        let expected =
            r#"{"text": "said", "none": {}, "number": 7, "own": "", "z": [1], "absent": "x"}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_comes_last_stands_behind_what_was_kept_aside() {
        let check = |other: Value, expected: &str| {
            let mut out = Vec::new();
            object(&mut out, other.as_object().unwrap(), |fields| {
                fields.put("a", "1");
                fields.put_last("id", "");
            });
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(json!({}), r#"{"a": "1", "id": ""}"#);
        check(json!({"x": 2, "id": 7, "a": 3}), r#"{"a": "1", "x": 2, "id": ""}"#);
    }

    proptest! {
        #[test]
        fn texts_are_read_back_and_are_ascii(text in any::<String>()) {
            let written = dumps(text.as_str());
            prop_assert!(written.iter().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
        }
    }
}
