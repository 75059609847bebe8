//! The slots of a worker: how many tasks it runs at once, which remote control may change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most tasks at once.
const MAX: usize = 1000;

/// Slots that can be added and taken away. Those that are taken away go when the tasks in them have
/// ended.
#[derive(Debug)]
pub(crate) struct Slots {
    free: Arc<Semaphore>,
    count: Mutex<Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    /// How many there are to be.
    wanted: usize,
    /// How many more there still are.
    surplus: usize,
}

impl Slots {
    pub(crate) fn new(n: usize) -> Self {
        let count = Mutex::new(Count { wanted: n, surplus: 0 });
        Self { free: Arc::new(Semaphore::new(n)), count }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many tasks run at once, changes that are under way counted.
    pub(crate) fn size(&self) -> usize {
        self.count().wanted
    }

    /// Tells whether a slot is free that nobody waits for.
    pub(crate) fn any_free(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// Returns how many slots are free that nobody waits for.
    pub(crate) fn n_free(&self) -> usize {
        self.free.available_permits()
    }

    /// Waits for a free slot and takes it and all others that are free, up to `most`.
    pub(crate) async fn take(&self, most: usize) -> Option<OwnedSemaphorePermit> {
        loop {
            let first = self.free.clone().acquire_owned().await.ok()?;
            let Some(mut slots) = self.keep(first) else { continue };
            let more = self.free.available_permits().min(most.saturating_sub(1));
            let more = u32::try_from(more).unwrap_or(0);
            if let Ok(rest) = self.free.clone().try_acquire_many_owned(more) {
                slots.merge(rest);
            }
            return Some(slots);
        }
    }

    /// Waits until nothing runs and takes all slots. Not to be called while another takes some.
    pub(crate) async fn take_all(&self) -> Option<OwnedSemaphorePermit> {
        let mut all: Option<OwnedSemaphorePermit> = None;
        loop {
            let Count { wanted, surplus } = *self.count();
            let held = all.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let missing = u32::try_from((wanted + surplus).saturating_sub(held)).unwrap_or(0);
            if missing == 0 {
                return self.keep(all?);
            }
            let more = self.free.clone().acquire_many_owned(missing).await.ok()?;
            match &mut all {
                Some(all) => all.merge(more),
                None => all = Some(more),
            }
        }
    }

    /// Adds slots; false when they would be more than a worker may have.
    pub(crate) fn grow(&self, n: usize) -> bool {
        let mut count = self.count();
        let Some(wanted) = count.wanted.checked_add(n).filter(|wanted| *wanted <= MAX) else {
            return false;
        };
        let stay = n.min(count.surplus);
        *count = Count { wanted, surplus: count.surplus - stay };
        self.free.add_permits(n - stay);
        true
    }

    /// Takes slots away; false when none would be left.
    pub(crate) fn shrink(&self, n: usize) -> bool {
        let mut count = self.count();
        let Some(wanted) = count.wanted.checked_sub(n).filter(|wanted| *wanted > 0) else {
            return false;
        };
        *count = Count { wanted, surplus: count.surplus + n };
        drop(count);
        while let Ok(free) = self.free.clone().try_acquire_owned() {
            if self.keep(free).is_some() {
                break;
            }
        }
        true
    }

    /// Returns what is left of slots that were free once those that are too many have gone.
    fn keep(&self, mut slots: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        let mut count = self.count();
        let go = count.surplus.min(slots.num_permits());
        count.surplus -= go;
        drop(count);
        if let Some(gone) = slots.split(go) {
            gone.forget();
        }
        (slots.num_permits() > 0).then_some(slots)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn slots_grow_at_once_and_shrink_when_what_runs_has_ended() {
        let slots = Slots::new(2);
        assert!(slots.grow(1));
        let mut running = slots.take(9).await.unwrap();
        assert_eq!(running.num_permits(), 3);
        // A claim that waits already gets none of the slots that go.
        let mut claim = Box::pin(slots.take(9));
        assert!(poll!(&mut claim).is_pending());

        assert!(slots.shrink(2) && !slots.shrink(1));
        assert_eq!(slots.size(), 1);
        drop(running.split(1));
        assert!(poll!(&mut claim).is_pending());
        drop(running.split(1));
        assert!(poll!(&mut claim).is_pending());
        drop(running);
        assert_eq!(claim.await.unwrap().num_permits(), 1);
        assert!(!slots.grow(MAX));
    }

    #[tokio::test]
    async fn free_slots_go_at_once() {
        let slots = Slots::new(4);
        assert!(slots.shrink(3));
        assert_eq!(slots.take(9).await.unwrap().num_permits(), 1);
    }

    #[tokio::test]
    async fn a_change_back_before_the_first_was_through_is_no_change() {
        let slots = Slots::new(2);
        let running = slots.take(2).await.unwrap();
        assert!(slots.shrink(1) && slots.grow(2));
        assert_eq!(slots.size(), 3);
        assert_eq!(slots.take(9).await.unwrap().num_permits(), 1);
        drop(running);
        assert_eq!(slots.take_all().await.unwrap().num_permits(), 3);
    }

    #[tokio::test]
    async fn all_slots_are_all_whatever_changes_meanwhile() {
        let slots = Slots::new(2);
        let running = slots.take(2).await.unwrap();
        let mut all = Box::pin(slots.take_all());
        assert!(poll!(&mut all).is_pending());
        assert!(slots.grow(3) && slots.shrink(1));
        assert!(poll!(&mut all).is_pending(), "two still run");
        drop(running);
        assert_eq!(all.await.unwrap().num_permits(), 4);
    }
}
