//! The slots of a worker: how many tasks it runs at once, which remote control may change.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

/// The most tasks at once.
pub(crate) const MAX: usize = 1000;

/// Slots that can be added and taken away. Taking away waits for what runs in them.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    /// How many there are once every change is through.
    wanted: AtomicUsize,
    /// How many there are. Held by whoever waits for more than one slot: two of them would wait for each other.
    there: Arc<Mutex<usize>>,
}

impl Slots {
    pub(crate) fn new(n: usize) -> Self {
        let free = Arc::new(Semaphore::new(n));
        Self { free, wanted: AtomicUsize::new(n), there: Arc::new(Mutex::new(n)) }
    }

    /// Returns how many tasks run at once, changes that are under way counted.
    pub(crate) fn size(&self) -> usize {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Tells whether a slot is free that nobody waits for.
    pub(crate) fn any_free(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// Waits for a free slot and takes it and all others that are free, up to `most`.
    pub(crate) async fn take(&self, most: usize) -> Option<OwnedSemaphorePermit> {
        let mut first = self.free.clone().acquire_owned().await.ok()?;
        let more = self.free.available_permits().min(most.saturating_sub(1));
        let more = u32::try_from(more).unwrap_or(0);
        if let Ok(rest) = self.free.clone().try_acquire_many_owned(more) {
            first.merge(rest);
        }
        Some(first)
    }

    /// Waits until nothing runs and takes all slots.
    pub(crate) async fn take_all(&self) -> Option<OwnedSemaphorePermit> {
        let there = self.there.lock().await;
        let all = u32::try_from(*there).unwrap_or(u32::MAX);
        self.free.clone().acquire_many_owned(all).await.ok()
    }

    /// Adds slots; false when they would be more than a worker may have.
    pub(crate) fn want_more(&self, n: usize) -> bool {
        self.want(|wanted| wanted.checked_add(n).filter(|sum| *sum <= MAX))
    }

    /// Takes slots away; false when none would be left.
    pub(crate) fn want_fewer(&self, n: usize) -> bool {
        self.want(|wanted| wanted.checked_sub(n).filter(|rest| *rest > 0))
    }

    fn want(&self, change: impl Fn(usize) -> Option<usize>) -> bool {
        self.wanted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change).is_ok()
    }

    /// Makes as many slots as are wanted, waiting for tasks that run in those that go.
    ///
    /// # Cancel safety
    ///
    /// Safe; the next call goes on.
    pub(crate) async fn settle(&self) {
        let mut there = self.there.lock().await;
        while *there != self.size() {
            let wanted = self.size();
            if wanted > *there {
                self.free.add_permits(wanted - *there);
                *there = wanted;
            } else if let Ok(slot) = self.free.clone().acquire_owned().await {
                slot.forget();
                *there -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn slots_grow_at_once_and_shrink_when_what_runs_has_ended() {
        let slots = Slots::new(2);
        assert!(slots.want_more(1));
        slots.settle().await;
        let running = slots.take(3).await.unwrap();
        assert_eq!(running.num_permits(), 3);

        assert!(slots.want_fewer(2) && !slots.want_fewer(1));
        assert_eq!(slots.size(), 1);
        let (mut running, mut settling) = (running, Box::pin(slots.settle()));
        assert!(futures_util::poll!(&mut settling).is_pending());
        drop(running.split(1));
        assert!(futures_util::poll!(&mut settling).is_pending());
        drop(running);
        settling.await;
        assert_eq!(slots.take(9).await.unwrap().num_permits(), 1);
        assert!(!slots.want_more(MAX));
    }

    #[tokio::test]
    async fn a_change_back_before_the_first_was_through_is_no_change() {
        let slots = Slots::new(2);
        let running = slots.take(2).await.unwrap();
        assert!(slots.want_fewer(1) && slots.want_more(1));
        slots.settle().await;
        drop(running);
        assert_eq!(slots.take_all().await.unwrap().num_permits(), 2);
    }
}
