//! The zygote: a Python process that has imported the application and forks children.
//!
//! It is started again when it dies, as often as it takes; its children die with it.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, IoSlice},
    os::{fd::AsFd, unix::net::UnixStream as StdStream},
    process::Stdio,
    time::Duration,
};

use bytes::BytesMut;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
    process::{Child as Process, Command as Program},
    sync::{mpsc, oneshot},
};

use crate::{
    Options,
    described::Described,
    embedded,
    frames::{self, Frame},
};

/// How long a zygote that died is waited with at first, and at the most.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// How long the zygote may take to end once the worker has gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why there is no zygote.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ZygoteError {
    #[error("the program {program} cannot be started (python.interpreter)")]
    Start {
        program: String,
        #[source]
        source: io::Error,
    },
    #[error("Python ended before the application was imported: {0}")]
    Ended(String),
    /// Python's own words.
    #[error("{0}")]
    Broken(String),
    #[error(transparent)]
    Said(#[from] frames::NoFrame),
}

/// The way to the zygote; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Zygote(mpsc::UnboundedSender<Order>);

/// A child that was forked.
#[derive(Debug)]
pub(crate) struct Forked {
    pub(crate) pid: u32,
    pub(crate) stream: UnixStream,
    /// Its exit code, negative for a signal; closed when nobody knows.
    pub(crate) exit: oneshot::Receiver<i32>,
}

#[derive(Debug)]
enum Order {
    Fork(oneshot::Sender<Result<Forked, String>>),
    Signal { pid: u32, signal: &'static str, sent: Option<oneshot::Sender<()>> },
    End(oneshot::Sender<()>),
}

/// What the zygote says.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Said {
    Hello(Box<Described>),
    Broken { error: String },
    Forked { pid: Option<u32>, error: Option<String> },
    Signalled {},
    Exit { pid: u32, code: i32 },
}

impl Zygote {
    /// Starts one, and returns what it tells of the application.
    ///
    /// # Errors
    ///
    /// [`ZygoteError`]; nothing is tried again.
    pub(crate) async fn start(
        options: &Options,
        hostname: &str,
    ) -> Result<(Self, Described), ZygoteError> {
        let (link, described) = Link::start(options, hostname).await?;
        let (sender, orders) = mpsc::unbounded_channel();
        let (options, hostname) = (options.clone(), hostname.to_owned());
        tokio::spawn(keep(link, orders, options, hostname));
        Ok((Self(sender), described))
    }

    /// Forks a child.
    pub(crate) async fn fork(&self) -> Result<Forked, String> {
        let (sender, forked) = oneshot::channel();
        let _ = self.0.send(Order::Fork(sender));
        forked.await.unwrap_or_else(|_| Err("the Python process that forks has ended".to_owned()))
    }

    /// Sends a signal to a child, and returns once it is sent or there is no such child any more.
    pub(crate) async fn signal(&self, pid: u32, signal: &'static str) {
        let (sender, sent) = oneshot::channel();
        let _ = self.0.send(Order::Signal { pid, signal, sent: Some(sender) });
        let _ = sent.await;
    }

    /// Ends a child by force; for a drop, which cannot wait.
    pub(crate) fn kill(&self, pid: u32) {
        let _ = self.0.send(Order::Signal { pid, signal: "SIGKILL", sent: None });
    }

    /// Ends the zygote, and waits a moment for that.
    pub(crate) async fn end(&self) {
        let (sender, ended) = oneshot::channel();
        let _ = self.0.send(Order::End(sender));
        let _ = ended.await;
    }
}

/// One zygote, and what is expected of it.
struct Link {
    process: Process,
    stream: UnixStream,
    buffer: BytesMut,
    forks: VecDeque<(oneshot::Sender<Result<Forked, String>>, UnixStream)>,
    signals: VecDeque<Option<oneshot::Sender<()>>>,
    exits: HashMap<u32, oneshot::Sender<i32>>,
}

impl Link {
    async fn start(options: &Options, hostname: &str) -> Result<(Self, Described), ZygoteError> {
        let mut link = Self::spawn(options)?;
        let first = json!({
            "modules": embedded::modules(),
            "app": options.app,
            "hostname": hostname,
            "processes": options.processes,
            "preload": options.preload,
            "log": options.log,
            "database": options.database,
        });
        if let Err(error) = link.stream.write_all(&frames::encode(&first, &[])).await {
            tracing::debug!(%error, "Python has gone");
        }
        match link.receive().await? {
            Some(Said::Hello(described)) => Ok((link, *described)),
            Some(Said::Broken { error }) => Err(ZygoteError::Broken(error)),
            _ => Err(ZygoteError::Ended(how(link.process.wait().await))),
        }
    }

    fn spawn(options: &Options) -> Result<Self, ZygoteError> {
        let start = |source| ZygoteError::Start { program: options.interpreter.clone(), source };
        let (ours, theirs) = StdStream::pair().map_err(start)?;
        ours.set_nonblocking(true).map_err(start)?;
        let stream = UnixStream::from_std(ours).map_err(start)?;
        let process = Program::new(&options.interpreter)
            .args(["-c", embedded::BOOT])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        Ok(Self {
            process,
            stream,
            buffer: BytesMut::new(),
            forks: VecDeque::new(),
            signals: VecDeque::new(),
            exits: HashMap::new(),
        })
    }

