//! One task to be published: what `apply_async` takes, field by field.

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_wire::{Signature, Time};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Client;
use crate::{Error, canvas::ResultTree, error::redis, script};

/// A task to be published.
///
/// It is a [`Signature`] with its calling options spelled out, and becomes one with `into()`: as a
/// step of a chain, a callback, a member of a group.
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
    /// The queue; absent for that of `celery.task_routes`, else the default one.
    pub queue: Option<String>,
    /// Not before this long from now (our clock, as Celery's clients do).
    pub countdown: Option<Duration>,
    /// Not before this time; wins over `countdown`.
    pub eta: Option<Timestamp>,
    /// Not after this long from now.
    pub expires_in: Option<Duration>,
    /// Not after this time; wins over `expires_in`.
    pub expires: Option<Timestamp>,
    /// 0 (most urgent) to 255; lists exist for the configured steps. Absent as for `queue`.
    pub priority: Option<u8>,
    /// The hard time limit.
    pub time_limit: Option<Duration>,
    /// The soft time limit, after which a Python task is given the chance to clean up.
    pub soft_time_limit: Option<Duration>,
    /// A name to show in place of the task's.
    pub shadow: Option<String>,
    /// Headers of the application; they cannot replace Celery's own.
    pub headers: Map<String, Value>,
    /// Whether nobody will ask for the result.
    pub ignore_result: bool,
    /// To be called with the result of a success.
    pub link: Vec<Signature>,
    /// To be called after a failure.
    pub link_error: Vec<Signature>,
    /// The first task of the whole work; absent for the publishing task's, else this one.
    pub root_id: Option<String>,
    /// The task that publishes this one; absent for the one that the client is a child of.
    pub parent_id: Option<String>,
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

    /// Adds what is called with the result of a success.
    #[must_use]
    pub fn link(mut self, callback: impl Into<Signature>) -> Self {
        self.link.push(callback.into());
        self
    }

    /// Adds what is called after a failure, with the id of the failed task.
    #[must_use]
    pub fn link_error(mut self, errback: impl Into<Signature>) -> Self {
        self.link_error.push(errback.into());
        self
    }

    /// A digest of name and arguments, for `unique_for`.
    fn digest(&self) -> String {
        let identity = json!([self.task, self.args, self.kwargs]).to_string();
        Sha256::digest(identity)
            .iter()
            .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    fn options(&mut self) -> Map<String, Value> {
        let mut options = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                options.insert(key.to_owned(), value);
            }
        };
        let seconds = |time: Duration| json!(time.as_secs_f64());
        let at = |time: Timestamp| json!(Time::at(time).as_str());
        let list = |signatures: Vec<Signature>| {
            let values = signatures.iter().map(Signature::to_value).collect::<Vec<_>>();
            Some(Value::Array(values)).filter(|_| !signatures.is_empty())
        };
        put("task_id", self.id.take().map(Value::String));
        put("queue", self.queue.take().map(Value::String));
        // Celery's `countdown` wins over `eta`; ours is the other way round.
        put("countdown", self.countdown.filter(|_| self.eta.is_none()).map(seconds));
        put("eta", self.eta.map(at));
        put("expires", self.expires.map(at).or_else(|| self.expires_in.map(seconds)));
        put("priority", self.priority.map(|priority| json!(priority)));
        put("time_limit", self.time_limit.map(seconds));
        put("soft_time_limit", self.soft_time_limit.map(seconds));
        put("shadow", self.shadow.take().map(Value::String));
        put("ignore_result", self.ignore_result.then(|| json!(true)));
        put("link", list(std::mem::take(&mut self.link)));
        put("link_error", list(std::mem::take(&mut self.link_error)));
        put("root_id", self.root_id.take().map(Value::String));
        put("parent_id", self.parent_id.take().map(Value::String));
        let mut headers = std::mem::take(&mut self.headers);
        if self.from_beat {
            headers.insert("celery_beat_task".to_owned(), json!(true));
        }
        put("headers", (!headers.is_empty()).then_some(Value::Object(headers)));
        options
    }
}

