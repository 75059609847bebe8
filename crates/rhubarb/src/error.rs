//! What a handler may say went wrong, and what then happens to its task.

use std::{any::type_name, error::Error as StdError, panic::Location, time::Duration};

use rhubarb_core::class::Class;
use rhubarb_queue::wire::{Exception, Signature};
use serde_json::Value;

use crate::{failure::Raised, retry::Retry};

/// Why a handler did not return a result; each variant is another fate of the task.
///
/// `?` turns any error into one: Rhubarb's own passing faults (Redis away, say) become
/// [`TaskError::Transient`], everything else [`TaskError::Failed`], with the error's type as
/// exception type and its whole chain as message. [`Passing::passing`] marks any other error as
/// worth a retry.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The task failed for good: FAILURE, no retry.
    Failed(Raised),
    /// Trying again may work: a retry by the task's policy, FAILURE when there is none left.
    Transient(Raised),
    /// Try again, as Celery's `retry()` does: counts as a retry, FAILURE when there is none left.
    Retry(Box<Retry>),
    /// Not now: come back after this long, without counting a retry and without holding a slot.
    PutOff {
        /// How long to wait.
        after: Duration,
    },
    /// The worker is stopping and the handler gave up early: the task goes back to its queue.
    Cancelled,
    /// Another task or canvas takes its place, as Celery's `replace()` has it: it gets the id, the
    /// callbacks, the rest of the chain and the part of a chord. The task itself stores nothing.
    Replace(Box<Signature>),
    /// The task ends without a word, as by Celery's `Ignore`: no result is stored, no event is
    /// sent, and nothing that waits for it goes on. The task may have stored a state of its own.
    Ignore,
    /// The task refuses its message, as by Celery's `Reject`: no result is stored, and nothing that
    /// waits for it goes on. Celery's readers are told by the event `task-rejected`.
    Reject {
        /// Whether the message goes back to its queue, where
        /// [`TaskInfo::redelivered`](crate::TaskInfo::redelivered) is true from then on.
        /// Else it is kept as a dead letter.
        requeue: bool,
        /// Why: one sentence for a person.
        reason: String,
    },
}

impl TaskError {
    /// Fails for good, with a Python exception class (`builtins`) and a message.
    #[track_caller]
    pub fn failed(exc_type: &str, message: impl Into<String>) -> Self {
        Self::Failed(Raised::here(builtin(exc_type, message.into())))
    }

    /// Fails in passing, with a Python exception class (`builtins`) and a message.
    #[track_caller]
    pub fn transient(exc_type: &str, message: impl Into<String>) -> Self {
        Self::Transient(Raised::here(builtin(exc_type, message.into())))
    }

    /// Fails for good with any Python exception.
    #[track_caller]
    pub fn raise(exception: Exception) -> Self {
        Self::Failed(Raised::here(exception))
    }

    /// Asks for another attempt after this long, for the reason given; [`Retry`] has more to say.
    #[track_caller]
    pub fn retry(after: Duration, reason: impl Into<String>) -> Self {
        Retry::after(after).because("RuntimeError", reason).into()
    }

    /// Asks to be run later, at no cost.
    pub fn put_off(after: Duration) -> Self {
        Self::PutOff { after }
    }

    /// Has another task or canvas take this one's place.
    ///
    /// ```
    /// use rhubarb::prelude::*;
    ///
    /// #[task(name = "shop.total")]
    /// async fn total(prices: Vec<i64>) -> Result<i64, TaskError> {
    ///     if prices.len() > 1000 {
    ///         return Err(TaskError::replace(Signature::new("shop.large_total").arg(prices)));
    ///     }
    ///     Ok(prices.iter().sum())
    /// }
    /// ```
    pub fn replace(by: impl Into<Signature>) -> Self {
        Self::Replace(Box::new(by.into()))
    }

    /// Refuses the message: it is kept as a dead letter.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { requeue: false, reason: reason.into() }
    }

    /// Refuses the message: it goes back to its queue, marked as delivered before.
    pub fn requeue(reason: impl Into<String>) -> Self {
        Self::Reject { requeue: true, reason: reason.into() }
    }

    /// Takes an error that a handler returned as it is: nobody knows from which line.
    pub(crate) fn returned(error: &anyhow::Error, type_name: &str) -> Self {
        Self::of(error, Raised::by(error, named(type_name, chain(error.chain())), None))
    }

    fn of(error: &anyhow::Error, raised: Raised) -> Self {
        if error.chain().any(is_transient) { Self::Transient(raised) } else { Self::Failed(raised) }
    }
}

