//! The reader of JSON as Python writes it: in one pass, without recursion, within a budget.
//!
//! It is ours because no crate's reader keeps what Python may write (`NaN`, ints of any size,
//! halves of surrogate pairs), or bounds what it makes of a text. A tree of values takes up to two
//! hundred times the memory of its text, so that memory is counted before it is taken. Where a text
//! is long enough to need too much, all of it is counted before the first value is made.

use std::marker::PhantomData;

use serde_json::Value;

use crate::{
    error::FormatError,
    limits::{BLOCK, Budget, MEMBER, too_deep},
    tree::{NumberKind, Tree},
    value::PyValue,
};

/// The most that a byte of text can need, bytes: a text that is so much shorter than its budget
/// fits.
const MOST: usize = 72;

/// Reads one JSON text, to its end.
pub(crate) fn read<T: Tree>(bytes: &[u8], budget: Budget) -> Result<T::Value, FormatError> {
    Reader::<T>::new(bytes, budget)?.all()
}

/// What the values of a text will need, bytes. It is exact for JSON without blanks and escapes, and
/// no less for any other.
fn needed(text: &str) -> usize {
    let mut bytes = size_of::<Value>();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        bytes += match (first, rest.first()) {
            (b'[', Some(b']')) | (b'{', Some(b'}')) => 0,
            // Its first member; each other one follows a comma.
            (b'[' | b'{', _) => 2 * BLOCK + size_of::<Value>(),
            (b',', _) => size_of::<Value>(),
            (b':', _) => MEMBER,
            (b'"', _) => {
                let length = length(rest);
                rest = rest.get(length + 1..).unwrap_or_default();
                length + BLOCK
            }
            _ => 0,
        };
    }
    bytes
}

/// The length of a text up to its closing quote.
fn length(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let ends = |byte: &u8| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    };
    text.iter().position(ends).unwrap_or(text.len())
}

struct Reader<'a, T> {
    text: &'a str,
    at: usize,
    budget: Budget,
    makes: PhantomData<T>,
}

/// A container that is not closed yet; its members wait on a stack that all share.
enum Open {
    List { from: usize },
    Object { from: usize },
}

/// What was read and is not in its container yet.
struct Waiting<T: Tree> {
    values: Vec<T::Value>,
    keys: Vec<T::Key>,
}

impl<'a, T: Tree> Reader<'a, T> {
    fn new(bytes: &'a [u8], budget: Budget) -> Result<Self, FormatError> {
        let text = std::str::from_utf8(bytes).map_err(|error| FormatError::Malformed {
            format: "JSON",
            at: error.valid_up_to(),
            what: "text is not UTF-8",
        })?;
        Ok(Self { text, at: 0, budget, makes: PhantomData })
    }

