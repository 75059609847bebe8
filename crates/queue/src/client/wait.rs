//! Reading results, and waiting for them.

use std::time::Duration;

use rhubarb_connection::Push;
use rhubarb_wire::{State, TaskResult};
use serde_json::Value;
use tokio::{sync::broadcast, time::Instant};

use super::Client;
use crate::{Error, error::redis, script, write::Stored};

/// How often a result is looked at besides waiting for its message, in case the message was lost.
pub(super) const RESULT_POLL: Duration = Duration::from_secs(1);

/// The most that one result has where nobody stores much, bytes.
const USUAL: usize = 1 << 20;

/// A stored state, and how many bytes it takes in Redis.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) result: TaskResult,
    pub(super) bytes: usize,
}

impl Client {
    /// Returns a task's stored state; `None` when nothing is stored (yet, or any more).
    ///
    /// # Errors
    ///
    /// [`Error::Redis`]; [`Error::Malformed`] when what is stored is no result; [`Error::Refused`]
    /// when it has more than 48 MiB, or more than `worker.max_message_bytes` where that is larger.
    pub async fn result(&self, id: &str) -> Result<Option<TaskResult>, Error> {
        Ok(self.sized_result(id).await?.map(|read| read.result))
    }

    async fn sized_result(&self, id: &str) -> Result<Option<Read>, Error> {
        // One round trip for what is usual: a byte more than that says that its size is to be
        // asked.
        let mut bytes = self.first_of_result(id, USUAL).await?;
        if bytes.len() > USUAL {
            let size = self.size_of_result(id).await?;
            if size > self.max_result {
                return Err(self.beyond(id, size));
            }
            bytes = self.first_of_result(id, self.max_result).await?;
        }
        self.read(id, &bytes)
    }

    /// Reads so many bytes of a result, and one more.
    async fn first_of_result(&self, id: &str, most: usize) -> Result<Vec<u8>, Error> {
        let mut get = ::redis::cmd("GETRANGE");
        get.arg(self.result_key(id)).arg(0).arg(most);
        let operation = format!("read the result of task `{id}`");
        self.results.query(&get).await.map_err(redis(operation))
    }

    async fn size_of_result(&self, id: &str) -> Result<usize, Error> {
        let asked = ::redis::cmd("STRLEN").arg(self.result_key(id)).to_owned();
        let operation = format!("measure the result of task `{id}`");
        self.results.query(&asked).await.map_err(redis(operation))
    }

    /// Reads what is stored under a task's id, or was published; an empty text is no result.
    pub(super) fn read(&self, id: &str, bytes: &[u8]) -> Result<Option<Read>, Error> {
        if bytes.len() > self.max_result {
            return Err(self.beyond(id, bytes.len()));
        }
        let read = || decode(id, bytes).map(|result| Read { result, bytes: bytes.len() });
        (!bytes.is_empty()).then(read).transpose()
    }

    /// Says how large a result is that is not read for its size.
    pub(super) async fn too_large(&self, id: &str) -> Error {
        let size = self.size_of_result(id).await;
        size.map_or_else(|error| error, |size| self.beyond(id, size))
    }

    fn beyond(&self, id: &str, bytes: usize) -> Error {
        let max = self.max_result;
        Error::Refused(format!(
            "the result of task `{id}` has {bytes} bytes and is not read: a result may have {max} \
             (48 MiB, or worker.max_message_bytes where that is more)"
        ))
    }

    /// Waits for a task's final state, telling each state on the way; `None` when `timeout` passes
    /// first.
    ///
    /// # Cancel safety
    ///
    /// Safe; a dropped wait leaves a subscription that ends with the connection.
    ///
    /// # Errors
    ///
    /// As for [`Client::result`]; [`Error::Refused`] where no results are stored too.
    pub async fn wait(
        &self,
        id: &str,
        timeout: Duration,
        on_state: impl FnMut(&TaskResult),
    ) -> Result<Option<TaskResult>, Error> {
        Ok(self.sized_end(id, timeout, on_state).await?.map(|read| read.result))
    }

