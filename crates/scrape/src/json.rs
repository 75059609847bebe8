//! JSON as it is found: strictly where it is JSON, and as browsers and careful readers take it
//! where it is not.
//!
//! The strict reader is first; only what it refuses is read again, in one pass, and what had to be
//! repaired is counted. The tolerant reader takes comments (`//`, `/* */`, `<!-- -->`), CDATA
//! marks, commas too many or missing between members, line breaks and control characters in
//! strings, escapes that JSON does not have, half surrogate pairs (as U+FFFD), `NaN`, `undefined`
//! and numbers out of range (as null), several values in a row (as an array), what stands after
//! the value, and closing brackets that are missing at the end. A string or a name that is cut off
//! is none of these.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{
    budget::{Budget, TooMuch},
    text,
};

/// As deep as serde_json reads.
const MAX_DEPTH: usize = 127;

/// Prefixes with which sites keep other sites' scripts from reading their JSON.
const GUARDS: [&str; 5] = [")]}',", ")]}'", "for(;;);", "while(1);", "{}&&"];

/// A value, and how often its text broke the rules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) repairs: usize,
}

/// Why no value can be had from a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// It ends inside a string or a member.
    #[error("it is cut off")]
    CutOff,
    /// It is not JSON.
    #[error("{0}")]
    Invalid(String),
    /// Reading it takes too much.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// Reads a text, repairing what it must.
///
/// # Errors
/// It cannot be repaired, or the budget is used up.
pub(crate) fn read(text: &str, budget: &Budget) -> Result<Read, Broken> {
    let strict = match strict(text, budget) {
        Ok(value) => return Ok(Read { value, repairs: 0 }),
        Err(error) => error,
    };
    budget.spent()?;
    let mut lax = Lax::new(text, budget);
    match lax.document() {
        Ok(value) => Ok(Read { value, repairs: lax.repairs.max(1) }),
        Err(Broken::Invalid(_)) => Err(Broken::Invalid(strict.to_string())),
        Err(other) => Err(other),
    }
}

/// As [`read`], for a block of a page: one whose quotes are escaped is unescaped first.
///
/// # Errors
/// As for [`read`].
pub(crate) fn read_block(block: &str, budget: &Budget) -> Result<Read, Broken> {
    let first = read(block, budget);
    if first.is_ok() || !block.contains("&quot;") && !block.contains("&#34;") {
        return first;
    }
    budget.take(block.len())?;
    let unescaped = text::unescape(block);
    let second = read(&unescaped, budget)?;
    Ok(Read { repairs: second.repairs + 1, ..second })
}

/// Reads JSON within a budget: a few bytes of it become an object of hundreds.
pub(crate) fn strict(text: &str, budget: &Budget) -> Result<Value, serde_json::Error> {
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

/// Reads what is nearly JSON.
struct Lax<'a> {
    text: &'a str,
    at: usize,
    budget: &'a Budget,
    depth: usize,
    repairs: usize,
}

impl<'a> Lax<'a> {
    fn new(text: &'a str, budget: &'a Budget) -> Self {
        Self { text, at: 0, budget, depth: 0, repairs: 0 }
    }

    /// Reads the values of the text; of several, with or without commas between, an array.
    fn document(&mut self) -> Result<Value, Broken> {
        self.guard();
        let mut values = Vec::new();
        loop {
            self.space();
            while values.last().is_some() && self.eat(b',') {
                self.space();
            }
            if !matches!(self.peek(), Some(b'{' | b'[')) {
                break;
            }
            self.budget.take(growth(values.len(), ITEM))?;
            match self.value() {
                Ok(value) => values.push(value),
                // What cannot be read behind a value is garbage behind it.
                Err(error) if values.is_empty() || self.budget.spent().is_err() => {
                    return Err(error);
                }
                Err(_) => break,
            }
        }
        let is_single = values.len() == 1;
        let single = is_single.then(|| values.pop()).flatten();
        match single {
            Some(value) => Ok(value),
            None if values.is_empty() => Err(invalid()),
            None => Ok(Value::Array(values)),
        }
    }

