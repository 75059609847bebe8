//! What is known of a setting beside its type.

/// What is known of a setting beside its type.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Its name in its table.
    pub key: &'static str,
    /// What it is, in lines that begin with a space.
    pub words: &'static str,
    /// What is accepted, as a person reads it before "is expected".
    pub accepts: &'static str,
    /// Other variables that set it, which our own goes before, the last first.
    pub before: &'static [&'static str],
    /// Variables that go before our own.
    pub over: &'static [&'static str],
    /// What the template shows where there is no default to show.
    pub example: Option<&'static str>,
    /// Whether an entry cannot do without it.
    pub required: bool,
}

impl Facts {
    /// Returns what is accepted, by itself.
    pub fn accepts(&self) -> &'static str {
        self.accepts.trim_end_matches(',')
    }
}

/// A setting of an entry: its name there, what is known of it, and its default.
pub type Key = (String, &'static Facts, String);
