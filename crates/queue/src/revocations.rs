//! The ids of tasks that shall not run, in Redis, where they outlive the workers.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_wire::{Exception, State, TaskResult, control::Command, pidbox_channel};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Client, Error, error::redis, script};

/// The most revocations that are kept, here and in a worker's memory: Celery's own number.
pub const MAX: usize = 50_000;
/// How many ids one script or one read handles.
const CHUNK: usize = 500;

/// Writes revocations to Redis, so that workers that do not hear of them now obey later.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn store(
    client: &Client,
    ids: &[Arc<str>],
    terminate: bool,
    keep: Duration,
) -> Result<(), Error> {
    let keys = [client.keys().revoked(), client.keys().terminated()];
    for ids in ids.chunks(CHUNK) {
        let mut args = vec![
            keep.as_millis().to_string().into_bytes(),
            MAX.to_string().into_bytes(),
            u8::from(terminate).to_string().into_bytes(),
        ];
        args.extend(ids.iter().map(|id| id.as_bytes().to_vec()));
        let _: u64 = client
            .queue()
            .eval(&script::REVOKE, &keys, &args, &[])
            .await
            .map_err(redis(format!("record {} revocations", ids.len())))?;
    }
    Ok(())
}

/// Reads all revocations that stand in Redis.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn load(client: &Client) -> Result<Vec<(Arc<str>, Timestamp)>, Error> {
    let mut found = Vec::new();
    for start in (0..MAX).step_by(CHUNK) {
        let mut range = ::redis::cmd("ZRANGE");
        range.arg(client.keys().revoked()).arg(start).arg(start + CHUNK - 1).arg("WITHSCORES");
        let page: Vec<(String, f64)> =
            client.queue().query(&range).await.map_err(redis("read the revocations"))?;
        let n = page.len();
        found.extend(page.into_iter().map(|(id, ms)| (id.into(), until(ms))));
        if n < CHUNK {
            break;
        }
    }
    Ok(found)
}

/// Tells whether a task is revoked, as Redis has it.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn is_revoked(client: &Client, id: &str) -> Result<bool, Error> {
    let mut score = ::redis::cmd("ZSCORE");
    score.arg(client.keys().revoked()).arg(id);
    let ends: Option<f64> =
        client.queue().query(&score).await.map_err(redis("read the revocations"))?;
    Ok(ends.is_some_and(|ms| until(ms) > clock::now()))
}

/// Returns which of these ids are to be ended although they run.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn terminated(client: &Client, ids: &[String]) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for ids in ids.chunks(CHUNK) {
        let mut score = ::redis::cmd("ZMSCORE");
        score.arg(client.keys().terminated()).arg(ids);
        let scores: Vec<Option<f64>> =
            client.queue().query(&score).await.map_err(redis("read the orders to end tasks"))?;
        let ordered = ids.iter().zip(scores).filter(|(_, score)| score.is_some());
        found.extend(ordered.map(|(id, _)| id.clone()));
    }
    Ok(found)
}

fn until(ms: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "a time in ms is a whole number")]
    Timestamp::from_millisecond(ms as i64).unwrap_or(Timestamp::MAX)
}

/// Stores REVOKED for a task unless its state says that it has begun or ended: Celery 5.7's rule.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn mark(client: &Client, id: &str) -> Result<(), Error> {
    let record = TaskResult {
        // Celery knows nothing of a message that it has not seen, and says null.
        children: Value::Null,
        date_done: Some(clock::iso(clock::now())),
        ..TaskResult::new(id, State::Revoked, Exception::task_revoked("revoked").to_value())
    };
    let ttl = client.celery().result_expires.as_secs().max(1);
    let args = [ttl.to_string().into_bytes(), record.encode()];
    let _: u8 = client
        .results()
        .eval(&script::MARK_REVOKED, &[client.result_key(id)], &args, &[])
        .await
        .map_err(redis(format!("store that task `{id}` is revoked")))?;
    Ok(())
}

impl Client {
    /// Revokes a task: it shall not run, and ends when it runs and `terminate` is asked for.
    ///
    /// It is recorded for `keep` (workers that start or come back later obey) and broadcast as
    /// Celery does, so that live workers of both kinds obey now. Returns how many heard the
    /// broadcast; when none did, the state REVOKED is stored here, which is otherwise the workers'
    /// part: they know what runs.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for an id that is no id, [`Error::Redis`].
    pub async fn revoke(&self, id: &str, terminate: bool, keep: Duration) -> Result<u64, Error> {
        if id.is_empty() || id.len() > 512 || id.chars().any(char::is_control) {
            return Err(Error::Refused(
                "a task's id has 1 to 512 characters and no control characters".to_owned(),
            ));
        }
        store(self, &[id.into()], terminate, keep).await?;
        let arguments = json!({ "task_id": id, "terminate": terminate, "signal": "SIGTERM" });
        let command = Command::new("revoke", arguments.as_object().cloned().unwrap_or_default());
        let channel = pidbox_channel(&self.celery().global_keyprefix, i64::from(self.queue().db()));
        let mut publish = ::redis::cmd("PUBLISH");
        publish.arg(channel).arg(command.encode(&Uuid::new_v4().to_string()));
        let heard: u64 = self
            .queue()
            .query(&publish)
            .await
            .map_err(redis(format!("broadcast the revocation of task `{id}`")))?;
        if heard == 0 {
            mark(self, id).await?;
        }
        Ok(heard)
    }
}
