//! Results and arguments as JSON values, without the silences of `serde_json::to_value`.
//!
//! `serde_json` turns a `NaN` into null, and an `Err` inside a struct into an object. Here the
//! first is kept as Python writes it, or refused, and the second is always told.

use rhubarb_queue::wire::{exact, open};
use serde::{
    Serialize, Serializer,
    de::{self, DeserializeOwned, Deserializer, Visitor, value},
    forward_to_deserialize_any, ser,
};
use serde_json::{Map, Value};

/// What becomes of a number that JSON has no words for: `NaN`, an infinity, more than 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// It is kept as Python writes it; Python and Rust read it.
    Kept,
    /// It is refused.
    Refused,
}

/// Why a value is no JSON.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    /// It cannot be written.
    #[error("{0}")]
    Text(String),
    /// It is or holds an `Err`, with this inside.
    #[error("it holds an Err: {}", told(.0))]
    Err(Value),
}

/// Returns a value as JSON.
///
/// # Errors
///
/// [`Problem`]
pub(crate) fn write(value: &(impl Serialize + ?Sized), odd: Odd) -> Result<Value, Problem> {
    value.serialize(Writer { odd })
}

/// Reads what [`write`] has written and a result's reader has opened: a number that JSON has no
/// words for is a text then, and is taken as the number where one is asked for.
///
/// # Errors
///
/// What was expected and what was there.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    T::deserialize(&value)
        .or_else(|error| T::deserialize(Opened(value)).map_err(|_| error.to_string()))
}

/// Returns an error's value as a text: a string as it is, everything else as JSON.
pub(crate) fn told(value: &Value) -> String {
    value.as_str().map_or_else(|| open(value.clone()).to_string(), str::to_owned)
}

impl ser::Error for Problem {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::Text(text.to_string())
    }
}

/// The struct that a `serde_json::value::RawValue` says it is, and its one field.
const RAW: &str = "$serde_json::private::RawValue";

#[derive(Clone, Copy)]
struct Writer {
    odd: Odd,
}

impl Writer {
    fn odd_number(self, python: &str) -> Result<Value, Problem> {
        match self.odd {
            Odd::Kept => exact(python).map_err(ser::Error::custom),
            Odd::Refused => Err(ser::Error::custom(format!("{python} is no JSON"))),
        }
    }

    fn float(self, float: f64) -> Result<Value, Problem> {
        match float {
            float if float.is_finite() => Ok(Value::from(float)),
            float if float.is_nan() => self.odd_number("NaN"),
            float if float > 0.0 => self.odd_number("Infinity"),
            _ => self.odd_number("-Infinity"),
        }
    }

    fn list(self, length: Option<usize>, variant: Option<&'static str>) -> List {
        // The length is what a type says of itself.
        let items = Vec::with_capacity(length.unwrap_or_default().min(4096));
        List { items, variant, writer: self }
    }

    fn fields(self, variant: Option<&'static str>) -> Fields {
        Fields { map: Map::new(), key: None, is_raw: false, variant, writer: self }
    }
}

fn wrapped(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(variant) => Value::Object(Map::from_iter([(variant.to_owned(), value)])),
        None => value,
    }
}

macro_rules! plain {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Result<Value, Problem> {
            Ok(Value::from(value))
        }
    )*};
}

impl Serializer for Writer {
    type Ok = Value;
    type Error = Problem;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = List;
    type SerializeMap = Fields;
    type SerializeStruct = Fields;
    type SerializeStructVariant = Fields;

