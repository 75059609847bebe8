//! What a handler returns, and how it ends its task: a stored result, or an error that fails it.
//!
//! A `Result` never becomes a SUCCESS that holds an error. Rust's types exclude most of it. What
//! they cannot exclude is refused when the task is registered, by the name of the returned type. An
//! `Err` inside a struct of one's own fails the task that returns it.

use std::{any::type_name, error::Error as StdError, fmt, marker::PhantomData};

use serde::Serialize;
use serde_json::Value;

use crate::{
    error::{TaskError, chain, known, named, type_of},
    failure::Raised,
    json::{self, Odd, Problem},
    retry::Retry,
};

/// What a handler's call comes to: a JSON result or the task's fate.
pub(crate) type TaskResult = Result<Value, TaskError>;

/// Tells apart the implementations of [`IntoTaskResult`]; never named.
#[derive(Debug)]
pub struct Fallible<Way>(PhantomData<Way>);
/// Tells apart the implementations of [`IntoTaskResult`]; never named.
#[derive(Debug)]
pub struct Plain;

/// What a handler may return: `R`, or `Result<R, E>`, with `R: Serialize`.
///
/// `E` is [`TaskError`], [`Retry`], `anyhow::Error`, any `std::error::Error` that is `Send + Sync`,
/// a boxed one, or any error that implements `Serialize`, such as a `String`. An `Err` fails the
/// task with the name of its type and its text, and with the errors that caused it. What is no
/// `std::error::Error` has its JSON as its text, a string as it is.
///
/// An error type that is both a `std::error::Error` and `Serialize` is taken as the first by
/// [`task`](macro@crate::task). The function form cannot tell, and the compiler asks for a type
/// annotation (E0283). Return `Result<R, TaskError>` there; `?` turns the error into one.
///
/// A number that JSON has no words for (`NaN`, an infinity, more than 64 bits) is stored as Python
/// writes it, and read again by Python and by [`Handle::get`](crate::Handle::get).
///
/// ```
/// # use rhubarb::App;
/// # fn register(app: &mut App) {
/// async fn parse() -> Result<i64, std::num::ParseIntError> {
///     "x".parse() // Fails the task with `ParseIntError: invalid digit found in string`.
/// }
/// app.task("shop.parse", parse);
/// # }
/// ```
///
/// An error that nobody can show does not compile:
///
/// ```compile_fail,E0277
/// # use rhubarb::App;
/// struct Mute;
/// async fn fails() -> Result<i64, Mute> {
///     Err(Mute)
/// }
/// fn register(app: &mut App) {
///     app.task("shop.fails", fails);
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "a task cannot return `{Self}`",
    label = "is neither `Serialize` nor a `Result` whose error can fail the task",
    note = "return `R` or `Result<R, E>`, where `R` implements `serde::Serialize`",
    note = "`E` is `TaskError`, `anyhow::Error`, a `std::error::Error + Send + Sync` (for example by `thiserror`), or a `String`"
)]
pub trait IntoTaskResult<Way> {
    /// Turns it into JSON.
    ///
    /// # Errors
    ///
    /// The handler's own error, or a result that JSON cannot hold.
    fn into_task_result(self) -> TaskResult;

    /// Says why no task can return this type although it compiles; the worker refuses to start.
    fn refused() -> Option<String>;
}

impl<R: Serialize> IntoTaskResult<Plain> for R {
    fn into_task_result(self) -> TaskResult {
        let types = type_name::<R>().strip_prefix(RESULT);
        match (json::write(&self, Odd::Kept), types) {
            (Ok(value), None) => Ok(value),
            (Ok(value), Some(_)) => Ok(ok(value)),
            (Err(Problem::Err(error)), Some(types)) => {
                let raised = named(error_type(types), json::told(&error));
                Err(TaskError::Failed(Raised::from(raised)))
            }
            (Err(problem), _) => Err(unwritten(problem)),
        }
    }

    fn refused() -> Option<String> {
        let name = type_name::<R>();
        hidden_result(name, name.strip_prefix(RESULT).unwrap_or(name))
    }
}

impl<R: Serialize, Way, E: Failure<Way>> IntoTaskResult<Fallible<Way>> for Result<R, E> {
    fn into_task_result(self) -> TaskResult {
        let value = self.map_err(Failure::into_task_error)?;
        json::write(&value, Odd::Kept).map_err(unwritten)
    }

