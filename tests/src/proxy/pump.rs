//! One connection through the proxy: two streams of messages, each of which may be hit by a fault.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{Act, At, Shared, Way, lock, resp};

/// How much of a request is kept until its answer comes, to be looked at again.
const KEPT: usize = 1024;

/// What both ways of one connection know.
struct Connection {
    shared: Arc<Shared>,
    until: CancellationToken,
    /// Requests whose answers are still to come.
    asked: Mutex<VecDeque<Vec<u8>>>,
    swallowed: AtomicBool,
}

/// A message on its way, with the request that it is or answers.
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    request: &'a [u8],
    /// How many bytes went this way on this connection before it.
    before: u64,
}

impl Message<'_> {
    /// Returns how many of its bytes pass before a fault at this place hits; none when it does not.
    pub(super) fn offset(&self, at: &At) -> Option<usize> {
        match at {
            At::Next => Some(0),
            At::Command { name, holding, offset } => {
                let holds = holding.is_empty()
                    || self.request.windows(holding.len()).any(|part| part == holding.as_bytes());
                (holds && resp::command(self.request) == *name)
                    .then_some((*offset).min(self.bytes.len()))
            }
            At::Bytes(n) => {
                let left = usize::try_from(n.checked_sub(self.before)?).ok()?;
                (left < self.bytes.len()).then_some(left)
            }
        }
    }
}

/// Passes messages both ways until both have ended or the connection is cut.
pub(super) async fn both(
    client: TcpStream,
    server: TcpStream,
    shared: Arc<Shared>,
    until: CancellationToken,
) {
    // Small messages have to pass at once, or every delay would be the kernel's.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let connection = Connection {
        shared,
        until: until.clone(),
        asked: Mutex::default(),
        swallowed: AtomicBool::new(false),
    };
    tokio::select! {
        () = until.cancelled() => {}
        _ = async {
            tokio::join!(
                connection.pump(Way::ToServer, from_client, to_server),
                connection.pump(Way::ToClient, from_server, to_client),
            )
        } => {}
    }
}

impl Connection {
    async fn pump(&self, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut buffer = Vec::new();
        let mut before = 0;
        while from.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {
            loop {
                let n = match resp::frame(&buffer) {
                    resp::Frame::Whole(n) => n,
                    resp::Frame::Part => break,
                    resp::Frame::Foreign => buffer.len(),
                };
                let bytes: Vec<u8> = buffer.drain(..n).collect();
                if self.pass(way, &bytes, before, &mut to).await.is_err() {
                    // The other side has gone, or is to go; so does this connection.
                    self.until.cancel();
                    return;
                }
                before += n as u64;
                if buffer.is_empty() {
                    break;
                }
            }
        }
        // The end of one way is passed on as such; the other way may go on.
        if !self.swallowed.load(Ordering::SeqCst) {
            let _ = to.shutdown().await;
        } else {
            self.until.cancelled().await;
        }
    }

    async fn pass(
        &self,
        way: Way,
        bytes: &[u8],
        before: u64,
        to: &mut OwnedWriteHalf,
    ) -> io::Result<()> {
        if self.swallowed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let request = self.request(way, bytes);
        let fault = self.shared.decide(way, &Message { bytes, request: &request, before });
        let Some((offset, act)) = fault else { return to.write_all(bytes).await };
        let (first, rest) = bytes.split_at(offset);
        to.write_all(first).await?;
        match act {
            // Nothing of what is behind it may pass: a stream with a hole is no fault that TCP has.
            Act::Cut => Err(io::ErrorKind::ConnectionAborted.into()),
            Act::Delay(pause) => {
                sleep(pause).await;
                to.write_all(rest).await
            }
            Act::Swallow => {
                self.swallowed.store(true, Ordering::SeqCst);
                Ok(())
            }
            Act::Trickle(pause) => {
                for byte in rest {
                    sleep(pause).await;
                    to.write_all(&[*byte]).await?;
                }
                Ok(())
            }
            Act::HalfClose => to.shutdown().await,
        }
    }

    /// Returns the request that a message is or answers; empty for what was sent unasked.
    fn request(&self, way: Way, bytes: &[u8]) -> Vec<u8> {
        match way {
            Way::ToServer => {
                let head = bytes[..bytes.len().min(KEPT)].to_vec();
                // These are answered by pushes only (RESP3).
                if !resp::command(&head).ends_with("SUBSCRIBE") {
                    lock(&self.asked).push_back(head.clone());
                }
                head
            }
            Way::ToClient if resp::is_push(bytes) => Vec::new(),
            Way::ToClient => lock(&self.asked).pop_front().unwrap_or_default(),
        }
    }
}
