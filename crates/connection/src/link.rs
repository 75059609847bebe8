//! One connection that comes back by itself.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, ProtocolVersion, PushInfo, RedisError,
    RedisResult, Value, aio::MultiplexedConnection,
};
use rhubarb_core::{config::RedisConfig, redact::SafeUrl};
use tokio::sync::broadcast;

use crate::{Error, Push, Script, address, push};

/// How many unread pushes a receiver may fall behind before it is told that it lagged.
const PUSH_BUFFER: usize = 1024;

/// What a connection is set up with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The name that `CLIENT LIST` shows; spaces become `-`.
    pub name: String,
    /// Whether `CLIENT TRACKING ON OPTIN` is armed on each connect.
    pub tracking: bool,
}

/// A handle to one multiplexed connection that connects again after each loss. Clones share it.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    url: SafeUrl,
    db: u32,
    connect_timeout: Duration,
    command_timeout: Duration,
    options: Options,
    live: RwLock<Option<Live>>,
    connecting: tokio::sync::Mutex<()>,
    generation: AtomicU64,
    down_since: Mutex<Option<Instant>>,
    plain_protocol: AtomicBool,
    tracking: AtomicBool,
    channels: Mutex<BTreeSet<String>>,
    pushes: broadcast::Sender<Push>,
}

#[derive(Clone)]
struct Live {
    generation: u64,
    connection: MultiplexedConnection,
}

impl Redis {
    /// Prepares a connection; nothing is sent before first use.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] when the URL cannot be used.
    pub fn new(
        url: &SafeUrl,
        db: u32,
        config: &RedisConfig,
        options: Options,
    ) -> Result<Self, Error> {
        address::client(url, db, ProtocolVersion::RESP3)?;
        // Only the first call in a process has an effect, and every call would install the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let inner = Inner {
            url: url.clone(),
            db,
            connect_timeout: config.connect_timeout,
            command_timeout: config.command_timeout,
            options,
            live: RwLock::new(None),
            connecting: tokio::sync::Mutex::new(()),
            generation: AtomicU64::new(0),
            down_since: Mutex::new(None),
            plain_protocol: AtomicBool::new(false),
            tracking: AtomicBool::new(false),
            channels: Mutex::new(BTreeSet::new()),
            pushes: broadcast::channel(PUSH_BUFFER).0,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns the URL; printing it hides the password.
    pub fn url(&self) -> &SafeUrl {
        &self.inner.url
    }

    /// Returns the database number.
    pub fn db(&self) -> u32 {
        self.inner.db
    }

    /// Tells whether two handles reach the same server and database.
    pub fn same_database(&self, other: &Self) -> bool {
        self.inner.url == other.inner.url && self.inner.db == other.inner.db
    }

    /// Sends a command and reads its answer.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may still be carried out by the server.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`]: not sent. [`Error::Lost`]: perhaps carried out. [`Error::Refused`]: not carried out.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let answer = cmd.query_async::<Value>(&mut connection).await;
        self.finish(&live, answer, || name_of(cmd))
    }

    /// Sends a pipeline in one write and reads its answers.
    ///
    /// # Cancel safety
    ///
    /// As for [`Redis::query`].
    ///
    /// # Errors
    ///
    /// As for [`Redis::query`]; the commands before a refused one were carried out.
    pub async fn pipe<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Error> {
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let answer = pipeline.query_async::<Value>(&mut connection).await;
        self.finish(&live, answer, || {
            pipeline.cmd_iter().map(name_of).collect::<Vec<_>>().join("+")
        })
    }