    /// Waits for what it says next; `None` when it has gone.
    ///
    /// # Cancel safety
    ///
    /// Yes: what was read stays in the buffer.
    async fn receive(&mut self) -> Result<Option<Said>, frames::NoFrame> {
        loop {
            if let Some(mut frame) = frames::next(&mut self.buffer)? {
                return Frame::head(&mut frame).map(Some);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// Carries out an order; an error means that the zygote has gone.
    async fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Fork(done) => {
                let (ours, theirs) = StdStream::pair()?;
                ours.set_nonblocking(true)?;
                let ours = UnixStream::from_std(ours)?;
                self.forks.push_back((done, ours));
                self.pass(&frames::encode(&json!({"kind": "fork"}), &[]), &theirs).await
            }
            Order::Signal { pid, signal, sent } => {
                self.signals.push_back(sent);
                let head = json!({"kind": "signal", "pid": pid, "signal": signal});
                self.stream.write_all(&frames::encode(&head, &[])).await
            }
            Order::End(_) => Ok(()),
        }
    }

    /// Sends a frame with a descriptor.
    async fn pass(&mut self, frame: &[u8], descriptor: &StdStream) -> io::Result<()> {
        let stream = &self.stream;
        let sent = stream
            .async_io(Interest::WRITABLE, || {
                let descriptors = [descriptor.as_fd()];
                let mut space =
                    [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
                let mut passed = SendAncillaryBuffer::new(&mut space);
                passed.push(SendAncillaryMessage::ScmRights(&descriptors));
                let frame = [IoSlice::new(frame)];
                Ok(sendmsg(stream, &frame, &mut passed, SendFlags::empty())?)
            })
            .await?;
        self.stream.write_all(&frame[sent..]).await
    }

    /// Takes what it says.
    fn hear(&mut self, said: Said) {
        match said {
            Said::Forked { pid: Some(pid), .. } => {
                let Some((done, stream)) = self.forks.pop_front() else { return };
                let (sender, exit) = oneshot::channel();
                self.exits.insert(pid, sender);
                let _ = done.send(Ok(Forked { pid, stream, exit }));
            }
            Said::Forked { error, .. } => {
                let Some((done, _)) = self.forks.pop_front() else { return };
                let _ = done.send(Err(error.unwrap_or_default()));
            }
            Said::Signalled {} => {
                if let Some(Some(sent)) = self.signals.pop_front() {
                    let _ = sent.send(());
                }
            }
            Said::Exit { pid, code } => {
                if let Some(exit) = self.exits.remove(&pid) {
                    let _ = exit.send(code);
                }
            }
            Said::Hello(_) | Said::Broken { .. } => {}
        }
    }

    /// Serves until the zygote dies, or the last of those who give orders has gone.
    async fn serve(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) -> Served {
        loop {
            tokio::select! {
                said = self.receive() => match said {
                    Ok(Some(said)) => self.hear(said),
                    Ok(None) => return Served::Died,
                    Err(error) => {
                        tracing::error!(%error, "the Python process that forks is replaced");
                        return Served::Died;
                    }
                },
                order = orders.recv() => match order {
                    None => return Served::Over(None),
                    Some(Order::End(done)) => return Served::Over(Some(done)),
                    Some(order) => if let Err(error) = self.obey(order).await {
                        tracing::debug!(%error, "an order did not reach Python");
                        return Served::Died;
                    },
                },
            }
        }
    }
}

enum Served {
    Died,
    Over(Option<oneshot::Sender<()>>),
}

/// Keeps a zygote alive for as long as anybody gives orders.
async fn keep(
    mut link: Link,
    mut orders: mpsc::UnboundedReceiver<Order>,
    options: Options,
    hostname: String,
) {
    loop {
        match link.serve(&mut orders).await {
            Served::Over(done) => {
                let Link { process, stream, .. } = link;
                end(process, stream).await;
                drop(done);
                return;
            }
            Served::Died => {}
        }
        // Its children died with it, and nobody knows how.
        link.exits.clear();
        let pid = link.process.id();
        let _ = link.process.start_kill();
        let how = how(link.process.wait().await);
        tracing::error!(pid, how, "the Python process that forks has died and is replaced");
        match again(&options, &hostname, &mut orders).await {
            Some(next) => link = next,
            None => return,
        }
    }
}

/// Starts another one, trying for as long as it takes; `None` when nobody gives orders any more.
async fn again(
    options: &Options,
    hostname: &str,
    orders: &mut mpsc::UnboundedReceiver<Order>,
) -> Option<Link> {
    let mut wait = PATIENCE.0;
    loop {
        match Link::start(options, hostname).await {
            Ok((link, _)) => return Some(link),
            Err(error) => tracing::error!("Python cannot be started again, trying on: {error}"),
        }
        let tried = tokio::time::Instant::now() + wait;
        wait = (wait * 2).min(PATIENCE.1);
        loop {
            tokio::select! {
                // Whoever waits for a child waits no longer than for another try.
                order = orders.recv() => match order? {
                    Order::Fork(done) => {
                        let _ = done.send(Err("Python cannot be started".to_owned()));
                    }
                    Order::Signal { .. } => {}
                    Order::End(_) => return None,
                },
                () = tokio::time::sleep_until(tried) => break,
            }
        }
    }
}

/// Ends a zygote whose worker stops: it ends by itself when its socket closes.
async fn end(mut process: Process, stream: UnixStream) {
    drop(stream);
    if tokio::time::timeout(LAST_WORDS, process.wait()).await.is_err() {
        let _ = process.start_kill();
        let _ = process.wait().await;
    }
}

fn how(status: io::Result<std::process::ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("process", &self.process).finish_non_exhaustive()
    }
}
