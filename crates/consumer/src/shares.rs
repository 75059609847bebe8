//! Which share of a task's messages is ours, where Python's workers serve the queue too.

use std::{
    collections::BTreeMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rhubarb_queue::{Client, Error, shares};

/// The shares that hold: those in Redis before those of the settings.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    configured: BTreeMap<String, u8>,
    held: RwLock<BTreeMap<String, u8>>,
    /// Whether there is any: mostly there is none.
    any: AtomicBool,
}

impl Shares {
    pub(crate) fn new(configured: &BTreeMap<String, u8>) -> Self {
        let shares = Self { configured: configured.clone(), ..Self::default() };
        shares.hold(BTreeMap::new());
        shares
    }

    /// Returns how many of 100 messages of a task are ours.
    pub(crate) fn percent(&self, task: &str) -> u8 {
        if !self.any.load(Ordering::Relaxed) {
            return 100;
        }
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.get(task).copied().unwrap_or(100)
    }

    /// Tells whether a message is in our share.
    pub(crate) fn holds(&self, task: &str, id: &str) -> bool {
        let percent = self.percent(task);
        percent >= 100 || shares::holds(percent, id)
    }

    /// Reads what stands in Redis; tells whether it is otherwise than before. A server that refuses
    /// it leaves the settings.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] while it cannot be reached.
    pub(crate) async fn read(&self, client: &Client) -> Result<bool, Error> {
        match shares::load(client).await {
            Ok(live) => Ok(self.hold(live)),
            Err(error) if error.is_unreachable() => Err(error),
            Err(error) => {
                tracing::debug!(%error, "the shares of tasks were not read");
                Ok(false)
            }
        }
    }

    /// Takes what stands in Redis; tells whether it is otherwise than before.
    pub(crate) fn hold(&self, live: BTreeMap<String, u8>) -> bool {
        let mut next = self.configured.clone();
        next.extend(live);
        self.any.store(next.values().any(|percent| *percent < 100), Ordering::Relaxed);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = *held != next;
        for (task, percent) in next.iter().filter(|(task, now)| held.get(*task) != Some(*now)) {
            tracing::info!(task, percent, "our share of a task is set");
        }
        for task in held.keys().filter(|task| !next.contains_key(*task)) {
            tracing::info!(task, percent = 100, "our share of a task is set");
        }
        *held = next;
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_redis_goes_before_the_settings() {
        let of = |task: &str, percent| BTreeMap::from([(task.to_owned(), percent)]);
        let shares = Shares::new(&of("t", 10));
        assert_eq!((shares.percent("t"), shares.percent("other")), (10, 100));
        assert!(shares.hold(of("t", 50)) && !shares.hold(of("t", 50)));
        assert_eq!(shares.percent("t"), 50);
        assert!(shares.hold(of("t", 100)) && shares.holds("t", "any id"));
        assert!(shares.hold(BTreeMap::new()));
        assert_eq!(shares.percent("t"), 10, "the setting holds again");
        assert!(shares.hold(of("t", 0)) && !shares.holds("t", "any id"));
    }
}