impl From<Publish> for Signature {
    /// `unique_for` is left out: only [`Client::publish`] knows of it.
    fn from(mut publish: Publish) -> Self {
        let options = publish.options();
        Self {
            task: publish.task,
            args: publish.args,
            kwargs: publish.kwargs,
            options,
            ..Self::default()
        }
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
    /// Publishes a task: one `LPUSH`, as Celery's own clients do.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a task without a name, with an id that is no id, with options that
    /// mean nothing, or with a message over `celery.max_publish_bytes`; nothing was sent.
    /// [`Error::Redis`]: while the server is out of memory, it was tried again for
    /// `celery.publish_patience`; after [`rhubarb_connection::Error::Lost`] it may have been
    /// published, and publishing again may run it twice, `unique_for` or not.
    pub async fn publish(&self, publish: &Publish) -> Result<Published, Error> {
        let id = publish.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        let identified = Publish { id: Some(id.clone()), ..publish.clone() };
        let outbox = self.outbox([self.unroll(identified)])?;
        let Some(unique_for) = publish.unique_for else {
            self.send(outbox).await?;
            return Ok(Published { id, duplicate: false });
        };
        let key = self.keys().unique(&publish.digest());
        // Dying between the two leaves a lock without a task until it ends by itself: the caller
        // saw no id and tries again later. The other order could publish twice.
        let published = match self.take_unique(&key, &id, unique_for).await {
            Ok(Some(earlier)) => return Ok(Published { id: earlier, duplicate: true }),
            Ok(None) => self.send(outbox).await,
            Err(error) => Err(error),
        };
        if published.is_err() {
            // Also where the lock's own answer was lost: it may stand, and would keep the caller's
            // next try out.
            self.release_unique(key, &id).await;
        }
        published.map(|()| Published { id, duplicate: false })
    }

    /// Publishes tasks in their order, up to 1,000 in one round trip: for many of them many times
    /// as fast as one after the other. Returns their ids, in that order.
    ///
    /// When the process dies in the middle, the first so many were published.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published any number of them, the first ones first.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] as for [`Client::publish`], and for a task with `unique_for`, whose lock
    /// is taken for one task at a time; nothing was sent. [`Error::Redis`]: the first so many may
    /// have been published; publishing again may run these twice.
    pub async fn publish_all(
        &self,
        tasks: impl IntoIterator<Item = Publish>,
    ) -> Result<Vec<String>, Error> {
        let mut ids = Vec::new();
        let unrolled = tasks.into_iter().map(|mut task| {
            if task.unique_for.is_some() {
                return Err(Error::Refused(format!(
                    "task `{}` has unique_for, which is for one task at a time: publish it by Client::publish",
                    task.task
                )));
            }
            ids.push(task.id.get_or_insert_with(|| Uuid::new_v4().to_string()).clone());
            self.unroll(task)
        });
        let outbox = self.outbox(unrolled)?;
        self.send(outbox).await?;
        Ok(ids)
    }

    /// Releases a lock that is this task's; one that cannot be released now ends by itself.
    async fn release_unique(&self, key: String, id: &str) {
        let args = [b"release".to_vec(), id.to_owned().into_bytes(), b"0".to_vec()];
        let _: Result<u8, _> = self.queue.eval(&script::LOCK, &[key], &args, &[]).await;
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
        let (taken, holder): (Option<String>, Option<String>) = self
            .patience
            .pipe(&self.queue, &pipeline, self.celery.publish_patience)
            .await
            .map_err(redis("take the unique lock"))?;
        Ok(if taken.is_some() { None } else { Some(holder.unwrap_or_default()) })
    }
}

impl From<Published> for ResultTree {
    fn from(published: Published) -> Self {
        Self::task(&published.id)
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
    fn every_field_becomes_celerys_option() {
        let at: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
        let seconds = |n| Some(Duration::from_secs(n));
        let publish = Publish {
            id: Some("i".to_owned()),
            queue: Some("q".to_owned()),
            countdown: seconds(5),
            expires_in: seconds(60),
            priority: Some(0),
            time_limit: seconds(9),
            soft_time_limit: seconds(8),
            shadow: Some("s".to_owned()),
            headers: Map::from_iter([("x".to_owned(), json!("y"))]),
            ignore_result: true,
            root_id: Some("r".to_owned()),
            parent_id: Some("p".to_owned()),
            from_beat: true,
            ..Publish::new("t").link(Publish::new("next")).link_error(Publish::new("failed"))
        };
        let signature = Signature::from(publish.clone());
        let expected = json!({
            "task_id": "i", "queue": "q", "countdown": 5.0, "expires": 60.0, "priority": 0, "time_limit": 9.0,
            "soft_time_limit": 8.0, "shadow": "s", "ignore_result": true,
            "link": [Signature::from(Publish::new("next")).to_value()],
            "link_error": [Signature::from(Publish::new("failed")).to_value()],
            "root_id": "r", "parent_id": "p", "headers": {"x": "y", "celery_beat_task": true},
        });
        assert_eq!(json!(signature.options), expected);
        let absolute = Publish { eta: Some(at), expires: Some(at), ..publish };
        let options = Signature::from(absolute).options;
        assert_eq!(options["eta"], "2026-11-24T10:00:00+00:00");
        assert_eq!((options.get("countdown"), &options["expires"]), (None, &options["eta"]));
        assert_eq!(Signature::from(Publish::new("t")).options, Map::new());
    }
}
