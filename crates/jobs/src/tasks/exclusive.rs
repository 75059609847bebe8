//! One scrape of a keyword at a time, in the whole fleet.

use std::{future::Future, time::Duration};

use rhubarb::{TaskContext, TaskError};
use rhubarb_queue::{OwnedLock, wire::State};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How long a scrape's lock outlives its holder. A dead scrape is taken over after that.
const TTL: Duration = Duration::from_secs(15);
/// How often the holder renews it: twice may fail before it is lost.
const RENEW: Duration = Duration::from_secs(4);
/// How long a second scrape of the same keyword is put off each time.
const AGAIN: Duration = Duration::from_secs(2);
/// The field of a waiting task's state that names the task it waits for.
const WAITS_FOR: &str = "waits_for";

/// Runs `work` while holding the keyword's lock; when another task holds it, puts this one off.
///
/// The lock's owner is the task: a task that is delivered again after its worker's death goes on
/// with the lock that it has. When the lock is lost (this process was stopped for longer than it
/// lasts), the work is dropped and the task put off, because another one works by now.
pub(super) async fn alone<T>(
    context: &TaskContext,
    slug: &str,
    work: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, TaskError> {
    let lock = lock(context, slug);
    if !lock.acquire().await? {
        return Err(wait_for(context, lock.holder().await?).await);
    }
    let done = tokio::select! {
        done = work => done,
        () = lost(&lock) => return Err(TaskError::put_off(AGAIN)),
    };
    if let Err(error) = lock.release().await {
        tracing::debug!(%error, "the scrape's lock ends by itself");
    }
    done
}

/// Returns the lock of a keyword, for the task.
pub(super) fn lock(context: &TaskContext, slug: &str) -> OwnedLock {
    OwnedLock::new(context.client(), &format!("scrape:{slug}"), context.id(), TTL)
}

/// Tells whether the task was put off for another one which has since succeeded.
pub(super) async fn is_done_by_another(context: &TaskContext) -> Result<bool, TaskError> {
    let Some(own) = context.client().result(context.id()).await? else { return Ok(false) };
    let Some(first) = own.result.get(WAITS_FOR).and_then(Value::as_str) else { return Ok(false) };
    let first = context.client().result(first).await?;
    Ok(first.is_some_and(|first| first.status == State::Success))
}

/// Notes for whom the task waits, and puts it off.
async fn wait_for(context: &TaskContext, holder: Option<String>) -> TaskError {
    if let Some(holder) = holder {
        let message = "another scrape of this keyword is running";
        context.report(json!({ WAITS_FOR: holder, "message": message })).await;
    }
    TaskError::put_off(AGAIN.mul_f64(1.0 + fastrand::f64()))
}

/// Renews the lock; ends when it is ours no more.
pub(super) async fn lost(lock: &OwnedLock) {
    let mut held_until = Instant::now() + TTL;
    loop {
        tokio::time::sleep(RENEW).await;
        let asked = Instant::now();
        match lock.renew().await {
            Ok(true) => held_until = asked + TTL,
            Ok(false) => return,
            Err(error) => tracing::debug!(%error, "the scrape's lock was not renewed"),
        }
        if Instant::now() >= held_until {
            return;
        }
    }
}
