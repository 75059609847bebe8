//! Making a connection when there is none, and letting go of one that was lost.

use std::{
    borrow::Cow,
    sync::{Arc, MutexGuard, PoisonError, RwLockWriteGuard, Weak, atomic::Ordering},
    time::{Duration, Instant},
};

use redis::{
    ProtocolVersion, PushInfo, PushKind, RedisError, RedisResult, Value, aio::MultiplexedConnection,
};

use rhubarb_core::redact::SafeUrl;

use super::{Inner, Redis, lock};
use crate::{
    Error, Invalidation, Options, Push, address,
    config::RedisConfig,
    dial::{self, Dial, Dialled},
    error::{denied, is_loss},
    inbox::Letterbox,
    meter::Refused,
    push::{self, Unasked},
    sentinel::Sentinels,
    stream::Driver,
    tls,
};

/// How long a connection may be silent before it is asked whether it still stands: less than the
/// shortest `timeout` that a server can have (1 s).
const IDLE: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(super) struct Live {
    pub(super) generation: u64,
    pub(super) connection: MultiplexedConnection,
    /// Ends the connection with the last one who holds it.
    _driver: Arc<Driver>,
    pub(super) too_large: Refused,
}

/// The connection that stands, if one does.
#[derive(Default)]
pub(super) struct State {
    live: Option<Live>,
    /// The number of the connection that was tried last; each has its own.
    pub(super) generation: u64,
    /// The last one that was lost, which may be before it was ever used.
    lost: u64,
}

/// Why an attempt to connect failed, for all who waited for it.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    NoDatabase,
    Denied(String),
    Unreachable(String),
}

impl Failure {
    /// Says for the log why, as a part of a sentence about the server.
    fn reason(&self) -> Cow<'_, str> {
        match self {
            Self::NoDatabase => "it has no database of this number".into(),
            Self::Denied(said) => format!("it {}", denied(said)).into(),
            Self::Unreachable(reason) => reason.into(),
        }
    }
}

impl Redis {
    pub(super) async fn live(&self) -> Result<Live, Error> {
        if let Some(live) = self.current()
            && self.still_stands(&live).await
        {
            return Ok(live);
        }
        let asked = Instant::now();
        let _one_at_a_time = self.inner.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        // An attempt that failed while we waited for it was ours too: without this each of many
        // callers would try in its turn, and the last would wait for all their deadlines.
        let failed = lock(&self.inner.failed).clone();
        if let Some((at, failure)) = failed
            && at >= asked
        {
            return Err(self.error(failure));
        }
        self.connect().await.map_err(|error| {
            let failure = self.failure(&error);
            self.inner.outages.down(&self.inner.url, self.inner.db, &failure.reason());
            *lock(&self.inner.failed) = Some((Instant::now(), failure.clone()));
            self.error(failure)
        })
    }

    /// Asks a connection that was idle, where nobody would have told us of its end.
    ///
    /// Only with protocol 3 is the end of an idle connection seen at once (redis 1.8). Without the
    /// question a command that was never sent would fail as one that may have been carried out.
    async fn still_stands(&self, live: &Live) -> bool {
        let idle = lock(&self.inner.answered).elapsed();
        if self.protocol() == ProtocolVersion::RESP3 || idle < IDLE {
            return true;
        }
        let mut connection = live.connection.clone();
        match redis::cmd("PING").query_async::<Value>(&mut connection).await {
            // Ended while it was idle, by the server's `timeout` say: no outage, until nothing
            // answers a new one.
            Err(error) if is_loss(&error) => {
                self.drop_number(live.generation);
                false
            }
            // A refusal is an answer too.
            _ => true,
        }
    }

    pub(super) fn current(&self) -> Option<Live> {
        self.inner.live.read().unwrap_or_else(PoisonError::into_inner).live.clone()
    }

