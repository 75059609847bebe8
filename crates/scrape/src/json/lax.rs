//! The reader of what is nearly JSON.

use serde_json::{Map, Number, Value};

use super::{
    Broken,
    counted::{FIELD, ITEM, STRING, growth, strict},
};
use crate::{budget::Budget, text};

/// Prefixes with which sites keep other sites' scripts from reading their JSON.
const GUARDS: [&str; 5] = [")]}',", ")]}'", "for(;;);", "while(1);", "{}&&"];

/// Reads what is nearly JSON.
pub(super) struct Lax<'a> {
    text: &'a str,
    at: usize,
    budget: &'a Budget,
    depth: usize,
    /// The depth of the innermost call's argument; 0 is that of the script itself.
    call: usize,
    /// Whether the next value is a text that holds JSON.
    is_parsed: bool,
    pub(super) repairs: usize,
}

impl<'a> Lax<'a> {
    pub(super) fn new(text: &'a str, budget: &'a Budget) -> Self {
        Self { text, at: 0, budget, depth: 0, call: 0, is_parsed: false, repairs: 0 }
    }

    /// Reads the values of the text; of several, with or without commas between, an array.
    pub(super) fn document(&mut self) -> Result<Value, Broken> {
        self.guard();
        if self.is_parsed { self.parsed() } else { self.values() }
    }

    /// Reads the first value of the text, whatever follows it.
    pub(super) fn first(&mut self) -> Result<Value, Broken> {
        self.guard();
        match self.peek() {
            _ if self.is_parsed => self.parsed(),
            Some(b'{' | b'[') => self.value(),
            Some(_) => Err(invalid()),
            None => Err(Broken::CutOff),
        }
    }

    fn values(&mut self) -> Result<Value, Broken> {
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

    /// Reads the text that stands here as a string.
    fn parsed(&mut self) -> Result<Value, Broken> {
        let text = self.string()?;
        if let Ok(value) = strict(&text, self.budget) {
            return Ok(value);
        }
        self.budget.spent()?;
        let mut inner = Lax::new(&text, self.budget);
        let value = inner.values()?;
        self.repairs += inner.repairs;
        Ok(value)
    }

    /// Takes off what keeps other sites from running it, or what a script does with it.
    fn guard(&mut self) {
        self.space();
        let (at, repairs) = (self.at, self.repairs);
        if self.script().is_some() {
            self.repairs = repairs + 1;
            return;
        }
        (self.at, self.repairs, self.is_parsed) = (at, repairs, false);
        if let Some(guard) = GUARDS.iter().find(|guard| self.rest().starts_with(**guard)) {
            self.at += guard.len();
            self.repairs += 1;
        }
    }

    /// Passes over what a script puts before its data: `var x =`, `window["x"] =`, `callback(`,
    /// `export default`. None where the text begins otherwise.
    fn script(&mut self) -> Option<()> {
        let mut leads = false;
        for _ in 0..MAX_SCRIPT {
            self.space();
            match self.peek()? {
                b'{' | b'[' if leads => return Some(()),
                b'"' | b'\'' if leads && self.is_parsed => return Some(()),
                b'"' | b'\'' => {
                    self.string().ok()?;
                    leads = false;
                }
                b'(' | b'=' | b'|' => {
                    self.at += 1;
                    leads = true;
                }
                b';' | b'!' | b'&' => {
                    self.at += 1;
                    leads = false;
                }
                _ => {
                    let name = self.name()?;
                    self.subscript();
                    leads = matches!(name, "default" | "return");
                    self.is_parsed = name == "JSON.parse";
                }
            }
        }
        None
    }

    /// Passes over `["x"].y` behind a name.
    fn subscript(&mut self) {
        loop {
            let rest = text::cut(self.rest(), MAX_NAME);
            let inner = rest.strip_prefix('[').filter(|inner| inner.starts_with(['"', '\'']));
            let end = inner.and_then(|inner| inner.find(']')).map(|end| end + 2);
            let dot = rest.starts_with('.').then_some(1);
            let Some(length) = end.or(dot) else { return };
            self.at += length;
            self.name();
        }
    }

    /// Takes a name as scripts write it, with its dots.
    fn name(&mut self) -> Option<&'a str> {
        let rest = text::cut(self.rest(), MAX_NAME);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '-');
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let name = &rest[..end];
        let is_name = name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'));
        is_name.then(|| self.at += end)?;
        Some(name)
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
            Some(b'"' | b'\'' | b'`') => self.string().map(Value::String),
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
            let name = self.key()?;
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

