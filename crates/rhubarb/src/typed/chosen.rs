//! Which way of returning a task's result is meant, where a type has two.
//!
//! An error that is both a `std::error::Error` and `Serialize` could fail its task either way. The
//! macros know the type that a function returns. They ask `(&&Returned::<R>::new()).kind()`, and
//! the compiler takes the first of these traits that fits, by the references that it needs.

use std::{error::Error as StdError, fmt, marker::PhantomData};

use serde::Serialize;

use crate::output::{Fallible, IntoTaskResult, TaskResult};

/// What a function returns.
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    /// Stands for the type.
    #[expect(clippy::new_without_default, reason = "the macros say what they mean")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Names a [`IntoTaskResult`] without a value of it.
pub(crate) type Way<K> = PhantomData<fn() -> K>;

/// A `Result` whose error is a `std::error::Error`.
pub trait OfError {
    /// What is meant.
    type Way;

    /// Returns what is meant.
    fn kind(&self) -> Way<Self::Way>;
}

impl<R, E> OfError for Returned<Result<R, E>>
where
    R: Serialize,
    E: StdError + Send + Sync + 'static,
{
    type Way = Fallible<anyhow::Error>;

    fn kind(&self) -> Way<Self::Way> {
        PhantomData
    }
}

/// Everything else: whatever fits.
pub trait OfAny<R> {
    /// Returns what is meant.
    fn kind<K>(&self) -> Way<K>
    where
        R: IntoTaskResult<K>;
}

impl<R> OfAny<R> for &Returned<R> {
    fn kind<K>(&self) -> Way<K>
    where
        R: IntoTaskResult<K>,
    {
        PhantomData
    }
}

/// A `Result` of which a function alone does not say what is meant.
pub trait OfBoth {
    /// What the error is.
    type Error;

    /// Refuses it.
    fn registered(&self)
    where
        Self::Error: OneOfBoth;
}

impl<R, E> OfBoth for Returned<Result<R, E>>
where
    R: Serialize,
    E: StdError + Serialize,
{
    type Error = E;

    fn registered(&self)
    where
        E: OneOfBoth,
    {
    }
}

/// Everything else can be registered.
pub trait OfOne {
    /// Accepts it.
    fn registered(&self) {}
}

impl<R> OfOne for &Returned<R> {}

/// Never the case.
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` is both a `std::error::Error` and `Serialize`",
    label = "a handler cannot say which of the two fails its task",
    note = "return `Result<R, TaskError>`, and `?` turns the error into one; or declare the task by `#[rhubarb::task]`"
)]
pub trait OneOfBoth {}

/// A result, and in which way it is returned.
pub struct Chosen<R, K>(R, Way<K>);

impl<R, K> Chosen<R, K> {
    /// Says in which way a result is returned.
    pub const fn new(result: R, kind: Way<K>) -> Self {
        Self(result, kind)
    }
}

impl<R: IntoTaskResult<K>, K> IntoTaskResult<Self> for Chosen<R, K> {
    fn into_task_result(self) -> TaskResult {
        self.0.into_task_result()
    }

    fn refused() -> Option<String> {
        R::refused()
    }
}

impl<R> fmt::Debug for Returned<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Returned")
    }
}

impl<R, K> fmt::Debug for Chosen<R, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chosen")
    }
}
