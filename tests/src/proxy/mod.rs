//! A bad network between a program and a Redis server: a proxy that cuts, delays, swallows,
//! trickles and half-closes.
//!
//! It reads the Redis protocol well enough to know each message's end and each request's command,
//! so that a fault can hit just before a script is sent, just after the server has run it, or in
//! the middle of its answer. What it cannot read (TLS) it passes on as it comes.

mod pump;
mod resp;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A request.
    ToServer,
    /// An answer, or what the server sends unasked.
    ToClient,
}

/// Where a fault hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// At the beginning of the next message.
    Next,
    /// This many bytes into the next message of this command (of its answer, on the way to the
    /// client).
    Command {
        /// The command in capitals, `EVALSHA` say.
        name: String,
        /// What the request has to hold as well, such as a part of a key; empty for no matter what.
        holding: String,
        /// How many bytes of the message pass.
        offset: usize,
    },
    /// Once this many bytes have passed on one connection since it was opened.
    Bytes(u64),
}

/// What a fault does to the rest of the message, and to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// Both sides see the connection end.
    Cut,
    /// The message comes late, and so does what is behind it.
    Delay(Duration),
    /// From now on nothing passes either way, and neither side is told: a half-open connection.
    Swallow,
    /// The rest of the message comes byte by byte, with this pause between them.
    Trickle(Duration),
    /// The receiver sees the stream's end, and may go on sending.
    HalfClose,
}

/// A fault in waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The way it lies in wait on; none for both.
    pub way: Option<Way>,
    /// Where it hits.
    pub at: At,
    /// What it does.
    pub act: Act,
    /// How often; [`Rule::ALWAYS`] until [`Proxy::heal`].
    pub times: u32,
}

impl Rule {
    /// As often as it can.
    pub const ALWAYS: u32 = u32::MAX;

    /// Hits every message on every connection, both ways.
    pub fn always(act: Act) -> Self {
        Self { way: None, at: At::Next, act, times: Self::ALWAYS }
    }

    /// Hits once, at a command whose request holds this text.
    pub fn once(way: Way, name: &str, holding: &str, act: Act) -> Self {
        let at = At::Command { name: name.to_owned(), holding: holding.to_owned(), offset: 0 };
        Self { way: Some(way), at, act, times: 1 }
    }
}

/// A proxy in front of one server on loopback; it ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

/// What all connections of a proxy share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    rules: Mutex<Vec<Rule>>,
    /// Cancelled, and replaced, by each [`Proxy::cut`].
    standing: Mutex<CancellationToken>,
    /// The port of loopback where new connections go.
    upstream: AtomicU16,
    refusing: AtomicBool,
    connections: AtomicU64,
    hits: Mutex<BTreeMap<Act, u64>>,
}

impl Proxy {
    /// Starts one in front of the server on this port of loopback.
    ///
    /// # Panics
    /// When loopback cannot be listened on.
    pub async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { upstream: upstream.into(), ..Shared::default() });
        let server = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, server }
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a database as seen through the proxy.
    pub fn url(&self, db: u32) -> String {
        format!("redis://{}/{db}", self.address)
    }

    /// Lays a fault in wait, for the connections there are and those to come.
    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push(rule);
    }

    /// Takes away all faults in waiting. A swallowed connection stays so until it is cut.
    pub fn heal(&self) {
        lock(&self.shared.rules).clear();
        self.shared.refusing.store(false, Ordering::SeqCst);
    }

    /// Cuts all connections that stand now.
    pub fn cut(&self) {
        std::mem::take(&mut *lock(&self.shared.standing)).cancel();
    }

    /// Leads new connections to the server on this port; those that stand stay with theirs.
    ///
    /// So does a name whose address changes in a fail-over.
    pub fn redirect(&self, upstream: u16) {
        self.shared.upstream.store(upstream, Ordering::SeqCst);
    }

    /// Ends each new connection at once until [`Proxy::heal`].
    pub fn refuse(&self) {
        self.shared.refusing.store(true, Ordering::SeqCst);
    }

    /// Returns how many connections have been made so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns how often each fault has hit so far.
    pub fn hits(&self) -> BTreeMap<Act, u64> {
        lock(&self.shared.hits).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
        self.server.abort();
    }
}

impl Shared {
    /// Finds the fault that hits this message, and how many of its bytes pass before.
    fn decide(&self, way: Way, message: &pump::Message<'_>) -> Option<(usize, Act)> {
        let mut rules = lock(&self.rules);
        let (idx, offset) = rules.iter().enumerate().find_map(|(idx, rule)| {
            let offset = message.offset(&rule.at)?;
            rule.way.is_none_or(|only| only == way).then_some((idx, offset))
        })?;
        let rule = &mut rules[idx];
        let act = rule.act;
        if rule.times != Rule::ALWAYS {
            rule.times -= 1;
        }
        if rule.times == 0 {
            rules.remove(idx);
        }
        drop(rules);
        *lock(&self.hits).entry(act).or_default() += 1;
        Some((offset, act))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        while connections.try_join_next().is_some() {}
        if shared.refusing.load(Ordering::SeqCst) {
            continue;
        }
        // A server that is away: the client sees its connection end.
        let upstream = shared.upstream.load(Ordering::SeqCst);
        let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let until = lock(&shared.standing).child_token();
        connections.spawn(pump::both(client, server, Arc::clone(&shared), until));
    }
}