    plain! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32,
        serialize_i64: i64, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32,
        serialize_u64: u64, serialize_str: &str, serialize_bytes: &[u8]
    }

    fn serialize_i128(self, value: i128) -> Result<Value, Problem> {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => Ok(Value::from(value)),
            (_, Ok(value)) => Ok(Value::from(value)),
            _ => self.odd_number(&value.to_string()),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<Value, Problem> {
        match u64::try_from(value) {
            Ok(value) => Ok(Value::from(value)),
            Err(_) => self.odd_number(&value.to_string()),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<Value, Problem> {
        if value.is_finite() { Ok(Value::from(value)) } else { self.float(value.into()) }
    }

    fn serialize_f64(self, value: f64) -> Result<Value, Problem> {
        self.float(value)
    }

    fn serialize_char(self, value: char) -> Result<Value, Problem> {
        Ok(Value::String(value.to_string()))
    }

    fn serialize_none(self) -> Result<Value, Problem> {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, Problem> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Value, Problem> {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value, Problem> {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Problem> {
        Ok(Value::from(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value, Problem> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Value, Problem> {
        let value = value.serialize(self)?;
        // So does serde write a `Result`.
        match (name, variant) {
            ("Result", "Err") => Err(Problem::Err(value)),
            _ => Ok(wrapped(Some(variant), value)),
        }
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<List, Problem> {
        Ok(self.list(length, None))
    }

    fn serialize_tuple(self, length: usize) -> Result<List, Problem> {
        Ok(self.list(Some(length), None))
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<List, Problem> {
        Ok(self.list(Some(length), None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        length: usize,
    ) -> Result<List, Problem> {
        Ok(self.list(Some(length), Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Fields, Problem> {
        Ok(self.fields(None))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Fields, Problem> {
        Ok(Fields { is_raw: name == RAW, ..self.fields(None) })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Fields, Problem> {
        Ok(self.fields(Some(variant)))
    }
}

/// An array that is being written.
struct List {
    items: Vec<Value>,
    variant: Option<&'static str>,
    writer: Writer,
}

impl List {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        self.items.push(value.serialize(self.writer)?);
        Ok(())
    }

    fn done(self) -> Value {
        wrapped(self.variant, Value::Array(self.items))
    }
}

/// An object that is being written.
struct Fields {
    map: Map<String, Value>,
    key: Option<String>,
    /// It is no object but JSON text in its one field.
    is_raw: bool,
    variant: Option<&'static str>,
    writer: Writer,
}

impl Fields {
    fn add<T: Serialize + ?Sized>(&mut self, key: String, value: &T) -> Result<(), Problem> {
        self.map.insert(key, value.serialize(self.writer)?);
        Ok(())
    }

    fn done(mut self) -> Result<Value, Problem> {
        if self.is_raw {
            let text = self.map.shift_remove(RAW).unwrap_or_default();
            return exact(text.as_str().unwrap_or_default()).map_err(ser::Error::custom);
        }
        Ok(wrapped(self.variant, Value::Object(self.map)))
    }
}

macro_rules! lists {
    ($($of:ident $add:ident),*) => {$(
        impl ser::$of for List {
            type Ok = Value;
            type Error = Problem;

            fn $add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
                self.add(value)
            }

            fn end(self) -> Result<Value, Problem> {
                Ok(self.done())
            }
        }
    )*};
}

lists! {
    SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field
}

macro_rules! structs {
    ($($of:ident),*) => {$(
        impl ser::$of for Fields {
            type Ok = Value;
            type Error = Problem;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), Problem> {
                self.add(key.to_owned(), value)
            }

            fn end(self) -> Result<Value, Problem> {
                self.done()
            }
        }
    )*};
}

structs! { SerializeStruct, SerializeStructVariant }

impl ser::SerializeMap for Fields {
    type Ok = Value;
    type Error = Problem;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Problem> {
        self.key = Some(match serde_json::to_value(key).map_err(ser::Error::custom)? {
            Value::String(key) => key,
            key @ (Value::Number(_) | Value::Bool(_)) => key.to_string(),
            _ => return Err(ser::Error::custom("key must be a string")),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Problem> {
        let key = self.key.take().ok_or_else(|| Problem::Text("a value before its key".into()))?;
        self.add(key, value)
    }

    fn end(self) -> Result<Value, Problem> {
        self.done()
    }
}

/// A value some of whose texts stand for numbers that `serde_json` has no room for.
struct Opened(Value);

macro_rules! numbers {
    ($($method:ident $visit:ident),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
            match self.0.as_str().and_then(|text| text.parse().ok()) {
                Some(number) => visitor.$visit(number),
                None => self.0.$method(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Opened {
    type Error = serde_json::Error;

    // Rust reads `NaN` and `Infinity` as Python writes them.
    numbers! {
        deserialize_f32 visit_f32, deserialize_f64 visit_f64, deserialize_i128 visit_i128,
        deserialize_u128 visit_u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        match self.0 {
            Value::Array(items) => {
                let items = items.into_iter().map(Opened);
                value::SeqDeserializer::new(items).deserialize_any(visitor)
            }
            Value::Object(map) => {
                let map = map.into_iter().map(|(key, value)| (key, Opened(value)));
                value::MapDeserializer::new(map).deserialize_any(visitor)
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self.0 {
            Value::Object(map) => {
                let map = map.into_iter().map(|(key, value)| (key, Opened(value)));
                let map = value::MapDeserializer::new(map);
                visitor.visit_enum(de::value::MapAccessDeserializer::new(map))
            }
            value => value.deserialize_enum(name, variants, visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> de::IntoDeserializer<'de, serde_json::Error> for Opened {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use rhubarb_queue::wire::json as text_of;
    use serde::Deserialize;
    use serde_json::{json, value::RawValue};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Shape {
        Dot,
        Round(f64),
        Line(f64, f64),
        Box { width: f64, depth: Option<f64> },
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Report {
        mean: f64,
        #[serde(flatten)]
        more: BTreeMap<String, f64>,
        shapes: Vec<Shape>,
        pair: (u8, char),
        note: Option<String>,
    }

    fn report(mean: f64) -> Report {
        let shapes = vec![
            Shape::Dot,
            Shape::Round(mean),
            Shape::Line(1.0, mean),
            Shape::Box { width: mean, depth: None },
        ];
        let more = BTreeMap::from([("least".to_owned(), mean)]);
        Report { mean, more, shapes, pair: (1, 'x'), note: None }
    }

    #[test]
    fn what_json_has_words_for_is_what_serde_json_writes() {
        let check = |value: &dyn erased::Any| value.check();
        check(&report(1.5));
        check(&(1_i8, 2_u64, -3_i128, 4_u128, 0.1_f32, "é", 'x', (), Some(true), [1_u8, 2]));
        check(&HashMap::from([(7_u32, false)]));
        check(&BTreeMap::from([(true, 'c')]));
        check(&json!({"a": [null, 1.5, {"b": "c"}]}));
        check(&RawValue::from_string("{\"a\": [1, 2]}".to_owned()).unwrap());
        check(&std::time::Duration::from_millis(1500));
        check(&Ok::<u8, String>(1));
    }

    /// Values of several types in one table.
    mod erased {
        use super::*;

        pub(super) trait Any {
            fn check(&self);
        }

        impl<T: Serialize> Any for T {
            fn check(&self) {
                let written = write(self, Odd::Refused).unwrap();
                assert_eq!(written, serde_json::to_value(self).unwrap());
            }
        }
    }

    #[test]
    fn numbers_that_json_has_no_words_for_are_kept_as_python_writes_them() {
        let kept = |value: &dyn Fn() -> Result<Value, Problem>| text_of(&value().unwrap());
        let numbers = (f64::NAN, [f32::INFINITY], f64::NEG_INFINITY, u128::MAX, i128::MIN);
        assert_eq!(
            kept(&|| write(&numbers, Odd::Kept)),
            format!("[NaN, [Infinity], -Infinity, {}, {}]", u128::MAX, i128::MIN)
        );
        let error = |value: f64| write(&vec![value], Odd::Refused).unwrap_err().to_string();
        assert_eq!(error(f64::NAN), "NaN is no JSON");
        assert_eq!(error(f64::NEG_INFINITY), "-Infinity is no JSON");
    }

    #[test]
    fn numbers_that_were_kept_are_read_again() {
        let stored = |value: Value| open(value);
        let endless = Report { more: BTreeMap::new(), ..report(f64::INFINITY) };
        let again: Report = read(stored(write(&endless, Odd::Kept).unwrap())).unwrap();
        assert_eq!(again, endless);
        let nan: Vec<Option<f64>> =
            read(stored(write(&[Some(f64::NAN), None], Odd::Kept).unwrap())).unwrap();
        assert!(nan[0].unwrap().is_nan() && nan[1].is_none());
        let large: (u128, i128, String) =
            read(stored(write(&(u128::MAX, i128::MIN, "NaN"), Odd::Kept).unwrap())).unwrap();
        assert_eq!(large, (u128::MAX, i128::MIN, "NaN".to_owned()));
        assert_eq!(read::<Report>(json!(report(2.0))).unwrap(), report(2.0));
        let text = "invalid type: string \"NaN\", expected u8";
        assert_eq!(read::<u8>(stored(write(&f64::NAN, Odd::Kept).unwrap())).unwrap_err(), text);
    }

    #[test]
    fn an_err_at_any_depth_is_told() {
        #[derive(Serialize)]
        struct Held {
            inner: Vec<Option<Result<i64, String>>>,
        }
        let held = |inner| write(&Held { inner: vec![None, Some(inner)] }, Odd::Kept);
        let problem = held(Err("boom".to_owned())).unwrap_err();
        assert_eq!(problem, Problem::Err(json!("boom")));
        assert_eq!(problem.to_string(), "it holds an Err: boom");
        assert_eq!(held(Ok(1)).unwrap(), json!({"inner": [null, {"Ok": 1}]}));
    }
}
