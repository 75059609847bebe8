//! Celery-style arguments, positional and by keyword, into a serde type.
//!
//! A task's arguments are a struct: positional ones fill its fields in the order in which they are
//! written, keyword ones fill them by name, exactly as Python would call
//! `def task(keyword, location=None, force=False)`. Every error names the argument.

use std::fmt;

use rhubarb_queue::wire::json;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::{Map, Value};
use serde_path_to_error::{Segment, Track};

/// The arguments of one call, as the message carries them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// Positional arguments.
    pub args: Vec<Value>,
    /// Keyword arguments.
    pub kwargs: Map<String, Value>,
}

impl Arguments {
    /// Binds the arguments to a type.
    ///
    /// A struct takes them by position, then by keyword; `Option` fields and fields with
    /// `#[serde(default)]` may be absent. A tuple or a `Vec` takes positional arguments only, a map
    /// keyword arguments only, a plain value exactly one positional argument, `()` none at all.
    /// `#[serde(alias)]` would count as a position of its own; leave it to `#[serde(rename)]`.
    ///
    /// # Errors
    ///
    /// Says which argument does not fit; the same call never will.
    pub fn bind<T: DeserializeOwned>(self) -> Result<T, ArgumentError> {
        T::deserialize(Binder(self))
    }

    /// Tells whether there is no argument at all.
    pub fn is_empty(&self) -> bool {
        self.args.is_empty() && self.kwargs.is_empty()
    }
}

/// Why arguments do not fit; reads as the rest of a sentence that begins with the task's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// Positional and keyword for the same parameter.
    #[error("got multiple values for argument '{0}'")]
    Multiple(String),
    /// A keyword that no parameter has.
    #[error("got an unexpected keyword argument '{0}'")]
    Unexpected(String),
    /// A parameter without default that got nothing.
    #[error("missing required argument '{0}'")]
    Missing(String),
    /// More positional arguments than parameters.
    #[error("takes at most {at_most} positional argument{} but {given} {} given", plural(*.at_most), was(*.given))]
    TooMany {
        /// How many there may be.
        at_most: usize,
        /// How many there were.
        given: usize,
    },
    /// A value of the wrong type.
    #[error("argument '{argument}': {reason}")]
    Wrong {
        /// The argument, with the path inside it: `filters.salary.min`.
        argument: String,
        /// What was expected and what was there.
        reason: String,
    },
    /// The arguments as a whole are refused, by a type's own rule.
    #[error("{0}")]
    Refused(String),
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

fn was(n: usize) -> &'static str {
    if n == 1 { "was" } else { "were" }
}

impl de::Error for ArgumentError {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::Refused(reason.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field.to_owned())
    }

    fn unknown_field(field: &str, _expected: &'static [&'static str]) -> Self {
        Self::Unexpected(field.to_owned())
    }
}

struct Binder(Arguments);

/// What a function takes, as far as names and numbers go.
pub(crate) struct Takes<P, K> {
    /// The names of what is taken by position or by name, in order.
    pub(crate) positional: P,
    /// The names of what is taken by name only.
    pub(crate) keyword: K,
    /// Whether any number of positional arguments is taken: `*args`.
    pub(crate) args: bool,
    /// Whether keywords of any name are taken: `**kwargs`.
    pub(crate) kwargs: bool,
}

impl<'n, P, K> Takes<P, K>
where
    P: Iterator<Item = &'n str> + Clone,
    K: Iterator<Item = &'n str> + Clone,
{
    /// Says which argument has no parameter.
    pub(crate) fn check(&self, given: &Arguments) -> Result<(), ArgumentError> {
        let Arguments { args, kwargs } = given;
        let at_most = self.positional.clone().count();
        if args.len() > at_most && !self.args {
            return Err(ArgumentError::TooMany { at_most, given: args.len() });
        }
        let mut filled = self.positional.clone().take(args.len());
        if let Some(taken) = filled.find(|name| kwargs.contains_key(*name)) {
            return Err(ArgumentError::Multiple(taken.to_owned()));
        }
        let is_known =
            |key: &str| self.positional.clone().chain(self.keyword.clone()).any(|name| name == key);
        match kwargs.keys().find(|key| !self.kwargs && !is_known(key)) {
            Some(odd) => Err(ArgumentError::Unexpected(odd.clone())),
            None => Ok(()),
        }
    }
}