    /// Takes off what keeps other sites from running it.
    fn guard(&mut self) {
        self.space();
        if let Some(guard) = GUARDS.iter().find(|guard| self.rest().starts_with(**guard)) {
            self.at += guard.len();
            self.repairs += 1;
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes over white space, comments and the marks around some blocks.
    fn space(&mut self) {
        loop {
            let rest = self.rest();
            let text = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - text.len();
            let Some(length) = comment(text).filter(|_| self.budget.step().is_ok()) else { return };
            self.at += length;
            self.repairs += 1;
        }
    }

    fn value(&mut self) -> Result<Value, Broken> {
        self.budget.step()?;
        self.space();
        match self.peek() {
            Some(b'{') => self.inside(Self::object),
            Some(b'[') => self.inside(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(_) => self.word(),
            None => Err(Broken::CutOff),
        }
    }

    fn inside(&mut self, read: fn(&mut Self) -> Result<Value, Broken>) -> Result<Value, Broken> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(invalid());
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Broken> {
        let mut object = Map::new();
        let mut is_whole = false;
        while self.goes_on(b'}', object.is_empty(), is_whole)? {
            if self.peek() != Some(b'"') {
                return Err(invalid());
            }
            let name = self.string()?;
            self.space();
            if !self.eat(b':') {
                return Err(self.end_or_invalid());
            }
            self.space();
            let value = match self.peek() {
                Some(b',' | b'}') => self.nothing(),
                _ => self.value()?,
            };
            // A number may be cut off and look whole.
            is_whole = !value.is_number();
            self.budget.take(growth(object.len(), FIELD) + name.len() + STRING)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }

    fn array(&mut self) -> Result<Value, Broken> {
        let mut array = Vec::new();
        while self.goes_on(b']', array.is_empty(), false)? {
            let value = self.value()?;
            self.budget.take(growth(array.len(), ITEM))?;
            array.push(value);
        }
        Ok(Value::Array(array))
    }

    /// Passes over commas; tells whether another member follows, or takes the closing bracket.
    ///
    /// `is_whole` permits the outermost bracket to be missing at the end of the text.
    fn goes_on(&mut self, close: u8, is_first: bool, is_whole: bool) -> Result<bool, Broken> {
        self.space();
        let mut commas = 0;
        while self.eat(b',') {
            commas += 1;
            self.space();
        }
        let is_closed = self.eat(close);
        let is_ended = self.peek().is_none() && !is_closed;
        let right = match (is_closed, is_first) {
            (true, _) | (_, true) => 0,
            _ => 1,
        };
        self.repairs += usize::from(commas != right || is_ended);
        match is_ended {
            true if self.depth == 1 && is_whole && commas == 0 => Ok(false),
            true => Err(Broken::CutOff),
            false => Ok(!is_closed),
        }
    }

    fn string(&mut self) -> Result<String, Broken> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(['"', '\\']).ok_or(Broken::CutOff)?;
            string.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest[..plain].bytes().any(|byte| byte < 0x20) {
                self.repairs += 1;
            }
            if rest.as_bytes()[plain] == b'\\' {
                self.escape(&mut string)?;
            } else if self.ends_string() {
                break;
            } else {
                self.repairs += 1;
                string.push('"');
            }
        }
        self.budget.take(string.len() + STRING)?;
        Ok(string)
    }

    /// Tells whether a quote ends its string: something follows that may follow one.
    fn ends_string(&self) -> bool {
        let rest = self.rest();
        let next = rest.trim_start();
        let is_apart = rest[..rest.len() - next.len()].contains('\n');
        match next.bytes().next() {
            None | Some(b',' | b':' | b'}' | b']') => true,
            // A comma is missing at the end of a line, or a comment follows.
            Some(b'"') => is_apart,
            Some(_) => COMMENTS.iter().any(|mark| next.starts_with(mark)),
        }
    }

    fn escape(&mut self, string: &mut String) -> Result<(), Broken> {
        let escaped = self.rest().chars().next().ok_or(Broken::CutOff)?;
        self.at += escaped.len_utf8();
        let character = match escaped {
            '"' | '\\' | '/' => escaped,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode(),
            '\n' => {
                self.repairs += 1;
                return Ok(());
            }
            other => {
                self.repairs += 1;
                other
            }
        };
        string.push(character);
        Ok(())
    }

    /// Reads what follows `\u`; half of a pair, and what is no number, is U+FFFD.
    fn unicode(&mut self) -> char {
        let first = self.hex();
        let pair = first.filter(|unit| (0xD800..0xDC00).contains(unit)).and_then(|high| {
            let low = self.rest().strip_prefix("\\u").and_then(hex)?;
            (0xDC00..0xE000).contains(&low).then_some((high, low))
        });
        let code = match pair {
            Some((high, low)) => {
                self.at += 6;
                Some(0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00))
            }
            None => first,
        };
        code.and_then(char::from_u32).unwrap_or_else(|| {
            self.repairs += 1;
            char::REPLACEMENT_CHARACTER
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let code = hex(self.rest())?;
        self.at += 4;
        Some(code)
    }

    /// Reads a number or a literal, JSON's or JavaScript's.
    fn word(&mut self) -> Result<Value, Broken> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_');
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += word.len();
        Ok(match word {
            "null" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            "NaN" | "Infinity" | "-Infinity" | "undefined" | "None" => self.nothing(),
            "True" => self.repaired(true.into()),
            "False" => self.repaired(false.into()),
            _ => match serde_json::from_str::<Number>(word) {
                Ok(number) => number.into(),
                Err(_) => {
                    let is_number = word.contains(|c: char| c.is_ascii_digit())
                        && !word
                            .contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E'));
                    let number = word.parse::<f64>().ok().filter(|_| is_number);
                    let number = number.ok_or_else(|| self.end_or_invalid())?;
                    self.repaired(Number::from_f64(number).map_or(Value::Null, Value::Number))
                }
            },
        })
    }

    fn nothing(&mut self) -> Value {
        self.repaired(Value::Null)
    }

    fn repaired(&mut self, value: Value) -> Value {
        self.repairs += 1;
        value
    }

    fn end_or_invalid(&self) -> Broken {
        if self.rest().is_empty() { Broken::CutOff } else { invalid() }
    }
}

/// The reason comes from the strict reader.
fn invalid() -> Broken {
    Broken::Invalid(String::new())
}

fn hex(text: &str) -> Option<u32> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// What may stand between members.
const COMMENTS: [&str; 4] = ["//", "/*", "<!--", "-->"];

/// As far as the end of a comment of HTML's is looked for.
const MAX_HTML_COMMENT: usize = 200;

/// Returns the length of the comment, or of the mark around a block, that the text begins with.
fn comment(text: &str) -> Option<usize> {
    const MARKS: [&str; 4] = ["<![CDATA[", "]]>", "<!--", "-->"];
    if let Some(body) = text.strip_prefix("/*") {
        // One without an end takes everything, so that none is looked for twice.
        return Some(body.find("*/").map_or(text.len(), |end| end + 4));
    }
    if text.starts_with("*/") {
        return Some(2);
    }
    if let Some(line) = text.strip_prefix("//") {
        let said = line.trim_start_matches([' ', '\t']);
        let is_mark = MARKS.iter().any(|mark| said.starts_with(mark));
        return Some(2 + if is_mark { 0 } else { line.find('\n').unwrap_or(line.len()) });
    }
    let mark = MARKS.iter().find(|mark| text.starts_with(**mark))?;
    let body = text::cut(&text[mark.len()..], MAX_HTML_COMMENT);
    let end = body.find("-->").filter(|end| !body[..*end].contains(['{', '[']));
    Some(match end {
        Some(end) if *mark == "<!--" => mark.len() + end + 3,
        _ => mark.len(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn lax(text: &str) -> Result<Value, Broken> {
        Lax::new(text, &Budget::unlimited()).document()
    }

    proptest! {
        #[test]
        fn json_is_read_as_serde_json_reads_it(text in "[\\[\\]{}:,\"a0-9.eE\\\\u -]{0,40}") {
            let ours = strict(&text, &Budget::unlimited()).ok();
            prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).ok());
        }

        #[test]
        fn the_tolerant_reader_reads_json_as_it_is(
            keys in proptest::collection::vec(".{0,6}", 0..6),
            texts in proptest::collection::vec(any::<String>(), 0..6),
            numbers in proptest::collection::vec(any::<f64>(), 0..4),
        ) {
            let members: Map<String, Value> =
                keys.into_iter().zip(texts.iter().cloned()).map(|(k, t)| (k, t.into())).collect();
            let value = json!({"members": members, "texts": texts, "numbers": numbers, "e": [{}, []]});
            for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let budget = Budget::unlimited();
                let mut reader = Lax::new(&text, &budget);
                prop_assert_eq!(reader.document().unwrap(), serde_json::from_str::<Value>(&text).unwrap());
                prop_assert_eq!(reader.repairs, 0);
            }
        }

        #[test]
        fn anything_is_read_or_refused(text in "(?s)[\\[\\]{}:,\"\\\\/*<!>\\-untrefalsN0-9.eE \n]{0,60}") {
            let _ = read(&text, &Budget::unlimited());
            let _ = lax(&text);
        }
    }

    #[test]
    fn json_of_each_kind_is_read_as_serde_json_reads_it() {
        for text in [
            r#"{"a": [1, -2, 3.5, 1e400, 18446744073709551615, null, true, "é\u00e9\n"], "a": {}, "b": []}"#,
            "1e-400",
            "99999999999999999999999",
        ] {
            let ours = strict(text, &Budget::unlimited()).ok();
            assert_eq!(ours, serde_json::from_str::<Value>(text).ok(), "{text}");
        }
    }

    #[test]
    fn common_slips_are_repaired_and_counted() {
        let check = |text: &str, expect: Value| {
            let got = read(text, &Budget::unlimited()).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(got.value, expect, "{text}");
            assert!(got.repairs > 0, "{text}");
        };
        let a = || json!({"a": "x"});
        check(r#"{"a":"x",}"#, a());
        check(r#"{"a":"x",,}"#, a());
        check(r#"{,"a":"x"}"#, a());
        check(r#"{"a":["x",],}"#, json!({"a": ["x"]}));
        check("{\"a\":\"x\"\n\"b\":1}", json!({"a": "x", "b": 1}));
        check("// one\n{\"a\": /* two */ \"x\" // three\n}", a());
        check(r#"<!-- {"a":"x"} -->"#, a());
        check(r#"<!-- said --> {"a":"x"}"#, a());
        check("//<![CDATA[\n{\"a\":\"x\"}\n//]]>", a());
        check(r#"// <![CDATA[ {"a":"x"} // ]]>"#, a());
        check(r#"/*<![CDATA[*/{"a":"x"}/*]]>*/"#, a());
        check("\u{feff}{\"a\":\"x\"};", a());
        check(r#"{"a":"x"}}"#, a());
        check(r#"{"a":"x"} </script"#, a());
        check(r#"{"a":"x"} {"b": broken"#, a());
        check(r#"{"a":"x""#, a());
        check(r#"{"a":["x"]"#, json!({"a": ["x"]}));
        check(r#"{"a":"x"}{"a":"y"}"#, json!([{"a": "x"}, {"a": "y"}]));
        check("{\"a\":\"x\"},\n{\"a\":\"y\"},", json!([{"a": "x"}, {"a": "y"}]));
        check(")]}',\n{\"a\":\"x\"}", a());
        check("for(;;);{\"a\":\"x\"}", a());
        check(
            r#"{"a":NaN,"b":-Infinity,"c":undefined,"d":1e999}"#,
            json!({"a": null, "b": null, "c": null, "d": null}),
        );
        check(r#"{"a":,"b":+5,"c":.5,"d":007}"#, json!({"a": null, "b": 5.0, "c": 0.5, "d": 7.0}));
    }

    #[test]
    fn strings_are_repaired() {
        let check = |text: &str, expect: &str| {
            let got = read(&format!("[\"{text}\"]"), &Budget::unlimited());
            assert_eq!(
                got.unwrap_or_else(|e| panic!("{text}: {e}")).value,
                json!([expect]),
                "{text}"
            );
        };
        check("a\n\tb\u{1}", "a\n\tb\u{1}");
        check("\\ud83d", "\u{fffd}");
        check("\\ude00 \\ud83d\\ud83d\\ude00", "\u{fffd} \u{fffd}😀");
        check("\\ud83dx\\u12", "\u{fffd}x\u{fffd}12");
        check("c\\_d\\'e", "c_d'e");
        check("a\\\nb", "ab");
        check("the \"best\" cook", "the \"best\" cook");
    }

    #[test]
    fn what_is_cut_off_or_no_json_is_none() {
        let cut = |text: &str| {
            assert_eq!(read(text, &Budget::unlimited()), Err(Broken::CutOff), "{text}")
        };
        cut(r#"{"jobs":[{"id":1"#);
        cut(r#"{"jobs":[{"id":1}"#);
        cut(r#"{"jobs":[{"id":1},"#);
        cut(r#"[{"id":"1"}"#);
        cut(r#"{"a":1"#);
        cut(r#"{"a":"#);
        cut(r#"{"a":"x"#);
        cut(r#"{"a""#);
        cut(r#"{"a" 1}"#);
        cut("{");
        let invalid = |text: &str| {
            let got = read(text, &Budget::unlimited());
            assert!(matches!(got, Err(Broken::Invalid(_))), "{text}: {got:?}");
        };
        invalid("Not found");
        invalid("{]");
        invalid("{a:1}");
        invalid("[}");
        invalid("<p>");
        invalid(&"[".repeat(100_000));
        invalid(&"{\"a\":".repeat(100_000));
    }

    #[test]
    fn a_block_that_was_escaped_as_a_whole_is_read() {
        let read = |text: &str| read_block(text, &Budget::unlimited()).unwrap();
        assert_eq!(
            read("{&quot;a&quot;:&quot;R&amp;amp;D \\&quot;x\\&quot;&quot;}").value,
            json!({"a": "R&amp;D \"x\""})
        );
        let whole = read(r#"{"a":"&quot;x&quot;"}"#);
        assert_eq!((whole.value, whole.repairs), (json!({"a": "&quot;x&quot;"}), 0));
    }
}
