//! Publishing canvases, and from inside a running task.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use rhubarb_core::clock;
use rhubarb_wire::{Headers, Signature};
use uuid::Uuid;

use super::{Client, Publish, declare};
use crate::{
    Error,
    canvas::{Call, Outgoing, Publisher, ResultTree, Unrolled, unroll},
    error::redis,
    keys,
};

/// How many commands go in one pipeline, so that a large canvas does not keep the connection for itself.
const BATCH: usize = 1_000;

/// How many bytes of messages go in one pipeline.
const BATCH_BYTES: usize = 4 << 20;

/// How many results a running task's children are told of; what is published beyond is not listed.
const MAX_CHILDREN: usize = 1_000;

/// A message as it is sent.
struct Encoded<'m> {
    queue: &'m str,
    headers: &'m Headers,
    priority: u8,
    bytes: Vec<u8>,
}

/// The running task that publishes.
#[derive(Debug)]
pub(super) struct Parent {
    root_id: String,
    id: String,
    priority: Option<u8>,
    children: Mutex<Vec<ResultTree>>,
}

impl Client {
    /// Publishes a signature of any kind and gives what to wait for: [`Client::join`].
    ///
    /// The sizes of chords come first, then the messages in order, at most 1,000 in a pipeline. When the process dies in
    /// the middle, the messages before run and the others do not exist: a group is partly run, and a chord's body is
    /// never called, as when Celery's clients die. What was set for the chord ends after `result_expires`.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published any number of the messages.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a signature that cannot be published (see [`crate::canvas::CanvasError`]); nothing was
    /// sent. [`Error::Redis`]: as in the middle, see above; publishing again may run tasks twice.
    pub async fn apply(&self, signature: impl Into<Signature>) -> Result<ResultTree, Error> {
        self.apply_with(signature, Call::default()).await
    }

    /// Publishes a signature as [`Client::apply`] does, with arguments and options of this call.
    ///
    /// # Cancel safety
    ///
    /// As for [`Client::apply`].
    ///
    /// # Errors
    ///
    /// As for [`Client::apply`].
    pub async fn apply_with(
        &self,
        signature: impl Into<Signature>,
        call: Call,
    ) -> Result<ResultTree, Error> {
        let unrolled = self.unroll_with(signature.into(), call)?;
        let Some(result) = unrolled.result.clone() else {
            return Err(Error::Refused("chain has no steps: nothing was published".to_owned()));
        };
        self.send(&unrolled).await?;
        Ok(result)
    }

    /// Returns a client that publishes as this running task: what it publishes has the task as its parent.
    ///
    /// `priority` is the task's own; it is passed on where `task_inherit_parent_priority` says so. Clones of the client
    /// are of the same task, and [`Client::children`] tells what they all published.
    #[must_use]
    pub fn child_of(&self, headers: &Headers, priority: u8) -> Self {
        let parent = Parent {
            root_id: headers.root_id.clone().unwrap_or_else(|| headers.id.clone()),
            id: headers.id.clone(),
            priority: self.celery.task_inherit_parent_priority.then_some(priority),
            children: Mutex::default(),
        };
        Self { parent: Some(Arc::new(parent)), ..self.clone() }
    }

    /// Returns what was published through this client as a running task, in order: the `children` of its result. At
    /// most the first 1,000.
    pub fn children(&self) -> Vec<ResultTree> {
        let Some(parent) = &self.parent else { return Vec::new() };
        parent.children.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Builds the one message that publishing this task would push.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] as for [`Client::publish`], and for what is no single message.
    pub fn message(&self, publish: Publish) -> Result<Outgoing, Error> {
        let mut messages = self.unroll(publish)?.messages;
        match (messages.pop(), messages.is_empty()) {
            (Some(message), true) => {
                self.encode(&message)?;
                Ok(message)
            }
            _ => Err(Error::Refused("a canvas is not one message".to_owned())),
        }
    }

    pub(super) fn unroll(&self, publish: Publish) -> Result<Unrolled, Error> {
        self.unroll_with(publish.into(), Call::default())
    }

    fn unroll_with(&self, signature: Signature, mut call: Call) -> Result<Unrolled, Error> {
        if let Some(parent) = &self.parent {
            call.root_id.get_or_insert_with(|| parent.root_id.clone());
            call.parent_id.get_or_insert_with(|| parent.id.clone());
            call.priority = call.priority.or(parent.priority);
        }
        let fresh_id = || Uuid::new_v4().to_string();
        let publisher = Publisher {
            celery: &self.celery,
            now: clock::now(),
            reply_to: &self.reply_to,
            origin: &self.origin,
            fresh_id: &fresh_id,
        };
        unroll(signature, call, publisher).map_err(|error| Error::Refused(error.to_string()))
    }

    /// Writes what a signature was turned into, and notes what was sent as children of the publishing task.
    pub(super) async fn send(&self, unrolled: &Unrolled) -> Result<(), Error> {
        // All of it first: nothing is sent of what holds one message that is too large.
        let messages: Vec<Encoded<'_>> =
            unrolled.messages.iter().map(|one| self.encode(one)).collect::<Result<_, _>>()?;
        self.prepare_chords(&unrolled.saved, &unrolled.chord_sizes).await?;
        for batch in batches(&messages) {
            self.push(batch).await?;
        }
        if let Some(parent) = &self.parent {
            let mut children = parent.children.lock().unwrap_or_else(PoisonError::into_inner);
            let left = MAX_CHILDREN.saturating_sub(children.len());
            children.extend(unrolled.children.iter().take(left).cloned());
        }
        Ok(())
    }

