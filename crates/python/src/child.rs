//! One child, as the worker holds it.

use std::io;

use bytes::BytesMut;
use rhubarb::outside::Processes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::oneshot,
};

use crate::{
    frames::{self, Frame, NoFrame},
    zygote::Forked,
};

/// A child that is alive, as far as is known.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) pid: u32,
    stream: Option<UnixStream>,
    buffer: BytesMut,
    exit: oneshot::Receiver<i32>,
    /// How many tasks it was given.
    pub(crate) given: u64,
    processes: Processes,
}

/// Why nothing more comes from a child.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Gone {
    #[error("its socket closed")]
    Closed,
    #[error("its socket failed: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Said(#[from] NoFrame),
}

impl Child {
    /// Takes over one that was forked.
    pub(crate) fn new(forked: Forked, processes: Processes) -> Self {
        let Forked { pid, stream, exit } = forked;
        processes.add(pid);
        let buffer = BytesMut::with_capacity(4096);
        Self { pid, stream: Some(stream), buffer, exit, given: 0, processes }
    }

    fn stream(&mut self) -> Result<&mut UnixStream, Gone> {
        self.stream.as_mut().ok_or(Gone::Closed)
    }

    /// Says something to it.
    pub(crate) async fn send(&mut self, frame: &[u8]) -> Result<(), Gone> {
        Ok(self.stream()?.write_all(frame).await?)
    }

    /// Waits for what it says next.
    ///
    /// # Cancel safety
    ///
    /// Yes: what was read stays in the buffer.
    pub(crate) async fn receive(&mut self) -> Result<Frame, Gone> {
        loop {
            if let Some(frame) = frames::next(&mut self.buffer)? {
                return Ok(frame);
            }
            let stream = self.stream.as_mut().ok_or(Gone::Closed)?;
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Gone::Closed);
            }
        }
    }

    /// Tells whether it is known to have ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.exit.try_recv() != Err(oneshot::error::TryRecvError::Empty)
    }

    /// Closes its socket, upon which it ends, and waits for that.
    pub(crate) async fn end(mut self) {
        self.stream = None;
        let _ = self.exit().await;
    }

    /// Waits for its exit code; `None` where nobody knows it.
    pub(crate) async fn exit(&mut self) -> Option<i32> {
        (&mut self.exit).await.ok()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.processes.remove(self.pid);
    }
}
