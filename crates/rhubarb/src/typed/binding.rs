//! A call's arguments, bound to the parameters of a declared task as Python would.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{
    args::{ArgumentError, Arguments, Takes, read},
    error::TaskError,
    extract::{Call, FromCall, wrong_arguments},
    typed::schema::{ParameterKind, Schema},
};

/// The arguments of a declared task, each under its parameter.
#[derive(Debug)]
pub struct Binding {
    schema: &'static Schema,
    values: Vec<Option<Value>>,
    args: Vec<Value>,
    kwargs: Map<String, Value>,
}

/// All arguments of a declared task, typed.
pub trait Bind: Sized {
    /// Returns what the task takes.
    fn schema() -> &'static Schema;

    /// Takes each argument as its type.
    ///
    /// # Errors
    ///
    /// Which argument does not fit.
    fn bind(binding: &mut Binding) -> Result<Self, ArgumentError>;
}

/// All arguments as one parameter of a handler.
#[derive(Debug)]
pub struct Bound<T>(pub T);

impl<T: Bind> FromCall for Bound<T> {
    async fn from_call(call: &mut Call) -> Result<Self, TaskError> {
        let bound =
            Binding::new(T::schema(), call.take_arguments()).and_then(|mut all| T::bind(&mut all));
        bound.map(Self).map_err(|error| wrong_arguments(call.context(), &error))
    }
}

impl Binding {
    /// Gives each argument to its parameter.
    ///
    /// # Errors
    ///
    /// An argument without a parameter, or a parameter that misses its argument.
    pub(crate) fn new(
        schema: &'static Schema,
        arguments: Arguments,
    ) -> Result<Self, ArgumentError> {
        takes(schema, &arguments)?;
        let Arguments { args, mut kwargs } = arguments;
        let mut args = args.into_iter();
        let values = schema.parameters.iter().map(|parameter| match parameter.kind {
            ParameterKind::PositionOrKeyword => {
                args.next().or_else(|| kwargs.shift_remove(parameter.name))
            }
            ParameterKind::Keyword => kwargs.shift_remove(parameter.name),
            ParameterKind::Args | ParameterKind::Kwargs => None,
        });
        let values: Vec<Option<Value>> = values.collect();
        let mut pairs = schema.parameters.iter().zip(&values);
        match pairs.find(|(parameter, value)| parameter.is_required() && value.is_none()) {
            Some((missing, _)) => Err(ArgumentError::Missing(missing.name.to_owned())),
            None => Ok(Self { schema, values, args: args.collect(), kwargs }),
        }
    }

    /// Takes an argument that has to be there.
    ///
    /// # Errors
    ///
    /// Its type does not fit.
    pub fn required<T: DeserializeOwned>(&mut self, at: usize) -> Result<T, ArgumentError> {
        let (name, value) = self.take(at);
        match value {
            Some(value) => read(name, value),
            None => Err(ArgumentError::Missing(name.to_owned())),
        }
    }

    /// Takes an argument, or its default.
    ///
    /// # Errors
    ///
    /// As for [`required`](Self::required).
    pub fn optional<T: DeserializeOwned>(
        &mut self,
        at: usize,
        default: fn() -> T,
    ) -> Result<T, ArgumentError> {
        match self.take(at) {
            (name, Some(value)) => read(name, value),
            _ => Ok(default()),
        }
    }

    /// Takes all positional arguments that have no parameter of their own.
    ///
    /// # Errors
    ///
    /// As for [`required`](Self::required).
    pub fn args<T: DeserializeOwned>(&mut self, at: usize) -> Result<T, ArgumentError> {
        read(self.take(at).0, Value::Array(std::mem::take(&mut self.args)))
    }

    /// Takes all keyword arguments that have no parameter of their own.
    ///
    /// # Errors
    ///
    /// As for [`required`](Self::required).
    pub fn kwargs<T: DeserializeOwned>(&mut self, at: usize) -> Result<T, ArgumentError> {
        read(self.take(at).0, Value::Object(std::mem::take(&mut self.kwargs)))
    }

    fn take(&mut self, at: usize) -> (&'static str, Option<Value>) {
        let name = self.schema.parameters.get(at).map_or("", |parameter| parameter.name);
        (name, self.values.get_mut(at).and_then(Option::take))
    }
}

fn takes(schema: &'static Schema, arguments: &Arguments) -> Result<(), ArgumentError> {
    let names = |kind| {
        let of_kind = schema.parameters.iter().filter(move |parameter| parameter.kind == kind);
        of_kind.map(|parameter| parameter.name)
    };
    let takes = Takes {
        positional: names(ParameterKind::PositionOrKeyword),
        keyword: names(ParameterKind::Keyword),
        args: names(ParameterKind::Args).next().is_some(),
        kwargs: names(ParameterKind::Kwargs).next().is_some(),
    };
    takes.check(arguments)
}
