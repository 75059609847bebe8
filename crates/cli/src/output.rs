//! Where everything that a command says goes: data to standard output, the rest to standard error.
//!
//! The only module that writes to either.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// What is said where a limit cut a list.
pub(crate) const MORE: &str = "and more; --limit shows them";

/// How a command's data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Tables and sentences for a person.
    Text,
    /// One JSON document.
    Json,
}

impl Format {
    /// Returns the format that the `--json` flag asks for.
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// Writes `data` to standard output, as JSON or as `text` renders it.
    ///
    /// # Errors
    /// What writing to standard output fails with; a closed pipe is one of them.
    pub(crate) fn show<T: Serialize>(
        self,
        data: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match self {
            Self::Text => print(&text(data)),
            Self::Json => print(&serde_json::to_string_pretty(data)?),
        }
    }
}

/// Writes one or more lines of data to standard output.
///
/// # Errors
/// What writing fails with; a closed pipe is one of them.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes a line for the person to standard error.
pub(crate) fn note(text: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells whether standard error is a terminal, so that progress can be redrawn there.
pub(crate) fn is_interactive() -> bool {
    io::stderr().is_terminal()
}
