//! Sessions of one backend: read, create, update, end.

use std::{sync::LazyLock, time::Duration};

use redis::{Cmd, FromRedisValue, cmd, pipe};
use rhubarb_connection::{Connections, Redis, Script};

use super::{
    age::DEFAULT_AGE,
    backend::Backend,
    error::SessionError,
    key::SessionKey,
    session::{Session, SessionData},
};
use crate::{
    FormatError,
    client::Ttl,
    codec,
    config::{AliasConfig, Aliases},
    key,
};

/// How often a change is made again to what others have written meanwhile.
const TRIES: usize = 16;

static UPDATE: LazyLock<Script> =
    LazyLock::new(|| Script::new("session_update", include_str!("../scripts/session_update.lua")));
static END: LazyLock<Script> =
    LazyLock::new(|| Script::new("session_end", include_str!("../scripts/session_end.lua")));

/// The sessions of one backend, in the cache that Django's `SESSION_CACHE_ALIAS` names.
///
/// What holds, whatever Django does at the same time:
/// - A session that has ended is never written again: every write compares with what was read, in
///   Redis.
/// - What others have put into a session stays there; of a key that both changed the later write
///   counts.
/// - A session that cannot be decoded whole is never rewritten.
#[derive(Clone, Debug)]
pub struct Sessions {
    alias: AliasConfig,
    redis: Redis,
    backend: Backend,
    age: Duration,
}

impl Sessions {
    /// Returns the sessions in the alias `sessions` of the configured caches; nothing is sent.
    ///
    /// # Errors
    /// [`SessionError::UnknownAlias`].
    pub fn new(
        aliases: &Aliases,
        connections: &Connections,
        backend: Backend,
    ) -> Result<Self, SessionError> {
        let name = "sessions";
        let alias = aliases.get(name);
        let alias = alias.ok_or_else(|| SessionError::UnknownAlias { alias: name.to_owned() })?;
        Ok(Self::on(alias.clone(), connections.role(alias.role), backend))
    }

    /// Returns the sessions in a cache on a connection of the caller's own.
    pub fn on(alias: AliasConfig, redis: Redis, backend: Backend) -> Self {
        Self { alias, redis, backend, age: DEFAULT_AGE }
    }

    /// Sets how long a session lives that does not say so itself: Django's `SESSION_COOKIE_AGE`,
    /// two weeks by default.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Returns whose sessions these are.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Returns how long a session lives that does not say so itself.
    pub fn default_age(&self) -> Duration {
        self.age
    }

    /// Reads a session; `None` when there is none of this key. Reading does not extend its life.
    ///
    /// # Errors
    /// [`SessionError::Read`] when it is not data alone; [`SessionError::Redis`].
    pub async fn read(&self, key: &SessionKey) -> Result<Option<Session>, SessionError> {
        let Some((stored, ttl)) = self.read_bytes(key).await? else { return Ok(None) };
        self.session(key.clone(), stored, ttl).map(Some).map_err(SessionError::Read)
    }

    /// Returns what is stored, cut one byte over the cap: enough to tell that it is too large.
    pub(super) async fn read_bytes(
        &self,
        key: &SessionKey,
    ) -> Result<Option<(Vec<u8>, Ttl)>, SessionError> {
        let raw = self.raw(key);
        let mut both = pipe();
        both.cmd("PTTL").arg(&raw).cmd("GETRANGE").arg(&raw).arg(0).arg(codec::MAX_VALUE);
        let answer = self.redis.pipe::<(i64, Vec<u8>)>(&both).await;
        let (pttl, stored) = answer.map_err(failed("read"))?;
        // It may end between the two: an empty value is no session.
        Ok(match Ttl::from_pttl(pttl) {
            Ttl::Missing => None,
            ttl => (!stored.is_empty()).then_some((stored, ttl)),
        })
    }

