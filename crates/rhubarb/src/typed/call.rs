//! A call of a declared task: its arguments by parameter, and how it is published.

use std::{fmt, marker::PhantomData};

use rhubarb_queue::{Client, Error, Publish, wire::Signature};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    json::{self, Odd},
    typed::{
        handle::Handle,
        schema::{Parameter, ParameterKind, Schema},
    },
};

/// A call of a declared task whose result is an `R`.
///
/// [`task`](macro@crate::task) writes a type around it for each task, which has a method for each argument and each
/// option of the call.
pub struct TypedCall<R> {
    schema: &'static Schema,
    /// By parameter.
    values: Vec<Option<Value>>,
    publish: Publish,
    /// Why the call cannot be sent.
    problem: Option<String>,
    returns: PhantomData<fn() -> R>,
}

impl<R> TypedCall<R> {
    /// Begins a call without arguments.
    pub fn new(schema: &'static Schema) -> Self {
        let queue = schema.queue.map(str::to_owned);
        Self {
            schema,
            values: vec![None; schema.parameters.len()],
            publish: Publish::new(schema.name).with(|options| options.queue = queue),
            problem: None,
            returns: PhantomData,
        }
    }

    /// Sets an argument by its place among the parameters.
    #[must_use]
    pub fn argument(mut self, at: usize, value: &impl Serialize) -> Self {
        match (json::write(value, Odd::Refused), self.values.get_mut(at)) {
            (Ok(value), Some(place)) => *place = Some(value),
            (Err(error), _) => {
                let name = self.schema.parameters[at].name;
                self.problem.get_or_insert(format!("argument '{name}' is not JSON: {error}"));
            }
            (Ok(_), None) => {}
        }
        self
    }

    /// Changes how it is published.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Publish)) -> Self {
        change(&mut self.publish);
        self
    }

    /// Returns the call as a step of a canvas; arguments may still be missing.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for an argument that is not JSON, or arguments that cannot be passed together.
    pub fn signature(self) -> Result<Signature, Error> {
        self.filled().map(Signature::from)
    }

    /// Returns the call as what [`Client::publish`] takes.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] as for [`signature`](Self::signature), and for an argument that is missing.
    pub fn publish(self) -> Result<Publish, Error> {
        if let Some(problem) = &self.problem {
            return Err(refused(self.schema, problem));
        }
        let mut pairs = self.schema.parameters.iter().zip(&self.values);
        if let Some((missing, _)) = pairs.find(|(p, value)| p.is_required() && value.is_none()) {
            return Err(refused(self.schema, &format!("misses argument '{}'", missing.name)));
        }
        self.filled()
    }

    /// Publishes the call, and returns what its result can be had by.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish) and [`Client::publish`].
    pub async fn send(self, client: &Client) -> Result<Handle<R>, Error> {
        let schema = self.schema;
        let publish = self.publish()?;
        let is_ignored = publish.options.ignore_result == Some(true) || schema.ignore_result;
        let published = client.publish(&publish).await?;
        Ok(Handle::new(client.clone(), schema.name, published, is_ignored))
    }

    /// Puts the arguments where they stand in a message.
    fn filled(mut self) -> Result<Publish, Error> {
        if let Some(problem) = &self.problem {
            return Err(refused(self.schema, problem));
        }
        let (args, kwargs) = placed(self.schema.parameters, &mut self.values)
            .map_err(|problem| refused(self.schema, &problem))?;
        Ok(Publish { args, kwargs, ..self.publish })
    }
}

fn refused(schema: &Schema, problem: &str) -> Error {
    Error::Refused(format!("the call of task `{}` cannot be sent: {problem}", schema.name))
}

/// Puts arguments by position as far as they are required, and by name from the first one that may
/// be left out: what is left out is the worker's to say. Where there is something for `*args`, all
/// before it stands by position.
fn placed(
    parameters: &[Parameter],
    values: &mut [Option<Value>],
) -> Result<(Vec<Value>, Map<String, Value>), String> {
    let is_open = parameters.iter().zip(&*values).any(|(parameter, value)| {
        let is_empty = value.as_ref().and_then(Value::as_array).is_none_or(Vec::is_empty);
        parameter.kind == ParameterKind::Args && !is_empty
    });
    let (mut args, mut kwargs, mut by_position) = (Vec::new(), Map::new(), true);
    for (parameter, value) in parameters.iter().zip(values) {
        let (name, value) = (parameter.name, value.take());
        by_position &= is_open || (parameter.is_required() && value.is_some());
        match (parameter.kind, value) {
            (ParameterKind::PositionOrKeyword, value) if by_position => {
                let value = value.or_else(|| parameter.default());
                args.push(value.ok_or_else(|| format!("misses argument '{name}'"))?);
            }
            (ParameterKind::Args, Some(Value::Array(rest))) => args.extend(rest),
            (ParameterKind::Args, Some(_)) => return Err(format!("argument '{name}' is no list")),
            (ParameterKind::Kwargs, Some(Value::Object(more))) => {
                add(&mut kwargs, parameters, more)?
            }
            (ParameterKind::Kwargs, Some(_)) => return Err(format!("argument '{name}' is no map")),
            (_, Some(value)) => {
                kwargs.insert(name.to_owned(), value);
            }
            (_, None) => {}
        }
    }
    Ok((args, kwargs))
}

