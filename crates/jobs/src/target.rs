//! Where a cache of the application stands.

use std::collections::BTreeMap;

use rhubarb_cache::{Cache, Error, PyValue, Timeout};

use crate::{
    config::{CacheTarget, Domain},
    template,
};

/// A key or key template in a cache, with its own timeout.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) cache: Cache,
    pub(crate) key: String,
    pub(crate) timeout: Timeout,
    pub(crate) max_bytes: usize,
}

impl Target {
    pub(crate) fn new(
        target: &CacheTarget,
        domain: &Domain,
        aliases: &BTreeMap<String, Cache>,
    ) -> Result<Self, Error> {
        Ok(Self {
            cache: find(aliases, &target.alias)?.clone(),
            key: target.key.clone(),
            timeout: target.timeout.map_or(Timeout::Default, Timeout::After),
            max_bytes: domain.max_bytes,
        })
    }

    /// Stores a value under a key of this target, if it is within the cap.
    pub(crate) async fn set(&self, key: &str, value: PyValue) -> Result<(), Error> {
        self.cache.set_within(key, value, self.timeout, self.max_bytes).await
    }

    /// Deletes all its values and returns how many there were; never a session.
    pub(crate) async fn clear(&self) -> Result<u64, Error> {
        if template::is_template(&self.key) {
            return self.cache.delete_but_sessions(&template::logical_pattern(&self.key)).await;
        }
        self.cache.delete(&self.key).await.map(u64::from)
    }
}

pub(crate) fn find<'c>(
    aliases: &'c BTreeMap<String, Cache>,
    name: &str,
) -> Result<&'c Cache, Error> {
    aliases.get(name).ok_or_else(|| Error::UnknownAlias { alias: name.to_owned() })
}
