//! A scrape's status never stays at `running` when the scrape has ended.

use rhubarb_cache::Error;

use crate::{Caches, ScrapeState, Status};

/// A status that says `running`, until it is ended: one that is dropped before (the task was
/// cancelled, has used up its time, or panicked) says so.
#[derive(Debug)]
pub(super) struct Unfinished {
    caches: Caches,
    /// What was written; absent when the scrape has ended.
    status: Option<Status>,
}

impl Unfinished {
    /// Writes the status of a scrape that begins.
    pub(super) async fn begin(caches: &Caches, status: Status) -> Result<Self, Error> {
        let unfinished = Self { caches: caches.clone(), status: Some(status.clone()) };
        caches.status().write(&status).await?;
        Ok(unfinished)
    }

    /// Leaves the status to the caller, who has written it.
    pub(super) fn end(&mut self) {
        self.status = None;
    }

    /// Writes that the scrape has failed.
    pub(super) async fn fail(&mut self, reason: &str) {
        if let Some(status) = self.status.take() {
            give_up(&self.caches, status, reason).await;
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(status), Ok(runtime)) =
            (self.status.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let caches = self.caches.clone();
        runtime.spawn(async move {
            give_up(&caches, status, "the scrape was ended before its end").await;
        });
    }
}

/// Writes that a scrape has failed, unless another one has written since.
async fn give_up(caches: &Caches, running: Status, reason: &str) {
    let stands = caches.status().at_hand().await;
    if !matches!(&stands, Ok(Some(now)) if *now == running) {
        return;
    }
    let error = Some(reason.chars().take(500).collect());
    let failed = Status { status: ScrapeState::Error, error, ..running };
    if let Err(error) = caches.status().write(&failed).await {
        tracing::warn!(%error, "the status of a scrape that failed was not written");
    }
}