    fn refused() -> Option<String> {
        let name = type_name::<R>();
        hidden_result(name, name)
    }
}

/// Fails with a result that cannot be stored.
fn unwritten(problem: Problem) -> TaskError {
    match problem {
        Problem::Text(text) => {
            TaskError::failed("TypeError", format!("the result is not JSON: {text}"))
        }
        Problem::Err(error) => {
            let text = format!("the result holds an Err: {}", json::told(&error));
            TaskError::Failed(Raised::from(named("Error", text)))
        }
    }
}

/// How [`type_name`] begins the name of a `Result`. A test holds it.
const RESULT: &str = "core::result::Result<";

fn hidden_result(name: &str, looked_at: &str) -> Option<String> {
    looked_at.contains(RESULT).then(|| {
        format!("returns `{name}`: an `Err` in it would be stored as a SUCCESS, return one `Result` around all")
    })
}

/// Takes the result out of an `Ok` that serde has written.
fn ok(value: Value) -> Value {
    match value {
        Value::Object(mut map) if map.contains_key("Ok") => {
            map.shift_remove("Ok").unwrap_or_default()
        }
        other => other,
    }
}

/// Finds the second of two types: what stands behind the comma that is inside nothing.
fn error_type(types: &'static str) -> &'static str {
    let (mut depth, mut last) = (0_i32, ' ');
    for (at, c) in types.char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if last != '-' => depth -= 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                let error = types[at + 1..].trim_start();
                return error.strip_suffix('>').unwrap_or(error);
            }
            _ => {}
        }
        last = c;
    }
    types
}

/// An error that can fail a task. `Way` only tells the implementations apart; it is never named.
pub trait Failure<Way> {
    /// Turns it into the task's fate.
    fn into_task_error(self) -> TaskError;
}

impl Failure<TaskError> for TaskError {
    fn into_task_error(self) -> TaskError {
        self
    }
}

impl Failure<Retry> for Retry {
    fn into_task_error(self) -> TaskError {
        self.into()
    }
}

impl<E: Into<anyhow::Error>> Failure<anyhow::Error> for E {
    fn into_task_error(self) -> TaskError {
        let error = self.into();
        TaskError::returned(&error, type_of::<E>(&error))
    }
}

impl Failure<Boxed<dyn StdError + Send + Sync>> for Box<dyn StdError + Send + Sync> {
    fn into_task_error(self) -> TaskError {
        let name = causes(&*self).find_map(known).unwrap_or(BOXED);
        TaskError::returned(&anyhow::Error::from_boxed(self), name)
    }
}

impl Failure<Boxed<dyn StdError + Send>> for Box<dyn StdError + Send> {
    fn into_task_error(self) -> TaskError {
        told(&*self)
    }
}

impl Failure<Boxed<dyn StdError>> for Box<dyn StdError> {
    fn into_task_error(self) -> TaskError {
        told(&*self)
    }
}

/// Tells apart the boxed errors; never named.
pub struct Boxed<E: ?Sized>(PhantomData<E>);

impl<E: ?Sized> fmt::Debug for Boxed<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Boxed")
    }
}

/// The type of a boxed error is not known.
const BOXED: &str = "std::error::Error";

