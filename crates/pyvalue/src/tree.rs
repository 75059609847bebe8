//! What readers make of what they meet: our own values, or `serde_json`'s.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value, json};

use crate::{
    error::FormatError,
    integer,
    json::{django::constant, dump::float},
    seal::sealed,
    value::PyValue,
};

/// What kind of number a token is.
#[derive(Clone, Copy)]
pub(crate) enum NumberKind {
    Whole,
    Float,
    /// `NaN`, `Infinity` or `-Infinity`.
    None,
}

impl NumberKind {
    /// What number a token is; `None` for none.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let digits =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        let unsigned = token.strip_prefix('-').unwrap_or(token);
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, Some(exponent)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (number, None),
        };
        let is_whole = digits(whole) && (whole == "0" || !whole.starts_with('0'));
        let exponent_digits = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
        if !is_whole || !fraction.is_none_or(digits) || !exponent_digits.is_none_or(digits) {
            return None;
        }
        Some(if fraction.is_none() && exponent.is_none() { Self::Whole } else { Self::Float })
    }
}

/// A kind of value, made from its leaves up.
pub(crate) trait Tree {
    type Value;
    type Key;

    /// A value without members.
    fn leaf(value: PyValue) -> Self::Value;
    fn list(items: Vec<Self::Value>) -> Self::Value;
    fn dict(pairs: impl ExactSizeIterator<Item = (Self::Key, Self::Value)>) -> Self::Value;
    /// A dict's key; `None` where such a one may not be.
    fn key(key: PyValue) -> Option<Self::Key>;

    /// A number of JSON's, or one of Python's three names for what is none.
    fn number(token: &str, kind: NumberKind) -> Result<Self::Value, FormatError>;
    /// A text of JSON's with half of a surrogate pair in it, which stands as U+FFFD in `text`.
    fn halved(text: String, json: &str) -> Option<String>;
    /// The bytes that a value without members takes beside its own place.
    fn outside(value: &Self::Value) -> usize;
}

/// Our own values.
pub(crate) struct Python;

impl Tree for Python {
    type Value = PyValue;
    type Key = PyValue;

    fn leaf(value: PyValue) -> PyValue {
        value
    }

    fn list(items: Vec<PyValue>) -> PyValue {
        PyValue::List(items)
    }

    fn dict(pairs: impl ExactSizeIterator<Item = (PyValue, PyValue)>) -> PyValue {
        PyValue::Dict(pairs.collect())
    }

    fn key(key: PyValue) -> Option<PyValue> {
        Some(key)
    }

    fn number(token: &str, kind: NumberKind) -> Result<PyValue, FormatError> {
        match kind {
            NumberKind::Whole => PyValue::parse_int(token).ok_or_else(integer::too_long),
            // Rust reads Python's three names, too.
            NumberKind::Float | NumberKind::None => {
                Ok(PyValue::Float(token.parse().unwrap_or(f64::NAN)))
            }
        }
    }

    fn halved(_: String, _: &str) -> Option<String> {
        None
    }

    fn outside(_: &PyValue) -> usize {
        0
    }
}

/// `serde_json`'s values. What they cannot hold is sealed (see [`exact`](crate::exact)), or is its
/// text where it is not to be written again.
pub(crate) struct Json<const IS_EXACT: bool>;

impl<const IS_EXACT: bool> Tree for Json<IS_EXACT> {
    type Value = Value;
    type Key = String;

    #[inline]
    fn leaf(value: PyValue) -> Value {
        match value {
            PyValue::Str(text) => Value::String(text),
            PyValue::Bool(flag) => Value::Bool(flag),
            PyValue::Float(float) => {
                constant(float).map_or_else(|| Value::from(float), unheld::<IS_EXACT>)
            }
            PyValue::Bytes(bytes) => marked(bytes),
            // Of the leaves that are left, all are JSON's: an int has 64 bits at the most.
            other => other.to_json().unwrap_or_default(),
        }
    }

    fn list(items: Vec<Value>) -> Value {
        Value::Array(items)
    }

    fn dict(pairs: impl ExactSizeIterator<Item = (String, Value)>) -> Value {
        let mut map = Map::with_capacity(pairs.len());
        map.extend(pairs);
        Value::Object(map)
    }

    #[inline]
    fn key(key: PyValue) -> Option<String> {
        match key {
            PyValue::Str(text) => Some(text),
            PyValue::Bytes(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    fn number(token: &str, kind: NumberKind) -> Result<Value, FormatError> {
        let number = match kind {
            NumberKind::None => None,
            NumberKind::Whole if token == "-0" => (!IS_EXACT).then(|| Number::from(0)),
            NumberKind::Whole => {
                let signed = token.parse::<i64>().map(Number::from);
                signed.or_else(|_| token.parse::<u64>().map(Number::from)).ok()
            }
            NumberKind::Float => {
                let value = token.parse::<f64>().ok().and_then(Number::from_f64);
                let is_same =
                    |number: &Number| number.as_f64().map(float).as_deref() == Some(token);
                value.filter(|number| !IS_EXACT || is_same(number))
            }
        };
        Ok(number.map_or_else(|| unheld::<IS_EXACT>(token), Value::Number))
    }

    fn halved(text: String, json: &str) -> Option<String> {
        Some(if IS_EXACT { sealed(json) } else { text })
    }

    fn outside(value: &Value) -> usize {
        value.as_str().map_or(0, str::len)
    }
}

fn unheld<const IS_EXACT: bool>(token: &str) -> Value {
    Value::String(if IS_EXACT { sealed(token) } else { token.to_owned() })
}

/// The marker that kombu's JSON has in the place of bytes.
fn marked(bytes: Vec<u8>) -> Value {
    match String::from_utf8(bytes) {
        Ok(text) => json!({"__type__": "bytes", "__value__": text}),
        Err(error) => {
            json!({"__type__": "base64", "__value__": STANDARD.encode(error.as_bytes())})
        }
    }
}
