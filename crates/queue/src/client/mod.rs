//! The producer's side: publish tasks and canvases, follow their results.
//!
//! [`Publish`] is one task; a [`Signature`](rhubarb_wire::Signature) may be a chain, a group or a
//! chord of them.

mod canvas;
mod group;
mod outbox;
mod patience;
mod publish;
mod recorder;
mod sent;
mod wait;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use rhubarb_connection::{Connections, Redis, Role};
use uuid::Uuid;

use self::patience::Patience;
use crate::{Config, config::CeleryConfig, keys::Keys};

pub use canvas::traced;
pub use group::Joined;
pub use publish::{Publish, Published};
pub use recorder::Recorder;

/// The most that one result may have to be read, bytes, unless a message may have more: below what
/// one answer may take.
const RESULT: usize = 48 << 20;

/// Publishes tasks as a Celery client does, and reads their results. Clones share one connection.
///
/// ```no_run
/// # async fn example(config: &rhubarb_queue::Config) -> Result<(), Box<dyn std::error::Error>> {
/// use rhubarb_connection::Connections;
/// use rhubarb_queue::{Client, Publish};
///
/// let client = Client::new(&Connections::new(&config.redis, "my-service")?, config);
/// let task = Publish::new("job_scraper.tasks.scrape_specific_keyword").arg("python developer");
/// let published = client.publish(&task).await?;
/// let result = client.wait(&published.id, std::time::Duration::from_secs(60), |_| {}).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    queue: Redis,
    pub(crate) results: Redis,
    /// The most bytes that one result may have to be read.
    max_result: usize,
    celery: Arc<CeleryConfig>,
    keys: Keys,
    pub(crate) reply_to: String,
    /// What stands in a message as its sender, in Celery's form.
    pub(crate) origin: String,
    declared: Arc<Mutex<HashSet<String>>>,
    patience: Patience,
    /// Tells of what is published, where that is asked for.
    sent: Option<Arc<sent::Sent>>,
    /// The running task that publishes, if one does.
    parent: Option<Arc<canvas::Parent>>,
    /// Keeps what is published, in place of Redis.
    recorder: Option<Recorder>,
}

impl Client {
    /// Makes a client over the connections of its process; nothing is sent.
    pub fn new(connections: &Connections, config: &Config) -> Self {
        let queue = connections.role(Role::Queue);
        let results = connections.role(Role::Results);
        // A message that is shown, moved or kept comes with what is known of it.
        for redis in [&queue, &results] {
            redis.expect_answers_of(2 * config.worker.max_message_bytes as u64);
        }
        let origin = format!("gen{}@{}", std::process::id(), config.machine.host);
        let asked = config.celery.task_send_sent_event;
        Self {
            sent: asked.then(|| Arc::new(sent::Sent::new(&config.celery, queue.db(), &origin))),
            queue,
            results,
            max_result: RESULT.max(config.worker.max_message_bytes),
            celery: Arc::new(config.celery.clone()),
            keys: Keys::new(&config.celery),
            reply_to: Uuid::new_v4().to_string(),
            origin,
            declared: Arc::default(),
            patience: Patience::default(),
            parent: None,
            recorder: None,
        }
    }

    /// Returns the queue's connection, for the read side.
    pub fn queue(&self) -> &Redis {
        &self.queue
    }

    /// Returns the results' connection.
    pub fn results(&self) -> &Redis {
        &self.results
    }

    /// Returns the name of the client that waits for the results of what it publishes.
    pub fn reply_to(&self) -> &str {
        &self.reply_to
    }

    /// Returns what stands in a message as its sender, in Celery's form: `gen<pid>@<host>`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns Celery's settings.
    pub fn celery(&self) -> &CeleryConfig {
        &self.celery
    }

    /// Returns the names of its installation's keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Returns the key of what belongs to a group or chord; `part` is empty or `.j`, `.s`, ….
    pub fn group_key(&self, id: &str, part: &str) -> String {
        self.keys.group(id, part)
    }

    /// Returns the key and channel of a task's result.
    pub fn result_key(&self, id: &str) -> String {
        self.keys.result(id)
    }
}

/// Adds what Celery's clients declare for a queue, and its name for the read side.
pub fn declare(pipeline: &mut ::redis::Pipeline, queue: &str, celery: &CeleryConfig) {
    let member = rhubarb_wire::binding_member(queue, &celery.sep);
    let keys = Keys::new(celery);
    for table in rhubarb_wire::binding_keys(queue) {
        pipeline.cmd("SADD").arg(keys.kombus(&table)).arg(&member).ignore();
    }
    pipeline.cmd("SADD").arg(keys.queues()).arg(queue).ignore();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_control_characters_are_refused() {
        let config = Config::default();
        let client = Client::new(&Connections::new(&config.redis, "test").unwrap(), &config);
        let named = |id: &str| Publish::new("t").id(id);
        assert!(client.message(Publish::new("a\nb")).is_err());
        assert!(client.message(Publish::new("")).is_err());
        assert!(client.message(named("a\nb")).is_err());
        assert!(client.message(Publish::new("t").queue("q\u{6}")).is_err());
        assert!(client.message(named("id")).is_ok());
    }
}
