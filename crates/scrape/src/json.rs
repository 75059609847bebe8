//! JSON as it is found: strictly where it is JSON, and as browsers and careful readers take it
//! where it is not.
//!
//! The strict reader is first; only what it refuses is read again, in one pass, and what had to be
//! repaired is counted. The tolerant reader takes
//!
//! - comments (`//`, `/* */`, `<!-- -->`) and CDATA marks;
//! - commas too many or missing between members, and closing brackets missing at the end;
//! - strings in single quotes or backticks, with line breaks, control characters, escapes that JSON
//!   does not have, half surrogate pairs (as U+FFFD);
//! - names without quotes;
//! - `NaN`, `undefined`, `void 0` and numbers out of range (as null), `!0`, hexadecimal numbers,
//!   `new Date("…")` (as its argument);
//! - what a script puts before its data (`var x =`, `window["x"] =`, `callback(`,
//!   `JSON.parse("…")`) and whatever stands after it;
//! - several values in a row (as an array).
//!
//! A string or a name that is cut off is none of these.

mod counted;
mod lax;

use serde_json::Value;

pub(crate) use self::counted::strict;
use self::lax::Lax;
use crate::{
    budget::{Budget, TooMuch},
    text,
};

/// A value, and how often its text broke the rules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) value: Value,
    pub(crate) repairs: usize,
}

/// Why no value can be had from a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// It ends inside a string or a member.
    #[error("it is cut off")]
    CutOff,
    /// It is not JSON.
    #[error("{0}")]
    Invalid(String),
    /// Reading it takes too much.
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

/// Reads a text, repairing what it must.
///
/// # Errors
/// It cannot be repaired, or the budget is used up.
pub(crate) fn read(text: &str, budget: &Budget) -> Result<Read, Broken> {
    let strict = match strict(text, budget) {
        Ok(value) => return Ok(Read { value, repairs: 0 }),
        Err(error) => error,
    };
    budget.spent()?;
    let mut lax = Lax::new(text, budget);
    match lax.document() {
        Ok(value) => Ok(Read { value, repairs: lax.repairs.max(1) }),
        Err(Broken::Invalid(_)) => Err(Broken::Invalid(strict.to_string())),
        Err(other) => Err(other),
    }
}

/// Reads the first value of a script's text, whatever follows it.
///
/// # Errors
/// As for [`read`].
pub(crate) fn first(text: &str, budget: &Budget) -> Result<Value, Broken> {
    let value = Lax::new(text, budget).first();
    value.map_err(|error| match error {
        Broken::Invalid(reason) if reason.is_empty() => {
            Broken::Invalid("no value begins here that is JSON".to_owned())
        }
        other => other,
    })
}

/// As [`read`], for a block of a page: one whose quotes are escaped is unescaped first.
///
/// # Errors
/// As for [`read`].
pub(crate) fn read_block(block: &str, budget: &Budget) -> Result<Read, Broken> {
    let first = read(block, budget);
    if first.is_ok() || !block.contains("&quot;") && !block.contains("&#34;") {
        return first;
    }
    budget.take(block.len())?;
    let unescaped = text::unescape(block);
    let second = read(&unescaped, budget)?;
    Ok(Read { repairs: second.repairs + 1, ..second })
}

#[cfg(test)]
mod tests;