fn builtin(exc_type: &str, message: String) -> Exception {
    Exception::builtin(exc_type, vec![Value::String(message)])
}

impl From<Retry> for TaskError {
    fn from(retry: Retry) -> Self {
        Self::Retry(Box::new(retry))
    }
}

// `TaskError` itself is no `std::error::Error`: that is what lets `?` take every type that is.
impl<E: Into<anyhow::Error>> From<E> for TaskError {
    // The caller of `?` is where the error was raised, as far as the task's author is concerned.
    #[track_caller]
    fn from(error: E) -> Self {
        let error = error.into();
        let raised = raised::<E>(&error, Location::caller());
        Self::of(&error, raised)
    }
}

/// Marks errors as passing, so that the task is tried again.
pub trait Passing<T> {
    /// Turns the error into [`TaskError::Transient`].
    ///
    /// # Errors
    ///
    /// The same error, as one that a retry may cure.
    fn passing(self) -> Result<T, TaskError>;
}

impl<T, E: Into<anyhow::Error>> Passing<T> for Result<T, E> {
    #[track_caller]
    fn passing(self) -> Result<T, TaskError> {
        let at = Location::caller();
        self.map_err(|error| TaskError::Transient(raised::<E>(&error.into(), at)))
    }
}

fn raised<E>(error: &anyhow::Error, at: &'static Location<'static>) -> Raised {
    Raised::by(error, named(type_of::<E>(error), chain(error.chain())), Some(at))
}

/// Joins the texts of an error and its causes; a cause that ends the text before is told already.
pub(crate) fn chain<'e>(causes: impl Iterator<Item = &'e (dyn StdError + 'static)>) -> String {
    let mut texts = causes.map(ToString::to_string);
    let first = texts.next().unwrap_or_default();
    texts.fold(
        first,
        |text, cause| {
            if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
        },
    )
}

/// Names the type of an error; of an `anyhow::Error`, the first in its chain that is known.
pub(crate) fn type_of<E>(error: &anyhow::Error) -> &'static str {
    let own = type_name::<E>();
    let is_anyhow = own == type_name::<anyhow::Error>();
    if is_anyhow { error.chain().find_map(known).unwrap_or(own) } else { own }
}

macro_rules! known {
    ($($error:ty)*) => {
        /// Names the type of an error where it is one of those that are often met: Rust tells the
        /// name of no other that was boxed.
        pub(crate) fn known(error: &(dyn StdError + 'static)) -> Option<&'static str> {
            $(if error.is::<$error>() {
                return Some(type_name::<$error>());
            })*
            None
        }
    };
}

known! {
    std::io::Error
    std::fmt::Error
    std::num::ParseIntError
    std::num::ParseFloatError
    std::num::TryFromIntError
    std::str::ParseBoolError
    std::str::Utf8Error
    std::string::FromUtf8Error
    std::time::SystemTimeError
    std::net::AddrParseError
    std::env::VarError
    serde_json::Error
    jiff::Error
    uuid::Error
    tokio::task::JoinError
    tokio::time::error::Elapsed
    crate::GetError
    rhubarb_queue::Error
    rhubarb_connection::Error
}

/// Names an exception after a Rust type: `reqwest::error::Error` is `Error` of `reqwest.error`.
///
/// What has no name of its own, such as a tuple, is an `Error` of `rust`.
pub(crate) fn named(type_name: &str, text: String) -> Exception {
    let path = type_name.trim_start_matches("&").trim_start_matches("mut ");
    let path = path.split('<').next().unwrap_or(path);
    let is_named =
        path.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '{' | '}' | '#'));
    let path = if is_named && !path.is_empty() { path } else { "Error" };
    let (module, name) = path.rsplit_once("::").unwrap_or(("rust", path));
    Exception::new(&module.replace("::", "."), name, vec![Value::String(text)])
}

fn is_transient(error: &(dyn StdError + 'static)) -> bool {
    let queue = error.downcast_ref::<rhubarb_queue::Error>().map(rhubarb_queue::Error::class);
    // What another crate of ours reads or writes has the connection's error in its chain.
    let class = queue.or_else(|| {
        error.downcast_ref::<rhubarb_connection::Error>().map(rhubarb_connection::Error::class)
    });
    class == Some(Class::Transient)
}
