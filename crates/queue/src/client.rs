//! The producer's side: publish tasks, follow their results.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rhubarb_connection::{Connections, Push, Redis, Role};
use rhubarb_core::{
    clock,
    config::{CeleryConfig, Config},
};
use rhubarb_wire::{NewTask, State, TaskResult};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tokio::{sync::broadcast, time::Instant};
use uuid::Uuid;

use crate::{
    Error,
    delivery::Received,
    error::redis,
    keys::{self, QueueKeys},
    record::{Stored, Teller, record},
    script,
};

/// How often a result is looked at besides waiting for its message, in case the message was lost.
const RESULT_POLL: Duration = Duration::from_secs(1);

/// Publishes tasks as a Celery client does, and reads their results. Clones share one connection.
///
/// ```no_run
/// # async fn example(config: &rhubarb_core::config::Config) -> Result<(), Box<dyn std::error::Error>> {
/// use rhubarb_connection::Connections;
/// use rhubarb_queue::{Client, Publish};
///
/// let client = Client::new(&Connections::new(config, "my-service")?, config);
/// let task = Publish::new("job_scraper.tasks.scrape_specific_keyword").arg("python developer");
/// let published = client.publish(&task).await?;
/// let result = client.wait(&published.id, std::time::Duration::from_secs(60), |_| {}).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    queue: Redis,
    pub(crate) results: Redis,
    celery: Arc<CeleryConfig>,
    pub(crate) reply_to: String,
    /// What stands in a message as its sender, in Celery's form.
    pub(crate) origin: String,
    declared: Arc<Mutex<HashSet<String>>>,
}

/// A task to be published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publish {
    /// The task's name.
    pub task: String,
    /// Positional arguments.
    pub args: Vec<Value>,
    /// Keyword arguments.
    pub kwargs: Map<String, Value>,
    /// The task's id; absent for a fresh one.
    pub id: Option<String>,
    /// The queue; absent for the default one.
    pub queue: Option<String>,
    /// Not before this long from now (our clock, as Celery's clients do).
    pub countdown: Option<Duration>,
    /// Not before this time; wins over `countdown`.
    pub eta: Option<Timestamp>,
    /// Not after this long from now.
    pub expires_in: Option<Duration>,
    /// 0 (most urgent) to 255; lists exist for the configured steps.
    pub priority: u8,
    /// Whether nobody will ask for the result.
    pub ignore_result: bool,
    /// A second task of the same name and arguments is not published within this time.
    pub unique_for: Option<Duration>,
    /// Marks it as beat's (`celery_beat_task`).
    pub from_beat: bool,
}

impl Publish {
    /// A task without arguments.
    pub fn new(task: impl Into<String>) -> Self {
        Self { task: task.into(), ..Self::default() }
    }

    /// Adds a positional argument.
    #[must_use]
    pub fn arg(mut self, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        self
    }

    /// Adds a keyword argument.
    #[must_use]
    pub fn kwarg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.kwargs.insert(name.into(), value.into());
        self
    }

    /// Names the queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.queue = Some(queue.into());
        self
    }

    /// A digest of name and arguments, for `unique_for`.
    fn digest(&self) -> String {
        let identity = serde_json::json!([self.task, self.args, self.kwargs]).to_string();
        Sha256::digest(identity)
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

/// What became of a task to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The task's id; that of the earlier one for a duplicate.
    pub id: String,
    /// Whether it was left out because of `unique_for`.
    pub duplicate: bool,
}

impl Client {
    /// Makes a client over the connections of its process; nothing is sent.
    pub fn new(connections: &Connections, config: &Config) -> Self {
        Self {
            queue: connections.role(Role::Queue),
            results: connections.role(Role::Results),
            celery: Arc::new(config.celery.clone()),
            reply_to: Uuid::new_v4().to_string(),
            origin: format!("gen{}@{}", std::process::id(), config.machine.host),
            declared: Arc::default(),
        }
    }

    /// Returns the queue's connection, for the read side.
    pub fn queue(&self) -> &Redis {
        &self.queue
    }

    /// Returns Celery's settings.
    pub fn celery(&self) -> &CeleryConfig {
        &self.celery
    }

    /// Publishes a task: one `LPUSH`, as Celery's own clients do.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a task without a name or with an id that is no id. [`Error::Redis`]: after
    /// [`rhubarb_connection::Error::Lost`] it may have been published; publishing again may run it twice.
    pub async fn publish(&self, publish: &Publish) -> Result<Published, Error> {
        let id = publish.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        check(publish, &id)?;
        let Some(unique_for) = publish.unique_for else {
            self.push(publish, &id).await?;
            return Ok(Published { id, duplicate: false });
        };
        let key = keys::unique(&publish.digest());
        if let Some(earlier) = self.take_unique(&key, &id, unique_for).await? {
            return Ok(Published { id: earlier, duplicate: true });
        }
        // Dying here leaves a lock without a task until it ends by itself: the caller saw no id and tries again
        // later. The other order could publish twice.
        let pushed = self.push(publish, &id).await;
        if pushed.is_err() {
            let _: Result<u64, _> = self.queue.query(::redis::cmd("DEL").arg(&key)).await;
        }
        pushed.map(|()| Published { id, duplicate: false })
    }

