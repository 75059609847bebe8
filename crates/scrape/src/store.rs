//! Where answers are kept for all processes.

use std::{cell::RefCell, fmt, future::Future, pin::Pin, sync::Arc};

use zstd::bulk::Compressor;

/// The first of zstd's negative levels: real pages take half the time of level 1 (45 to 220 kB at
/// 530 to 970 MB/s), and a fifth more bytes.
const LEVEL: i32 = -1;

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
    /// What is kept in front of the body, where the answer is new and not kept yet.
    pub(crate) head: Option<Vec<u8>>,
}

impl Kept {
    /// Returns the bytes to be kept of a new answer with this body.
    pub(crate) fn packed(&self, body: &[u8]) -> Option<Vec<u8>> {
        pack(self.head.as_ref()?, body)
    }

    /// Keeps a new answer.
    pub(crate) async fn keep(&self, packed: Vec<u8>) {
        self.store.save(&self.key, packed).await;
    }

    /// Lets go of the answer: it was not what it seemed to be.
    pub(crate) async fn forget(&self) {
        if self.head.is_none() {
            self.store.save(&self.key, Vec::new()).await;
        }
    }
}

thread_local! {
    /// Made once a thread: to make one takes as long as to compress a page.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> =
        RefCell::new(Compressor::new(LEVEL).ok());
}

/// Returns a head and its body, compressed.
pub(crate) fn pack(head: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        let mut packed = head.to_vec();
        packed.extend(compressor.as_mut()?.compress(body).ok()?);
        Some(packed)
    })
}
