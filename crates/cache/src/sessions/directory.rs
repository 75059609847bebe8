//! All sessions of a database, by backend.

use std::time::Duration;

use rhubarb_connection::{Connections, Redis};

use super::{age::DEFAULT_AGE, backend::Backend, error::SessionError, store::Sessions};
use crate::config::{AliasConfig, Aliases};

/// All sessions of a cache alias, whatever backend made them.
#[derive(Clone, Debug)]
pub struct Directory {
    pub(super) alias: AliasConfig,
    pub(super) redis: Redis,
    pub(super) backends: Vec<Backend>,
    age: Duration,
}

impl Directory {
    /// Returns the sessions in this one of the configured cache aliases; nothing is sent.
    ///
    /// # Errors
    /// [`SessionError::UnknownAlias`].
    pub fn new(
        aliases: &Aliases,
        connections: &Connections,
        alias: &str,
    ) -> Result<Self, SessionError> {
        let found = aliases.get(alias);
        let found = found.ok_or_else(|| SessionError::UnknownAlias { alias: alias.to_owned() })?;
        Ok(Self::on(found.clone(), connections.role(found.role)))
    }

    /// Returns the sessions in a cache on a connection of the caller's own.
    pub fn on(alias: AliasConfig, redis: Redis) -> Self {
        Self { alias, redis, backends: Backend::ALL.to_vec(), age: DEFAULT_AGE }
    }

    /// Leaves all but the sessions of these backends aside.
    #[must_use]
    pub fn of(mut self, backends: &[Backend]) -> Self {
        self.backends = backends.to_vec();
        self
    }

    /// Sets Django's `SESSION_COOKIE_AGE`, two weeks by default.
    #[must_use]
    pub fn with_age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// Returns the sessions of one backend.
    pub fn sessions(&self, backend: Backend) -> Sessions {
        Sessions::on(self.alias.clone(), self.redis.clone(), backend).with_age(self.age)
    }
}
