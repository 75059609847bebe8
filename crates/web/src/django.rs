//! The application's own login as a way in: Django's session, read from its cache.
//!
//! Who may what is listed by the ids of Django's users. That a session is there is what counts:
//! Django ends it at a logout. It compares the password's hash at each of its own requests; here
//! nobody knows it, so that a session of before a change of the password goes on until Django has
//! met it, or `rhubarb sessions revoke` has ended it.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header};
use rhubarb_cache::sessions::{Backend, Directory, SessionCookie, SessionError, SessionKey};
use rhubarb_connection::Connections;
use rhubarb_settings::Settings;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::{
    door::{May, Visitor},
    problem::Problem,
};

/// What the names of visitors begin with who came this way. No token has a name with a space.
pub const NAMED: &str = "Django user ";
/// For how long it is remembered whose a session is: an open page asks every few seconds.
const FRESH: Duration = Duration::from_secs(5);
/// So many sessions are remembered.
const SESSIONS: usize = 1000;

/// A session by its hash: whose it is, and since when that is known.
type Seen = HashMap<[u8; 32], (Option<String>, Instant)>;

/// Who of Django's users may what.
#[derive(Debug)]
pub struct Django {
    users: HashMap<String, May>,
    cookie: SessionCookie,
    directory: Directory,
    seen: Mutex<Seen>,
}

impl Django {
    /// Makes the way in of a configuration; none where no user of Django's may enter.
    ///
    /// # Errors
    ///
    /// The cache alias of the sessions is not configured.
    pub fn new(config: &Settings, connections: &Connections) -> Result<Option<Self>, SessionError> {
        let web = &config.web;
        let readers = web.django_readers.iter().map(|user| (user.clone(), May::Read));
        let operators = web.django_operators.iter().map(|user| (user.clone(), May::Write));
        let users: HashMap<String, May> = readers.chain(operators).collect();
        if users.is_empty() {
            return Ok(None);
        }
        let mut cookie = SessionCookie::default();
        cookie.name = web.django_cookie.clone().into();
        let directory = Directory::new(&config.cache.aliases, connections, &web.django_sessions)?;
        Ok(Some(Self { users, cookie, directory, seen: Mutex::default() }))
    }

    /// Returns who asks, if they have a session of Django's and may enter.
    ///
    /// # Errors
    ///
    /// Redis is away.
    pub async fn visitor(
        &self,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<Option<Visitor>, Problem> {
        let cookies = headers.get(header::COOKIE).map(|cookies| cookies.as_bytes());
        let Some(key) = cookies.and_then(|cookies| self.cookie.find(cookies)) else {
            return Ok(None);
        };
        let user = self.user(&key).await?;
        let known = user.and_then(|user| Some((*self.users.get(&user)?, user)));
        Ok(known.map(|(may, user)| Visitor { name: format!("{NAMED}{user}"), may, from }))
    }

    async fn user(&self, key: &SessionKey) -> Result<Option<String>, Problem> {
        let hash: [u8; 32] = Sha256::digest(key.expose().as_bytes()).into();
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((user, at)) = seen().get(&hash)
            && at.elapsed() < FRESH
        {
            return Ok(user.clone());
        }
        let user = self.read(key).await?;
        let mut seen = seen();
        if seen.len() >= SESSIONS {
            seen.retain(|_, (_, at)| at.elapsed() < FRESH);
        }
        if seen.len() < SESSIONS {
            seen.insert(hash, (user.clone(), Instant::now()));
        }
        Ok(user)
    }

    /// Reads whose login it is. What is no session that can be read is nobody's.
    async fn read(&self, key: &SessionKey) -> Result<Option<String>, Problem> {
        for backend in [Backend::Cache, Backend::CachedDb] {
            match self.directory.sessions(backend).read(key).await {
                Ok(Some(session)) => return Ok(session.login().map(|login| login.user)),
                Ok(None) | Err(SessionError::Read(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}
