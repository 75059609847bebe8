//! JSON within a budget: a few bytes of it become an object of hundreds.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::budget::Budget;

/// Reads JSON within a budget: a few bytes of it become an object of hundreds.
pub(crate) fn strict(text: &str, budget: &Budget) -> Result<Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Counted(budget).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// What an item and a field take in the vectors that hold them.
pub(super) const ITEM: usize = size_of::<Value>();

pub(super) const FIELD: usize = ITEM + size_of::<String>() + 20;

/// What the allocator takes beside a text.
pub(super) const STRING: usize = 16;

/// Returns what a vector grows by for one more element than these: its room doubles, from four on.
pub(super) fn growth(length: usize, element: usize) -> usize {
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
