//! Extractors for axum: a web service in Rust that shares Django's logins.
//!
//! [`DjangoSessions`] goes into the router's state; handlers then ask for [`DjangoUser`] or
//! [`DjangoSession`], or for an `Option` of them where a visitor may be anonymous. The session is
//! read from Redis for each request, so that a logout in Django, or `rhubarb sessions revoke`,
//! holds from the next request on.
//!
//! ```
//! use axum::{Router, routing::get};
//! use rhubarb_cache::sessions::axum::{DjangoSessions, DjangoUser};
//! use rhubarb_cache::sessions::{Backend, SecretKeys, SessionError, Sessions};
//! # use rhubarb_connection::Connections;
//! # use rhubarb_cache::Aliases;
//!
//! async fn whoami(user: DjangoUser) -> String {
//!     format!("user {}", user.id)
//! }
//!
//! # fn app(aliases: &Aliases, connections: &Connections, secret_key: String) -> Result<Router, SessionError> {
//! let sessions = DjangoSessions::new(Sessions::new(aliases, connections, Backend::Cache)?)
//!     // Without this a changed password is not noticed. `password_of(user)` asks Django's database:
//!     // SELECT password FROM auth_user WHERE id = $1 AND is_active
//!     .check_logins(SecretKeys::new(secret_key), password_of);
//! let app = Router::new().route("/whoami", get(whoami)).with_state(sessions);
//! # Ok(app) }
//! # async fn password_of(_user: String) -> Result<Option<String>, std::io::Error> { Ok(None) }
//! ```

use std::{fmt, pin::Pin, sync::Arc};

use axum_core::{
    extract::{FromRef, FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};

use super::{
    cookie::SessionCookie,
    error::SessionError,
    key::SessionKey,
    secret::SecretKeys,
    session::{Login, Session},
    store::Sessions,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<Option<String>, BoxError>> + Send>>;

/// What the extractors work with; a cheap handle for the router's state.
#[derive(Clone)]
pub struct DjangoSessions {
    sessions: Sessions,
    cookie: Arc<SessionCookie>,
    check: Option<Arc<Check>>,
}

/// Who has the present `password` column of a user.
struct Check {
    keys: SecretKeys,
    password: Box<dyn Fn(String) -> Asked + Send + Sync>,
}

/// The visitor's session, logged in or not. Rejected with 401 where there is none.
///
/// Changes are written by [`Sessions::update`]; see [`DjangoSessions::sessions`].
#[derive(Clone, Debug)]
pub struct DjangoSession(pub Session);

/// The user who has logged in to Django. Rejected with 401 where nobody has.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DjangoUser {
    /// The primary key, as text.
    pub id: String,
    /// The path of the authentication backend that let the user in.
    pub backend: String,
    /// The session.
    pub session: Session,
}

/// Why a request is turned away.
#[derive(Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// There is no session, or nobody is logged in: 401.
    NotLoggedIn,
    /// The session holds what we cannot read, a class of the Django application's, say: 500. What
    /// it is stands in the log.
    Unreadable,
    /// Redis, or whoever knows the passwords, does not answer: 503.
    Unavailable,
}

impl DjangoSessions {
    /// Takes the sessions; the cookie is Django's `sessionid`.
    pub fn new(sessions: Sessions) -> Self {
        Self { sessions, cookie: Arc::default(), check: None }
    }

    /// Sets the cookie, for a Django that has another `SESSION_COOKIE_NAME`.
    #[must_use]
    pub fn cookie(mut self, cookie: SessionCookie) -> Self {
        self.cookie = Arc::new(cookie);
        self
    }

