//! Writes what follows a task: groups, messages, states, in bounded pipelines.

use rhubarb_core::class::Class;

use crate::{
    Client, Error,
    client::declare,
    error::redis,
    follow::{Follow, Outgoing},
    keys,
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
        self.send_encoded(&mut follow.messages).await?;
        self.store_all(&mut follow.results).await
    }

    /// Stores nested groups and the sizes of chords, as has to be before their members are sent.
    pub(crate) async fn write_groups(&self, follow: &mut Follow) -> Result<(), Error> {
        self.prepare_chords(&follow.saved, &follow.chord_sizes).await?;
        follow.saved.clear();
        follow.chord_sizes.clear();
        Ok(())
    }

    /// Publishes messages in their order; those that were sent, or never can be, are taken out.
    pub(crate) async fn send_encoded(&self, messages: &mut Vec<Outgoing>) -> Result<(), Error> {
        while !messages.is_empty() {
            let n = chunk(messages.iter().map(|outgoing| outgoing.message.len()));
            let mut pipeline = ::redis::pipe();
            if n > 1 {
                // All or nothing, so that what a full server refuses is not sent twice.
                pipeline.atomic();
            }
            let mut declared = "";
            for Outgoing { queue, priority, message } in &messages[..n] {
                if declared != queue && self.undeclared(queue) {
                    declare(&mut pipeline, queue, self.celery());
                }
                declared = queue;
                let list = keys::list(queue, *priority, self.celery());
                pipeline.cmd("LPUSH").arg(list).arg(message).ignore();
            }
            let sent = self.queue().pipe::<::redis::Value>(&pipeline).await;
            match sent.map_err(redis("publish what follows a task")) {
                Ok(_) => messages.drain(..n).for_each(|sent| self.note_declared(sent.queue)),
                // A queue by the name of a key that is no list: it never will be.
                Err(error) if error.class() == Class::Permanent => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    for lost in messages.drain(..n) {
                        tracing::error!(%error, cause, queue = lost.queue, "a message is lost");
                    }
                }
                Err(error) => return Err(error),
            }
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
