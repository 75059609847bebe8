//! The links of one process to one server, whatever their databases.

use std::sync::{Arc, Mutex, Weak};

use super::{Inner, Redis, lock};

/// Who else is connected to a server: one that only reads is not told that the server has become a
/// replica.
#[derive(Default)]
pub(crate) struct Siblings(Mutex<Vec<Weak<Inner>>>);

impl Siblings {
    pub(super) fn join(&self, inner: &Arc<Inner>) {
        lock(&self.0).push(Arc::downgrade(inner));
    }

    /// Returns the links but this one.
    pub(super) fn others(&self, one: &Arc<Inner>) -> Vec<Redis> {
        let all = lock(&self.0);
        let all = all.iter().filter_map(Weak::upgrade);
        all.filter(|other| !Arc::ptr_eq(other, one)).map(|inner| Redis { inner }).collect()
    }
}
