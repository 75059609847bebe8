//! One look for all who ask: a hundred open pages cost Redis no more than one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// So long a request waits for a look that is under way; after that it shows the last one.
const PATIENCE: Duration = Duration::from_millis(1500);
/// So long it waits where there was none yet.
const FIRST: Duration = Duration::from_secs(8);

/// What was seen, and when.
#[derive(Debug)]
pub struct Seen<T> {
    /// What.
    pub what: Arc<T>,
    /// When the look was over.
    pub at: Instant,
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self { what: self.what.clone(), at: self.at }
    }
}

/// A look that is kept for a moment.
#[derive(Debug)]
pub struct Glance<T> {
    fresh: Duration,
    patience: Duration,
    busy: Arc<AtomicBool>,
    last: watch::Sender<Option<Seen<T>>>,
}

impl<T: Send + Sync + 'static> Glance<T> {
    /// Makes one whose looks serve for `fresh`.
    pub fn new(fresh: Duration) -> Self {
        let last = watch::Sender::new(None);
        Self { fresh, patience: PATIENCE, busy: Arc::default(), last }
    }

    /// Returns what was last seen where that is fresh, else looks. At most one look is under way;
    /// it goes on when nobody waits for it any more.
    ///
    /// None: the first look is not over yet.
    pub async fn get(&self, look: impl Future<Output = T> + Send + 'static) -> Option<Seen<T>> {
        let mut news = self.last.subscribe();
        let seen = news.borrow_and_update().clone();
        if seen.as_ref().is_some_and(|seen| seen.at.elapsed() < self.fresh) {
            return seen;
        }
        if !self.busy.swap(true, Ordering::AcqRel) {
            self.begin(look);
        }
        let patience = if seen.is_some() { self.patience } else { FIRST };
        // In vain, it is the last one that is shown.
        let _ = tokio::time::timeout(patience, news.changed()).await;
        news.borrow().clone()
    }

    /// Returns what was last seen, however old it is.
    pub fn last(&self) -> Option<Seen<T>> {
        self.last.borrow().clone()
    }

    fn begin(&self, look: impl Future<Output = T> + Send + 'static) {
        let (busy, last) = (Idle(self.busy.clone()), self.last.clone());
        tokio::spawn(async move {
            let what = Arc::new(look.await);
            // Before it is seen: who sees it stale looks anew.
            drop(busy);
            last.send_replace(Some(Seen { what, at: Instant::now() }));
        });
    }
}

/// Says that no look is under way any more, however it ended.
struct Idle(Arc<AtomicBool>);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_hundred_who_ask_are_one_look_and_later_it_is_another() {
        let (mut glance, looks) =
            (Glance::new(Duration::from_secs(600)), Arc::new(AtomicU32::new(0)));
        let look = || {
            let looks = looks.clone();
            async move {
                tokio::task::yield_now().await;
                looks.fetch_add(1, Ordering::SeqCst)
            }
        };
        let all = join_all((0..100).map(|_| glance.get(look()))).await;
        assert!(all.iter().all(|seen| *seen.as_ref().unwrap().what == 0));
        glance.fresh = Duration::ZERO;
        assert_eq!(*glance.get(look()).await.unwrap().what, 1);
    }

    #[tokio::test]
    async fn a_look_that_hangs_leaves_the_last_one_and_one_that_panics_is_tried_again() {
        let mut glance = Glance::new(Duration::ZERO);
        glance.patience = Duration::from_millis(20);
        assert_eq!(*glance.get(async { 1 }).await.unwrap().what, 1);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let hangs = async {
            let _ = ended.await;
            panic!("a look that fails")
        };
        assert_eq!(*glance.get(hangs).await.unwrap().what, 1);
        assert_eq!(*glance.get(async { 2 }).await.unwrap().what, 1, "one hangs already");
        drop(end);
        while glance.busy.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        assert_eq!(*glance.get(async { 3 }).await.unwrap().what, 3);
    }
}