    async fn take_unique(
        &self,
        key: &str,
        id: &str,
        unique_for: Duration,
    ) -> Result<Option<String>, Error> {
        let ttl = u64::try_from(unique_for.as_millis().max(1)).unwrap_or(u64::MAX);
        let mut set = ::redis::cmd("SET");
        set.arg(key).arg(id).arg("NX").arg("PX").arg(ttl);
        let mut pipeline = ::redis::pipe();
        pipeline.add_command(set).cmd("GET").arg(key);
        let (taken, holder): (Option<String>, Option<String>) =
            self.queue.pipe(&pipeline).await.map_err(redis("take the unique lock"))?;
        Ok(if taken.is_some() { None } else { Some(holder.unwrap_or_default()) })
    }

    async fn push(&self, publish: &Publish, id: &str) -> Result<(), Error> {
        let queue = publish.queue.as_deref().unwrap_or(&self.celery.task_default_queue);
        let message = self.envelope(publish, id, queue).encode();
        let keys = QueueKeys::new(queue, &self.celery);
        let mut pipeline = ::redis::pipe();
        if self.undeclared(queue) {
            declare(&mut pipeline, queue, &self.celery);
        }
        pipeline.cmd("LPUSH").arg(keys.list_for(publish.priority)).arg(message);
        let _: ::redis::Value = self
            .queue
            .pipe(&pipeline)
            .await
            .map_err(redis(format!("publish task `{}` to queue `{queue}`", publish.task)))?;
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned());
        Ok(())
    }

    /// Builds the envelope that [`Client::publish`] would push.
    pub fn envelope(&self, publish: &Publish, id: &str, queue: &str) -> rhubarb_wire::Envelope {
        let now = clock::now();
        let later =
            |d: Duration| SignedDuration::try_from(d).ok().and_then(|d| now.checked_add(d).ok());
        let task = NewTask {
            id: id.to_owned(),
            args: publish.args.clone(),
            kwargs: publish.kwargs.clone(),
            eta: publish.eta.or_else(|| publish.countdown.and_then(later)),
            expires: publish.expires_in.and_then(later),
            priority: publish.priority,
            ignore_result: publish.ignore_result.then_some(true),
            reply_to: Some(self.reply_to.clone()),
            origin: Some(self.origin.clone()),
            beat: publish.from_beat,
            ..NewTask::new(&publish.task, queue)
        };
        task.into_envelope(&Uuid::new_v4().to_string())
    }

    fn undeclared(&self, queue: &str) -> bool {
        !self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains(queue)
    }

    /// Returns a task's stored state; `None` when nothing is stored (yet, or any more).
    ///
    /// # Errors
    ///
    /// [`Error::Redis`], or [`Error::Malformed`] when what is stored is no result.
    pub async fn result(&self, id: &str) -> Result<Option<TaskResult>, Error> {
        let key = self.result_key(id);
        let stored: Option<Vec<u8>> = self
            .results
            .query(::redis::cmd("GET").arg(&key))
            .await
            .map_err(redis(format!("read the result of task `{id}`")))?;
        stored.map(|bytes| decode(id, &bytes)).transpose()
    }

    /// Waits for a task's final state, telling each state on the way; `None` when `timeout` passes first.
    ///
    /// # Cancel safety
    ///
    /// Safe; a dropped wait leaves a subscription that ends with the connection.
    ///
    /// # Errors
    ///
    /// As for [`Client::result`].
    pub async fn wait(
        &self,
        id: &str,
        timeout: Duration,
        mut on_state: impl FnMut(&TaskResult),
    ) -> Result<Option<TaskResult>, Error> {
        let channel = self.result_key(id);
        let mut pushes = self.results.pushes();
        let deadline = Instant::now() + timeout;
        // Subscribed before the first look, so that no state falls between the two.
        let subscribed = self.results.subscribe(&channel).await;
        let found = self.follow(id, &channel, deadline, &mut pushes, &mut on_state).await;
        if subscribed.is_ok() {
            let _ = self.results.unsubscribe(&channel).await;
        }
        found
    }

    async fn follow(
        &self,
        id: &str,
        channel: &str,
        deadline: Instant,
        pushes: &mut broadcast::Receiver<Push>,
        on_state: &mut impl FnMut(&TaskResult),
    ) -> Result<Option<TaskResult>, Error> {
        let mut seen = None;
        let mut known = self.result(id).await?;
        loop {
            if let Some(state) = known.take() {
                if seen.as_ref() != Some(&state) {
                    on_state(&state);
                }
                if state.status.is_final() {
                    return Ok(Some(state));
                }
                seen = Some(state);
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let next = deadline.min(Instant::now() + RESULT_POLL);
            known = match message_until(pushes, channel, next).await {
                Some(payload) => Some(decode(id, &payload)?),
                None => self.result(id).await?,
            };
        }
    }

    /// Stores and publishes a passing state of a task (STARTED, PROGRESS, …) unless a final one stands.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn set_state(&self, id: &str, state: State, meta: Value) -> Result<(), Error> {
        let result = TaskResult::new(id, state, meta);
        self.store(&Stored::from(&result), "passing").await.map(drop)
    }

    /// Stores and publishes a passing state of a task that `worker` runs, with what its message tells.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a state that ends a task; [`Error::Redis`].
    pub async fn report(
        &self,
        received: &Received,
        worker: &str,
        state: State,
        meta: Value,
    ) -> Result<(), Error> {
        if state.is_final() || state == State::Pending {
            return Err(Error::Refused(format!("{state} is for the worker to store")));
        }
        let teller = Teller { now: clock::now(), worker, celery: &self.celery };
        let record = record(received, state, meta, teller);
        self.store(&Stored::from(&record), "passing").await.map(drop)
    }

    /// Stores and publishes a final state; tells whether it was, or a SUCCESS stands already.
    pub(crate) async fn store_final(&self, stored: &Stored) -> Result<bool, Error> {
        self.store(stored, "final").await
    }

    async fn store(&self, stored: &Stored, how: &str) -> Result<bool, Error> {
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

    /// Returns the key of what belongs to a group or chord; `part` is empty or `.j`, `.s`, ….
    pub(crate) fn group_key(&self, id: &str, part: &str) -> String {
        format!("{}celery-taskset-meta-{id}{part}", self.celery.global_keyprefix)
    }

    /// Returns the key and channel of a task's result.
    pub fn result_key(&self, id: &str) -> String {
        let prefix = format!("{}{}", self.celery.global_keyprefix, rhubarb_wire::RESULT_PREFIX);
        rhubarb_wire::result_key(&prefix, id)
    }
}

