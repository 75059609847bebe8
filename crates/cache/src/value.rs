//! The values that Django may keep in a cache, as data.

use std::sync::Arc;

use jiff::{
    civil,
    tz::{AmbiguousOffset, Offset, TimeZone},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    bigint::{BigInt, Integer},
    format::FormatError,
};

/// How deep a value may be nested; `serde_json` has the same limit.
pub(crate) const MAX_DEPTH: usize = 128;

/// A Python value of the kinds that a cache may hold.
///
/// Equality is that of the data: a list is not a tuple, and `1` is not `1.0`, other than in Python.
#[derive(Clone, Debug, PartialEq)]
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

/// A `datetime.datetime`, to the microsecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// The wall clock's date and time.
    pub civil: civil::DateTime,
    /// The offset from UTC; absent for a naive datetime.
    pub offset: Option<Offset>,
    /// Whether this is the second pass of a repeated hour.
    pub fold: bool,
    /// The time zone that the offset is of: a `zoneinfo.ZoneInfo`, as Django's
    /// `timezone.localtime()` has it. Absent for a naive datetime and for a `datetime.timezone`.
    /// Pickles keep it; JSON has the offset alone.
    pub zone: Option<Zone>,
}

/// A `datetime.time`, to the microsecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// The wall clock's time.
    pub civil: civil::Time,
    /// Whether this is the second pass of a repeated hour.
    pub fold: bool,
    /// The offset from UTC; absent for a naive time and for one in a `zoneinfo.ZoneInfo`.
    pub offset: Option<Offset>,
    /// A `zoneinfo.ZoneInfo`, whose offset no time of day alone has.
    pub zone: Option<Zone>,
}

/// A `zoneinfo.ZoneInfo`: a time zone of the IANA database, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(Arc<String>);

/// A `datetime.timedelta`, normalised as Python does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeDelta {
    days: i32,
    seconds: u32,
    microseconds: u32,
}

/// A `decimal.Decimal`, as the text that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal(String);

impl PyValue {
    /// Returns what a Python program would get for this serde value.
    ///
    /// # Errors
    /// When the value cannot be written as JSON, for instance a map with keys that are not text.
    pub fn from_serialize(value: &impl Serialize) -> Result<Self, serde_json::Error> {
        serde_json::to_value(value).map(Self::from)
    }

    /// Returns the serde value that this stands for.
    ///
    /// # Errors
    /// When the value holds what JSON cannot (see [`PyValue::to_json`]), or is of another shape.
    pub fn deserialize<T: DeserializeOwned>(&self) -> Result<T, FormatError> {
        serde_json::from_value(self.to_json()?).map_err(FormatError::Json)
    }

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

    /// Returns the value as JSON; tuples and sets become arrays, times and decimals text.
    ///
    /// Keys become text as `json.dumps` has them; NaN and infinities become null.
    ///
    /// # Errors
    /// `Unsupported` for bytes, for an int outside 64 bits and for a key that is neither text,
    /// number, bool nor `None`.
    pub fn to_json(&self) -> Result<Value, FormatError> {
        Ok(match self {
            Self::None => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(i) => Value::from(*i),
            Self::BigInt(i) => match i.as_str().parse::<u64>() {
                Ok(i) => Value::from(i),
                Err(_) => return Err(FormatError::unsupported("int of more than 64 bits in JSON")),
            },
            Self::Float(f) => Value::from(*f),
            Self::Str(s) => Value::from(s.as_str()),
            Self::Bytes(_) => return Err(FormatError::unsupported("bytes in JSON")),
            Self::ByteArray(_) => return Err(FormatError::unsupported("bytearray in JSON")),
            Self::List(items) | Self::Tuple(items) | Self::Set(items) | Self::FrozenSet(items) => {
                Value::Array(items.iter().map(Self::to_json).collect::<Result<_, _>>()?)
            }
            Self::Dict(pairs) | Self::OrderedDict(pairs) => Value::Object(
                pairs
                    .iter()
                    .map(|(key, value)| Ok((key.to_json_key()?, value.to_json()?)))
                    .collect::<Result<_, FormatError>>()?,
            ),
            Self::DateTime(at) => Value::from(at.isoformat()),
            Self::Date(date) => Value::from(date.to_string()),
            Self::Time(at) => Value::from(at.isoformat()),
            Self::TimeDelta(delta) => Value::from(delta.iso_string()),
            Self::Decimal(decimal) => Value::from(decimal.as_str()),
            Self::Uuid(uuid) => Value::from(uuid.to_string()),
        })
    }

