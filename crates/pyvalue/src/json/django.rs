//! Our own values as `DjangoJSONEncoder` (Django 5.2.19) writes them.

use super::dump::{dump_text, float, separate};
use crate::{
    error::FormatError,
    limits::{check_depth, check_size},
    value::PyValue,
};

/// Returns the JSON text of a value, times and decimals as text.
///
/// # Errors
/// `Unsupported` for what Django's encoder refuses: bytes, sets, and dict keys that are neither
/// text, number, bool nor `None`. `TooLarge` beyond the caps.
pub fn write(value: &PyValue) -> Result<Vec<u8>, FormatError> {
    let mut out = Vec::new();
    put(&mut out, value, 0)?;
    Ok(out)
}

fn put(out: &mut Vec<u8>, value: &PyValue, depth: usize) -> Result<(), FormatError> {
    check_depth(depth)?;
    check_size(out.len())?;
    match value {
        PyValue::None => out.extend(b"null"),
        PyValue::Bool(b) => out.extend(if *b { &b"true"[..] } else { b"false" }),
        PyValue::Int(i) => out.extend(i.to_string().bytes()),
        PyValue::BigInt(i) => out.extend(i.to_string().bytes()),
        PyValue::Float(f) => out.extend(float_text(*f).bytes()),
        PyValue::Str(text) => put_text(out, text)?,
        PyValue::List(items) | PyValue::Tuple(items) => {
            out.push(b'[');
            for (idx, item) in items.iter().enumerate() {
                separate(out, idx);
                put(out, item, depth + 1)?;
            }
            out.push(b']');
        }
        PyValue::Dict(pairs) | PyValue::OrderedDict(pairs) => {
            out.push(b'{');
            for (idx, (key, value)) in pairs.iter().enumerate() {
                separate(out, idx);
                put_text(out, &key_text(key)?)?;
                out.extend(b": ");
                put(out, value, depth + 1)?;
            }
            out.push(b'}');
        }
        PyValue::DateTime(at) => put_text(out, &at.json_text())?,
        PyValue::Date(date) => put_text(out, &date.to_string())?,
        PyValue::Time(at) => {
            let text = at.json_text();
            let zoned = || FormatError::unsupported("datetime.time with a time zone in JSON");
            put_text(out, &text.ok_or_else(zoned)?)?;
        }
        PyValue::TimeDelta(delta) => put_text(out, &delta.iso_string())?,
        PyValue::Decimal(decimal) => put_text(out, decimal.as_str())?,
        PyValue::Uuid(uuid) => put_text(out, &uuid.to_string())?,
        PyValue::Bytes(_) => return Err(FormatError::unsupported("bytes in JSON")),
        PyValue::ByteArray(_) => return Err(FormatError::unsupported("bytearray in JSON")),
        PyValue::Set(_) => return Err(FormatError::unsupported("set in JSON")),
        PyValue::FrozenSet(_) => return Err(FormatError::unsupported("frozenset in JSON")),
    }
    Ok(())
}

fn put_text(out: &mut Vec<u8>, text: &str) -> Result<(), FormatError> {
    check_size(text.len())?;
    dump_text(out, text);
    Ok(())
}

/// Keys become text as `json.dumps` has them.
pub(crate) fn key_text(key: &PyValue) -> Result<String, FormatError> {
    Ok(match key {
        PyValue::Str(text) => text.clone(),
        PyValue::None => "null".to_owned(),
        PyValue::Bool(b) => b.to_string(),
        PyValue::Int(i) => i.to_string(),
        PyValue::BigInt(i) => i.to_string(),
        PyValue::Float(f) => float_text(*f),
        _ => return Err(FormatError::unsupported("dict key that JSON cannot hold")),
    })
}

fn float_text(value: f64) -> String {
    constant(value).map_or_else(|| float(value), str::to_owned)
}

/// Python's three names for a float that is no number, or none that JSON knows.
pub(crate) fn constant(value: f64) -> Option<&'static str> {
    let infinite = if value > 0.0 { "Infinity" } else { "-Infinity" };
    (!value.is_finite()).then_some(if value.is_nan() { "NaN" } else { infinite })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_is_written_as_pythons_repr() {
        let table = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-1.25e-7, "-1.25e-07"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in table {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn what_djangos_encoder_refuses_is_refused() {
        let key = PyValue::Dict(vec![(PyValue::Tuple(vec![]), PyValue::None)]);
        for value in [PyValue::Bytes(vec![]), PyValue::Set(vec![]), key] {
            assert!(matches!(write(&value), Err(FormatError::Unsupported { .. })), "{value:?}");
        }
    }
}
