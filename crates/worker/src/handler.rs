//! Async functions as task handlers.

use std::future::Future;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::TaskError,
    extract::{Call, FromCall, States},
};

/// What a handler's call comes to: a JSON result or the task's fate.
pub type TaskResult = Result<Value, TaskError>;

/// An async function of up to eight parameters, each a [`FromCall`].
///
/// `Parameters` only tells the implementations apart; it is never named.
pub trait Handler<Parameters>: Send + Sync + 'static {
    /// Runs the handler on one call.
    fn call(&self, call: Call) -> BoxFuture<'static, TaskResult>;

    /// Returns what its parameters miss.
    fn missing(states: &States) -> Vec<&'static str>;
}

/// Tells apart the two implementations of [`IntoTaskResult`]; never named.
#[derive(Debug)]
pub struct Fallible;
/// Tells apart the two implementations of [`IntoTaskResult`]; never named.
#[derive(Debug)]
pub struct Plain;

/// What a handler may return: `Result<R, TaskError>`, or `R` alone, for any `R: Serialize`.
pub trait IntoTaskResult<Kind> {
    /// Turns it into JSON.
    ///
    /// # Errors
    ///
    /// The handler's own error, or a result that JSON cannot hold.
    fn into_task_result(self) -> TaskResult;
}

impl<R: Serialize> IntoTaskResult<Plain> for R {
    fn into_task_result(self) -> TaskResult {
        serde_json::to_value(self).map_err(|error| {
            TaskError::failed("TypeError", format!("the result is not JSON: {error}"))
        })
    }
}

impl<R: Serialize> IntoTaskResult<Fallible> for Result<R, TaskError> {
    fn into_task_result(self) -> TaskResult {
        self.and_then(IntoTaskResult::<Plain>::into_task_result)
    }
}

macro_rules! handler {
    ($($parameter:ident)*) => {
        impl<Function, Fut, R, Kind, $($parameter,)*> Handler<(Kind, $($parameter,)*)> for Function
        where
            Function: Fn($($parameter),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoTaskResult<Kind> + 'static,
            Kind: 'static,
            $($parameter: FromCall + Send + 'static,)*
        {
            #[allow(non_snake_case, unused_mut, reason = "one body serves every number of parameters")]
            fn call(&self, mut call: Call) -> BoxFuture<'static, TaskResult> {
                let function = self.clone();
                Box::pin(async move {
                    $(let $parameter = $parameter::from_call(&mut call)?;)*
                    call.finish()?;
                    function($($parameter),*).await.into_task_result()
                })
            }

            fn missing(_states: &States) -> Vec<&'static str> {
                let missing: Vec<Option<&'static str>> = vec![$($parameter::missing(_states)),*];
                missing.into_iter().flatten().collect()
            }
        }
    };
}

handler!();
handler!(T1);
handler!(T1 T2);
handler!(T1 T2 T3);
handler!(T1 T2 T3 T4);
handler!(T1 T2 T3 T4 T5);
handler!(T1 T2 T3 T4 T5 T6);
handler!(T1 T2 T3 T4 T5 T6 T7);
handler!(T1 T2 T3 T4 T5 T6 T7 T8);