    pub(super) async fn sized_end(
        &self,
        id: &str,
        timeout: Duration,
        mut on_state: impl FnMut(&TaskResult),
    ) -> Result<Option<Read>, Error> {
        if self.celery.results_disabled {
            let reason = "no results are stored (redis.results_url is `disabled://`): \
                          a task's end cannot be waited for";
            return Err(Error::Refused(reason.to_owned()));
        }
        let channel = self.result_key(id);
        let mut pushes = self.results.pushes();
        let deadline = Instant::now() + timeout;
        // Subscribed before the first look, so that no state falls between the two.
        let _ = self.results.subscribe(&channel).await;
        let found = self.follow(id, &channel, deadline, &mut pushes, &mut on_state).await;
        // Also where it was refused, or each later connection would ask for it.
        let _ = self.results.unsubscribe(&channel).await;
        found
    }

    async fn follow(
        &self,
        id: &str,
        channel: &str,
        deadline: Instant,
        pushes: &mut broadcast::Receiver<Push>,
        on_state: &mut impl FnMut(&TaskResult),
    ) -> Result<Option<Read>, Error> {
        let mut seen = None;
        let mut known = self.sized_result(id).await?;
        loop {
            if let Some(state) = known.take() {
                if seen.as_ref() != Some(&state.result) {
                    on_state(&state.result);
                }
                if state.result.status.is_final() {
                    return Ok(Some(state));
                }
                seen = Some(state.result);
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let next = deadline.min(Instant::now() + RESULT_POLL);
            known = match message_until(pushes, channel, next).await {
                Some(payload) => self.read(id, &payload)?,
                None => self.sized_result(id).await?,
            };
        }
    }

    /// Stores and publishes a passing state of a task (STARTED, PROGRESS, …) unless a final one
    /// stands.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn set_state(&self, id: &str, state: State, meta: Value) -> Result<(), Error> {
        self.store_passing(&TaskResult::new(id, state, meta)).await
    }

    /// Stores and publishes a passing state with all that its result tells, unless a final one
    /// stands.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn store_passing(&self, result: &TaskResult) -> Result<(), Error> {
        if let Some(recorder) = &self.recorder {
            recorder.stored(result);
            return Ok(());
        }
        self.store(&Stored::from(result), "passing").await.map(drop)
    }

    /// Stores and publishes a final state; tells whether it was, or a SUCCESS stands already.
    pub async fn store_final(&self, stored: &Stored) -> Result<bool, Error> {
        self.store(stored, "final").await
    }

    async fn store(&self, stored: &Stored, how: &str) -> Result<bool, Error> {
        if self.celery.results_disabled {
            return Ok(true);
        }
        let args = [
            self.celery.result_expires.as_secs().max(1).to_string().into_bytes(),
            stored.bytes.clone(),
            how.into(),
        ];
        let done: u8 = self
            .results
            .eval(&script::STATE, &[self.result_key(&stored.task_id)], &args, &[])
            .await
            .map_err(redis(format!("store the state of task `{}`", stored.task_id)))?;
        Ok(done == 1)
    }

    /// Removes a task's result, so that a replay can store its own.
    pub(crate) async fn forget_result(&self, id: &str) -> Result<(), Error> {
        let _: u64 = self
            .results
            .query(::redis::cmd("DEL").arg(self.result_key(id)))
            .await
            .map_err(redis(format!("remove the result of task `{id}`")))?;
        Ok(())
    }
}

fn decode(id: &str, bytes: &[u8]) -> Result<TaskResult, Error> {
    TaskResult::decode(bytes).map_err(|e| Error::Malformed {
        what: format!("the result of task `{id}`"),
        reason: e.to_string(),
    })
}

/// Waits for a message on the channel; `None` at the deadline, and whenever the receiver may have
/// missed one.
async fn message_until(
    pushes: &mut broadcast::Receiver<Push>,
    channel: &str,
    deadline: Instant,
) -> Option<Vec<u8>> {
    loop {
        match tokio::time::timeout_at(deadline, pushes.recv()).await {
            Ok(Ok(Push::Message { channel: from, payload })) if from == channel => {
                return Some(payload);
            }
            Ok(Ok(Push::Connected) | Err(_)) | Err(_) => return None,
            Ok(Ok(_)) => {}
        }
    }
}