/// Adds what Celery's clients declare for a queue, and its name for the read side.
pub(crate) fn declare(pipeline: &mut ::redis::Pipeline, queue: &str, celery: &CeleryConfig) {
    let member = rhubarb_wire::binding_member(queue, &celery.sep);
    for table in rhubarb_wire::binding_keys(queue) {
        let key = format!("{}{table}", celery.global_keyprefix);
        pipeline.cmd("SADD").arg(key).arg(&member).ignore();
    }
    pipeline.cmd("SADD").arg(keys::QUEUES).arg(queue).ignore();
}

fn check(publish: &Publish, id: &str) -> Result<(), Error> {
    let bad =
        |text: &str| text.is_empty() || text.len() > 512 || text.chars().any(char::is_control);
    if bad(&publish.task) {
        return Err(Error::Refused(
            "a task's name has 1 to 512 characters and no control characters".to_owned(),
        ));
    }
    if bad(id) {
        return Err(Error::Refused(
            "a task's id has 1 to 512 characters and no control characters".to_owned(),
        ));
    }
    if publish.queue.as_deref().is_some_and(bad) {
        return Err(Error::Refused(
            "a queue's name has 1 to 512 characters and no control characters".to_owned(),
        ));
    }
    Ok(())
}

fn decode(id: &str, bytes: &[u8]) -> Result<TaskResult, Error> {
    TaskResult::decode(bytes).map_err(|e| Error::Malformed {
        what: format!("the result of task `{id}`"),
        reason: e.to_string(),
    })
}

/// Waits for a message on the channel; `None` at the deadline, and whenever the receiver may have missed one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_and_arguments_have_the_same_digest() {
        let one = Publish::new("t").arg(1).kwarg("a", "b");
        assert_eq!(one.digest(), one.clone().queue("other").digest());
        assert_ne!(one.digest(), Publish::new("t").arg(2).kwarg("a", "b").digest());
        assert_eq!(one.digest().len(), 64);
    }

    #[test]
    fn a_results_key_is_celerys() {
        let key = |prefix: &str| {
            let mut config = Config::default();
            config.celery.global_keyprefix = prefix.to_owned();
            let connections = Connections::new(&config, "test").unwrap();
            Client::new(&connections, &config).result_key("7c1e")
        };
        assert_eq!(key(""), "celery-task-meta-7c1e");
        assert_eq!(key("shop:"), "shop:celery-task-meta-7c1e");
    }

    #[test]
    fn names_with_control_characters_are_refused() {
        assert!(check(&Publish::new("a\nb"), "id").is_err());
        assert!(check(&Publish::new(""), "id").is_err());
        assert!(check(&Publish::new("t"), "").is_err());
        assert!(check(&Publish::new("t").queue("q\u{6}"), "id").is_err());
        assert!(check(&Publish::new("t"), "id").is_ok());
    }
}
