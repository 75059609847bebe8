//! All caches of a configuration, and those of the application on them.

use std::collections::BTreeMap;

use rhubarb_connection::{Connections, Redis};
use rhubarb_core::config::{CacheConfig, CacheTarget, Config, Role};

use crate::{
    client::{Cache, Timeout},
    error::Error,
    listings::Listings,
    proxies::Proxies,
    status::StatusCache,
};

/// Every cache alias by name, and the listings, the status and the proxies.
#[derive(Clone, Debug)]
pub struct Caches {
    aliases: BTreeMap<String, Cache>,
    listings: Listings,
    status: StatusCache,
    proxies: Proxies,
}

/// How many keys [`Caches::clear`] deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Cleared {
    /// Keywords' listings, in all targets.
    pub listings: u64,
    /// The scraping status: 1 or 0.
    pub status: u64,
    /// The proxy list: 1 or 0.
    pub proxies: u64,
}

/// A key or key template in a cache, with its own timeout.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) cache: Cache,
    pub(crate) key: String,
    pub(crate) timeout: Timeout,
}

impl Caches {
    /// Returns the caches of a configuration; nothing is sent.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`] when a target names an alias that there is not.
    pub fn new(config: &Config, connections: &Connections) -> Result<Self, Error> {
        Self::on(&config.cache, |role| connections.role(role))
    }

    /// Returns the caches on connections of the caller's own.
    ///
    /// # Errors
    /// As for [`Caches::new`].
    pub fn on(config: &CacheConfig, redis: impl Fn(Role) -> Redis) -> Result<Self, Error> {
        let aliases: BTreeMap<String, Cache> = config
            .aliases
            .iter()
            .map(|(name, alias)| (name.clone(), Cache::new(alias.clone(), redis(alias.role))))
            .collect();
        let target = |target| Target::new(target, &aliases);
        Ok(Self {
            listings: Listings::new(config.listings.iter().map(target).collect::<Result<_, _>>()?),
            status: StatusCache::new(target(&config.status)?),
            proxies: Proxies::new(target(&config.proxies)?),
            aliases,
        })
    }

    /// Returns the cache of an alias.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`].
    pub fn alias(&self, name: &str) -> Result<&Cache, Error> {
        find(&self.aliases, name)
    }

    /// Returns the keywords' listings.
    pub fn listings(&self) -> &Listings {
        &self.listings
    }

    /// Returns the scraping status.
    pub fn status(&self) -> &StatusCache {
        &self.status
    }

    /// Returns the proxy list.
    pub fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Deletes all listings, the status and the proxy list; never queues, sessions or other caches.
    ///
    /// # Cancel safety
    /// A dropped call has deleted some of them; calling it again goes on.
    ///
    /// # Errors
    /// [`Error::Redis`]; what was deleted stays deleted.
    pub async fn clear(&self) -> Result<Cleared, Error> {
        Ok(Cleared {
            listings: self.listings.clear().await?,
            status: self.status.clear().await?,
            proxies: self.proxies.clear().await?,
        })
    }
}

impl Target {
    fn new(target: &CacheTarget, aliases: &BTreeMap<String, Cache>) -> Result<Self, Error> {
        Ok(Self {
            cache: find(aliases, &target.alias)?.clone(),
            key: target.key.clone(),
            timeout: target.timeout.map_or(Timeout::Default, Timeout::After),
        })
    }
}

fn find<'c>(aliases: &'c BTreeMap<String, Cache>, name: &str) -> Result<&'c Cache, Error> {
    aliases.get(name).ok_or_else(|| Error::UnknownAlias { alias: name.to_owned() })
}
