//! One connection that comes back by itself.

mod connecting;
mod siblings;

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use redis::{Cmd, FromRedisValue, Pipeline, ProtocolVersion, RedisError, RedisResult, Value};
use rhubarb_config::deadline_of;
use rhubarb_core::redact::SafeUrl;
use tokio::sync::broadcast;

pub(crate) use self::siblings::Siblings;

use self::connecting::{Failure, Live, State};
use crate::{
    Error, Invalidation, Push, Script, address,
    config::RedisConfig,
    error::{is_loss, refusal},
    inbox::{self, Inbox, Letterbox},
    meter::{Allowance, TooLarge},
    outage::Outages,
};

/// How many unread pushes a receiver may fall behind before it is told that it lagged.
const PUSH_BUFFER: usize = 1024;

/// The most that the answer to one request may take, bytes: twice the greatest that is asked for
/// without a word about its size, a chord's results.
const ANSWER: u64 = 64 << 20;

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
    config: RedisConfig,
    options: Options,
    allowance: Arc<Allowance>,
    siblings: Arc<Siblings>,
    live: RwLock<State>,
    connecting: tokio::sync::Mutex<()>,
    /// When the last attempt to connect failed, and with what.
    failed: Mutex<Option<(Instant, Failure)>>,
    outages: Outages,
    successes: AtomicU64,
    plain_protocol: AtomicBool,
    tracking: AtomicBool,
    /// Whether tracking has to rest during a transaction.
    interrupts: AtomicBool,
    channels: Mutex<BTreeSet<String>>,
    /// Those of the channels that the server does not let us hear.
    refused: Mutex<BTreeSet<String>>,
    /// When the server last answered.
    answered: Mutex<Instant>,
    pushes: broadcast::Sender<Push>,
    changes: broadcast::Sender<Invalidation>,
    letterboxes: Mutex<Vec<Letterbox>>,
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
        Self::beside(&Arc::default(), url, db, config, options)
    }

    /// Prepares a connection that is left together with the others to its server.
    pub(crate) fn beside(
        siblings: &Arc<Siblings>,
        url: &SafeUrl,
        db: u32,
        config: &RedisConfig,
        options: Options,
    ) -> Result<Self, Error> {
        // Only the first call in a process has an effect, and every call would install the same
        // provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        address::target(url, db, ProtocolVersion::RESP3, config)?;
        connecting::sentinels(url, config)?;
        let inner = Inner {
            url: url.clone(),
            db,
            config: with_deadlines(config, url),
            options,
            allowance: Allowance::new(ANSWER),
            siblings: Arc::clone(siblings),
            live: RwLock::default(),
            connecting: tokio::sync::Mutex::new(()),
            failed: Mutex::default(),
            outages: Outages::default(),
            successes: AtomicU64::new(0),
            plain_protocol: AtomicBool::new(false),
            tracking: AtomicBool::new(false),
            interrupts: AtomicBool::new(false),
            channels: Mutex::default(),
            refused: Mutex::default(),
            answered: Mutex::new(Instant::now()),
            pushes: broadcast::channel(PUSH_BUFFER).0,
            changes: broadcast::channel(PUSH_BUFFER).0,
            letterboxes: Mutex::default(),
        };
        let inner = Arc::new(inner);
        siblings.join(&inner);
        Ok(Self { inner })
    }

    /// Returns the URL; printing it hides the password.
    pub fn url(&self) -> &SafeUrl {
        &self.inner.url
    }

    /// Returns the database number.
    pub fn db(&self) -> u32 {
        self.inner.db
    }

    /// Lets the answer to one request take this many bytes, if that is more than the 64 MiB that
    /// each may.
    ///
    /// An answer that takes more ends its connection: [`Error::TooLarge`].
    pub fn expect_answers_of(&self, bytes: u64) {
        self.inner.allowance.raise(bytes);
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
    /// [`Error::Unreachable`]: not sent. [`Error::Lost`]: perhaps carried out. [`Error::Refused`]:
    /// not carried out.
    pub async fn query<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<T, Error> {
        let live = self.live().await?;
        let _request = self.inner.allowance.request();
        let mut connection = live.connection.clone();
        let answer = cmd.query_async::<Value>(&mut connection).await;
        self.finish(&live, answer, || name_of(cmd))
    }

    /// Sends a command that the server may refuse without anybody being told; nothing where it
    /// does.
    ///
    /// # Cancel safety
    ///
    /// As for [`Redis::query`].
    ///
    /// # Errors
    ///
    /// As for [`Redis::query`], but for [`Error::Refused`].
    pub async fn query_quietly<T: FromRedisValue>(&self, cmd: &Cmd) -> Result<Option<T>, Error> {
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        match cmd.query_async::<Value>(&mut connection).await {
            Ok(Value::ServerError(_)) => Ok(None),
            Err(error) if !is_loss(&error) => Ok(None),
            answer => self.finish(&live, answer, || name_of(cmd)).map(Some),
        }
    }

    /// Sends a pipeline in one write and reads its answers.
    ///
    /// A transaction's answers may come with those of commands that it was told to ignore.
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
        let rests = pipeline.is_transaction() && self.inner.interrupts.load(Ordering::Relaxed);
        let resting = rests.then(|| without_tracking(pipeline));
        let pipeline = resting.as_ref().unwrap_or(pipeline);
        let _request = self.inner.allowance.request();
        let _told = rests.then(|| Unheard(&self.inner.changes));
        let mut connection = live.connection.clone();
        let answer = pipeline.query_async::<Value>(&mut connection).await;
        let answer = live.too_large.explain(answer);
        self.finish(&live, answer, || {
            pipeline.cmd_iter().map(name_of).collect::<Vec<_>>().join("+")
        })
    }

    /// Runs a script by its hash, and by its text when the server does not know it (yet or any
    /// more).
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
        let _request = self.inner.allowance.request();
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
        let answer = live.too_large.explain(answer);
        let (answer,): (T,) = self.finish(&live, answer, name)?;
        Ok(answer)
    }

    /// Connects if there is no connection, so that a wrong URL is known at once.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`], [`Error::Denied`] or [`Error::NoDatabase`].
    pub async fn ready(&self) -> Result<(), Error> {
        self.live().await.map(drop)
    }

    /// Asks the server for a sign of life on a connection made for that alone, and ends it again.
    ///
    /// # Errors
    ///
    /// As for [`Redis::ready`]; [`Error::Refused`] when the server answers, and is not at work (it
    /// loads, say).
    pub async fn probe(&self) -> Result<(), Error> {
        self.probe_with(&redis::cmd("PING")).await
    }

    /// Runs a script on a connection made for that alone, and ends it again.
    ///
    /// For a watchdog: it says whether the server or this handle is at fault that the script has
    /// not run.
    ///
    /// # Errors
    ///
    /// As for [`Redis::probe`].
    pub async fn probe_script(
        &self,
        script: &Script,
        keys: &[String],
        args: &[Vec<u8>],
    ) -> Result<(), Error> {
        self.probe_with(&call("EVAL", script.code(), keys, args)).await
    }

    async fn probe_with(&self, cmd: &Cmd) -> Result<(), Error> {
        let bare = Options::default();
        let dial = self.dial(self.protocol(), &bare, Vec::new())?;
        let failed = |error: &RedisError| self.error(self.failure(error));
        let mut dialled = dial.connect(drop).await.map_err(|e| failed(&e))?;
        match cmd.query_async::<Value>(&mut dialled.connection).await {
            Ok(Value::ServerError(error)) => Err(refusal(name_of(cmd), error.into())),
            Ok(_) => Ok(()),
            Err(error) if is_loss(&error) => Err(failed(&error)),
            Err(error) => Err(refusal(name_of(cmd), error)),
        }
    }

    /// Returns how many commands have succeeded on this handle and its clones so far.
    pub fn successes(&self) -> u64 {
        self.inner.successes.load(Ordering::Relaxed)
    }

    /// Tells whether the server wakes us when a tracked key changes; false before the first
    /// connect.
    pub fn tracks(&self) -> bool {
        self.inner.tracking.load(Ordering::Relaxed)
    }

    /// Tells whether the server can send unasked; true before the first connect.
    pub fn hears(&self) -> bool {
        !self.inner.plain_protocol.load(Ordering::Relaxed)
    }

    /// Returns the number of the connection that stands, which no other has; none while there is
    /// none.
    pub fn connection_number(&self) -> Option<u64> {
        self.current().map(|live| live.generation)
    }

    /// Returns a receiver of messages on subscribed channels, from now on.
    ///
    /// A receiver that lags has to behave as if it had missed what it waits for.
    pub fn pushes(&self) -> broadcast::Receiver<Push> {
        self.inner.pushes.subscribe()
    }

    /// Returns an inbox of one channel's messages, from now on, for whoever must not miss any.
    ///
    /// They are not told to [`Redis::pushes`] then. It does not subscribe: [`Redis::subscribe`]
    /// does.
    pub fn inbox(&self, channel: &str) -> Inbox {
        let (letterbox, inbox) = inbox::inbox(channel);
        lock(&self.inner.letterboxes).push(letterbox);
        inbox
    }

    /// Returns a receiver of changes of tracked keys, from now on.
    ///
    /// They are told apart from [`Redis::pushes`], so that a change wakes nobody but who waits for
    /// it. A receiver that lags has to behave as if everything had changed.
    pub fn changes(&self) -> broadcast::Receiver<Invalidation> {
        self.inner.changes.subscribe()
    }

    /// Subscribes to a channel, now and after each reconnect. Messages arrive at [`Redis::pushes`].
    ///
    /// # Errors
    ///
    /// As for [`Redis::query`]; the subscription is made at the next connect all the same. A
    /// refused one is not tried again before that: [`Redis::is_subscribed`] tells.
    pub async fn subscribe(&self, channel: &str) -> Result<(), Error> {
        lock(&self.inner.channels).insert(channel.to_owned());
        let live = self.live().await?;
        let _request = self.inner.allowance.request();
        let mut connection = live.connection.clone();
        let answer = connection.subscribe(channel).await.map(|()| Value::Okay);
        let answer = self.finish(&live, answer, || "SUBSCRIBE".to_owned());
        let mut refused = lock(&self.inner.refused);
        match &answer {
            Ok(()) => drop(refused.remove(channel)),
            Err(Error::Refused { .. }) => drop(refused.insert(channel.to_owned())),
            Err(_) => {}
        }
        drop(refused);
        answer
    }

    /// Subscribes to a channel that the server may refuse without anybody being told.
    ///
    /// # Errors
    ///
    /// As for [`Redis::subscribe`], but for [`Error::Refused`].
    pub async fn subscribe_quietly(&self, channel: &str) -> Result<(), Error> {
        lock(&self.inner.channels).insert(channel.to_owned());
        let live = self.live().await?;
        let mut connection = live.connection.clone();
        match connection.subscribe(channel).await {
            Err(error) if !is_loss(&error) => {
                lock(&self.inner.refused).insert(channel.to_owned());
                Ok(())
            }
            answer => {
                let answer = answer.map(|()| Value::Okay);
                self.finish(&live, answer, || "SUBSCRIBE".to_owned())
            }
        }
    }

    /// Tells whether a channel was subscribed to and the server has not refused it since, as it may
    /// at each connect.
    ///
    /// Without a connection: whether it will be asked for.
    pub fn is_subscribed(&self, channel: &str) -> bool {
        lock(&self.inner.channels).contains(channel) && !lock(&self.inner.refused).contains(channel)
    }

    /// Ends a subscription.
    ///
    /// # Errors
    ///
    /// As for [`Redis::query`]; it is not made again in any case.
    pub async fn unsubscribe(&self, channel: &str) -> Result<(), Error> {
        lock(&self.inner.channels).remove(channel);
        lock(&self.inner.refused).remove(channel);
        let live = self.live().await?;
        let _request = self.inner.allowance.request();
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
        let (inner, outages) = (&self.inner, &self.inner.outages);
        match value {
            Ok(value) => {
                inner.successes.fetch_add(1, Ordering::Relaxed);
                *lock(&inner.answered) = Instant::now();
                if outages.is_refusing() {
                    outages.answered(&inner.url, inner.db, &command());
                }
                let reason = |error: redis::ParsingError| short(error.to_string());
                T::from_redis_value(value)
                    .map_err(|e| Error::Unexpected { command: command(), reason: reason(e) })
            }
            Err(error) if let Some(TooLarge { limit }) = TooLarge::of(&error) => {
                self.forget(live);
                Err(Error::TooLarge { url: inner.url.clone(), command: command(), limit })
            }
            Err(error) if is_loss(&error) => {
                let (command, reason) = (command(), error.to_string());
                self.lose(live, &reason, error.is_timeout().then_some(command.as_str()));
                Err(Error::Lost { url: inner.url.clone(), command, reason })
            }
            Err(error) => {
                let error = refusal(command(), error);
                if let Error::Refused { code: Some(code), .. } = &error
                    && outages.refused(&inner.url, inner.db, code, &command())
                {
                    self.leave(live, code);
                }
                Err(error)
            }
        }
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

/// Returns the settings with the deadlines that a URL names in redis-py's words.
fn with_deadlines(config: &RedisConfig, url: &SafeUrl) -> RedisConfig {
    let mut config = config.clone();
    let named = |name| deadline_of(url, name);
    config.command_timeout = named("socket_timeout").unwrap_or(config.command_timeout);
    config.connect_timeout = named("socket_connect_timeout").unwrap_or(config.connect_timeout);
    config
}

/// Tells when it goes, even if the call is dropped, that something was changed that the server
/// tells nobody here.
struct Unheard<'a>(&'a broadcast::Sender<Invalidation>);

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        // Nobody listening is fine.
        let _ = self.0.send(Invalidation::All);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shortens a text that shows a whole answer.
fn short(mut text: String) -> String {
    const SHOWN: usize = 300;
    if text.len() > SHOWN {
        text.truncate(text.floor_char_boundary(SHOWN));
        text.push('…');
    }
    text
}

fn call(how: &str, script: &str, keys: &[String], args: &[Vec<u8>]) -> Cmd {
    let mut eval = redis::cmd(how);
    eval.arg(script).arg(keys.len()).arg(keys).arg(args);
    eval
}

/// Returns a transaction during which its connection is not told of changes: the keys that it
/// changes are tracked no more, the others are as before.
fn without_tracking(transaction: &Pipeline) -> Pipeline {
    let mut resting = Pipeline::with_capacity(transaction.len() + 2);
    resting.atomic().cmd("CLIENT").arg("TRACKING").arg("OFF").ignore();
    for cmd in transaction.cmd_iter() {
        resting.add_command(cmd.clone());
    }
    resting.cmd("CLIENT").arg("TRACKING").arg("ON").arg("OPTIN").ignore();
    resting
}

fn name_of(cmd: &Cmd) -> String {
    match cmd.args_iter().next() {
        Some(redis::Arg::Simple(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => "a command".to_owned(),
    }
}