    /// Stores what those who finish chords look for.
    pub(crate) async fn prepare_chords(
        &self,
        saved: &[ResultTree],
        chord_sizes: &[(String, u64)],
    ) -> Result<(), Error> {
        let expires = self.celery.result_expires.as_secs().max(1);
        let mut commands = Vec::new();
        for group in saved {
            let mut set = ::redis::cmd("SET");
            set.arg(self.group_key(&group.id, "")).arg(group.encode()).arg("EX").arg(expires);
            commands.push(set);
        }
        for (group_id, size) in chord_sizes {
            // A chord that was applied before with the same ids may have left its mark that it is done (Celery 5.7).
            let mut forget = ::redis::cmd("DEL");
            forget.arg(self.group_key(group_id, ".c"));
            let mut set = ::redis::cmd("SET");
            set.arg(self.group_key(group_id, ".s")).arg(*size).arg("EX").arg(expires);
            commands.extend([forget, set]);
        }
        for batch in commands.chunks(BATCH) {
            let mut pipeline = ::redis::pipe();
            for command in batch {
                pipeline.add_command(command.clone());
            }
            let _: ::redis::Value = self
                .patience
                .pipe(&self.results, &pipeline, self.celery.publish_patience)
                .await
                .map_err(redis("store the sizes of chords"))?;
        }
        Ok(())
    }

    /// Encodes a message, unless it is larger than what may be published.
    fn encode<'m>(&self, outgoing: &'m Outgoing) -> Result<Encoded<'m>, Error> {
        let Outgoing { queue, envelope } = outgoing;
        let (headers, bytes) = (&envelope.headers, envelope.encode());
        let max = self.celery.max_publish_bytes;
        if bytes.len() > max {
            return Err(Error::Refused(format!(
                "the message of task `{}` has {} bytes, more than celery.max_publish_bytes = {max}: pass a reference \
                 to its data instead",
                headers.task,
                bytes.len()
            )));
        }
        Ok(Encoded { queue, headers, priority: envelope.properties.priority, bytes })
    }

    async fn push(&self, batch: &[Encoded<'_>]) -> Result<(), Error> {
        let queues: BTreeSet<&str> = batch.iter().map(|one| one.queue).collect();
        // What goes to one list goes in one command; where each is told of, each in its own.
        let together = |a: &Encoded<'_>, b: &Encoded<'_>| {
            self.sent.is_none() && a.queue == b.queue && a.priority == b.priority
        };
        let runs: Vec<&[Encoded<'_>]> = batch.chunk_by(together).collect();
        let mut pipeline = ::redis::pipe();
        if runs.len() > 1 || self.sent.is_some() {
            // All or nothing, so that what a full server refuses can be sent again.
            pipeline.atomic();
        }
        for queue in &queues {
            if self.undeclared(queue) {
                declare(&mut pipeline, queue, &self.celery);
            }
        }
        for run in runs {
            self.add_run(&mut pipeline, run);
        }
        let _: ::redis::Value = self
            .patience
            .pipe(&self.queue, &pipeline, self.celery.publish_patience)
            .await
            .map_err(|error| redis(publishing(batch))(error))?;
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        for queue in queues {
            if !declared.contains(queue) {
                declared.insert(queue.to_owned());
            }
        }
        Ok(())
    }

    /// Adds messages of one list.
    fn add_run(&self, pipeline: &mut ::redis::Pipeline, run: &[Encoded<'_>]) {
        let Some(first) = run.first() else { return };
        let list = keys::list(first.queue, first.priority, &self.celery);
        let bytes = run.iter().map(|one| one.bytes.len()).sum::<usize>() + list.len() + 5;
        let mut push = ::redis::Cmd::with_capacity(run.len() + 2, bytes);
        push.arg("LPUSH").arg(list);
        for one in run {
            push.arg(&one.bytes);
        }
        pipeline.add_command(push);
        if let Some(sent) = &self.sent {
            run.iter().for_each(|one| sent.tell(pipeline, one.headers, one.queue));
        }
    }

    pub(crate) fn note_declared(&self, queue: String) {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(queue);
    }

    pub(crate) fn undeclared(&self, queue: &str) -> bool {
        !self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains(queue)
    }
}

/// What a batch is called in an error.
fn publishing(batch: &[Encoded<'_>]) -> String {
    let (task, queue) =
        batch.first().map_or(("", ""), |first| (first.headers.task.as_str(), first.queue));
    match batch.len() {
        1 => format!("publish task `{task}` to queue `{queue}`"),
        n => format!("publish {n} tasks, `{task}` first, to queue `{queue}`"),
    }
}

/// Cuts messages into pieces for a pipeline each.
fn batches<'b, 'm>(messages: &'b [Encoded<'m>]) -> Vec<&'b [Encoded<'m>]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, message) in messages.iter().enumerate() {
        if index > start && (index - start == BATCH || bytes > BATCH_BYTES) {
            batches.push(&messages[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += message.bytes.len();
    }
    if start < messages.len() {
        batches.push(&messages[start..]);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_go_in_pieces_of_bounded_count_and_size() {
        let sizes = |messages: &[Encoded<'_>]| {
            batches(messages).iter().map(|b| b.len()).collect::<Vec<_>>()
        };
        let headers = Headers::new("t", "1");
        let some = |n: usize, size: usize| {
            let one =
                || Encoded { queue: "q", headers: &headers, priority: 0, bytes: vec![b'x'; size] };
            std::iter::repeat_with(one).take(n).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[]), [0_usize; 0]);
        assert_eq!(sizes(&some(2_001, 1)), [1_000, 1_000, 1]);
        assert_eq!(sizes(&some(5, 3 << 20)), [2, 2, 1]);
    }
}
