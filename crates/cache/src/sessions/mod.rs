//! Django's sessions, and logins shared with Django.
//!
//! A session is a value of the cache that `SESSION_CACHE_ALIAS` names: the key of a visitor's
//! cookie behind the backend's name, a plain dict, two weeks. [`Sessions`] reads, creates, changes
//! and ends those of one backend; [`Directory`] counts all of a database and ends those of a user.
//! A key is a secret: nothing here prints one.
//!
//! ```no_run
//! use rhubarb_cache::PyValue;
//! use rhubarb_cache::sessions::{Backend, SessionError, SessionKey, Sessions};
//! # use rhubarb_connection::Connections;
//! # use rhubarb_cache::Aliases;
//!
//! async fn remember(aliases: &Aliases, connections: &Connections, cookie: &str) -> Result<(), SessionError> {
//!     let sessions = Sessions::new(aliases, connections, Backend::Cache)?;
//!     let Some(key) = SessionKey::parse(cookie) else { return Ok(()) };
//!     let Some(mut session) = sessions.read(&key).await? else { return Ok(()) };
//!     session.insert("seen", PyValue::Bool(true));
//!     sessions.update(&mut session).await // SessionError::Gone: the visitor has logged out meanwhile.
//! }
//! ```
//!
//! Formats are those of Django 5.2 (`django.contrib.sessions.backends`), measured. Modules: `key`
//! what a cookie holds, `backend` whose sessions, `session` what one holds, `age` how long it
//! lives, `store` one backend, `walk`, `directory` and `ending` all of them, `glimpse` whose one is
//! that cannot be read, `secret` whether a login holds, `cookie` the header; with the features
//! `axum` and `tower-sessions` the extractors (`sessions::axum`) and the store (`sessions::tower`).

mod age;
mod backend;
mod cookie;
mod directory;
mod ending;
mod error;
mod glimpse;
mod key;
mod secret;
mod session;
mod store;
mod walk;

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "tower-sessions")]
pub mod tower;

pub use age::DEFAULT_AGE;
pub use backend::Backend;
pub use cookie::SessionCookie;
pub use directory::Directory;
pub use ending::Revoked;
pub use error::SessionError;
pub use key::SessionKey;
pub use secret::{Checked, SecretKeys};
pub use session::{Login, Session, SessionData};
pub use store::Sessions;
pub use walk::{Found, Walk};
