//! The values that Python's programs may hand over, as data.

use jiff::civil;
use num_bigint::BigInt;
use serde_json::Value;
use uuid::Uuid;

use crate::time::{DateTime, TimeDelta, TimeOfDay};

/// A Python value of the kinds that are data.
///
/// Equality is that of the data: a list is not a tuple, and `1` is not `1.0`, other than in Python.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PyValue {
    /// `None`.
    None,
    /// `bool`.
    Bool(bool),
    /// `int`.
    Int(i64),
    /// `int` outside 64 bits.
    BigInt(BigInt),
    /// `float`.
    Float(f64),
    /// `str`; one with a lone surrogate, which is no Unicode text, cannot be held.
    Str(String),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// `bytearray`.
    ByteArray(Vec<u8>),
    /// `list`.
    List(Vec<PyValue>),
    /// `tuple`.
    Tuple(Vec<PyValue>),
    /// `set`, in the order written.
    Set(Vec<PyValue>),
    /// `frozenset`, in the order written.
    FrozenSet(Vec<PyValue>),
    /// `dict`, in its order.
    Dict(Vec<(PyValue, PyValue)>),
    /// `collections.OrderedDict`.
    OrderedDict(Vec<(PyValue, PyValue)>),
    /// `datetime.datetime`.
    DateTime(DateTime),
    /// `datetime.date`.
    Date(civil::Date),
    /// `datetime.time`.
    Time(TimeOfDay),
    /// `datetime.timedelta`.
    TimeDelta(TimeDelta),
    /// `decimal.Decimal`.
    Decimal(Decimal),
    /// `uuid.UUID`.
    Uuid(Uuid),
}

/// A `decimal.Decimal`, as the text that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal(String);

impl PyValue {
    /// Returns the value of the last pair with this text as its key, as a dict would.
    pub fn get(&self, key: &str) -> Option<&PyValue> {
        match self {
            Self::Dict(pairs) | Self::OrderedDict(pairs) => pairs
                .iter()
                .rev()
                .find(|(k, _)| matches!(k, Self::Str(k) if k == key))
                .map(|(_, v)| v),
            _ => None,
        }
    }

    /// Tells whether Python could have this as a dict's key or in a set.
    pub(crate) fn is_hashable(&self) -> bool {
        match self {
            Self::List(_)
            | Self::Set(_)
            | Self::ByteArray(_)
            | Self::Dict(_)
            | Self::OrderedDict(_) => false,
            Self::Tuple(items) => items.iter().all(Self::is_hashable),
            _ => true,
        }
    }
}

impl From<Value> for PyValue {
    fn from(json: Value) -> Self {
        match json {
            Value::Null => Self::None,
            Value::Bool(b) => Self::Bool(b),
            Value::Number(n) => match (n.as_i64(), n.as_u64()) {
                (Some(i), _) => Self::Int(i),
                (None, Some(u)) => Self::from(u),
                (None, None) => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(s) => Self::Str(s),
            Value::Array(items) => Self::List(items.into_iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::Dict(map.into_iter().map(|(k, v)| (Self::Str(k), Self::from(v))).collect())
            }
        }
    }
}

impl From<&str> for PyValue {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl Decimal {
    /// Returns the decimal of this text; `None` where Python's `Decimal(text)` would fail.
    ///
    /// Only what `str(Decimal)` writes is taken: no white space, no underscores.
    pub fn new(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let lower = unsigned.to_ascii_lowercase();
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let special = matches!(lower.as_str(), "inf" | "infinity")
            || lower.strip_prefix("snan").or_else(|| lower.strip_prefix("nan")).is_some_and(digits);
        let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let number = digits(whole)
            && digits(fraction)
            && !(whole.is_empty() && fraction.is_empty())
            && digits(exponent)
            && (1..=18).contains(&exponent.len());
        (special || number).then(|| Self(text.to_owned()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    #[test]
    fn a_decimal_is_what_python_takes() {
        for text in ["1.10", "-0", "1E+3", ".5", "5.", "NaN", "sNaN123", "-Infinity", "0E-7"] {
            assert_eq!(Decimal::new(text).map(|d| d.0).as_deref(), Some(text));
        }
        for text in ["", ".", "-", "1e", "1.2.3", "abc", " 1", "1_0", "nanx", "e5", "--1"] {
            assert_eq!(Decimal::new(text), None, "{text}");
        }
    }

    #[test]
    fn json_holds_what_django_would_put_there() {
        let at = civil::datetime(2026, 1, 2, 3, 4, 5, 678_901_000);
        let offset = Offset::from_seconds(-3 * 3600 - 30 * 60).unwrap();
        let check = |value: PyValue, text: &str| {
            assert_eq!(value.to_json().unwrap().to_string(), text);
        };
        let datetime =
            |offset| PyValue::DateTime(DateTime { civil: at, offset, fold: false, zone: None });
        check(datetime(None), r#""2026-01-02T03:04:05.678901""#);
        check(datetime(Some(offset)), r#""2026-01-02T03:04:05.678901-03:30""#);
        check(PyValue::Tuple(vec![PyValue::None, PyValue::Float(f64::NAN)]), "[null,null]");
        let keys = [PyValue::Int(1), PyValue::Bool(true), PyValue::None, "a".into()];
        check(
            PyValue::Dict(keys.map(|k| (k, PyValue::Int(0))).into()),
            r#"{"1":0,"true":0,"null":0,"a":0}"#,
        );
        assert!(PyValue::Bytes(vec![1]).to_json().is_err());
        let key = PyValue::Tuple(vec![]);
        assert!(PyValue::Dict(vec![(key, PyValue::None)]).to_json().is_err());
    }

    #[test]
    fn json_comes_back_as_it_went() {
        let json = serde_json::json!({"a": [1, 2.5, null, true, u64::MAX], "b": {"c": "ü"}});
        assert_eq!(PyValue::from(json.clone()).to_json().unwrap(), json);
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let dict =
            PyValue::Dict(vec![("a".into(), PyValue::Int(1)), ("a".into(), PyValue::Int(2))]);
        assert_eq!(dict.get("a"), Some(&PyValue::Int(2)));
        assert_eq!(dict.get("b"), None);
    }
}
