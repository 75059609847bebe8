//! One computation: alone among all processes, as far as Redis can tell.

use std::{
    convert::Infallible,
    error::Error as StdError,
    sync::{Arc, LazyLock},
    time::Duration,
};

use rhubarb_connection::Script;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep},
};

use super::Fetch;
use crate::{
    PyValue,
    client::{Cache, Condition, Event, failed},
    codec::MAX_VALUE,
    error::{Error, redact_key},
    flights::Landed,
    key,
    lock::token,
};

static ENTER: LazyLock<Script> =
    LazyLock::new(|| Script::new("flight_enter", include_str!("../scripts/flight_enter.lua")));

/// The time between two looks for a value that another process computes, at first and at last.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// After a refresh that failed nobody tries another for so long.
const PAUSE: Duration = Duration::from_secs(1);

/// Why a value is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// There is none.
    Miss,
    /// There is a stale one.
    Refresh,
}

pub(super) struct Task {
    pub(super) cache: Cache,
    pub(super) key: String,
    pub(super) how: Fetch,
    pub(super) mode: Mode,
}

/// What Redis says to one who comes for a value.
enum Entered {
    Fresh(Vec<u8>),
    Ours,
    Taken,
}

/// The right to compute; given back in the background when it is dropped half-way.
struct Right {
    cache: Cache,
    raw: String,
    token: Option<String>,
}

impl Task {
    pub(super) async fn run<F, Fut, E>(self, compute: F) -> Landed
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<PyValue, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        match self.have(compute).await {
            Ok(Some(value)) => Landed::Value(Arc::new(value)),
            Ok(None) => Landed::Elsewhere,
            Err(error) => {
                if self.mode == Mode::Refresh {
                    // Nobody waits for it: the stale value goes on.
                    let cause = StdError::source(&error).map(ToString::to_string);
                    tracing::debug!(%error, cause, "a refresh failed");
                }
                Landed::Failed(Arc::new(error))
            }
        }
    }

    async fn have<F, Fut, E>(&self, compute: F) -> Result<Option<PyValue>, Error>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<PyValue, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let raw = self.cache.raw_key(&self.key);
        let lock = key::own_of(self.cache.alias(), "flight", &self.key);
        let token = token();
        let until = Instant::now().checked_add(self.how.patience);
        let mut pause = LOOKS.0;
        loop {
            match self.enter(&raw, &lock, &token).await {
                Ok(Entered::Fresh(bytes)) => return self.cache.decode(&raw, &bytes).map(Some),
                Ok(Entered::Ours) => {
                    let right = Right { cache: self.cache.clone(), raw: lock, token: Some(token) };
                    return self.compute(right, &raw, compute).await.map(Some);
                }
                Ok(Entered::Taken) if self.mode == Mode::Refresh => {
                    // While this flight lasts no other begins: Redis is not asked again with every
                    // stale read.
                    sleep(LOOKS.1).await;
                    return Ok(None);
                }
                Ok(Entered::Taken) if until.is_some_and(|until| Instant::now() >= until) => break,
                Ok(Entered::Taken) => {
                    // Not all at the same moment.
                    sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
                    pause = (pause * 2).min(LOOKS.1);
                }
                Err(error) if self.goes_on(&error) => break,
                Err(error) => return Err(error),
            }
        }
        let value = self.call(&raw, compute).await?;
        self.store(&raw, &value).await?;
        Ok(Some(value))
    }

    /// Tells whether a value is computed although Redis failed.
    fn goes_on(&self, error: &Error) -> bool {
        error.is_out_of_memory()
            || (self.cache.alias().ignore_exceptions && matches!(error, Error::Redis { .. }))
    }

    async fn enter(&self, raw: &str, lock: &str, token: &str) -> Result<Entered, Error> {
        let ms = |time: Duration| time.as_millis().max(1).to_string().into_bytes();
        let fresh = self.how.stale.as_millis().to_string().into_bytes();
        let most = MAX_VALUE.to_string().into_bytes();
        let keys = [raw.to_owned(), lock.to_owned()];
        let args = [fresh, token.into(), ms(self.how.lease), most];
        let answer = self.cache.redis().eval::<Vec<Vec<u8>>>(&ENTER, &keys, &args, &[]).await;
        let mut answer = answer.map_err(failed("get", raw))?.into_iter();
        Ok(match (answer.next().as_deref(), answer.next()) {
            (Some(b"fresh"), Some(bytes)) => Entered::Fresh(bytes),
            (Some(b"ours"), _) => Entered::Ours,
            _ => Entered::Taken,
        })
    }

    /// Computes and stores under the lock, which is renewed meanwhile and given back in the end.
    async fn compute<F, Fut, E>(
        &self,
        mut right: Right,
        raw: &str,
        compute: F,
    ) -> Result<PyValue, Error>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<PyValue, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let computed = tokio::select! {
            computed = self.call(raw, compute) => computed,
            never = right.renew(self.how.lease) => match never {},
        };
        let stored = match computed {
            Ok(value) => self.store(raw, &value).await.map(|()| value),
            Err(error) => Err(error),
        };
        if stored.is_err() && self.mode == Mode::Refresh {
            right.pause().await;
        } else {
            right.give_back().await;
        }
        stored
    }

    async fn call<F, Fut, E>(&self, raw: &str, compute: F) -> Result<PyValue, Error>
    where
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<PyValue, E>> + Send,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.cache.count(&self.key, Event::Computed);
        let value = compute().await;
        value.map_err(|error| Error::Compute { key: redact_key(raw), source: error.into().into() })
    }

    async fn store(&self, raw: &str, value: &PyValue) -> Result<(), Error> {
        let bytes = self.cache.encode_within(raw, value, self.how.max_bytes)?;
        let life = self.cache.whole_life(&self.how);
        match self.cache.store(raw, bytes, life, Condition::Always).await {
            // The value is there, and whoever waits gets it.
            Err(error) if self.goes_on(&error) => Ok(()),
            stored => stored.map(drop),
        }
    }
}

impl Right {
    /// Renews for ever. A right that was lost is not had again: the value is stored all the same,
    /// by two then.
    async fn renew(&self, lease: Duration) -> Infallible {
        loop {
            sleep((lease / 3).max(LOOKS.0)).await;
            if let Some(token) = &self.token
                && let Err(error) = self.cache.extend_lock(&self.raw, token, lease, true).await
            {
                tracing::debug!(%error, "a computation's lock was not renewed");
            }
        }
    }

    async fn give_back(&mut self) {
        if let Some(token) = self.token.take() {
            // Where it fails the lock ends by itself.
            let _ = self.cache.release_lock(&self.raw, &token).await;
        }
    }

    /// Keeps others from trying for a moment.
    async fn pause(&mut self) {
        if let Some(token) = self.token.take() {
            let _ = self.cache.extend_lock(&self.raw, &token, PAUSE, true).await;
        }
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        let (Some(token), Ok(runtime)) = (self.token.take(), Handle::try_current()) else { return };
        let (cache, raw) = (self.cache.clone(), std::mem::take(&mut self.raw));
        let tasks = self.cache.shared().tasks.clone();
        tasks.spawn_on(
            async move {
                let _ = cache.release_lock(&raw, &token).await;
            },
            &runtime,
        );
    }
}