    /// Runs a script by its hash, and by its text when the server does not know it (yet or any more).
    ///
    /// `before` are commands sent in the same write in front of it (such as `CLIENT CACHING YES`).
    ///
    /// # Cancel safety
    ///
    /// As for [`Redis::query`].
    ///
    /// # Errors
    ///
    /// As for [`Redis::query`].
    pub async fn eval<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        args: &[Vec<u8>],
        before: &[Cmd],
    ) -> Result<T, Error> {
        let by_hash = call("EVALSHA", script.hash(), keys, args);
        match self.eval_once(script, by_hash, before).await {
            // A script that is not there has not run, so that sending it again is no repetition.
            Err(Error::Refused { code: Some(code), .. }) if code == "NOSCRIPT" => {
                self.eval_once(script, call("EVAL", script.code(), keys, args), before).await
            }
            other => other,
        }
    }

    async fn eval_once<T: FromRedisValue>(
        &self,
        script: &Script,
        eval: Cmd,
        before: &[Cmd],
    ) -> Result<T, Error> {
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let name = || format!("the script {}", script.name());
        if before.is_empty() {
            let answer = eval.query_async::<Value>(&mut connection).await;
            return self.finish(&live, answer, name);
        }
        let mut pipeline = Pipeline::with_capacity(before.len() + 1);
        for cmd in before {
            pipeline.add_command(cmd.clone()).ignore();
        }
        pipeline.add_command(eval);
        let answer = pipeline.query_async::<Value>(&mut connection).await;
        let (answer,): (T,) = self.finish(&live, answer, name)?;
        Ok(answer)
    }

    /// Connects if there is no connection, so that a wrong URL is known at once.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`] or [`Error::NoDatabase`].
    pub async fn ready(&self) -> Result<(), Error> {
        self.live().await.map(drop)
    }

    /// Tells whether the server wakes us when a tracked key changes; false before the first connect.
    pub fn tracks(&self) -> bool {
        self.inner.tracking.load(Ordering::Relaxed)
    }

    /// Tells whether the server can send unasked; true before the first connect.
    pub fn hears(&self) -> bool {
        !self.inner.plain_protocol.load(Ordering::Relaxed)
    }

    /// Returns a receiver of what the server sends unasked, from now on.
    ///
    /// A receiver that lags has to behave as if everything had changed.
    pub fn pushes(&self) -> broadcast::Receiver<Push> {
        self.inner.pushes.subscribe()
    }

    /// Subscribes to a channel, now and after each reconnect. Messages arrive at [`Redis::pushes`].
    ///
    /// # Errors
    ///
    /// As for [`Redis::query`]; the subscription is made at the next connect all the same.
    pub async fn subscribe(&self, channel: &str) -> Result<(), Error> {
        lock(&self.inner.channels).insert(channel.to_owned());
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let answer = connection.subscribe(channel).await.map(|()| Value::Okay);
        self.finish(&live, answer, || "SUBSCRIBE".to_owned())
    }

    /// Ends a subscription.
    ///
    /// # Errors
    ///
    /// As for [`Redis::query`]; it is not made again in any case.
    pub async fn unsubscribe(&self, channel: &str) -> Result<(), Error> {
        lock(&self.inner.channels).remove(channel);
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        let answer = connection.unsubscribe(channel).await.map(|()| Value::Okay);
        self.finish(&live, answer, || "UNSUBSCRIBE".to_owned())
    }

    fn finish<T: FromRedisValue>(
        &self,
        live: &Live,
        answer: RedisResult<Value>,
        command: impl Fn() -> String,
    ) -> Result<T, Error> {
        let value = match answer {
            Ok(Value::ServerError(error)) => Err(RedisError::from(error)),
            other => other,
        };
        match value {
            Ok(value) => T::from_redis_value(value)
                .map_err(|e| Error::Unexpected { command: command(), reason: e.to_string() }),
            Err(error) if is_loss(&error) => {
                self.drop_live(live.generation, &error);
                let reason = error.to_string();
                Err(Error::Lost { url: self.inner.url.clone(), command: command(), reason })
            }
            Err(error) => {
                let reason = error.to_string();
                Err(Error::Refused { command: command(), code: code_of(error), reason })
            }
        }
    }

    async fn live(&self) -> Result<Live, Error> {
        if let Some(live) = self.current() {
            return Ok(live);
        }
        let _one_at_a_time = self.inner.connecting.lock().await;
        if let Some(live) = self.current() {
            return Ok(live);
        }
        match self.connect().await {
            Ok(connection) => Ok(self.keep(connection)),
            Err(error) => {
                self.note_down(&error.to_string());
                Err(error)
            }
        }
    }

    fn current(&self) -> Option<Live> {
        self.inner.live.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, connection: MultiplexedConnection) -> Live {
        let generation = self.inner.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let live = Live { generation, connection };
        *self.inner.live.write().unwrap_or_else(PoisonError::into_inner) = Some(live.clone());
        if let Some(since) = lock(&self.inner.down_since).take() {
            let outage_s = since.elapsed().as_secs_f64();
            tracing::info!(url = %self.inner.url, db = self.inner.db, outage_s, "redis is back");
        }
        let _ = self.inner.pushes.send(Push::Connected);
        live
    }

    fn drop_live(&self, generation: u64, error: &RedisError) {
        let mut live = self.inner.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| live.generation == generation) {
            *live = None;
            drop(live);
            self.note_down(&error.to_string());
        }
    }

    /// Says once for each outage that the server is away.
    fn note_down(&self, reason: &str) {
        let mut since = lock(&self.inner.down_since);
        if since.is_none() {
            *since = Some(Instant::now());
            tracing::warn!(url = %self.inner.url, db = self.inner.db, reason, "redis is unreachable, trying again");
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, Error> {
        if !self.inner.plain_protocol.load(Ordering::Relaxed) {
            match self.connect_with(ProtocolVersion::RESP3).await {
                Err(error) if refuses_hello(&error) => {
                    tracing::warn!(url = %self.inner.url, "redis refuses HELLO 3: polling instead of being woken");
                    self.inner.plain_protocol.store(true, Ordering::Relaxed);
                }
                other => return other.map_err(|error| self.connect_error(&error)),
            }
        }
        self.connect_with(ProtocolVersion::RESP2).await.map_err(|error| self.connect_error(&error))
    }

    async fn connect_with(&self, protocol: ProtocolVersion) -> RedisResult<MultiplexedConnection> {
        let client = address::client(&self.inner.url, self.inner.db, protocol)
            .map_err(|e| RedisError::from(std::io::Error::other(e.to_string())))?;
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.inner.connect_timeout))
            .set_response_timeout(Some(self.inner.command_timeout));
        if protocol.supports_resp3() {
            let pushes = self.inner.pushes.clone();
            config = config.set_push_sender(move |info: PushInfo| {
                if let Some(push) = push::read(info) {
                    // Nobody listening is fine.
                    let _ = pushes.send(push);
                }
                Ok::<(), redis::aio::SendError>(())
            });
        }
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        self.set_up(connection, protocol).await
    }

    async fn set_up(
        &self,
        mut connection: MultiplexedConnection,
        protocol: ProtocolVersion,
    ) -> RedisResult<MultiplexedConnection> {
        let name = self.inner.options.name.replace(char::is_whitespace, "-");
        if !name.is_empty() {
            // A server that forbids CLIENT is served without a name.
            let _ = redis::cmd("CLIENT")
                .arg("SETNAME")
                .arg(name)
                .query_async::<Value>(&mut connection)
                .await;
        }
        let mut tracking = false;
        if protocol.supports_resp3() && self.inner.options.tracking {
            let mut cmd = redis::cmd("CLIENT");
            cmd.arg("TRACKING").arg("ON").arg("OPTIN");
            tracking = cmd.query_async::<Value>(&mut connection).await.is_ok();
        }
        self.inner.tracking.store(tracking, Ordering::Relaxed);
        let channels: Vec<String> = lock(&self.inner.channels).iter().cloned().collect();
        if protocol.supports_resp3() {
            for channel in channels {
                connection.subscribe(channel).await?;
            }
        }
        Ok(connection)
    }

    fn connect_error(&self, error: &RedisError) -> Error {
        let (url, db) = (self.inner.url.clone(), self.inner.db);
        if error.to_string().contains("DB index is out of range") {
            return Error::NoDatabase { url, db };
        }
        Error::Unreachable { url, reason: error.to_string() }
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("url", &self.inner.url)
            .field("db", &self.inner.db)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn is_loss(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
        || error.is_unrecoverable_error()
}

/// `HELLO` is unknown before Redis 6, and some proxies refuse protocol 3.
fn refuses_hello(error: &RedisError) -> bool {
    let text = error.to_string();
    !is_loss(error)
        && (text.contains("HELLO") || text.contains("NOPROTO") || text.contains("unknown command"))
}

/// Returns the server's error code; that of the first refused command of a pipeline.
fn code_of(error: RedisError) -> Option<String> {
    let errors = error.into_server_errors()?;
    errors.first().map(|(_, error)| error.code().to_owned())
}

fn call(how: &str, script: &str, keys: &[String], args: &[Vec<u8>]) -> Cmd {
    let mut eval = redis::cmd(how);
    eval.arg(script).arg(keys.len()).arg(keys).arg(args);
    eval
}

fn name_of(cmd: &Cmd) -> String {
    match cmd.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => "a command".to_owned(),
    }
}
