//! The messages of one channel, for whoever must not miss any.
//!
//! They are bounded by bytes, and whoever falls behind is told so.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::sync::mpsc;

/// The most bytes that wait to be read, all messages together.
const MAX_UNREAD: usize = 32 << 20;
/// What a message takes beside its bytes.
const OVERHEAD: usize = 128;

/// What an inbox tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A new connection stands: what was sent between the two was not heard.
    Connected,
    /// A message.
    Message(Vec<u8>),
    /// So many messages were dropped, for too much was unread.
    Missed(u64),
}

/// The reading end.
#[derive(Debug)]
pub struct Inbox {
    heard: mpsc::UnboundedReceiver<Heard>,
    unread: Arc<Unread>,
}

/// The writing end.
#[derive(Clone, Debug)]
pub(crate) struct Letterbox {
    pub(crate) channel: String,
    hear: mpsc::UnboundedSender<Heard>,
    unread: Arc<Unread>,
}

#[derive(Debug, Default)]
struct Unread {
    bytes: AtomicUsize,
    missed: AtomicU64,
}

pub(crate) fn inbox(channel: &str) -> (Letterbox, Inbox) {
    let (hear, heard) = mpsc::unbounded_channel();
    let unread = Arc::<Unread>::default();
    let letterbox = Letterbox { channel: channel.to_owned(), hear, unread: unread.clone() };
    (letterbox, Inbox { heard, unread })
}

impl Letterbox {
    /// Puts a message in, or counts it as missed.
    pub(crate) fn put(&self, message: Vec<u8>) {
        let bytes = message.len() + OVERHEAD;
        let unread = self.unread.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unread > MAX_UNREAD {
            self.unread.bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.unread.missed.fetch_add(1, Ordering::Relaxed);
        } else {
            self.tell(Heard::Message(message));
        }
    }

    pub(crate) fn connected(&self) {
        self.tell(Heard::Connected);
    }

    pub(crate) fn is_read(&self) -> bool {
        !self.hear.is_closed()
    }

    fn tell(&self, heard: Heard) {
        // A reader that has gone is forgotten with the next message.
        let _ = self.hear.send(heard);
    }
}

impl Inbox {
    /// Waits for what comes next; `None` when the connection's handles are gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost by dropping it.
    pub async fn next(&mut self) -> Option<Heard> {
        let missed = self.unread.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            return Some(Heard::Missed(missed));
        }
        let heard = self.heard.recv().await?;
        if let Heard::Message(message) = &heard {
            self.unread.bytes.fetch_sub(message.len() + OVERHEAD, Ordering::Relaxed);
        }
        Some(heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_inbox_is_bounded_by_bytes_and_tells_what_it_missed() {
        let (letterbox, mut inbox) = inbox("c");
        let large = vec![0; 10 << 20];
        for _ in 0..5 {
            letterbox.put(large.clone());
        }
        letterbox.put(vec![1]);
        assert_eq!(inbox.next().await, Some(Heard::Missed(2)));
        for _ in 0..3 {
            assert_eq!(inbox.next().await, Some(Heard::Message(large.clone())));
        }
        assert_eq!(inbox.next().await, Some(Heard::Message(vec![1])));
        assert_eq!(inbox.unread.bytes.load(Ordering::Relaxed), 0);
        letterbox.put(vec![0; 33 << 20]);
        letterbox.connected();
        assert_eq!(inbox.next().await, Some(Heard::Missed(1)));
        assert_eq!(inbox.next().await, Some(Heard::Connected));
        drop(letterbox);
        assert_eq!(inbox.next().await, None);
    }
}