    fn all(mut self) -> Result<T::Value, FormatError> {
        if self.text.len().saturating_mul(MOST) > self.budget.limit {
            let mut budget = self.budget;
            budget.bytes(needed(self.text))?;
        }
        let value = self.value()?;
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.wrong("trailing characters")),
        }
    }

    fn value(&mut self) -> Result<T::Value, FormatError> {
        let mut open = Vec::new();
        let mut waiting = Waiting::<T> { values: Vec::new(), keys: Vec::new() };
        loop {
            let Some(mut done) = self.begin(&mut open, &mut waiting)? else { continue };
            loop {
                let Some(container) = open.last() else { return Ok(done) };
                waiting.values.push(done);
                match (self.next_byte(), container) {
                    (Some(b','), Open::List { .. }) => break,
                    (Some(b','), Open::Object { .. }) => {
                        self.key(&mut waiting)?;
                        break;
                    }
                    (Some(b']'), Open::List { from }) => done = waiting.list(*from),
                    (Some(b'}'), Open::Object { from }) => done = waiting.object(*from),
                    _ => return Err(self.wrong("expected `,` or the end of its container")),
                }
                open.pop();
            }
        }
    }

    /// Reads a value without members, or opens a container.
    fn begin(
        &mut self,
        open: &mut Vec<Open>,
        waiting: &mut Waiting<T>,
    ) -> Result<Option<T::Value>, FormatError> {
        let first = self.peek().ok_or_else(|| self.wrong("it ends early"))?;
        if !matches!(first, b'[' | b'{') {
            return self.scalar(first).map(Some);
        }
        self.at += 1;
        self.budget.value(0)?;
        let is_list = first == b'[';
        if self.peek() == Some(if is_list { b']' } else { b'}' }) {
            self.at += 1;
            let none = std::iter::empty();
            return Ok(Some(if is_list { T::list(Vec::new()) } else { T::dict(none) }));
        }
        if open.len() >= self.budget.depth {
            return Err(too_deep(self.budget.depth));
        }
        self.budget.container()?;
        let from = waiting.values.len();
        open.push(if is_list { Open::List { from } } else { Open::Object { from } });
        if !is_list {
            self.key(waiting)?;
        }
        Ok(None)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        self.at += blanks.count();
        self.text.as_bytes().get(self.at).copied()
    }

    fn next_byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn wrong(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { format: "JSON", at: self.at, what }
    }

    /// Reads a key and the colon behind it.
    fn key(&mut self, waiting: &mut Waiting<T>) -> Result<(), FormatError> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong("expected a key"));
        }
        let key = self.string()?;
        self.budget.key(key.len())?;
        let key = T::key(PyValue::Str(key)).ok_or_else(|| self.wrong("expected a key"))?;
        waiting.keys.push(key);
        match self.next_byte() {
            Some(b':') => Ok(()),
            _ => Err(self.wrong("expected `:`")),
        }
    }

    fn scalar(&mut self, first: u8) -> Result<T::Value, FormatError> {
        if first == b'"' {
            let text = self.string()?;
            self.budget.value(text.len())?;
            return Ok(T::leaf(PyValue::Str(text)));
        }
        let token = self.token();
        let value = match token {
            "null" => T::leaf(PyValue::None),
            "true" => T::leaf(PyValue::Bool(true)),
            "false" => T::leaf(PyValue::Bool(false)),
            "NaN" | "Infinity" | "-Infinity" => T::number(token, NumberKind::None)?,
            _ => {
                let kind = NumberKind::of(token).ok_or_else(|| self.wrong("expected a value"))?;
                T::number(token, kind)?
            }
        };
        self.budget.value(T::outside(&value))?;
        self.at += token.len();
        Ok(value)
    }

    /// The bare word or number that begins here.
    fn token(&self) -> &'a str {
        let rest = &self.text[self.at..];
        let inside = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        &rest[..rest.bytes().take_while(inside).count()]
    }

    /// Reads a text; the position is on its opening quote.
    fn string(&mut self) -> Result<String, FormatError> {
        let start = self.at;
        self.at += 1;
        let (mut out, mut is_whole) = (String::new(), true);
        loop {
            let rest = &self.text[self.at..];
            let plain = |byte: &u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
            let length = rest.bytes().take_while(plain).count();
            self.at += length;
            match rest.as_bytes().get(length) {
                Some(b'"') if out.is_empty() => {
                    self.at += 1;
                    return Ok(rest[..length].to_owned());
                }
                Some(b'"') => break out.push_str(&rest[..length]),
                Some(b'\\') => {
                    out.push_str(&rest[..length]);
                    is_whole &= self.escape(&mut out)?;
                }
                Some(_) => return Err(self.wrong("a control character in a text")),
                None => return Err(self.wrong("it ends early")),
            }
        }
        self.at += 1;
        if is_whole {
            return Ok(out);
        }
        let halved = T::halved(out, &self.text[start..self.at]);
        halved.ok_or_else(|| self.wrong("a lone surrogate in a text"))
    }

    /// Reads what stands behind a backslash; false when it is half of a surrogate pair.
    fn escape(&mut self, out: &mut String) -> Result<bool, FormatError> {
        let code = self.text.as_bytes().get(self.at + 1).copied();
        let short = match code.ok_or_else(|| self.wrong("it ends early"))? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(out),
            _ => return Err(self.wrong("an unknown escape")),
        };
        self.at += 2;
        out.push(short);
        Ok(true)
    }

    fn code_point(&mut self, out: &mut String) -> Result<bool, FormatError> {
        let first = self.unit(self.at).ok_or_else(|| self.wrong("an unknown escape"))?;
        self.at += 6;
        let units = match (first, self.unit(self.at)) {
            (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => {
                self.at += 6;
                vec![first, second]
            }
            _ => vec![first],
        };
        let c = char::decode_utf16(units).next().and_then(Result::ok);
        out.push(c.unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(c.is_some())
    }

    /// The `\uXXXX` that begins at `at`.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..at + 6)?.strip_prefix("\\u")?;
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    }
}

impl<T: Tree> Waiting<T> {
    /// Takes the values from there on, with no more memory than they need.
    fn list(&mut self, from: usize) -> T::Value {
        if from > 0 {
            return T::list(self.values.split_off(from));
        }
        let mut all = std::mem::take(&mut self.values);
        all.shrink_to_fit();
        T::list(all)
    }