    fn state(&self) -> RwLockWriteGuard<'_, State> {
        self.inner.live.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> RedisResult<Live> {
        if self.protocol() == ProtocolVersion::RESP3 {
            match self.connect_with(ProtocolVersion::RESP3).await {
                Err(error) if dial::refuses_hello(&error) => {
                    tracing::warn!(url = %self.inner.url, "redis refuses HELLO 3: polling instead of being woken");
                    self.inner.plain_protocol.store(true, Ordering::Relaxed);
                }
                other => return other,
            }
        }
        self.connect_with(ProtocolVersion::RESP2).await
    }

    pub(super) fn protocol(&self) -> ProtocolVersion {
        if self.inner.plain_protocol.load(Ordering::Relaxed) {
            ProtocolVersion::RESP2
        } else {
            ProtocolVersion::RESP3
        }
    }

    async fn connect_with(&self, protocol: ProtocolVersion) -> RedisResult<Live> {
        let channels = lock(&self.inner.channels).iter().cloned().collect();
        let dial = self
            .dial(protocol, &self.inner.options, channels)
            .map_err(|e| RedisError::from(std::io::Error::other(e.to_string())))?;
        let generation = {
            let mut state = self.state();
            state.generation += 1;
            state.generation
        };
        let inner = Arc::downgrade(&self.inner);
        let dialled = dial.connect(move |info| pushed(&inner, generation, info)).await?;
        self.inner.tracking.store(dialled.tracking, Ordering::Relaxed);
        self.inner.interrupts.store(dialled.interrupts, Ordering::Relaxed);
        *lock(&self.inner.refused) = dialled.refused.iter().cloned().collect();
        *lock(&self.inner.answered) = Instant::now();
        let Dialled { connection, driver, too_large, .. } = dialled;
        self.keep(Live { generation, connection, _driver: Arc::new(driver), too_large })
    }

    pub(super) fn dial<'a>(
        &self,
        protocol: ProtocolVersion,
        options: &'a Options,
        channels: Vec<String>,
    ) -> Result<Dial<'a>, Error> {
        let RedisConfig { connect_timeout, command_timeout, .. } = &self.inner.config;
        Ok(Dial {
            target: address::target(&self.inner.url, self.inner.db, protocol, &self.inner.config)?,
            sentinels: sentinels(&self.inner.url, &self.inner.config)?,
            allowance: Arc::clone(&self.inner.allowance),
            protocol,
            connect_timeout: *connect_timeout,
            command_timeout: *command_timeout,
            options,
            channels,
        })
    }

    fn keep(&self, live: Live) -> RedisResult<Live> {
        let mut state = self.state();
        if state.lost == live.generation {
            let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
            return Err(RedisError::from(error));
        }
        state.live = Some(live.clone());
        drop(state);
        self.inner.outages.up(&self.inner.url, self.inner.db);
        self.inner.tell(Push::Connected, Invalidation::Connected);
        self.inner.letterboxes().iter().for_each(Letterbox::connected);
        Ok(live)
    }

    /// Lets go of a connection that was lost with a command on it, so that the next command makes a
    /// new one.
    ///
    /// `in_vain` is the command, where nothing but its answer is missing.
    pub(super) fn lose(&self, lost: &Live, reason: &str, in_vain: Option<&str>) {
        self.drop_number(lost.generation);
        // Where a newer one stands, this one's end was seen before its commands' was.
        if self.current().is_some() {
            return;
        }
        let (url, db, outages) = (&self.inner.url, self.inner.db, &self.inner.outages);
        match in_vain {
            Some(command) => outages.silent(url, db, command, reason),
            None => outages.down(url, db, reason),
        }
    }

    /// Lets go of a connection whose server answered more than was asked for: no outage.
    pub(super) fn forget(&self, left: &Live) {
        self.drop_number(left.generation);
    }

    /// Lets go of a connection to a server that cannot serve us, and of this process's others to
    /// it.
    ///
    /// What is under way on them still gets its answers.
    pub(super) fn leave(&self, left: &Live, code: &str) {
        tracing::debug!(url = %self.inner.url, db = self.inner.db, code, "leaving a server that cannot serve us");
        self.drop_number(left.generation);
        for other in self.inner.siblings.others(&self.inner) {
            if let Some(live) = other.current() {
                other.drop_number(live.generation);
            }
        }
    }

    /// Forgets a connection, and tells those who hold state on it.
    fn drop_number(&self, generation: u64) {
        let mut state = self.state();
        state.lost = state.lost.max(generation);
        if state.live.as_ref().is_some_and(|live| live.generation == generation) {
            state.live = None;
            drop(state);
            self.inner.tell(Push::Lost, Invalidation::Lost);
        }
    }

    pub(super) fn failure(&self, error: &RedisError) -> Failure {
        let mut reason = error.to_string();
        if let Some(advice) = tls::advice(error) {
            reason = format!("{reason}: {advice}");
        } else if reason.contains("max number of clients") {
            reason =
                "it has no connection free (maxclients): end some, or raise the limit".to_owned();
        } else {
            let is_tls = address::is_secured(&self.inner.url);
            reason = match (is_tls, error.is_timeout(), error.is_connection_dropped()) {
                (true, true, _) => {
                    format!("{reason}; if the server has no TLS, the URL begins with redis://")
                }
                (false, _, true) => {
                    format!("{reason}; if the server has TLS, the URL begins with rediss://")
                }
                _ => reason,
            };
        }
        if reason.contains("DB index is out of range") {
            Failure::NoDatabase
        } else if dial::refuses_credentials(error) {
            Failure::Denied(reason)
        } else {
            Failure::Unreachable(reason)
        }
    }

    pub(super) fn error(&self, failure: Failure) -> Error {
        let (url, db) = (self.inner.url.clone(), self.inner.db);
        match failure {
            Failure::NoDatabase => Error::NoDatabase { url, db },
            Failure::Denied(reason) => Error::Denied { url, reason },
            Failure::Unreachable(reason) => Error::Unreachable { url, reason },
        }
    }
}

