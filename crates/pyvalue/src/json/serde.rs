//! Our own values as serde's, by way of JSON.

use ::serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::django::key_text;
use crate::{error::FormatError, value::PyValue};

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
            Self::BigInt(i) => match u64::try_from(i) {
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
                    .map(|(key, value)| Ok((key_text(key)?, value.to_json()?)))
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
}