    /// Reads a member's name, in quotes or as scripts may write it.
    fn key(&mut self) -> Result<String, Broken> {
        if let Some(b'"' | b'\'' | b'`') = self.peek() {
            return self.string();
        }
        let rest = text::cut(self.rest(), MAX_NAME);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '@');
        let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += name.len();
        if name.is_empty() {
            return Err(invalid());
        }
        self.repairs += 1;
        Ok(name.to_owned())
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
        let quote = self.text.as_bytes()[self.at];
        self.repairs += usize::from(quote != b'"');
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find([quote as char, '\\']).ok_or(Broken::CutOff)?;
            string.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest[..plain].bytes().any(|byte| byte < 0x20) {
                self.repairs += 1;
            }
            if rest.as_bytes()[plain] == b'\\' {
                self.escape(&mut string)?;
            } else if self.ends_string(quote) {
                break;
            } else {
                self.repairs += 1;
                string.push(quote as char);
            }
        }
        self.budget.take(string.len() + STRING)?;
        Ok(string)
    }

    /// Tells whether a quote ends its string: something follows that may follow one.
    fn ends_string(&self, quote: u8) -> bool {
        let rest = self.rest();
        let next = rest.trim_start();
        let is_apart = rest[..rest.len() - next.len()].contains('\n');
        match next.bytes().next() {
            None | Some(b',' | b':' | b'}' | b']') => true,
            // The string is a call's argument, or an operand.
            Some(b')' | b';' | b'&' | b'=') if self.depth == self.call => true,
            // A comma is missing at the end of a line, or a comment follows.
            Some(byte) if byte == quote => is_apart,
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
        let is_part =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_' | '!' | '$');
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += word.len();
        Ok(match word {
            "null" => Value::Null,
            "true" => true.into(),
            "false" => false.into(),
            "NaN" | "Infinity" | "-Infinity" | "undefined" | "None" => self.nothing(),
            "True" | "!0" => self.repaired(true.into()),
            "False" | "!1" => self.repaired(false.into()),
            "new" => {
                self.space();
                let is_call = self.name().is_some() && self.peek() == Some(b'(');
                is_call.then_some(()).ok_or_else(|| self.end_or_invalid())?;
                self.inside(Self::called)?
            }
            "void" => {
                self.space();
                let is_zero = self.eat(b'0');
                is_zero.then(|| self.nothing()).ok_or_else(|| self.end_or_invalid())?
            }
            _ if self.peek() == Some(b'(') && !word.is_empty() => self.inside(Self::called)?,
            _ => {
                let number = number(word).ok_or_else(|| self.end_or_invalid())?;
                self.repairs += usize::from(serde_json::from_str::<Number>(word).is_err());
                number
            }
        })
    }

    /// Reads what a call stands for: its argument, `new Date("2026-11-02")`.
    fn called(&mut self) -> Result<Value, Broken> {
        self.repairs += 1;
        self.space();
        if self.eat(b')') {
            return Ok(Value::Null);
        }
        let before = std::mem::replace(&mut self.call, self.depth);
        let value = self.value()?;
        self.call = before;
        self.space();
        if self.eat(b')') { Ok(value) } else { Err(self.end_or_invalid()) }
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

/// Returns a number as JSON or JavaScript writes it; one out of range is null.
fn number(word: &str) -> Option<Value> {
    if let Ok(number) = serde_json::from_str::<Number>(word) {
        return Some(number.into());
    }
    if let Some(digits) = word.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(Value::from);
    }
    let word = word.strip_suffix('n').unwrap_or(word).replace('_', "");
    let is_letter = |c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E');
    let is_number = word.contains(|c: char| c.is_ascii_digit()) && !word.contains(is_letter);
    let number = word.parse::<f64>().ok().filter(|_| is_number)?;
    Some(Number::from_f64(number).map_or(Value::Null, Value::Number))
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

/// Pieces of a script before its data.
const MAX_SCRIPT: usize = 24;

/// A member's or a variable's name is no longer.
const MAX_NAME: usize = 300;

/// As deep as serde_json reads.
const MAX_DEPTH: usize = 127;
