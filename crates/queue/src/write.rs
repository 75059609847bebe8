//! Writes what follows a task, and what a task publishes itself: groups, messages, states, in bounded pipelines.

use jiff::Timestamp;
use rhubarb_wire::Signature;
use uuid::Uuid;

use crate::{
    Client, Error,
    canvas::{self, Call, Publisher, ResultTree},
    client::declare,
    delivery::Received,
    error::redis,
    follow::{Follow, Lineage, Outgoing},
    keys::QueueKeys,
    record::Stored,
};

/// How many messages or results one pipeline writes.
const CHUNK: usize = 500;
/// How many bytes of messages one pipeline writes; a message larger than this goes alone.
const CHUNK_BYTES: usize = 8 << 20;

impl Client {
    /// Writes all that follows, when there is no settling script to go with.
    pub(crate) async fn carry_out(&self, follow: &mut Follow) -> Result<(), Error> {
        self.write_groups(follow).await?;
        self.send(&mut follow.messages).await?;
        self.store_all(&mut follow.results).await
    }

    /// Stores nested groups and the sizes of chords, as has to be before their members are sent.
    ///
    /// A chord that is published again under the same id starts anew: who published its body before is forgotten
    /// (Celery 5.7's order: `.c` goes first).
    pub(crate) async fn write_groups(&self, follow: &mut Follow) -> Result<(), Error> {
        if follow.saved.is_empty() && follow.chord_sizes.is_empty() {
            return Ok(());
        }
        let ttl = self.celery().result_expires.as_secs().max(1);
        let mut pipeline = ::redis::pipe();
        for tree in &follow.saved {
            let saved = serde_json::json!({"result": tree.as_tuple()}).to_string();
            pipeline.cmd("SET").arg(self.group_key(&tree.id, "")).arg(saved);
            pipeline.arg("EX").arg(ttl).ignore();
        }
        for (group, size) in &follow.chord_sizes {
            pipeline.cmd("DEL").arg(self.group_key(group, ".c")).ignore();
            pipeline.cmd("SET").arg(self.group_key(group, ".s")).arg(size);
            pipeline.arg("EX").arg(ttl).ignore();
        }
        let _: ::redis::Value =
            self.results.pipe(&pipeline).await.map_err(redis("store the sizes of chords"))?;
        follow.saved.clear();
        follow.chord_sizes.clear();
        Ok(())
    }

    /// Publishes messages in their order; those that were sent are taken out.
    pub(crate) async fn send(&self, messages: &mut Vec<Outgoing>) -> Result<(), Error> {
        while !messages.is_empty() {
            let n = chunk(messages.iter().map(|outgoing| outgoing.message.len()));
            let mut pipeline = ::redis::pipe();
            let mut declared = "";
            for Outgoing { queue, priority, message } in &messages[..n] {
                if declared != queue && self.undeclared(queue) {
                    declare(&mut pipeline, queue, self.celery());
                }
                declared = queue;
                let keys = QueueKeys::new(queue, self.celery());
                pipeline.cmd("LPUSH").arg(keys.list_for(*priority)).arg(message).ignore();
            }
            let _: ::redis::Value =
                self.queue().pipe(&pipeline).await.map_err(redis("publish what follows a task"))?;
            messages.drain(..n).for_each(|sent| self.note_declared(sent.queue));
        }
        Ok(())
    }

    /// Stores final states, each by the script that knows when to leave what stands; those that were stored are taken
    /// out. A failure of a long chain is stored under each of its steps.
    pub(crate) async fn store_all(&self, results: &mut Vec<Stored>) -> Result<(), Error> {
        while !results.is_empty() {
            let n = chunk(results.iter().map(|stored| stored.bytes.len()));
            let stores = results[..n].iter().map(|stored| self.store_final(stored));
            futures_util::future::try_join_all(stores).await?;
            results.drain(..n);
        }
        Ok(())
    }

    /// Publishes a signature from within a running task: what it publishes has the task as its parent, and its result
    /// lists it among its children.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have published some of it or all.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] for a signature that cannot be published, [`Error::Redis`] as for [`Client::publish`].
    pub async fn apply_within(
        &self,
        received: &Received,
        signature: Signature,
        call: Call,
        now: Timestamp,
    ) -> Result<Option<ResultTree>, Error> {
        let by = Lineage::of(received, self.celery());
        let call = Call {
            root_id: Some(by.root_id),
            parent_id: Some(by.id),
            priority: by.priority,
            ..call
        };
        let publisher = Publisher {
            celery: self.celery(),
            now,
            reply_to: &self.reply_to,
            origin: &self.origin,
            fresh_id: &|| Uuid::new_v4().to_string(),
        };
        let unrolled = canvas::unroll(signature, call, publisher)
            .map_err(|error| Error::Refused(error.to_string()))?;
        let result = unrolled.result.clone();
        let mut follow = Follow::from(unrolled);
        self.carry_out(&mut follow).await?;
        received.notes().children.extend(result.as_ref().map(ResultTree::as_tuple));
        Ok(result)
    }
}

/// How many of these sizes go into one pipeline.
fn chunk(sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fitting = sizes.take(CHUNK).take_while(|size| {
        bytes += size;
        bytes <= CHUNK_BYTES
    });
    fitting.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelines_are_bounded_by_count_and_by_bytes() {
        assert_eq!(chunk(std::iter::repeat_n(10, 2000)), CHUNK);
        assert_eq!(chunk(std::iter::repeat_n(3 << 20, 10)), 2);
        assert_eq!(chunk(std::iter::once(100 << 20)), 1);
    }
}
