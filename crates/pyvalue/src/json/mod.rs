//! JSON as Python's `json` module reads it and writes it.
//!
//! It is not `serde_json`'s: ints have any size, floats may be `NaN` or infinite, and what cannot
//! be written is an error instead of something like it. [`write()`] is Django's encoder;
//! [`exact`](crate::exact) reads the same text as `serde_json`'s values.

pub(crate) mod django;
pub(crate) mod dump;
mod read;
mod serde;

pub use django::write;
pub(crate) use read::read as read_tree;

use crate::{error::FormatError, limits::Budget, tree::Python, value::PyValue};

/// Reads one JSON text, to its end, as Python's `json.loads` does.
///
/// # Errors
/// `TooLarge` beyond the caps on depth, number of values and digits of an int; `Malformed` for all
/// else, also for text with a lone surrogate, which Python takes and Rust cannot hold.
///
/// ```
/// use rhubarb_pyvalue::{PyValue, json};
///
/// let value = json::read(b"[1, NaN, 1180591620717411303424]")?;
/// assert_eq!(json::write(&value)?, b"[1, NaN, 1180591620717411303424]");
/// # Ok::<(), rhubarb_pyvalue::FormatError>(())
/// ```
pub fn read(bytes: &[u8]) -> Result<PyValue, FormatError> {
    read_tree::<Python>(bytes, Budget::of_python())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        read(text.as_bytes()).map_or_else(|error| error.to_string(), |value| format!("{value:?}"))
    }

    #[test]
    fn what_json_loads_takes_is_read() {
        assert_eq!(shown(" [1, -2.5e3, 0] \n"), "List([Int(1), Float(-2500.0), Int(0)])");
        assert_eq!(
            shown("[NaN,Infinity,-Infinity]"),
            "List([Float(NaN), Float(inf), Float(-inf)])"
        );
        assert_eq!(shown("18446744073709551616"), "BigInt(18446744073709551616)");
        assert_eq!(shown(r#""\ud83d\ude00\u00fc\/\n""#), "Str(\"😀ü/\\n\")");
        assert_eq!(shown("{}"), "Dict([])");
        assert_eq!(
            shown(r#"{"a":{"b":[]}}"#),
            r#"Dict([(Str("a"), Dict([(Str("b"), List([]))]))])"#
        );
    }

    #[test]
    fn what_json_loads_refuses_is_refused() {
        for text in [
            "",
            " ",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "--1",
            "nul",
            "nan",
            "[1,]",
            "[1 2]",
            "{\"a\"}",
            "{1:2}",
            "{\"a\":1,}",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "1 2",
            "\u{feff}1",
            "'a'",
            "[",
            "{",
            "\"",
            "-",
            "1x",
            "\"\\",
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            assert!(matches!(error, FormatError::Malformed { .. }), "{text}: {error}");
        }
        assert!(matches!(read(b"\"\xff\""), Err(FormatError::Malformed { at: 1, .. })));
    }
}
