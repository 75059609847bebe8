//! The reader.

use crate::{
    bigint::{Integer, MAX_DIGITS},
    codec::check_depth,
    format::FormatError,
    value::PyValue,
};

/// The most values that one text may hold.
const MAX_ELEMENTS: usize = 1_000_000;

/// Reads one JSON text, to its end, as Python's `json.loads` does.
///
/// # Errors
/// `TooLarge` beyond the caps on depth, number of values and digits of an int; `Malformed` for all else, also for text
/// with a lone surrogate, which Python takes and Rust cannot hold.
pub(crate) fn read(bytes: &[u8]) -> Result<PyValue, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|error| FormatError::Malformed {
        format: "JSON",
        at: error.valid_up_to(),
        what: "text is not UTF-8",
    })?;
    let mut reader = Reader { text, at: 0, elements: 0 };
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.error("more text after the value"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    elements: usize,
}

impl<'a> Reader<'a> {
    fn error(&self, what: &'static str) -> FormatError {
        FormatError::Malformed { format: "JSON", at: self.at, what }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn space(&mut self) {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.rest().iter().take_while(blank).count();
    }

    /// Takes this byte, if it is the next one behind white space.
    fn takes(&mut self, byte: u8) -> bool {
        self.space();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn value(&mut self, depth: usize) -> Result<PyValue, FormatError> {
        check_depth(depth)?;
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(FormatError::TooLarge { limit: MAX_ELEMENTS, of: "elements" });
        }
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(PyValue::Str),
            Some(b'[') => self.list(depth),
            Some(b'{') => self.dict(depth),
            Some(b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') => self.word(),
            Some(_) => Err(self.error("no value")),
            None => Err(self.error("it ends early")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<PyValue, FormatError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(PyValue::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.takes(b']') {
                return Ok(PyValue::List(items));
            }
            if !self.takes(b',') {
                return Err(self.error("neither a comma nor the list's end"));
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<PyValue, FormatError> {
        self.at += 1;
        let mut pairs = Vec::new();
        if self.takes(b'}') {
            return Ok(PyValue::Dict(pairs));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("no key"));
            }
            let key = PyValue::Str(self.string()?);
            if !self.takes(b':') {
                return Err(self.error("no colon"));
            }
            pairs.push((key, self.value(depth + 1)?));
            if self.takes(b'}') {
                return Ok(PyValue::Dict(pairs));
            }
            if !self.takes(b',') {
                return Err(self.error("neither a comma nor the dict's end"));
            }
        }
    }

    /// Takes a number or one of the names.
    fn word(&mut self) -> Result<PyValue, FormatError> {
        let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let len = self.rest().iter().take_while(part).count();
        let word = self.text.get(self.at..self.at + len).unwrap_or_default();
        let value = match word {
            "null" => PyValue::None,
            "true" => PyValue::Bool(true),
            "false" => PyValue::Bool(false),
            "NaN" => PyValue::Float(f64::NAN),
            "Infinity" => PyValue::Float(f64::INFINITY),
            "-Infinity" => PyValue::Float(f64::NEG_INFINITY),
            number => self.number(number)?,
        };
        self.at += len;
        Ok(value)
    }

    fn number(&self, word: &str) -> Result<PyValue, FormatError> {
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let unsigned = word.strip_prefix('-').unwrap_or(word);
        let whole = digits(unsigned);
        if whole == 0 || (whole > 1 && unsigned.starts_with('0')) {
            return Err(self.error("no number"));
        }
        let after = &unsigned[whole..];
        if after.is_empty() {
            let too_large = FormatError::TooLarge { limit: MAX_DIGITS, of: "digits" };
            return Integer::parse(word).map(PyValue::from).ok_or(too_large);
        }
        let exponent = match after.strip_prefix('.') {
            Some(fraction) if digits(fraction) > 0 => &fraction[digits(fraction)..],
            Some(_) => return Err(self.error("no number")),
            None => after,
        };
        if let Some(signed) = exponent.strip_prefix(['e', 'E']) {
            let power = signed.strip_prefix(['-', '+']).unwrap_or(signed);
            if power.is_empty() || digits(power) < power.len() {
                return Err(self.error("no number"));
            }
        } else if !exponent.is_empty() {
            return Err(self.error("no number"));
        }
        word.parse().map(PyValue::Float).map_err(|_| self.error("no number"))
    }

    fn string(&mut self) -> Result<String, FormatError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = |byte: &&u8| !matches!(byte, b'"' | b'\\' | 0..=0x1f);
            let len = self.rest().iter().take_while(plain).count();
            text.push_str(self.text.get(self.at..self.at + len).unwrap_or_default());
            self.at += len;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => return Err(self.error("a control character in text")),
                None => return Err(self.error("it ends early")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, FormatError> {
        let code = self.rest().get(1).copied();
        self.at += 2;
        Ok(match code {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.escaped_unicode(),
            _ => return Err(self.error("a broken escape in text")),
        })
    }

    fn escaped_unicode(&mut self) -> Result<char, FormatError> {
        let first = self.four_digits()?;
        let is_high = (0xd800..0xdc00).contains(&first);
        if is_high && self.rest().starts_with(b"\\u") {
            self.at += 2;
            let second = self.four_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                let joined = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(joined).ok_or_else(|| self.error("a broken escape in text"));
            }
        }
        char::from_u32(first).ok_or_else(|| self.error("a lone surrogate in text"))
    }

    fn four_digits(&mut self) -> Result<u32, FormatError> {
        let digits = self.rest().get(..4).ok_or_else(|| self.error("it ends early"))?;
        let code = digits
            .iter()
            .try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?));
        let code = code.ok_or_else(|| self.error("a broken escape in text"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        read(text.as_bytes()).map_or_else(|error| error.to_string(), |value| format!("{value:?}"))
    }

    #[test]
    fn what_json_loads_takes_is_read() {
        assert_eq!(shown(" [1, -2.5e3, 0] \n"), "List([Int(1), Float(-2500.0), Int(0)])");
        assert_eq!(
            shown("[NaN,Infinity,-Infinity]"),
            "List([Float(NaN), Float(inf), Float(-inf)])"
        );
        assert_eq!(shown("18446744073709551616"), "BigInt(BigInt(\"18446744073709551616\"))");
        assert_eq!(shown(r#""\ud83d\ude00\u00fc\/\n""#), "Str(\"😀ü/\\n\")");
        assert_eq!(shown("{}"), "Dict([])");
        assert_eq!(
            shown(r#"{"a":{"b":[]}}"#),
            r#"Dict([(Str("a"), Dict([(Str("b"), List([]))]))])"#
        );
    }

    #[test]
    fn what_json_loads_refuses_is_refused() {
        for text in [
            "",
            " ",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "--1",
            "nul",
            "nan",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{1:2}",
            "{\"a\":1,}",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "1 2",
            "\u{feff}1",
            "'a'",
            "[",
            "{",
            "\"",
            "-",
            "1x",
            "\"\\",
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(matches!(error, FormatError::Malformed { .. }), "{text}: {error}");
        }
        assert!(matches!(read(b"\"\xff\""), Err(FormatError::Malformed { at: 1, .. })));
    }

    #[test]
    fn nesting_and_numbers_are_bounded() {
        let too_large = |bytes: &[u8]| matches!(read(bytes), Err(FormatError::TooLarge { .. }));
        assert!(too_large(&vec![b'['; 100_000]));
        assert!(too_large(&vec![b'9'; MAX_DIGITS + 1]));
        assert!(too_large(format!("[{}0]", "0,".repeat(MAX_ELEMENTS)).as_bytes()));
    }
}
