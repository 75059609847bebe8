//! Async functions as task handlers.

use std::future::Future;

use futures_util::future::BoxFuture;

use crate::{
    extract::{Call, FromCall, States},
    output::{IntoTaskResult, TaskResult},
};

/// An async function of up to eight parameters, each a [`FromCall`].
///
/// `Parameters` only tells the implementations apart; it is never named.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a task",
    label = "is no async function that a task can run",
    note = "it has up to eight parameters: `Args<T>` with `T: DeserializeOwned`, `State<S>`, `TaskContext`",
    note = "it returns `R` or `Result<R, E>` with `R: Serialize`; `E` is `TaskError`, `anyhow::Error`, a `std::error::Error + Send + Sync`, or a `String`",
    note = "its future is `Send`; what waits without `.await` is registered with `blocking_task`"
)]
pub trait Handler<Parameters>: Send + Sync + 'static {
    /// Runs the handler on one call.
    fn call(&self, call: Call) -> BoxFuture<'static, TaskResult>;

    /// Returns what its parameters miss.
    fn missing(states: &States) -> Vec<&'static str>;

    /// Says why what it returns can end no task; see [`IntoTaskResult::refused`].
    fn refused() -> Option<String>;

    /// Tells whether it is an errback that is called where a task fails.
    fn is_told_of_failures() -> bool;
}

macro_rules! handler {
    ($($parameter:ident)*) => {
        impl<Function, Fut, R, Way, $($parameter,)*> Handler<(Way, $($parameter,)*)> for Function
        where
            Function: Fn($($parameter),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send + 'static,
            R: IntoTaskResult<Way> + 'static,
            Way: 'static,
            $($parameter: FromCall + Send + 'static,)*
        {
            #[allow(non_snake_case, unused_mut, reason = "one body serves every number of parameters")]
            fn call(&self, mut call: Call) -> BoxFuture<'static, TaskResult> {
                let function = self.clone();
                Box::pin(async move {
                    $(let $parameter = $parameter::from_call(&mut call).await?;)*
                    call.finish()?;
                    function($($parameter),*).await.into_task_result()
                })
            }

            fn missing(_states: &States) -> Vec<&'static str> {
                let missing: Vec<Option<&'static str>> = vec![$($parameter::missing(_states)),*];
                missing.into_iter().flatten().collect()
            }

            fn refused() -> Option<String> {
                R::refused()
            }

            fn is_told_of_failures() -> bool {
                let told: Vec<bool> = vec![$($parameter::is_told_of_failures()),*];
                told.contains(&true)
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
