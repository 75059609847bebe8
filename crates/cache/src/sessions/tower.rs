//! A store for [tower-sessions](https://docs.rs/tower-sessions): sessions of Rust services beside
//! Django's.
//!
//! ```
//! use rhubarb_cache::sessions::{Backend, SessionError, Sessions, tower::TowerSessions};
//! use tower_sessions::SessionManagerLayer;
//! # use rhubarb_connection::Connections;
//! # use rhubarb_cache::Aliases;
//! # fn app(app: axum::Router, aliases: &Aliases, connections: &Connections) -> Result<axum::Router, SessionError> {
//! let store = TowerSessions::new(Sessions::new(aliases, connections, Backend::Tower)?);
//! let app = app.layer(SessionManagerLayer::new(store));
//! # Ok(app) }
//! ```
//!
//! **These are sessions of their own**, not Django's. tower-sessions knows a session by a number of
//! 128 bits, and its cookie is that number in 22 characters; a key of Django's (32 characters of
//! 36) has 165 bits and no such number. So a visitor has two cookies: Django's `sessionid`, which
//! the extractors of `sessions::axum` read, says who is logged in; tower-sessions' `id` carries
//! what the service itself remembers. Do not name the layer's cookie `sessionid`: it would take
//! Django's cookie for a broken one, and replace it.
//!
//! A record lies in the same database, under `django.contrib.sessions.tower` and 32 hexadecimal
//! digits, as the plain dict that Django's sessions are. So Python reads it
//! (`caches["sessions"].get("django.contrib.sessions.tower…")`), and what counts and ends Django's
//! sessions does so with these: one that holds `_auth_user_id` ends with that user's others.
//!
//! What holds for [`Sessions`] holds here: a save after the session was ended fails (the layer
//! answers 500) instead of bringing it back, and values that Python put there and JSON cannot hold
//! are hidden from tower-sessions and stay.

use std::time::Duration;

use async_trait::async_trait;
use time::OffsetDateTime;
use tower_sessions_core::{
    SessionStore,
    session::{Id, Record},
    session_store::{Error, Result},
};

use super::{
    error::SessionError,
    key::SessionKey,
    session::{Session, SessionData},
    store::Sessions,
};
use crate::{PyValue, client::Ttl};

/// A `SessionStore` over [`Sessions`]; see the module's head for what it shares with Django and
/// what not.
#[derive(Clone, Debug)]
pub struct TowerSessions {
    sessions: Sessions,
}

impl TowerSessions {
    /// Keeps the records among these sessions: those of [`Backend::Tower`](super::Backend::Tower).
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions }
    }

    async fn read(&self, id: Id) -> Result<Option<Session>> {
        let Some(key) = key_of(id) else { return Ok(None) };
        self.sessions.read(&key).await.map_err(|error| told(&error))
    }
}

#[async_trait]
impl SessionStore for TowerSessions {
    async fn create(&self, record: &mut Record) -> Result<()> {
        let pairs = record.data.iter();
        let data: SessionData =
            pairs.map(|(key, value)| (key.as_str(), PyValue::from(value.clone()))).collect();
        let age = until(record.expiry_date);
        let mut first = Some(record.id);
        let mut id = record.id;
        let created = self.sessions.create_with(data, age, || {
            // The caller's own identifier, and another only if that is somebody's.
            id = first.take().unwrap_or_default();
            key_of(id).ok_or(SessionError::NoKey)
        });
        created.await.map_err(|error| told(&error))?;
        record.id = id;
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let session = self.read(record.id).await?;
        let mut session = session.ok_or_else(|| told(&SessionError::Gone))?;
        change(&mut session, record);
        let age = until(record.expiry_date);
        self.sessions.update_with(&mut session, |_| age).await.map_err(|error| told(&error))
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        let Some(session) = self.read(*id).await? else { return Ok(None) };
        let left = match session.ttl() {
            Ttl::Left(left) => left,
            // Somebody else took the expiry away.
            Ttl::Never | Ttl::Missing => self.sessions.default_age(),
        };
        let expiry_date =
            OffsetDateTime::now_utc().saturating_add(left.try_into().unwrap_or_default());
        let pairs = session.data().iter();
        let shown = |(key, value): (&PyValue, &PyValue)| match key {
            PyValue::Str(key) => Some((key.clone(), value.to_json().ok()?)),
            _ => None,
        };
        Ok(Some(Record { id: *id, data: pairs.filter_map(shown).collect(), expiry_date }))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        let Some(key) = key_of(*id) else { return Ok(()) };
        self.sessions.delete(&key).await.map(drop).map_err(|error| told(&error))
    }
}

/// Makes the session hold what the record does, except for what tower-sessions was not shown.
///
/// A value that reads the same as before stays what it is in Python: a tuple does not become a list
/// because something else was changed.
fn change(session: &mut Session, record: &Record) {
    for (key, value) in &record.data {
        let same = session.get(key).and_then(|old| old.to_json().ok()).as_ref() == Some(value);
        if !same {
            session.insert(key, PyValue::from(value.clone()));
        }
    }
    let taken = |(key, value): (&PyValue, &PyValue)| match key {
        PyValue::Str(key) if !record.data.contains_key(key) => {
            value.to_json().is_ok().then(|| key.clone())
        }
        _ => None,
    };
    let taken: Vec<String> = session.data().iter().filter_map(taken).collect();
    taken.iter().for_each(|key| session.remove(key));
}

/// All 128 bits as hexadecimal digits: a key of the form that Django's have.
fn key_of(id: Id) -> Option<SessionKey> {
    SessionKey::parse(&format!("{:032x}", id.0.cast_unsigned()))
}

fn until(expiry: OffsetDateTime) -> Duration {
    (expiry - OffsetDateTime::now_utc()).try_into().unwrap_or(Duration::ZERO)
}

fn told(error: &SessionError) -> Error {
    let source = std::error::Error::source(error).map(ToString::to_string);
    let text = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    match error {
        SessionError::Read(_) => Error::Decode(text),
        SessionError::Write(_) => Error::Encode(text),
        _ => Error::Backend(text),
    }
}