/// Fails with an error that cannot leave its thread: only its text can.
fn told(error: &(dyn StdError + 'static)) -> TaskError {
    let name = causes(error).find_map(known).unwrap_or(BOXED);
    TaskError::Failed(Raised::from(named(name, chain(causes(error)))))
}

/// An error and what has caused it.
fn causes<'e>(
    error: &'e (dyn StdError + 'static),
) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rhubarb_queue::wire::Exception;

    use super::*;

    fn refused<Way, R: IntoTaskResult<Way>>() -> bool {
        R::refused().is_some()
    }

    #[test]
    fn a_result_inside_another_type_is_refused_at_registration() {
        type Inner = Result<i64, String>;
        assert!(refused::<_, Option<Inner>>());
        assert!(refused::<_, Vec<Inner>>());
        assert!(refused::<_, (i64, Inner)>());
        assert!(refused::<_, BTreeMap<String, Inner>>());
        assert!(refused::<_, Result<Inner, String>>());
        assert!(refused::<_, Result<Inner, TaskError>>());
        assert!(refused::<_, Result<Option<Inner>, anyhow::Error>>());
        assert!(!refused::<_, Inner>());
        assert!(!refused::<_, Option<i64>>());
        assert!(!refused::<_, Result<Vec<i64>, TaskError>>());
    }

    #[test]
    fn the_error_of_a_result_is_found_by_its_types() {
        let check = |name: &'static str, expect| {
            assert_eq!(error_type(name.strip_prefix(RESULT).unwrap()), expect);
        };
        check(type_name::<Result<i64, String>>(), "alloc::string::String");
        check(type_name::<Result<(i64, Vec<[u8; 3]>), &str>>(), "&str");
        type Odd = std::marker::PhantomData<fn(i64, u8) -> Vec<i64>>;
        check(type_name::<Result<Odd, Option<i64>>>(), "core::option::Option<i64>");
        check(type_name::<Result<(), ()>>(), "()");
    }

    fn failed(result: TaskResult) -> (String, String) {
        let Err(TaskError::Failed(raised)) = result else { panic!("{result:?}") };
        let Exception { exc_module, exc_type, exc_message } = raised.exception;
        let text = exc_message[0].as_str().unwrap().to_owned();
        (format!("{}.{exc_type}", exc_module.unwrap_or_default()), text)
    }

    #[test]
    fn an_err_fails_with_its_types_name_and_its_text() {
        #[derive(Serialize)]
        struct Refused {
            code: u16,
        }
        let check = |result: TaskResult, name: &str, text: &str| {
            assert_eq!(failed(result), (name.to_owned(), text.to_owned()));
        };
        let module = module_path!().replace("::", ".");
        check(Err::<i64, _>("boom").into_task_result(), "rust.str", "boom");
        let owned = Err::<i64, _>("boom".to_owned());
        check(owned.into_task_result(), "alloc.string.String", "boom");
        check(Err::<i64, _>(()).into_task_result(), "rust.Error", "null");
        let refused = Err::<i64, _>(Refused { code: 7 }).into_task_result();
        let name = format!("{module}.an_err_fails_with_its_types_name_and_its_text.Refused");
        check(refused, &name, "{\"code\":7}");
        let boxed: Result<i64, Box<dyn StdError>> = Err("boom".into());
        check(boxed.into_task_result(), "std.error.Error", "boom");
        let boxed: Result<i64, Box<dyn StdError + Send + Sync>> = Err("boom".into());
        check(boxed.into_task_result(), "std.error.Error", "boom");
        assert_eq!(Ok::<_, String>(3).into_task_result().unwrap(), 3);
    }

    #[test]
    fn an_error_that_lost_its_type_has_the_name_that_can_still_be_had() {
        let io = || std::io::Error::other("disk is full");
        let check = |result: TaskResult, name: &str, text: &str| {
            assert_eq!(failed(result), (name.to_owned(), text.to_owned()));
        };
        let context = anyhow::Error::new(io()).context("closing the shop");
        let text = "closing the shop: disk is full";
        check(Err::<i64, _>(context).into_task_result(), "std.io.error.Error", text);
        check(Err::<i64, _>(anyhow::anyhow!("boom")).into_task_result(), "anyhow.Error", "boom");
        let boxed: Box<dyn StdError + Send + Sync> = Box::new("x".parse::<i64>().unwrap_err());
        let text = "invalid digit found in string";
        check(Err::<i64, _>(boxed).into_task_result(), "core.num.error.ParseIntError", text);
    }

    #[test]
    fn a_cause_that_is_told_already_is_not_told_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("the order is lost: {0}")]
        struct Lost(#[source] std::num::ParseIntError);
        let lost = Err::<i64, _>(Lost("x".parse::<i64>().unwrap_err()));
        let text = "the order is lost: invalid digit found in string";
        assert_eq!(failed(lost.into_task_result()).1, text);
    }

    #[test]
    fn an_err_inside_a_struct_fails_its_task() {
        #[derive(Serialize)]
        struct Held {
            inner: Vec<Result<i64, String>>,
        }
        let held = || Held { inner: vec![Ok(1), Err("boom".to_owned())] };
        let expect = ("rust.Error".to_owned(), "the result holds an Err: boom".to_owned());
        assert_eq!(failed(held().into_task_result()), expect);
        assert_eq!(failed(Ok::<_, TaskError>(held()).into_task_result()), expect);
        assert_eq!(failed(Ok::<_, String>(held()).into_task_result()).1, "boom");
    }
}
