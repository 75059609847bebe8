//! The mark of a text that stands for a piece of JSON, drawn at random by each process.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// The last character that there is, which no text of people has, so that a look at one byte mostly
/// decides.
pub(crate) const FIRST: char = '\u{10ffff}';

static MARK: LazyLock<String> = LazyLock::new(|| {
    let random = || RandomState::new().hash_one(0_u8);
    format!("{FIRST}{:016x}{:016x}", random(), random())
});

/// The text that stands for a piece of JSON.
pub(crate) fn sealed(json: &str) -> String {
    [MARK.as_str(), json].concat()
}

/// The JSON that a text stands for, if it is sealed.
pub(crate) fn unsealed(text: &str) -> Option<&str> {
    // 0xf4 begins only characters of the last plane.
    if text.as_bytes().first() != Some(&0xf4) {
        return None;
    }
    text.strip_prefix(MARK.as_str())
}
