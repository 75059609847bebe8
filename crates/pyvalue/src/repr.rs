//! JSON values as Python prints them.
//!
//! Two forms exist. [`repr`] is Python's own, used where an exception is shown. [`brief`] is the
//! shortened one of `celery.utils.saferepr`, which fills the headers `argsrepr` and `kwargsrepr`
//! that `celery inspect`, events and Flower show.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::{exact::lossy, json::dump::float, seal::unsealed};

/// Celery's limit for `argsrepr` and for `kwargsrepr`, in characters.
const BRIEF: usize = 1024;

/// The longest sealed value that is turned into Python's form, bytes.
const LONG: usize = 16 * 1024;

/// Containers nested deeper than this are printed as `[...]` or `{...}`.
const LEVELS: usize = 3;

/// Python's `repr` of a JSON value.
pub fn repr(value: &Value) -> String {
    match value {
        Value::String(text) => match unsealed(text) {
            Some(json) => python(json),
            None => quoted(text),
        },
        Value::Array(items) => format!("[{}]", joined(items)),
        Value::Object(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", repr(&json!(key)), repr(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        scalar => plain(scalar),
    }
}

/// The items' [`repr`] with commas between.
pub fn joined(items: &[Value]) -> String {
    items.iter().map(repr).collect::<Vec<_>>().join(", ")
}

/// Positional arguments in Celery's shortened form: a tuple, `('rust', 2)`.
pub fn brief_args(args: &[Value]) -> String {
    let close = if args.len() == 1 { ",)" } else { ")" };
    let mut printer = Printer::new();
    printer.sequence("(", args, close);
    printer.out
}

/// Keyword arguments in Celery's shortened form: a dict, `{'location': 'Berlin'}`.
pub fn brief_kwargs(kwargs: &Map<String, Value>) -> String {
    let mut printer = Printer::new();
    printer.mapping(kwargs);
    printer.out
}

/// Any value in Celery's shortened form, as events show results.
pub fn brief(value: &Value) -> String {
    let mut printer = Printer::new();
    printer.value(value);
    printer.out
}

/// A sealed value, of which a text has lost its halves of surrogate pairs.
fn python(json: &str) -> String {
    match json {
        "NaN" => "nan".to_owned(),
        "Infinity" => "inf".to_owned(),
        "-Infinity" => "-inf".to_owned(),
        // A long one is shown as JSON, of which its reader sees the beginning.
        json if json.len() > LONG => json[..json.floor_char_boundary(LONG)].to_owned(),
        json => match lossy(json) {
            Value::String(text) if json.starts_with('"') => quoted(&text),
            Value::String(number) => number,
            value => repr(&value),
        },
    }
}

fn plain(scalar: &Value) -> String {
    match scalar {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => float(value),
            _ => number.to_string(),
        },
        _ => "None".to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => out.push_str(&escape(u32::from(c))),
        }
    }
    out.push(quote);
    out
}

fn escape(code: u32) -> String {
    match code {
        0..=0xff => format!("\\x{code:02x}"),
        0x100..=0xffff => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    }
}

/// Whether Python's `str.isprintable` holds.
///
/// Rust's debug form escapes the same categories (Cc, Cf, Cs, Co, Cn, Zl, Zp, Zs but the space).
/// The letter before keeps it from escaping combining marks too, which Python prints.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let text: String = ['a', c].into_iter().collect();
    text.escape_debug().nth(1) == Some(c)
}

/// `celery.utils.saferepr` (5.7.0): a budget of characters, then `, ...` and the brackets still
/// open.
struct Printer {
    out: String,
    left: usize,
    level: usize,
    stopped: bool,
}