impl Binder {
    /// Pairs each argument with its parameter's name.
    fn named(self, fields: &[&str]) -> Result<Vec<(String, Value)>, ArgumentError> {
        let (positional, keyword) = (fields.iter().copied(), std::iter::empty());
        Takes { positional, keyword, args: false, kwargs: false }.check(&self.0)?;
        let Arguments { args, kwargs } = self.0;
        let positional = fields.iter().map(|name| (*name).to_owned()).zip(args);
        Ok(positional.chain(kwargs).collect())
    }

    fn positional(self) -> Result<Vec<Value>, ArgumentError> {
        match self.0.kwargs.keys().next() {
            Some(odd) => Err(ArgumentError::Unexpected(odd.clone())),
            None => Ok(self.0.args),
        }
    }

    fn keyword(self) -> Result<Vec<(String, Value)>, ArgumentError> {
        match self.0.args.len() {
            0 => Ok(self.0.kwargs.into_iter().collect()),
            given => Err(ArgumentError::TooMany { at_most: 0, given }),
        }
    }

    fn only(self) -> Result<Argument, ArgumentError> {
        let mut args = self.positional()?;
        match (args.pop(), args.len()) {
            (Some(value), 0) => Ok(Argument { name: "1".to_owned(), value }),
            (Some(_), more) => Err(ArgumentError::TooMany { at_most: 1, given: more + 1 }),
            (None, _) => Err(ArgumentError::Missing("1".to_owned())),
        }
    }
}

macro_rules! plain_values {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
            let only = self.only()?;
            only.track(|inner| inner.$method(visitor))
        }
    )*};
}