    /// Creates a session that holds this, under a key that was nobody's.
    ///
    /// # Errors
    /// [`SessionError::Gone`] when its own expiry is over already, [`SessionError::Write`],
    /// [`SessionError::NoKey`], [`SessionError::Redis`]; after a lost answer there may be a session
    /// that nobody knows the key of.
    pub async fn create(&self, data: SessionData) -> Result<Session, SessionError> {
        let age = data.age(self.age);
        self.create_with(data, age, SessionKey::random).await
    }

    pub(super) async fn create_with(
        &self,
        data: SessionData,
        age: Duration,
        mut make_key: impl FnMut() -> Result<SessionKey, SessionError>,
    ) -> Result<Session, SessionError> {
        let stored = encode(&self.alias, &data)?;
        let ms = milliseconds(age).ok_or(SessionError::Gone)?;
        for _ in 0..TRIES {
            let key = make_key()?;
            let mut set = cmd("SET");
            set.arg(self.raw(&key)).arg(&stored).arg("NX").arg("PX").arg(ms);
            let created: Option<String> = self.run("create", &set).await?;
            if created.is_some() {
                return Ok(Session::new(key, data, Ttl::Left(age), stored));
            }
        }
        Err(SessionError::NoKey)
    }

    /// Writes the changes of a session back, if it is still there, and has it live anew (see
    /// [`SessionData::age`]).
    ///
    /// When somebody else has written it meanwhile, it is read again and the changes are made to
    /// that. A session whose own expiry is over now ends.
    ///
    /// # Cancel safety
    /// A dropped call has written all or nothing.
    ///
    /// # Errors
    /// [`SessionError::Gone`]: it has ended, and stays so; the visitor is logged out.
    /// [`SessionError::Read`]: meanwhile it holds what is not data; it stays as it is.
    /// [`SessionError::Write`], [`SessionError::Conflict`], [`SessionError::Redis`]; after a lost
    /// answer it may have been written.
    pub async fn update(&self, session: &mut Session) -> Result<(), SessionError> {
        self.update_with(session, |data| data.age(self.age)).await
    }

    pub(super) async fn update_with(
        &self,
        session: &mut Session,
        age: impl Fn(&SessionData) -> Duration,
    ) -> Result<(), SessionError> {
        for _ in 0..TRIES {
            let stored = encode(&self.alias, &session.data)?;
            let age = age(&session.data);
            let Some(ms) = milliseconds(age) else {
                self.delete(&session.key).await?;
                return Ok(());
            };
            let args = [
                session.stored.clone(),
                stored.clone(),
                ms.to_string().into_bytes(),
                (codec::MAX_VALUE + 1).to_string().into_bytes(),
            ];
            let keys = [self.raw(&session.key)];
            let answer = self.redis.eval::<(i64, Vec<u8>)>(&UPDATE, &keys, &args, &[]).await;
            match answer.map_err(failed("update"))? {
                (1, _) => {
                    session.written(stored, Ttl::Left(age));
                    return Ok(());
                }
                (0, _) => return Err(SessionError::Gone),
                (_, theirs) => {
                    let theirs = self.session(session.key.clone(), theirs, session.ttl);
                    session.rebase(theirs.map_err(SessionError::Read)?);
                }
            }
        }
        Err(SessionError::Conflict)
    }

    /// Has a session live anew from now, without writing it, and tells whether it is still there.
    ///
    /// That is what `SESSION_SAVE_EVERY_REQUEST` is for. It lives for its own `_session_expiry`, or
    /// for the default age.
    ///
    /// # Errors
    /// [`SessionError::Redis`].
    pub async fn extend(&self, session: &Session) -> Result<bool, SessionError> {
        match milliseconds(session.data.age(self.age)) {
            Some(ms) => {
                self.run("extend", cmd("PEXPIRE").arg(self.raw(&session.key)).arg(ms)).await
            }
            None => self.delete(&session.key).await.map(|_| false),
        }
    }

