//! What a task raised, and where: a Python exception with a traceback that says so of Rust code.

use std::{backtrace::Backtrace, fmt::Write as _, panic::Location};

use rhubarb_queue::wire::{Exception, repr};
use serde_json::Value;

/// The most of a traceback that is stored, bytes; a failure is stored under each remaining step of
/// a chain.
const MAX_TRACEBACK: usize = 16 * 1024;

/// An exception, and what is known of its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    /// What Python raises.
    pub exception: Exception,
    /// `file:line` in Python's order, with what led to it; `None` where nothing is known.
    origin: Option<Box<Origin>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Origin {
    /// File and line; `None` for an error that a handler returned as it is.
    at: Option<(String, u32)>,
    /// The errors below the one that was returned, the deepest last.
    causes: Vec<String>,
    /// Rust's own backtrace, where `RUST_BACKTRACE` asks for it.
    backtrace: Option<String>,
}

impl Raised {
    /// Takes an exception as raised where this is called.
    #[track_caller]
    pub fn here(exception: Exception) -> Self {
        let origin = Origin::at(Some(Location::caller()), Vec::new(), None);
        Self { exception, origin: Some(Box::new(origin)) }
    }

    /// Takes an exception as raised by an error of Rust, whose causes are told too.
    pub(crate) fn by(
        error: &anyhow::Error,
        exception: Exception,
        at: Option<&'static Location<'static>>,
    ) -> Self {
        let causes = error.chain().skip(1).map(ToString::to_string).collect();
        let origin = Origin::at(at, causes, captured(error.backtrace()));
        Self { exception, origin: Some(Box::new(origin)) }
    }

    /// Takes an exception as raised by a panic.
    pub(crate) fn by_panic(exception: Exception, panic: Option<crate::panics::Panic>) -> Self {
        let origin = panic.map(|panic| {
            let backtrace = captured(&panic.backtrace);
            Box::new(Origin { at: Some((panic.file, panic.line)), causes: Vec::new(), backtrace })
        });
        Self { exception, origin }
    }

    /// Returns a traceback as Python prints it: causes first, the exception last.
    pub fn traceback(&self, task: &str) -> Option<String> {
        let origin = self.origin.as_ref()?;
        let mut text = String::new();
        for cause in origin.causes.iter().rev() {
            text += cause;
            text += "\n\nThe above exception was the direct cause of the following exception:\n\n";
        }
        // Writing to a string cannot fail.
        let _ = writeln!(text, "Traceback (most recent call last):");
        for frame in origin.backtrace.iter().flat_map(|frames| frames.lines()) {
            let _ = writeln!(text, "  {frame}");
        }
        let _ = match &origin.at {
            Some((file, line)) => writeln!(text, "  File \"{file}\", line {line}, in {task}"),
            None => writeln!(text, "  in {task}"),
        };
        let _ = writeln!(text, "{}", last_line(&self.exception));
        Some(bounded(text))
    }
}

impl From<Exception> for Raised {
    /// An exception of which nobody knows where it was raised.
    fn from(exception: Exception) -> Self {
        Self { exception, origin: None }
    }
}

impl Origin {
    fn at(at: Option<&Location<'_>>, causes: Vec<String>, backtrace: Option<String>) -> Self {
        let at = at.map(|at| (at.file().to_owned(), at.line()));
        Self { at, causes, backtrace }
    }
}

fn captured(backtrace: &Backtrace) -> Option<String> {
    let is_captured = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
    is_captured.then(|| bounded(backtrace.to_string()))
}

/// The last line of a traceback: `builtins` is not named, one argument stands for itself.
fn last_line(exception: &Exception) -> String {
    let module = exception.exc_module.as_deref().filter(|module| *module != "builtins");
    let name = module.map_or_else(String::new, |module| format!("{module}."));
    let name = name + &exception.exc_type;
    match exception.exc_message.as_slice() {
        [] => name,
        [Value::String(text)] => format!("{name}: {text}"),
        [one] => format!("{name}: {}", repr(one)),
        many => {
            let many: Vec<String> = many.iter().map(repr).collect();
            format!("{name}: ({})", many.join(", "))
        }
    }
}

/// Keeps the beginning and, more useful, the end.
fn bounded(text: String) -> String {
    if text.len() <= MAX_TRACEBACK {
        return text;
    }
    let head = text.floor_char_boundary(MAX_TRACEBACK / 4);
    let tail = text.ceil_char_boundary(text.len() - MAX_TRACEBACK / 2);
    format!("{}\n  [...]\n{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceback_reads_as_pythons() {
        let raised = Raised::here(Exception::builtin("ValueError", vec!["boom".into()]));
        let (file, line) = (file!(), line!() - 1);
        assert_eq!(
            raised.traceback("shop.add").unwrap(),
            format!(
                "Traceback (most recent call last):\n  File \"{file}\", line {line}, in shop.add\nValueError: boom\n"
            )
        );
    }

    #[test]
    fn causes_come_first_and_the_exception_last() {
        let io = std::io::Error::other("disk is full");
        let error = anyhow::Error::new(io).context("saving the list").context("closing the shop");
        let exception = Exception::new("shop", "Closing", vec!["closing the shop".into()]);
        let text = Raised::by(&error, exception, Some(Location::caller())).traceback("t").unwrap();
        let cause = "\n\nThe above exception was the direct cause of the following exception:\n\n";
        assert!(
            text.starts_with(&format!("disk is full{cause}saving the list{cause}Traceback")),
            "{text}"
        );
        assert!(text.ends_with("\nshop.Closing: closing the shop\n"), "{text}");
    }

    #[test]
    fn a_traceback_is_bounded() {
        let huge = "ä".repeat(100_000);
        let text = Raised::here(Exception::builtin("E", vec![huge.into()])).traceback("t").unwrap();
        assert!(text.len() <= MAX_TRACEBACK && text.contains("[...]"), "{}", text.len());
    }
}