impl<'de> Deserializer<'de> for Binder {
    type Error = ArgumentError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_map(Pairs::new(self.named(fields)?))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        visitor.visit_map(Pairs::new(self.keyword()?))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        visitor.visit_seq(Positions::new(self.positional()?))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        let args = self.positional()?;
        match args.len() {
            given if given > len => Err(ArgumentError::TooMany { at_most: len, given }),
            given if given < len => Err(ArgumentError::Missing((given + 1).to_string())),
            _ => visitor.visit_seq(Positions::new(args)),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        self.named(&[])?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        if self.0.is_empty() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// A type that takes anything (`Value`) gets the keywords, or else the positions.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentError> {
        if self.0.kwargs.is_empty() {
            self.deserialize_seq(visitor)
        } else {
            self.deserialize_map(visitor)
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentError> {
        let only = self.only()?;
        only.track(|inner| inner.deserialize_enum(name, variants, visitor))
    }

    plain_values! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
        deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_bytes
        deserialize_byte_buf deserialize_identifier
    }
}

/// One value that knows whose it is, so that its errors do too.
struct Argument {
    name: String,
    value: Value,
}

impl Argument {
    /// Deserialises the value; an error names the argument and the place inside it.
    fn track<T>(
        self,
        read: impl FnOnce(
            serde_path_to_error::Deserializer<'_, '_, Value>,
        ) -> Result<T, serde_json::Error>,
    ) -> Result<T, ArgumentError> {
        let Self { name, value } = self;
        let mut track = Track::new();
        let read = read(serde_path_to_error::Deserializer::new(value, &mut track));
        read.map_err(|error| {
            let path = track.path();
            let argument = match path.iter().next() {
                None => name,
                Some(Segment::Seq { .. }) => format!("{name}{path}"),
                Some(_) => format!("{name}.{path}"),
            };
            ArgumentError::Wrong { argument, reason: error.to_string() }
        })
    }
}

/// Deserialises one argument; an error names it and the place inside it.
pub(crate) fn read<T: DeserializeOwned>(name: &str, value: Value) -> Result<T, ArgumentError> {
    Argument { name: name.to_owned(), value }.track(|value| T::deserialize(value))
}

/// Named arguments as serde's map.
struct Pairs {
    pairs: std::vec::IntoIter<(String, Value)>,
    next: Option<Argument>,
}

impl Pairs {
    fn new(pairs: Vec<(String, Value)>) -> Self {
        Self { pairs: pairs.into_iter(), next: None }
    }
}

impl<'de> MapAccess<'de> for Pairs {
    type Error = ArgumentError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ArgumentError> {
        let Some((name, value)) = self.pairs.next() else { return Ok(None) };
        let key = seed.deserialize(name.as_str().into_deserializer()).map(Some);
        self.next = Some(Argument { name, value });
        key
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, ArgumentError> {
        let argument = self.next.take().ok_or_else(|| de::Error::custom("value before its key"))?;
        argument.track(|value| seed.deserialize(value))
    }
}

/// Positional arguments as serde's sequence; each is named by its position, from 1.
struct Positions {
    values: std::iter::Enumerate<std::vec::IntoIter<Value>>,
}

impl Positions {
    fn new(values: Vec<Value>) -> Self {
        Self { values: values.into_iter().enumerate() }
    }
}

impl<'de> SeqAccess<'de> for Positions {
    type Error = ArgumentError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ArgumentError> {
        let Some((idx, value)) = self.values.next() else { return Ok(None) };
        let argument = Argument { name: (idx + 1).to_string(), value };
        argument.track(|value| seed.deserialize(value)).map(Some)
    }
}

/// All arguments as JSON text, without any loss: numbers that `serde_json` has no room for (`NaN`,
/// integers of any size) and halves of surrogate pairs are as the caller wrote them, Python's own
/// types as kombu marks them.
///
/// Shares the place of [`Args`](crate::Args): the first of a handler gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawArgs {
    /// The positional arguments: a JSON array.
    pub args: String,
    /// The keyword arguments: a JSON object.
    pub kwargs: String,
}

impl From<Arguments> for RawArgs {
    fn from(Arguments { args, kwargs }: Arguments) -> Self {
        Self { args: json(&Value::Array(args)), kwargs: json(&Value::Object(kwargs)) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Scrape {
        keyword: String,
        location: Option<String>,
        #[serde(default)]
        force: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Search {
        filters: Vec<Filter>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Filter {
        min: u32,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(Scrape);

    fn bind<T: DeserializeOwned>(args: Value, kwargs: Value) -> Result<T, String> {
        let Value::Array(args) = args else { panic!("args are an array") };
        let Value::Object(kwargs) = kwargs else { panic!("kwargs are an object") };
        Arguments { args, kwargs }.bind().map_err(|error| error.to_string())
    }

    fn scrape(keyword: &str, location: Option<&str>, force: bool) -> Scrape {
        Scrape { keyword: keyword.into(), location: location.map(Into::into), force }
    }

    #[test]
    fn a_struct_takes_arguments_by_position_then_by_keyword() {
        let check = |args, kwargs, expect| assert_eq!(bind::<Scrape>(args, kwargs), Ok(expect));
        check(json!(["rust"]), json!({}), scrape("rust", None, false));
        check(json!([]), json!({"keyword": "rust"}), scrape("rust", None, false));
        check(json!(["rust", "Berlin", true]), json!({}), scrape("rust", Some("Berlin"), true));
        check(json!(["rust"]), json!({"force": true}), scrape("rust", None, true));
        check(json!(["rust", null]), json!({}), scrape("rust", None, false));
        check(json!([]), json!({"force": true, "keyword": "é"}), scrape("é", None, true));
    }

    #[test]
    fn arguments_that_do_not_fit_are_named() {
        let check = |args, kwargs, expect: &str| {
            assert_eq!(bind::<Scrape>(args, kwargs), Err(expect.to_owned()));
        };
        check(json!([]), json!({}), "missing required argument 'keyword'");
        check(json!([]), json!({"location": "x"}), "missing required argument 'keyword'");
        check(json!(["a"]), json!({"keyword": "b"}), "got multiple values for argument 'keyword'");
        check(json!(["a"]), json!({"page": 1}), "got an unexpected keyword argument 'page'");
        check(
            json!(["a", "b", true, 4]),
            json!({}),
            "takes at most 3 positional arguments but 4 were given",
        );
        check(
            json!([7]),
            json!({}),
            "argument 'keyword': invalid type: integer `7`, expected a string",
        );
        check(
            json!(["a", null, "yes"]),
            json!({}),
            "argument 'force': invalid type: string \"yes\", expected a boolean",
        );
        check(
            json!(["a"]),
            json!({"location": ["x"]}),
            "argument 'location': invalid type: sequence, expected a string",
        );
    }

    #[test]
    fn a_wrong_value_inside_an_argument_is_named_by_its_path() {
        let expect = "argument 'filters[1].min': invalid type: string \"two\", expected u32";
        let filters = json!([{"min": 1}, {"min": "two"}]);
        assert_eq!(bind::<Search>(json!([filters.clone()]), json!({})), Err(expect.into()));
        assert_eq!(bind::<Search>(json!([]), json!({"filters": filters})), Err(expect.into()));
        assert_eq!(
            bind::<Search>(json!([[{}]]), json!({})),
            Err("argument 'filters[0]': missing field `min`".into()),
        );
    }

    #[test]
    fn tuples_and_lists_are_positional_only() {
        assert_eq!(bind::<(i64, i64)>(json!([2, 3]), json!({})), Ok((2, 3)));
        assert_eq!(bind::<Vec<i64>>(json!([2, 3, 4]), json!({})), Ok(vec![2, 3, 4]));
        let check = |args, kwargs, expect: &str| {
            assert_eq!(bind::<(i64, i64)>(args, kwargs), Err(expect.to_owned()));
        };
        check(json!([2]), json!({}), "missing required argument '2'");
        check(json!([1, 2, 3]), json!({}), "takes at most 2 positional arguments but 3 were given");
        check(json!([1]), json!({"y": 2}), "got an unexpected keyword argument 'y'");
        check(json!([1, "2"]), json!({}), "argument '2': invalid type: string \"2\", expected i64");
    }

    #[test]
    fn a_unit_takes_none_and_a_plain_value_exactly_one() {
        assert_eq!(bind::<()>(json!([]), json!({})), Ok(()));
        let none = Err("takes at most 0 positional arguments but 1 was given".to_owned());
        assert_eq!(bind::<()>(json!([1]), json!({})), none);
        let odd = Err("got an unexpected keyword argument 'a'".to_owned());
        assert_eq!(bind::<()>(json!([]), json!({"a": 1})), odd);
        assert_eq!(bind::<String>(json!(["a"]), json!({})), Ok("a".to_owned()));
        let missing = Err("missing required argument '1'".to_owned());
        assert_eq!(bind::<String>(json!([]), json!({})), missing);
        let many = Err("takes at most 1 positional argument but 2 were given".to_owned());
        assert_eq!(bind::<u8>(json!([1, 2]), json!({})), many);
    }

    #[test]
    fn maps_options_newtypes_and_values_bind_too() {
        let map = BTreeMap::from([("a".to_owned(), 1)]);
        assert_eq!(bind::<BTreeMap<String, i64>>(json!([]), json!({"a": 1})), Ok(map));
        assert_eq!(bind::<Option<Scrape>>(json!([]), json!({})), Ok(None));
        let some = Ok(Some(scrape("a", None, false)));
        assert_eq!(bind::<Option<Scrape>>(json!(["a"]), json!({})), some);
        let wrapped = Ok(Wrapped(scrape("a", None, false)));
        assert_eq!(bind::<Wrapped>(json!(["a"]), json!({})), wrapped);
        assert_eq!(bind::<Value>(json!([1]), json!({})), Ok(json!([1])));
        assert_eq!(bind::<Value>(json!([]), json!({"a": 1})), Ok(json!({"a": 1})));
    }
}
