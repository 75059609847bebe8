//! The readers of `rhubarb-pyvalue`, for those who tell a person in words what is wrong.

use rhubarb_pyvalue::exact::{self, changed, open};
use rhubarb_pyvalue::{Bound, FormatError};
use serde_json::Value;

/// Reads JSON text so that it is written again as it was, whatever numbers of Python's are in it.
///
/// What cannot be held is sealed: pass the value on, or [`open`] it.
///
/// # Errors
/// The text is no JSON, even by Python's rules, nested deeper than 1,000 levels, or too large to be
/// held.
pub fn exact(text: &str) -> Result<Value, String> {
    read(text.as_bytes())
}

/// Reads JSON for places that hold no more than `serde_json` does, such as a schedule.
///
/// # Errors
/// As for [`exact()`]; and for a value that would be changed there, which is named.
pub fn common(text: &str) -> Result<Value, String> {
    let value = exact(text)?;
    match changed(&value) {
        Some(json) => {
            let shown: String = json.chars().take(40).collect();
            Err(format!("`{shown}` cannot be kept as it is: pass it as text"))
        }
        None => Ok(open(value)),
    }
}

/// Reads JSON from Python; as with the others below, the error is the reason as text.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, String> {
    exact::read(bytes).map_err(|error| reason("JSON", &error))
}

/// The same for a message whose body is a text.
pub(crate) fn read_message(bytes: &[u8]) -> Result<Value, String> {
    exact::read_message(bytes).map_err(|error| reason("JSON", &error))
}

/// The same for whoever does not write it again.
pub(crate) fn read_lossy(bytes: &[u8]) -> Result<Value, String> {
    exact::read_lossy(bytes).map_err(|error| reason("JSON", &error))
}

/// Reads MessagePack as the JSON that kombu would have written instead.
pub(crate) fn read_msgpack(bytes: &[u8]) -> Result<Value, String> {
    exact::read_msgpack(bytes).map_err(|error| reason("MessagePack", &error))
}

fn reason(format: &str, error: &FormatError) -> String {
    match error {
        FormatError::Malformed { at, what, .. } => format!("not {format}: {what} at byte {at}"),
        FormatError::TooLarge { limit, of: Bound::Levels } => {
            format!("not {format}: nested deeper than {limit} levels")
        }
        FormatError::TooLarge { limit, of: Bound::Unpacked } => {
            format!("too many values: they need more than {} MiB of memory", limit >> 20)
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_changed_is_named() {
        for fine in [r#"[1E2, 1.10, -0, 18446744073709551615, "\ud83e\udd80", {"a": null}]"#, "{}"]
        {
            assert_eq!(common(fine), Ok(open(exact(fine).unwrap())), "{fine}");
        }
        for (text, named) in [
            ("[1, NaN]", "`NaN`"),
            (r#"{"a": {"b": [1180591620717411303424]}}"#, "`1180591620717411303424`"),
            (r#"["\ud800"]"#, r#"`"\ud800"`"#),
            (r#"{"\udc00": 1}"#, r#"`"\udc00"`"#),
        ] {
            let told = common(text).unwrap_err();
            assert!(told.starts_with(named), "{told}");
        }
    }

    #[test]
    fn what_is_no_value_is_told_with_its_place() {
        let told = |text: &str| exact(text).unwrap_err();
        assert_eq!(told("{broken"), "not JSON: expected a key at byte 1");
        assert_eq!(told(&"[".repeat(2_000)), "not JSON: nested deeper than 1000 levels");
        let many = format!("[{}0]", "{},".repeat(1_000_000));
        assert_eq!(told(&many), "too many values: they need more than 64 MiB of memory");
        let told = |bytes: &[u8]| read_msgpack(bytes).unwrap_err();
        assert_eq!(told(b"\xc0\xc0"), "not MessagePack: more bytes follow the value at byte 1");
        assert_eq!(told(&[0x91; 2_000]), "not MessagePack: nested deeper than 512 levels");
    }
}
