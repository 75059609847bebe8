//! Publishing canvases, and from inside a running task.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use rhubarb_trace::{Carrier, Publishing, Sent};
use rhubarb_wire::{Envelope, Headers, Signature};
use uuid::Uuid;

use super::{
    Client, Publish, declare,
    outbox::{Batch, Outbox, To},
};
use crate::{
    Error, Outgoing as Encoded,
    canvas::{
        Call, CanvasError, MAX_BYTES, Outgoing, Publisher, ResultTree, Task, Unrolled,
        max_bytes_in_worker, single, unroll,
    },
    error::redis,
    keys,
};

/// How many commands go in one pipeline.
const BATCH: usize = 1_000;

/// How many results a running task's children are told of; what is published beyond is not listed.
const MAX_CHILDREN: usize = 1_000;

/// The running task that publishes.
#[derive(Debug)]
pub(super) struct Parent {
    root_id: String,
    id: String,
    priority: Option<u8>,
    /// The trace of its run.
    trace: Option<Arc<Carrier>>,
    children: Mutex<Vec<ResultTree>>,
}

impl Client {
    /// Publishes a signature of any kind and gives what to wait for: [`Client::join`].
    ///
    /// The sizes of chords come first, then the messages in order, at most 1,000 in a pipeline.
    /// When the process dies in the middle, the messages before run and the others do not exist: a
    /// group is partly run, and a chord's body is never called, as when Celery's clients die. What
    /// was set for the chord ends after `result_expires`.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published any number of the messages.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a signature that cannot be published (see
    /// [`crate::canvas::CanvasError`]); nothing was sent. [`Error::Redis`]: as in the middle, see
    /// above; publishing again may run tasks twice.
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
        let mut unrolled = self.unroll_with(signature.into(), call)?;
        let Some(result) = unrolled.result.take() else {
            return Err(Error::Refused("chain has no steps: nothing was published".to_owned()));
        };
        self.send(self.outbox([Ok(unrolled)])?).await?;
        Ok(result)
    }

    /// Returns a client that publishes as this running task: what it publishes has the task as its
    /// parent.
    ///
    /// `priority` is the task's own; it is passed on where `task_inherit_parent_priority` says so.
    /// `trace` is the context of the task's run, where there is one.
    /// Clones of the client are of the same task, and [`Client::children`] tells what they all
    /// published.
    #[must_use]
    pub fn child_of(&self, headers: &Headers, priority: u8, trace: Option<Arc<Carrier>>) -> Self {
        let parent = Parent {
            root_id: headers.root_id.clone().unwrap_or_else(|| headers.id.clone()),
            id: headers.id.clone(),
            priority: self.celery.task_inherit_parent_priority.then_some(priority),
            trace,
            children: Mutex::default(),
        };
        Self { parent: Some(Arc::new(parent)), ..self.clone() }
    }

    /// Returns what was published through this client as a running task, in order: the `children`
    /// of its result. At most the first 1,000.
    pub fn children(&self) -> Vec<ResultTree> {
        let Some(parent) = &self.parent else { return Vec::new() };
        parent.children.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Encodes the one message that publishing this task would push.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] as for [`Client::publish`], and for what is no single message.
    pub fn message(&self, publish: Publish) -> Result<Encoded, Error> {
        let mut messages = self.unroll(publish)?.messages;
        let (Some(Outgoing { queue, mut envelope }), true) = (messages.pop(), messages.is_empty())
        else {
            return Err(Error::Refused("a canvas is not one message".to_owned()));
        };
        drop(traced(&mut envelope, &queue, self.trace()));
        let message = envelope.encode();
        self.check_size(&envelope, message.len())?;
        Ok(Encoded { queue, priority: envelope.properties.priority, message })
    }

    /// What is no canvas needs none of what makes messages of one.
    pub(super) fn unroll(&self, publish: Publish) -> Result<Unrolled, Error> {
        if publish.task.starts_with("celery.") {
            return self.unroll_with(publish.into(), Call::default());
        }
        let Publish { task, args, kwargs, options, .. } = publish;
        let task = Task::new(task, args, kwargs, options);
        self.as_publisher(Call::default(), |call, publisher| single(task, &call, publisher))
    }

    fn unroll_with(&self, signature: Signature, call: Call) -> Result<Unrolled, Error> {
        self.as_publisher(call, |call, publisher| unroll(signature, call, publisher))
    }

    fn as_publisher(
        &self,
        mut call: Call,
        unroll: impl FnOnce(Call, Publisher<'_>) -> Result<Unrolled, CanvasError>,
    ) -> Result<Unrolled, Error> {
        if let Some(parent) = &self.parent {
            call.root_id.get_or_insert_with(|| parent.root_id.clone());
            call.parent_id.get_or_insert_with(|| parent.id.clone());
            call.priority = call.priority.or(parent.priority);
        }
        let fresh_id = || Uuid::new_v4().to_string();
        let publisher = Publisher {
            celery: &self.celery,
            now: self.now(),
            reply_to: &self.reply_to,
            origin: &self.origin,
            fresh_id: &fresh_id,
            // What a running task publishes may have come with its message.
            max_bytes: match self.parent {
                Some(_) => max_bytes_in_worker(self.celery.max_publish_bytes),
                None => MAX_BYTES,
            },
        };
        unroll(call, publisher).map_err(|error| Error::Refused(error.to_string()))
    }

    /// Encodes what signatures were turned into, all of it first: nothing is sent of what holds one
    /// message that is too large.
    pub(super) fn outbox(
        &self,
        unrolled: impl IntoIterator<Item = Result<Unrolled, Error>>,
    ) -> Result<Outbox, Error> {
        let (mut unrolled, mut outbox) = (unrolled.into_iter(), Outbox::default());
        while let Some(one) = unrolled.next() {
            let one = one?;
            outbox.to_come = one.messages.len() + unrolled.size_hint().0;
            outbox.saved.extend(one.saved);
            outbox.chord_sizes.extend(one.chord_sizes);
            for message in one.messages {
                self.encode(message, &mut outbox)?;
            }
            let left = MAX_CHILDREN.saturating_sub(outbox.children.len());
            outbox.children.extend(one.children.into_iter().take(left));
        }
        Ok(outbox)
    }

    /// Sends it, and notes what was sent as children of the publishing task.
    pub(super) async fn send(&self, outbox: Outbox) -> Result<(), Error> {
        if let Some(recorder) = &self.recorder {
            recorder.sent(outbox.recorded);
        } else {
            let pushed = self.push_all(&outbox.saved, &outbox.chord_sizes, outbox.batches).await;
            if let Err(error) = &pushed {
                outbox.spans.iter().for_each(|span| span.failed(error));
            }
            pushed?;
        }
        if let Some(parent) = &self.parent {
            let mut children = parent.children.lock().unwrap_or_else(PoisonError::into_inner);
            let left = MAX_CHILDREN.saturating_sub(children.len());
            children.extend(outbox.children.into_iter().take(left));
        }
        Ok(())
    }

    async fn push_all(
        &self,
        saved: &[ResultTree],
        chord_sizes: &[(String, u64)],
        batches: Vec<Batch>,
    ) -> Result<(), Error> {
        self.prepare_chords(saved, chord_sizes).await?;
        for batch in batches {
            self.push(batch).await?;
        }
        Ok(())
    }

    /// Returns the trace of the running task that publishes.
    fn trace(&self) -> Option<&Carrier> {
        self.parent.as_ref().and_then(|parent| parent.trace.as_deref())
    }

    /// Stores what those who finish chords look for: nested groups, and how many parts each chord
    /// has.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn prepare_chords(
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
            // A chord that was applied before with the same ids may have left its mark that it is
            // done (Celery 5.7).
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
    fn encode(&self, outgoing: Outgoing, outbox: &mut Outbox) -> Result<(), Error> {
        let Outgoing { queue, mut envelope } = outgoing;
        outbox.spans.extend(traced(&mut envelope, &queue, self.trace()));
        outbox.scratch.clear();
        envelope.encode_into(&mut outbox.scratch);
        self.check_size(&envelope, outbox.scratch.len())?;
        if self.recorder.is_some() {
            outbox.recorded.push((queue.clone(), envelope.clone()));
        }
        let headers = &envelope.headers;
        let event = self.sent.as_ref().map(|sent| sent.event(headers, &queue));
        let priority = envelope.properties.priority;
        outbox.add(To { task: &headers.task, queue, priority, event }, |queue, priority| {
            keys::list(queue, priority, &self.celery)
        });
        Ok(())
    }

    fn check_size(&self, envelope: &Envelope, bytes: usize) -> Result<(), Error> {
        let max = self.celery.max_publish_bytes;
        if bytes <= max {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "the message of task `{}` has {bytes} bytes, more than celery.max_publish_bytes = {max}: pass a reference \
             to its data instead",
            envelope.headers.task,
        )))
    }

    async fn push(&self, mut batch: Batch) -> Result<(), Error> {
        let undeclared = batch.queues().filter(|queue| self.undeclared(queue));
        let undeclared: BTreeSet<String> = undeclared.map(str::to_owned).collect();
        let mut pipeline = ::redis::pipe();
        for queue in &undeclared {
            declare(&mut pipeline, queue, &self.celery);
        }
        batch.fill(&mut pipeline);
        let _: ::redis::Value = self
            .patience
            .pipe(&self.queue, &pipeline, self.celery.publish_patience)
            .await
            .map_err(|error| redis(batch.operation())(error))?;
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).extend(undeclared);
        Ok(())
    }

    pub(crate) fn note_declared(&self, queue: String) {
        self.declared.lock().unwrap_or_else(PoisonError::into_inner).insert(queue);
    }

    pub(crate) fn undeclared(&self, queue: &str) -> bool {
        !self.declared.lock().unwrap_or_else(PoisonError::into_inner).contains(queue)
    }
}

/// Gives a message that is published now its trace, as Celery's instrumentation does; returns its
/// span, which ends when it is dropped.
pub fn traced(envelope: &mut Envelope, queue: &str, parent: Option<&Carrier>) -> Option<Sent> {
    let headers = &mut envelope.headers;
    let what = Publishing {
        task: &headers.task,
        id: &headers.id,
        queue,
        retries: headers.retries,
        bytes: envelope.body.len(),
    };
    rhubarb_trace::publish(parent, what, &mut headers.other)
}
