//! A secret of the configuration.

use std::fmt;

use crate::value::{Input, Shown, Value, Wrong};

/// A secret that messages are signed with. It is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Returns it as it is written.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Value for Secret {
    const ACCEPTS: &'static str = "a text of 16 to 1000 characters";
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        let text = input.text().ok_or(None)?.trim();
        if (16..=1000).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(None) }
    }
    fn show(&self) -> Shown {
        Shown::of(if self.0.is_empty() { "" } else { "***" }, &self.0)
    }
}