    pub(crate) fn to_json_key(&self) -> Result<String, FormatError> {
        match self {
            Self::Str(s) => Ok(s.clone()),
            Self::None => Ok("null".to_owned()),
            Self::Bool(b) => Ok(b.to_string()),
            Self::Int(i) => Ok(i.to_string()),
            Self::BigInt(i) => Ok(i.to_string()),
            Self::Float(f) => Ok(format!("{f:?}")),
            _ => Err(FormatError::unsupported("dict key that JSON cannot hold")),
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
                (None, Some(u)) => Integer::parse(&u.to_string()).map_or(Self::None, Self::from),
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

impl From<Integer> for PyValue {
    fn from(integer: Integer) -> Self {
        match integer {
            Integer::Small(i) => Self::Int(i),
            Integer::Big(big) => Self::BigInt(big),
        }
    }
}

impl From<&str> for PyValue {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl Zone {
    /// Returns the zone of this name, as `Europe/Berlin`; `None` where the IANA database of this
    /// machine, and the one that is built in where it has none, know no such name.
    pub fn new(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(|_| Self(Arc::new(name.to_owned())))
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Returns the offset at this time of its wall clock, by Python's rules (PEP 495): of a
    /// repeated hour that of the pass, and in a gap the one before it, or behind it with `fold`.
    pub fn offset(&self, civil: civil::DateTime, fold: bool) -> Option<Offset> {
        let zone = TimeZone::get(&self.0).ok()?;
        Some(match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                if fold {
                    after
                } else {
                    before
                }
            }
        })
    }
}

impl DateTime {
    /// Returns the text of Django's JSON encoder: `isoformat()` cut to milliseconds, UTC as `Z`.
    pub(crate) fn json_text(&self) -> String {
        let text = self.isoformat();
        let text = match text.find('.') {
            // A fraction of six digits stands at the 19th place of every year that Python has.
            Some(point) => format!("{}{}", &text[..point + 4], &text[point + 7..]),
            None => text,
        };
        text.strip_suffix("+00:00").map(|utc| format!("{utc}Z")).unwrap_or(text)
    }

    /// Returns Python's `isoformat()`.
    fn isoformat(&self) -> String {
        self.civil.strftime("%Y-%m-%dT").to_string() + &time_text(self.civil.time(), self.offset)
    }
}

impl TimeOfDay {
    /// Returns the text of Django's JSON encoder, cut to milliseconds; it has none for a time with
    /// a zone.
    pub(crate) fn json_text(&self) -> Option<String> {
        let naive = self.offset.is_none() && self.zone.is_none();
        let mut text = naive.then(|| self.isoformat())?;
        text.truncate("00:00:00.000".len());
        Some(text)
    }

    /// Returns Python's `isoformat()`.
    fn isoformat(&self) -> String {
        time_text(self.civil, self.offset)
    }
}

/// Returns a time of day as Python's `isoformat()` has it, with its offset.
fn time_text(time: civil::Time, offset: Option<Offset>) -> String {
    let micros = time.subsec_nanosecond() / 1000;
    let mut text = time.strftime("%H:%M:%S").to_string();
    if micros > 0 {
        text += &format!(".{micros:06}");
    }
    if let Some(offset) = offset {
        let total = offset.seconds();
        let (sign, total) = (if total < 0 { '-' } else { '+' }, total.unsigned_abs());
        text += &format!("{sign}{:02}:{:02}", total / 3600, total / 60 % 60);
        if total % 60 > 0 {
            text += &format!(":{:02}", total % 60);
        }
    }
    text
}

impl TimeDelta {
    /// Returns the delta of these parts, normalised; `None` beyond Python's 999,999,999 days.
    pub fn new(days: i64, seconds: i64, microseconds: i64) -> Option<Self> {
        let total = i128::from(days) * 86_400_000_000
            + i128::from(seconds) * 1_000_000
            + i128::from(microseconds);
        let days = total.div_euclid(86_400_000_000);
        let rest = total.rem_euclid(86_400_000_000);
        if days.abs() > 999_999_999 {
            return None;
        }
        Some(Self {
            days: i32::try_from(days).ok()?,
            seconds: u32::try_from(rest / 1_000_000).ok()?,
            microseconds: u32::try_from(rest % 1_000_000).ok()?,
        })
    }

    /// Returns days, seconds (below 86,400) and microseconds (below 1,000,000).
    pub fn parts(&self) -> (i32, u32, u32) {
        (self.days, self.seconds, self.microseconds)
    }

    /// Returns the text of Django's `duration_iso_string`.
    pub(crate) fn iso_string(&self) -> String {
        let total = i128::from(self.days) * 86_400_000_000
            + i128::from(self.seconds) * 1_000_000
            + i128::from(self.microseconds);
        let sign = if total < 0 { "-" } else { "" };
        let total = total.unsigned_abs();
        let (seconds, micros) = (total / 1_000_000, total % 1_000_000);
        let (days, seconds) = (seconds / 86_400, seconds % 86_400);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = if micros > 0 { format!(".{micros:06}") } else { String::new() };
        format!("{sign}P{days}DT{hours:02}H{minutes:02}M{seconds:02}{fraction}S")
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
    fn a_zones_offset_is_pythons_in_gaps_and_repeated_hours_too() {
        let zone = Zone::new("Europe/Berlin").unwrap();
        let offset = |month, day, hour, fold| {
            let civil = civil::date(2026, month, day).at(hour, 30, 0, 0);
            zone.offset(civil, fold).unwrap().seconds() / 3600
        };
        // Python 3.11: datetime(2026, m, d, h, 30, fold=f,
        // tzinfo=ZoneInfo("Europe/Berlin")).utcoffset()
        assert_eq!((offset(7, 1, 12, false), offset(1, 1, 12, true)), (2, 1));
        assert_eq!((offset(3, 29, 2, false), offset(3, 29, 2, true)), (1, 2));
        assert_eq!((offset(10, 25, 2, false), offset(10, 25, 2, true)), (2, 1));
        assert_eq!(Zone::new("../../etc/passwd"), None);
    }

    #[test]
    fn a_delta_is_normalised_as_python_does() {
        let delta = |d, s, us| TimeDelta::new(d, s, us).map(|t| t.parts());
        assert_eq!(delta(0, 0, -1), Some((-1, 86_399, 999_999)));
        assert_eq!(delta(0, 90_000, 1_500_000), Some((1, 3601, 500_000)));
        assert_eq!(delta(1_000_000_000, 0, 0), None);
        assert_eq!(delta(i64::MAX, i64::MAX, i64::MAX), None);
        assert_eq!(TimeDelta::new(-1, 82_800, 0).unwrap().iso_string(), "-P0DT01H00M00S");
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
