//! Writes what follows a task: groups, messages, states, in bounded pipelines.

use rhubarb_core::class::Class;
use rhubarb_wire::{Compression, TaskResult, compress_success};

use crate::{
    Client, Error,
    client::declare,
    config::{CeleryConfig, ResultCompression},
    error::redis,
    keys,
};

/// How many messages or results one pipeline writes.
const CHUNK: usize = 500;
/// How many bytes of messages one pipeline writes; a message larger than this goes alone.
const CHUNK_BYTES: usize = 8 << 20;

/// An encoded message and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The queue's name.
    pub queue: String,
    /// The message's priority.
    pub priority: u8,
    /// The encoded message.
    pub message: Vec<u8>,
}

/// A state that is encoded, under the key of its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The task's id.
    pub task_id: String,
    /// The encoded state.
    pub bytes: Vec<u8>,
}

impl Stored {
    /// Compresses it if its length and the settings say so; it has to be a SUCCESS.
    pub fn compressed(self, celery: &CeleryConfig) -> Self {
        let method = match celery.result_compression {
            ResultCompression::None => return self,
            ResultCompression::Zlib => Compression::Zlib,
            ResultCompression::Bzip2 => Compression::Bzip2,
            ResultCompression::Zstd => Compression::Zstd,
        };
        if self.bytes.len() < celery.result_compression_min_bytes {
            return self;
        }
        let bytes = compress_success(&self.bytes, method).unwrap_or(self.bytes);
        Self { bytes, ..self }
    }
}

impl From<&TaskResult> for Stored {
    fn from(result: &TaskResult) -> Self {
        Self { task_id: result.task_id.clone(), bytes: result.encode() }
    }
}

impl Client {
    /// Publishes messages in their order; those that were sent, or never can be, are taken out.
    pub async fn send_encoded(&self, messages: &mut Vec<Outgoing>) -> Result<(), Error> {
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

    /// Stores final states, each by the script that knows when to leave what stands; those that
    /// were stored are taken out. A failure of a long chain is stored under each of its steps.
    pub async fn store_all(&self, results: &mut Vec<Stored>) -> Result<(), Error> {
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
