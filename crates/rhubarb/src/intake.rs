//! The way in for Rust services that enqueue with stock `apalis_redis::RedisStorage`.
//!
//! Each `[[intake.apalis]]` entry names a queue of apalis-redis and a task. What is due there
//! moves, a batch at a time, into our default queue as that task: a JSON object becomes keyword
//! arguments, an array positional ones, any other value the only argument, and null none. The
//! task's id is [`task_id`] of apalis's, so that whoever has pushed can ask for the result. A
//! payload that is not JSON moves as it is; the queue keeps it among the dead letters.

use std::{sync::LazyLock, time::Duration};

use rhubarb_connection::{Backoff, Redis, Script};
use rhubarb_queue::{Client, Publish, config::IntakeConfig, keys::QueueKeys, wire};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Tasks moved by one script.
const BATCH: usize = 100;
/// Payload bytes held in memory for one batch, unless a single task is larger.
const BATCH_BYTES: usize = 16 << 20;
/// How often an empty queue is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How long a failing queue is left alone at the most.
const MAX_WAIT: Duration = Duration::from_secs(30);

static PEEK: LazyLock<Script> =
    LazyLock::new(|| Script::new("intake_peek", include_str!("scripts/intake_peek.lua")));
static MOVE: LazyLock<Script> =
    LazyLock::new(|| Script::new("intake_move", include_str!("scripts/intake_move.lua")));

/// One queue of apalis-redis and where its tasks go.
#[derive(Clone, Debug)]
pub struct Intake {
    client: Client,
    source: apalis_redis::Config,
    task: String,
    queue: String,
    list: String,
}

impl Intake {
    /// Prepares the intake of one entry; nothing is sent.
    pub fn new(client: &Client, config: &IntakeConfig) -> Self {
        let celery = client.celery();
        let queue = celery.queue_for(&config.task).to_owned();
        let priority = celery.priority_for(&config.task);
        Self {
            list: QueueKeys::new(&queue, celery).list_for(priority).to_owned(),
            client: client.clone(),
            source: apalis_redis::Config::default().queue(&config.queue),
            task: config.task.clone(),
            queue,
        }
    }

    /// Moves tasks until `stop`; waits out every fault of Redis.
    ///
    /// # Cancel safety
    ///
    /// Safe at every point: a batch moves wholly or not at all.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(POLL, MAX_WAIT);
        let mut failing = false;
        loop {
            let wait = match self.step().await {
                Ok(n) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!(queue = %self.source.queue, "the intake goes on");
                    }
                    backoff.reset();
                    if n > 0 { Duration::ZERO } else { POLL }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(queue = %self.source.queue, %error, "the intake has to wait");
                    }
                    backoff.next_wait()
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Moves one batch; returns how many tasks moved.
    ///
    /// # Errors
    ///
    /// Those of the connection. After a lost one the batch may have moved; the next step finds out.
    pub async fn step(&self) -> Result<usize, rhubarb_connection::Error> {
        let redis = self.client.queue();
        let shown = self.peek(redis).await?;
        if shown.is_empty() {
            return Ok(0);
        }
        let mut keys = self.keys();
        keys.push(self.list.clone());
        let mut args = Vec::with_capacity(2 * shown.len());
        for (id, payload) in &shown {
            let name = String::from_utf8_lossy(id);
            keys.push(format!("{}:{name}", self.source.job_meta_hash()));
            args.push(id.clone());
            args.push(self.message(&name, payload.as_deref()));
        }
        let moved: usize = redis.eval(&MOVE, &keys, &args, &[]).await?;
        tracing::debug!(queue = %self.source.queue, task = %self.task, moved, "took in");
        Ok(moved)
    }

    async fn peek(&self, redis: &Redis) -> Result<Vec<Shown>, rhubarb_connection::Error> {
        let args = [BATCH.to_string().into_bytes(), BATCH_BYTES.to_string().into_bytes()];
        let flat: Vec<Option<Vec<u8>>> = redis.eval(&PEEK, &self.keys(), &args, &[]).await?;
        let mut flat = flat.into_iter();
        let mut shown = Vec::new();
        while let (Some(Some(id)), Some(payload)) = (flat.next(), flat.next()) {
            shown.push((id, payload));
        }
        Ok(shown)
    }

    fn keys(&self) -> Vec<String> {
        let config = &self.source;
        vec![config.scheduled_jobs_set(), config.active_jobs_list(), config.job_data_hash()]
    }

    /// Returns what is pushed to our queue for a task; nothing for one whose payload apalis has
    /// lost.
    fn message(&self, id: &str, payload: Option<&[u8]>) -> Vec<u8> {
        let queue = self.source.queue.as_ref();
        let Some(payload) = payload else {
            tracing::warn!(queue, id, "a task of apalis had no payload any more");
            return Vec::new();
        };
        let Some((args, kwargs)) = arguments(payload) else {
            tracing::warn!(
                queue,
                id,
                "a payload of apalis is not JSON: it goes to the dead letters"
            );
            return if payload.is_empty() {
                b"(an empty payload)".to_vec()
            } else {
                payload.to_vec()
            };
        };
        let id = task_id(queue, id);
        let task = Publish { args, kwargs, ..Publish::new(&self.task) }.id(id);
        match self.client.message(task.queue(&self.queue)) {
            Ok(message) => message.message,
            Err(error) => {
                tracing::warn!(queue, %error, "a task of apalis cannot be published: its payload goes to the dead letters");
                payload.to_vec()
            }
        }
    }
}

/// An apalis task's id and payload. The id is a ULID or the producer's own text.
type Shown = (Vec<u8>, Option<Vec<u8>>);

/// Returns our id of an apalis task: a UUID of version 5 in the URL namespace.
///
/// The same task always has the same id, so that a task taken in twice would be seen to be one.
pub fn task_id(queue: &str, id: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("apalis-redis:{queue}/{id}").as_bytes()).to_string()
}

/// Returns a payload as arguments; `None` when it is not JSON.
fn arguments(payload: &[u8]) -> Option<(Vec<Value>, Map<String, Value>)> {
    Some(match wire::exact(std::str::from_utf8(payload).ok()?).ok()? {
        Value::Object(kwargs) => (Vec::new(), kwargs),
        Value::Array(args) => (args, Map::new()),
        Value::Null => (Vec::new(), Map::new()),
        only => (vec![only], Map::new()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_payload_becomes_arguments() {
        let check = |payload: &str, args: Value, kwargs: Value| {
            let (found_args, found_kwargs) = arguments(payload.as_bytes()).unwrap();
            assert_eq!(Value::Array(found_args), args, "{payload}");
            assert_eq!(Value::Object(found_kwargs), kwargs, "{payload}");
        };
        check(
            r#"{"keyword": "rust", "force": true}"#,
            json!([]),
            json!({"keyword": "rust", "force": true}),
        );
        check(r#"["rust", null]"#, json!(["rust", null]), json!({}));
        check(r#""rust""#, json!(["rust"]), json!({}));
        check("7", json!([7]), json!({}));
        check("null", json!([]), json!({}));
        assert_eq!(arguments(b"\x82\xa7keyword"), None);
        assert_eq!(arguments(b""), None);
        assert_eq!(arguments("[".repeat(100_000).as_bytes()), None);
    }

    #[test]
    fn the_same_task_always_has_the_same_id() {
        assert_eq!(task_id("jobs", "01J"), task_id("jobs", "01J"));
        assert_ne!(task_id("jobs", "01J"), task_id("jobs2", "01J"));
        assert_eq!(Uuid::parse_str(&task_id("a", "b")).unwrap().get_version_num(), 5);
    }
}