/// Adds the keywords of `**kwargs`, which have names of their own.
fn add(
    kwargs: &mut Map<String, Value>,
    parameters: &[Parameter],
    more: Map<String, Value>,
) -> Result<(), String> {
    let is_named = |name: &str| {
        let mut named = parameters.iter().filter(|parameter| {
            matches!(parameter.kind, ParameterKind::PositionOrKeyword | ParameterKind::Keyword)
        });
        named.any(|parameter| parameter.name == name)
    };
    if let Some(twice) = more.keys().find(|name| is_named(name)) {
        return Err(format!("argument '{twice}' has a parameter of its own"));
    }
    kwargs.extend(more);
    Ok(())
}

// By hand: what a call returns need be neither.
impl<R> Clone for TypedCall<R> {
    fn clone(&self) -> Self {
        Self {
            schema: self.schema,
            values: self.values.clone(),
            publish: self.publish.clone(),
            problem: self.problem.clone(),
            returns: PhantomData,
        }
    }
}

impl<R> fmt::Debug for TypedCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedCall")
            .field("task", &self.schema.name)
            .field("values", &self.values)
            .field("publish", &self.publish)
            .finish_non_exhaustive()
    }
}

/// Writes the options of a call, each as a method of the task's own type.
#[doc(hidden)]
#[macro_export]
macro_rules! __call_options {
    ($vis:vis $ok:ty) => {
        /// Sets the task's id; by default a fresh one.
        $vis fn id(self, id: impl ::core::convert::Into<::std::string::String>) -> Self {
            Self(self.0.with(|publish| publish.options.id = ::core::option::Option::Some(id.into())))
        }

        /// Names the queue; by default that of the declaration, else that of `celery.task_routes`.
        $vis fn queue(self, queue: impl ::core::convert::Into<::std::string::String>) -> Self {
            Self(self.0.with(|publish| publish.options.queue = ::core::option::Option::Some(queue.into())))
        }

        /// Not before this long from now.
        $vis fn countdown(self, wait: ::core::time::Duration) -> Self {
            Self(self.0.with(|publish| publish.options.countdown = ::core::option::Option::Some(wait)))
        }

        /// Not before this time.
        $vis fn eta(self, time: $crate::Timestamp) -> Self {
            Self(self.0.with(|publish| publish.options.eta = ::core::option::Option::Some(time.into())))
        }

        /// Not after this long from now.
        $vis fn expires_in(self, wait: ::core::time::Duration) -> Self {
            Self(self.0.with(|publish| publish.options.expires_in = ::core::option::Option::Some(wait)))
        }

        /// Not after this time.
        $vis fn expires(self, time: $crate::Timestamp) -> Self {
            Self(self.0.with(|publish| publish.options.expires = ::core::option::Option::Some(time.into())))
        }

        /// Sets the priority: 0 is the most urgent.
        $vis fn priority(self, priority: u8) -> Self {
            Self(self.0.with(|publish| publish.options.priority = ::core::option::Option::Some(priority)))
        }

        /// Sets the hard time limit.
        $vis fn time_limit(self, limit: ::core::time::Duration) -> Self {
            Self(self.0.with(|publish| publish.options.time_limit = ::core::option::Option::Some(limit)))
        }

        /// Sets the soft time limit.
        $vis fn soft_time_limit(self, limit: ::core::time::Duration) -> Self {
            Self(self.0.with(|publish| {
                publish.options.soft_time_limit = ::core::option::Option::Some(limit);
            }))
        }

        /// Sets a name to show in place of the task's.
        $vis fn shadow(self, name: impl ::core::convert::Into<::std::string::String>) -> Self {
            Self(self.0.with(|publish| publish.options.shadow = ::core::option::Option::Some(name.into())))
        }

        /// Adds a header of the application.
        $vis fn header(
            self,
            name: impl ::core::convert::Into<::std::string::String>,
            value: impl ::core::convert::Into<$crate::Value>,
        ) -> Self {
            Self(self.0.with(|publish| {
                publish.options.headers.insert(name.into(), value.into());
            }))
        }

        /// Says that nobody will ask for the result.
        $vis fn ignore_result(self) -> Self {
            Self(self.0.with(|publish| publish.options.ignore_result = ::core::option::Option::Some(true)))
        }

        /// Adds what is called with the result of a success.
        $vis fn link(self, callback: impl ::core::convert::Into<$crate::canvas::Signature>) -> Self {
            Self(self.0.with(|publish| publish.options.link.push(callback.into())))
        }

        /// Adds what is called after a failure.
        $vis fn link_error(
            self,
            errback: impl ::core::convert::Into<$crate::canvas::Signature>,
        ) -> Self {
            Self(self.0.with(|publish| publish.options.link_error.push(errback.into())))
        }

        /// Publishes nothing where the same call was published within this time.
        $vis fn unique_for(self, time: ::core::time::Duration) -> Self {
            Self(self.0.with(|publish| publish.unique_for = ::core::option::Option::Some(time)))
        }

        /// Publishes the call, and returns what its result can be had by; see
        /// `rhubarb::TypedCall::send`.
        $vis async fn send(
            self,
            client: &$crate::Client,
        ) -> ::core::result::Result<$crate::Handle<$ok>, $crate::QueueError> {
            self.0.send(client).await
        }

        /// Returns the call as a step of a canvas; see `rhubarb::TypedCall::signature`.
        $vis fn signature(
            self,
        ) -> ::core::result::Result<$crate::canvas::Signature, $crate::QueueError> {
            self.0.signature()
        }

        /// Returns the call as what `Client::publish` takes; see `rhubarb::TypedCall::publish`.
        $vis fn publish(self) -> ::core::result::Result<$crate::Publish, $crate::QueueError> {
            self.0.publish()
        }
    };
}
