//! One task to be published: what `apply_async` takes, field by field.

use std::time::Duration;

use rhubarb_core::hex::hex;
use rhubarb_wire::{CallOptions, Signature};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Client;
use crate::{Error, canvas::ResultTree, error::redis, script};

/// A task to be published.
///
/// It is a [`Signature`] with its options typed, and becomes one with `into()`: as a step of a
/// chain, a callback, a member of a group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Publish {
    /// The task's name.
    pub task: String,
    /// Positional arguments.
    pub args: Vec<Value>,
    /// Keyword arguments.
    pub kwargs: Map<String, Value>,
    /// How it is called.
    pub options: CallOptions,
    /// A second task of the same name and arguments is not published within this time.
    pub unique_for: Option<Duration>,
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

    /// Sets the task's id.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        self.with(|options| options.id = Some(id.into()))
    }

    /// Names the queue.
    #[must_use]
    pub fn queue(self, queue: impl Into<String>) -> Self {
        self.with(|options| options.queue = Some(queue.into()))
    }

    /// Not before this long from now.
    #[must_use]
    pub fn countdown(self, wait: Duration) -> Self {
        self.with(|options| options.countdown = Some(wait))
    }

    /// Not after this long from now.
    #[must_use]
    pub fn expires_in(self, wait: Duration) -> Self {
        self.with(|options| options.expires_in = Some(wait))
    }

    /// Sets the priority: 0 is the most urgent.
    #[must_use]
    pub fn priority(self, priority: u8) -> Self {
        self.with(|options| options.priority = Some(priority))
    }

    /// Adds what is called with the result of a success.
    #[must_use]
    pub fn link(self, callback: impl Into<Signature>) -> Self {
        self.with(|options| options.link.push(callback.into()))
    }

    /// Adds what is called after a failure, with the id of the failed task.
    #[must_use]
    pub fn link_error(self, errback: impl Into<Signature>) -> Self {
        self.with(|options| options.link_error.push(errback.into()))
    }

    /// Changes its options.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut CallOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Publishes no second one of the same name and arguments within this time.
    #[must_use]
    pub fn unique_for(self, time: Duration) -> Self {
        Self { unique_for: Some(time), ..self }
    }

    /// A digest of name and arguments, for `unique_for`.
    fn digest(&self) -> String {
        let identity = json!([self.task, self.args, self.kwargs]).to_string();
        hex(&Sha256::digest(identity))
    }
}

impl From<Publish> for Signature {
    /// `unique_for` is left out: only [`Client::publish`] knows of it.
    fn from(publish: Publish) -> Self {
        Self {
            task: publish.task,
            args: publish.args,
            kwargs: publish.kwargs,
            options: publish.options.into(),
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
        let lock = publish.unique_for.map(|time| (self.keys().unique(&publish.digest()), time));
        self.publish_behind(publish, lock).await
    }

    /// Publishes a task, but no second one with the same key within this time: of a caller that
    /// does not know whether its first try arrived.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published.
    ///
    /// # Errors
    ///
    /// As for [`Client::publish`]; after [`rhubarb_connection::Error::Lost`] a second try may
    /// publish it again.
    pub async fn publish_once(
        &self,
        publish: &Publish,
        key: &str,
        kept: Duration,
    ) -> Result<Published, Error> {
        let digest = hex(&Sha256::digest(json!(["once", key]).to_string()));
        self.publish_behind(publish, Some((self.keys().unique(&digest), kept))).await
    }

    /// Publishes a task unless another one holds the lock.
    async fn publish_behind(
        &self,
        publish: &Publish,
        lock: Option<(String, Duration)>,
    ) -> Result<Published, Error> {
        let id = publish.options.id.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        let identified = publish.clone().id(&id);
        let outbox = self.outbox([self.unroll(identified)])?;
        let Some((key, unique_for)) = lock.filter(|_| self.recorder.is_none()) else {
            self.send(outbox).await?;
            return Ok(Published { id, duplicate: false });
        };
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
            ids.push(task.options.id.get_or_insert_with(|| Uuid::new_v4().to_string()).clone());
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
}