impl Printer {
    fn new() -> Self {
        Self { out: String::with_capacity(32), left: BRIEF, level: 0, stopped: false }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Array(_) if self.level >= LEVELS => self.token("[...]"),
            Value::Object(_) if self.level >= LEVELS => self.token("{...}"),
            Value::Array(items) => self.sequence("[", items, "]"),
            Value::Object(map) => self.mapping(map),
            Value::String(text) => self.text(text),
            scalar => self.token(&self.cut(&plain(scalar))),
        }
    }

    fn sequence(&mut self, open: &str, items: &[Value], close: &str) {
        self.token(open);
        if self.stopped {
            return;
        }
        self.level += 1;
        for (index, item) in items.iter().enumerate() {
            self.separator(index);
            self.value(item);
            if self.stopped {
                break;
            }
        }
        self.close(close);
    }

    fn mapping(&mut self, map: &Map<String, Value>) {
        self.token("{");
        if self.stopped {
            return;
        }
        self.level += 1;
        for (index, (key, value)) in map.iter().enumerate() {
            self.separator(index);
            self.text(key);
            self.token(": ");
            self.value(value);
            if self.stopped {
                break;
            }
        }
        self.close("}");
    }

    fn separator(&mut self, index: usize) {
        if index > 0 {
            self.token(", ");
        }
    }

    /// Celery escapes the single quote alone.
    fn text(&mut self, text: &str) {
        if let Some(json) = unsealed(text) {
            return self.token(&self.cut(&python(json)));
        }
        let mut text = self.cut(text);
        if text.contains('\'') {
            text = Cow::Owned(text.replace('\'', "\\'"));
        }
        self.token(&["'", &text, "'"].concat());
    }

    /// `text`, or as much of it as is left, up to the last space.
    fn cut<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if text.len() < self.left {
            return Cow::Borrowed(text);
        }
        match text.char_indices().nth(self.left.saturating_sub(1)) {
            Some((last, c)) => {
                let cut = &text[..last + c.len_utf8()];
                Cow::Owned(format!("{}...", cut.rsplit_once(' ').map_or(cut, |(head, _)| head)))
            }
            None => Cow::Borrowed(text),
        }
    }

    fn token(&mut self, token: &str) {
        if self.stopped {
            return;
        }
        if self.left == 0 {
            self.out.push_str(", ...");
            self.stopped = true;
            return;
        }
        self.out.push_str(token);
        self.left = self.left.saturating_sub(token.chars().count());
    }

    /// A bracket that was opened is always closed, whatever is left.
    fn close(&mut self, bracket: &str) {
        self.level -= 1;
        self.out.push_str(bracket);
        if !self.stopped {
            self.left = self.left.saturating_sub(bracket.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_python_does() {
        let check = |value: Value, expected: &str| assert_eq!(repr(&value), expected);
        check(json!("boom"), "'boom'");
        check(json!("it's"), r#""it's""#);
        check(json!("it's \"it\""), r#"'it\'s "it"'"#);
        check(json!("a\\b\n\r\t\0\u{7f}"), r"'a\\b\n\r\t\x00\x7f'");
        check(json!("Zürich 日本 🦀 e\u{301}"), "'Zürich 日本 🦀 e\u{301}'");
        check(json!("\u{a0}\u{200b}\u{e000}\u{e0001}"), r"'\xa0\u200b\ue000\U000e0001'");
        check(
            json!([null, true, false, 1, 1.0, 1e16, -2.5e-7]),
            "[None, True, False, 1, 1.0, 1e+16, -2.5e-07]",
        );
        check(json!({"a": {"b": []}}), "{'a': {'b': []}}");
    }

    #[test]
    fn brief_form_follows_celery() {
        let args = |value: Value| brief_args(value.as_array().unwrap());
        assert_eq!(args(json!([])), "()");
        assert_eq!(args(json!(["x"])), "('x',)");
        assert_eq!(args(json!([1, [2, [3, [4], {"a": 1}]]])), "(1, [2, [3, [...], {...}]])");
        assert_eq!(args(json!(["it's \n"])), "('it\\'s \n',)");
    }

    #[test]
    fn brief_form_is_bounded_and_closed() {
        // Expected values printed by celery.utils.saferepr 5.7.0.
        let long = brief_args(&[json!("word ".repeat(400)), json!(2)]);
        assert_eq!(long, format!("('{}...', ...)", "word ".repeat(204).trim_end()));
        let many = brief_args(&vec![json!(7); 5000]);
        assert_eq!((many.len(), many.ends_with("7, 7, 7, , ...)")), (1030, true));
        let last = brief(&json!(["x".repeat(1016), 123_456]));
        assert_eq!(last, format!("['{}', 123...]", "x".repeat(1016)));
        let map = json!({"k": vec![json!([1, 2]); 5000]});
        let kwargs = brief_kwargs(map.as_object().unwrap());
        assert_eq!((kwargs.len(), kwargs.ends_with("2], [1, 2], [1, 2], [, ...]]}")), (1032, true));
    }
}