/// Reads who says where a server is.
pub(super) fn sentinels(url: &SafeUrl, config: &RedisConfig) -> Result<Option<Sentinels>, Error> {
    Sentinels::read(url, config).map_err(|reason| Error::Url { url: url.clone(), reason })
}

impl Inner {
    /// Returns those letterboxes that somebody reads.
    fn letterboxes(&self) -> MutexGuard<'_, Vec<Letterbox>> {
        let mut letterboxes = lock(&self.letterboxes);
        letterboxes.retain(Letterbox::is_read);
        letterboxes
    }

    /// Puts a message into its channel's letterbox, or tells all who listen.
    fn deliver(&self, channel: String, payload: Vec<u8>) {
        match self.letterboxes().iter().find(|letterbox| letterbox.channel == channel) {
            Some(letterbox) => letterbox.put(payload),
            // Nobody listening is fine.
            None => drop(self.pushes.send(Push::Message { channel, payload })),
        }
    }

    /// Tells all who listen what has become of the connection.
    fn tell(&self, push: Push, change: Invalidation) {
        // Nobody listening is fine.
        let _ = self.pushes.send(push);
        let _ = self.changes.send(change);
    }
}

/// Takes what a server sends unasked, and the news that a connection has ended: an idle one is
/// replaced before use.
fn pushed(inner: &Weak<Inner>, generation: u64, info: PushInfo) {
    let Some(inner) = inner.upgrade() else { return };
    if info.kind == PushKind::Disconnection {
        // No outage by itself: a server ends idle connections (`timeout`). Where it is gone,
        // dialling says so.
        Redis { inner }.drop_number(generation);
        return;
    }
    // Nobody listening is fine.
    match push::read(info) {
        Some(Unasked::Push(Push::Message { channel, payload })) => inner.deliver(channel, payload),
        Some(Unasked::Push(push)) => drop(inner.pushes.send(push)),
        Some(Unasked::Invalidation(change)) => drop(inner.changes.send(change)),
        None => {}
    }
}
