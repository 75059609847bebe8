//! Where settings came from.

use std::collections::BTreeMap;

/// Where each setting and collection came from that is not as it is by default.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<String, String>);

impl Origins {
    /// Notes where something was set; true when it was not set before.
    pub fn note(&mut self, name: &str, origin: &str) -> bool {
        // It is part of a comment.
        let origin = origin.replace(char::is_control, " ");
        self.0.insert(name.to_owned(), origin).is_none()
    }

    /// Returns where something was set, if it was.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