    /// Has every login checked, as Django does: `password` returns the `password` column of a user
    /// (`None` for one who is not there or not active), and only a login that was made with that
    /// password counts.
    #[must_use]
    pub fn check_logins<F, A, E>(mut self, keys: SecretKeys, password: F) -> Self
    where
        F: Fn(String) -> A + Send + Sync + 'static,
        A: Future<Output = Result<Option<String>, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let ask = move |user| -> Asked {
            let asked = password(user);
            Box::pin(async move { asked.await.map_err(Into::into) })
        };
        self.check = Some(Arc::new(Check { keys, password: Box::new(ask) }));
        self
    }

    /// Returns the sessions: to write a visitor's changes back, to create a session, to end one.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the cookie, for the `Set-Cookie` of a new session.
    pub fn session_cookie(&self) -> &SessionCookie {
        &self.cookie
    }

    /// Finds the key of the visitor's session; `None` when there is no cookie, or what it holds is
    /// no key.
    pub fn key(&self, headers: &HeaderMap) -> Option<SessionKey> {
        // HTTP/2 may send one header for each cookie.
        let all: Vec<&[u8]> =
            headers.get_all(header::COOKIE).iter().map(|value| value.as_bytes()).collect();
        self.cookie.find(&all.join(&b"; "[..]))
    }

    /// Reads the visitor's session.
    ///
    /// # Errors
    /// [`Rejection::Unreadable`], [`Rejection::Unavailable`].
    pub async fn session(&self, headers: &HeaderMap) -> Result<Option<Session>, Rejection> {
        let Some(key) = self.key(headers) else { return Ok(None) };
        self.sessions.read(&key).await.map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            match &error {
                SessionError::Read(_) => {
                    tracing::warn!(source, "a session is not read: {error}");
                    Rejection::Unreadable
                }
                _ => {
                    tracing::warn!(source, "no sessions: {error}");
                    Rejection::Unavailable
                }
            }
        })
    }

    /// Returns the user who is logged in.
    ///
    /// # Errors
    /// [`Rejection::Unreadable`], [`Rejection::Unavailable`].
    pub async fn user(&self, headers: &HeaderMap) -> Result<Option<DjangoUser>, Rejection> {
        let Some(session) = self.session(headers).await? else { return Ok(None) };
        let Some(login) = session.login() else { return Ok(None) };
        if !self.holds(&login).await? {
            return Ok(None);
        }
        Ok(Some(DjangoUser { id: login.user, backend: login.backend, session }))
    }

    async fn holds(&self, login: &Login) -> Result<bool, Rejection> {
        let Some(check) = &self.check else { return Ok(true) };
        match (check.password)(login.user.clone()).await {
            Ok(password) => Ok(password.is_some_and(|p| check.keys.check(login, &p).holds())),
            Err(error) => {
                tracing::warn!(%error, "no logins: the users' passwords cannot be had");
                Err(Rejection::Unavailable)
            }
        }
    }
}

impl fmt::Debug for DjangoSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("DjangoSessions");
        shown.field("sessions", &self.sessions).field("cookie", &self.cookie.name);
        shown.field("checked", &self.check.is_some()).finish()
    }
}

impl<S> FromRequestParts<S> for DjangoSession
where
    S: Send + Sync,
    DjangoSessions: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let session = DjangoSessions::from_ref(state).session(&parts.headers).await?;
        session.map(Self).ok_or(Rejection::NotLoggedIn)
    }
}

impl<S> OptionalFromRequestParts<S> for DjangoSession
where
    S: Send + Sync,
    DjangoSessions: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        Ok(DjangoSessions::from_ref(state).session(&parts.headers).await?.map(Self))
    }
}

impl<S> FromRequestParts<S> for DjangoUser
where
    S: Send + Sync,
    DjangoSessions: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        let user = DjangoSessions::from_ref(state).user(&parts.headers).await?;
        user.ok_or(Rejection::NotLoggedIn)
    }
}

impl<S> OptionalFromRequestParts<S> for DjangoUser
where
    S: Send + Sync,
    DjangoSessions: FromRef<S>,
{
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, Rejection> {
        DjangoSessions::from_ref(state).user(&parts.headers).await
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Self::NotLoggedIn => (StatusCode::UNAUTHORIZED, "not logged in"),
            Self::Unreadable => (StatusCode::INTERNAL_SERVER_ERROR, "the session cannot be read"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "sessions are not available"),
        };
        (status, text).into_response()
    }
}
