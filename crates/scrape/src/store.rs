//! Where answers are kept for all processes.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

/// Keeps answers for all processes. It is a help, not a promise: what cannot be read or written is
/// not there.
///
/// Values are the fetcher's own, compressed, at most a few megabytes.
pub trait ResponseStore: fmt::Debug + Send + Sync {
    /// Returns what is kept under this key.
    fn load<'a>(&'a self, key: &'a str) -> Storing<'a, Option<Vec<u8>>>;

    /// Keeps a value under this key, in place of what was there; an empty one is none.
    fn save<'a>(&'a self, key: &'a str, value: Vec<u8>) -> Storing<'a, ()>;
}

/// The boxed future of a [`ResponseStore`].
pub type Storing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where an answer is kept that came as a page.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) store: Arc<dyn ResponseStore>,
    pub(crate) key: String,
}

impl Kept {
    /// Lets go of the answer: it was not what it seemed to be.
    pub(crate) async fn forget(&self) {
        self.store.save(&self.key, Vec::new()).await;
    }
}
