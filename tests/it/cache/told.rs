//! A Python value as `interop/cache_values.py` tells it: nested lists that keep its types.

use rhubarb_cache::{DateTime, PyValue};
use serde_json::{Value, json};

pub(super) fn tell(value: &PyValue) -> Value {
    match value {
        PyValue::None => json!(["none"]),
        PyValue::Bool(b) => json!(["bool", b]),
        PyValue::Int(i) => json!(["int", i.to_string()]),
        PyValue::BigInt(i) => json!(["int", i.to_string()]),
        PyValue::Float(f) if f.is_nan() => json!(["float", "nan"]),
        PyValue::Float(f) => json!(["float", format!("{:016x}", f.to_bits())]),
        PyValue::Str(text) => json!(["str", text]),
        PyValue::Bytes(bytes) => json!(["bytes", hex(bytes)]),
        PyValue::ByteArray(bytes) => json!(["bytearray", hex(bytes)]),
        PyValue::List(items) => json!(["list", all(items)]),
        PyValue::Tuple(items) => json!(["tuple", all(items)]),
        PyValue::Set(items) => json!(["set", sorted(items)]),
        PyValue::FrozenSet(items) => json!(["frozenset", sorted(items)]),
        PyValue::Dict(pairs) => json!(["dict", each(pairs)]),
        PyValue::OrderedDict(pairs) => json!(["OrderedDict", each(pairs)]),
        PyValue::DateTime(at) => json!(["datetime", isoformat(at), i32::from(at.fold)]),
        PyValue::Time(at) => {
            let micros = at.civil.subsec_nanosecond() / 1000;
            let text = format!("{}.{micros:06}", at.civil.strftime("%H:%M:%S"));
            json!(["time", text, i32::from(at.fold)])
        }
        PyValue::Date(date) => json!(["date", date.to_string()]),
        PyValue::TimeDelta(delta) => {
            let (days, seconds, micros) = delta.parts();
            json!(["timedelta", days, seconds, micros])
        }
        PyValue::Decimal(decimal) => json!(["Decimal", decimal.as_str()]),
        PyValue::Uuid(uuid) => json!(["UUID", uuid.to_string()]),
        other => panic!("{other:?}"),
    }
}

fn all(items: &[PyValue]) -> Vec<Value> {
    items.iter().map(tell).collect()
}

fn sorted(items: &[PyValue]) -> Vec<Value> {
    let mut told = all(items);
    told.sort_by_key(Value::to_string);
    told
}

fn each(pairs: &[(PyValue, PyValue)]) -> Vec<Value> {
    pairs.iter().map(|(key, value)| json!([tell(key), tell(value)])).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn isoformat(at: &DateTime) -> String {
    let micros = at.civil.subsec_nanosecond() / 1000;
    let text = format!("{}.{micros:06}", at.civil.strftime("%Y-%m-%dT%H:%M:%S"));
    let Some(offset) = at.offset else { return text };
    let (sign, total) =
        (if offset.seconds() < 0 { '-' } else { '+' }, offset.seconds().unsigned_abs());
    let seconds = if total % 60 > 0 { format!(":{:02}", total % 60) } else { String::new() };
    format!("{text}{sign}{:02}:{:02}{seconds}", total / 3600, total / 60 % 60)
}
