//! The logical clock that orders the events of a fleet (Lamport): one more than all that was seen.

use std::sync::atomic::{AtomicU64, Ordering};

/// A worker's logical clock, which several may use at once.
#[derive(Debug, Default)]
pub struct Lamport(AtomicU64);

impl Lamport {
    /// Counts up and returns the new value, for what is sent now.
    pub fn forward(&self) -> u64 {
        self.moved(|own| own + 1)
    }

    /// Takes note of another's clock.
    pub fn adjust(&self, other: u64) {
        // A clock near the end of the numbers is garbage, and would stop ours there.
        if other < u64::MAX / 2 {
            self.moved(|own| own.max(other) + 1);
        }
    }

    /// Returns its value.
    pub fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn moved(&self, next: impl Fn(u64) -> u64) -> u64 {
        let moved = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |own| Some(next(own)));
        next(moved.unwrap_or_else(|own| own))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_one_more_than_all_that_was_seen() {
        let clock = Lamport::default();
        assert_eq!(clock.forward(), 1);
        clock.adjust(40);
        assert_eq!(clock.now(), 41);
        clock.adjust(3);
        clock.adjust(u64::MAX);
        assert_eq!((clock.now(), clock.forward()), (42, 43));
    }
}