    /// Gives a session another key, as Django does at a login, and returns it under that; the old
    /// key is nobody's then.
    ///
    /// What the session holds in Redis moves in one step, and changes in memory stay in memory.
    ///
    /// # Errors
    /// [`SessionError::InTable`] for [`Backend::CachedDb`], whose table knows the old key only;
    /// [`SessionError::Gone`] when it has ended, [`SessionError::NoKey`], [`SessionError::Redis`];
    /// after a lost answer the session may have moved to a key that nobody knows.
    pub async fn cycle_key(&self, mut session: Session) -> Result<Session, SessionError> {
        if self.backend == Backend::CachedDb {
            return Err(SessionError::InTable);
        }
        for _ in 0..TRIES {
            let key = SessionKey::random()?;
            let mut rename = cmd("RENAMENX");
            rename.arg(self.raw(&session.key)).arg(self.raw(&key));
            match self.redis.query::<bool>(&rename).await {
                Ok(true) => {
                    session.key = key;
                    return Ok(session);
                }
                Ok(false) => {}
                Err(rhubarb_connection::Error::Refused { reason, .. })
                    if reason.contains("no such key") =>
                {
                    return Err(SessionError::Gone);
                }
                Err(error) => return Err(failed("move")(error)),
            }
        }
        Err(SessionError::NoKey)
    }

    /// Ends a session, whatever it holds, and tells whether there was one. Its visitor is logged
    /// out.
    ///
    /// # Errors
    /// [`SessionError::Redis`].
    pub async fn delete(&self, key: &SessionKey) -> Result<bool, SessionError> {
        Ok(self.end(key, None).await? == 1)
    }

    /// Tells whether there is a session of this key, whatever it holds.
    pub(super) async fn exists(&self, key: &SessionKey) -> Result<bool, SessionError> {
        self.run("look up", cmd("EXISTS").arg(self.raw(key))).await
    }

    /// Ends a session if it is still as it was read: 1 when it did, 0 when there is none, -1 when
    /// it is another.
    pub(super) async fn end_if_same(
        &self,
        key: &SessionKey,
        stored: &[u8],
    ) -> Result<i64, SessionError> {
        self.end(key, Some(stored)).await
    }

    /// Makes a session of what is stored.
    pub(super) fn session(
        &self,
        key: SessionKey,
        stored: Vec<u8>,
        ttl: Ttl,
    ) -> Result<Session, FormatError> {
        let value = codec::decode(&stored, self.alias.serializer);
        Ok(Session::new(key, value.and_then(SessionData::of)?, ttl, stored))
    }

    pub(super) fn raw(&self, key: &SessionKey) -> String {
        key::raw(&self.alias, &format!("{}{}", self.backend.prefix(), key.expose()))
    }

    async fn run<T: FromRedisValue>(
        &self,
        operation: &'static str,
        command: &Cmd,
    ) -> Result<T, SessionError> {
        self.redis.query(command).await.map_err(failed(operation))
    }

    async fn end(&self, key: &SessionKey, same: Option<&[u8]>) -> Result<i64, SessionError> {
        let left = match self.backend {
            Backend::CachedDb => encode(&self.alias, &SessionData::default())?,
            Backend::Cache | Backend::Tower => Vec::new(),
        };
        let least = milliseconds(self.age).unwrap_or(1).to_string().into_bytes();
        let same = same.map(<[u8]>::to_vec);
        let args: Vec<Vec<u8>> = [left, least].into_iter().chain(same).collect();
        self.redis.eval(&END, &[self.raw(key)], &args, &[]).await.map_err(failed("end"))
    }
}

pub(super) fn failed(
    operation: &'static str,
) -> impl FnOnce(rhubarb_connection::Error) -> SessionError {
    move |source| SessionError::Redis { operation, source: Box::new(source) }
}

fn encode(alias: &AliasConfig, data: &SessionData) -> Result<Vec<u8>, SessionError> {
    codec::encode_compressed(&data.to_value(), alias.serializer, alias.compressor)
        .map_err(SessionError::Write)
}

/// A time that Redis takes; `None` for none at all.
fn milliseconds(age: Duration) -> Option<u64> {
    u64::try_from(age.as_millis()).ok().filter(|ms| *ms > 0)
}