    fn object(&mut self, from: usize) -> T::Value {
        let n = self.values.len() - from;
        let keys = self.keys.drain(self.keys.len() - n..);
        T::dict(keys.zip(self.values.drain(from..)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        exact::{DEPTH, read, read_lossy, read_message},
        tree::Json,
    };

    #[test]
    fn reads_what_python_writes() {
        let check = |text: &str, expected: Value| {
            assert_eq!(read_lossy(text.as_bytes()).unwrap(), expected, "{text}");
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
        check("[true, false, null, -0.5, -0]", json!([true, false, null, -0.5, 0]));
        check(
            r#" { "a" : [ ] , "b" : { } , "a" : "\/\b\f\n\r\t" } "#,
            json!({"a": "/\u{8}\u{c}\n\r\t", "b": {}}),
        );
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
            "1.",
            ".5",
            "\"\\u12\u{e9}4\"",
            "\"\\u+123\"",
            "[1,]",
            "{\"a\":1,}",
            "{1:2}",
            "[1 2]",
            "[1}",
            "\"\n\"",
            "1e",
            "-",
            "+1",
            "{\"a\"}",
            "\"\\x\"",
            "]",
            "[]]",
            "é",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(read(b"\"\xff\"").is_err());
    }

    /// On the stack of a worker's thread: what is done with such a tree recurses.
    #[test]
    fn what_python_reads_is_not_too_deep_and_what_is_deeper_is_an_error() {
        let deep = |n: usize| {
            format!("{}{}", "[{\"a\":".repeat(n / 2), "1".to_owned() + &"}]".repeat(n / 2))
        };
        let on_a_thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
            let value = read(deep(DEPTH).as_bytes()).unwrap();
            let copy = crate::exact::open(value.clone());
            assert_eq!(value, copy);
            assert_eq!(crate::exact::json(&copy).len(), deep(DEPTH).len() + DEPTH / 2);
        });
        on_a_thread.unwrap().join().unwrap();
        let error = read("[".repeat(DEPTH + 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("1000 nested levels"), "{error}");
        assert!(read("[".repeat(1_000_000).as_bytes()).is_err());
        assert!(read("{\"a\":".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn memory_is_counted_before_it_is_taken() {
        let many = |one: &str, n: usize| format!("[{}]", vec![one; n].join(","));
        for one in [r#"{"a":1}"#, "[0]", "{}", "0", r#"{"":{"":""}}"#] {
            let error = read(many(one, 1_000_000).as_bytes()).unwrap_err();
            assert!(error.to_string().contains("unpacked bytes"), "{error}");
        }
        let headers = format!(r#"{{"headers":{},"body":""}}"#, many(r#"{"a":1}"#, 100_000));
        assert!(read_message(headers.as_bytes()).is_err());
        let body = format!(r#"{{"headers":{{"task":"t"}},"body":"{}"}}"#, "x".repeat(8 << 20));
        assert!(read_message(body.as_bytes()).is_ok());
        let keys: Vec<String> = (0..700_000).map(|n| format!("\"k{n}\":0")).collect();
        assert!(read(format!("{{{}}}", keys.join(",")).as_bytes()).is_err());
        assert!(read(many("123456", 800_000).as_bytes()).is_ok());
        assert!(
            read(many(r#"{"id": 1, "name": "a name of somebody"}"#, 100_000).as_bytes()).is_ok()
        );
    }

    #[test]
    fn what_is_needed_is_known_before_anything_is_made() {
        let spent = |text: &str| {
            let budget = Budget::of_json(text.len(), DEPTH);
            let mut reader = Reader::<Json<true>>::new(text.as_bytes(), budget).unwrap();
            reader.value().unwrap();
            reader.budget.spent()
        };
        for text in [
            "1",
            "[]",
            r#"{"a":[1,{"b":{},"ccc":[[]]},"text"],"d":null}"#,
            r#"[["x",1.5,true,{"a":"b"}]]"#,
        ] {
            assert_eq!(needed(text), spent(text), "{text}");
        }
        for text in [r#"["a\"b\\", " ,[{:"]"#, "[ ]", r#"{ "\u00e9" : [ 1 , 2 ] }"#, r#"["",""]"#] {
            assert!(needed(text) >= spent(text), "{text}");
        }
        for dense in
            ["0,", "[],", "\"\",", "[0],", "[[[[[[[[[0]]]]]]]]],", r#"{"":0},"#, r#"{"":""},"#]
        {
            let text = format!("[{}0]", dense.repeat(1_000));
            assert!(needed(&text) < text.len() * MOST, "{dense}: {}", needed(&text) / text.len());
        }
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}",:0-9a-z\\ .eE+-]{0,20}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text) {
                let read = read_lossy(text.as_bytes()).unwrap();
                prop_assert_eq!(&read, &read_lossy(value.to_string().as_bytes()).unwrap());
            }
        }

        #[test]
        fn nothing_panics(text in any::<String>(), bytes in any::<Vec<u8>>()) {
            let _ = read(text.as_bytes());
            let _ = read(&bytes);
        }
    }
}
