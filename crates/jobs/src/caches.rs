//! All caches of a configuration, and those of the application on them.

use std::collections::BTreeMap;

use rhubarb_cache::{Cache, Error};
use rhubarb_connection::{Connections, Redis, Role};

use crate::{
    config::{CacheConfig, DOMAINS, Domain},
    domain::DomainCache,
    life::LifeCache,
    listings::Listings,
    memory::MemoryCache,
    proxies::Proxies,
    status::StatusCache,
    target::{Target, find},
};

/// Every cache alias by name, and the listings, the status and the proxies.
#[derive(Clone, Debug)]
pub struct Caches {
    aliases: BTreeMap<String, Cache>,
    listings: Listings,
    status: StatusCache,
    proxies: Proxies,
    domains: Vec<DomainCache>,
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

impl Caches {
    /// Returns the caches of a configuration; nothing is sent.
    ///
    /// # Errors
    /// [`Error::UnknownAlias`] when a target names an alias that there is not; [`Error::Collision`]
    /// when the keys of one cache can be those of another or of a session.
    pub fn new(config: &CacheConfig, connections: &Connections) -> Result<Self, Error> {
        Self::on(config, |role| connections.role(role))
    }

    /// Returns the caches on connections of the caller's own.
    ///
    /// # Errors
    /// As for [`Caches::new`].
    pub fn on(config: &CacheConfig, redis: impl Fn(Role) -> Redis) -> Result<Self, Error> {
        let collisions = config.collisions(|one, other| redis(one).same_database(&redis(other)));
        if let Some(problem) = collisions.into_iter().next() {
            return Err(Error::Collision { problem });
        }
        let aliases: BTreeMap<String, Cache> = config
            .aliases
            .iter()
            .map(|(name, alias)| (name.clone(), Cache::new(alias.clone(), redis(alias.role))))
            .collect();
        let [listings, _, status, proxies, ..] = &DOMAINS;
        let target = |domain, target| Target::new(target, domain, &aliases);
        let domain = |domain: &'static Domain| {
            let targets = config.places(domain.name).iter().map(|place| target(domain, place));
            Ok(DomainCache::new(domain, targets.collect::<Result<_, _>>()?))
        };
        let of_listings = config.listings.iter().map(|place| target(listings, place));
        // Beside the listings that are read, where Django looks for nothing.
        let beside = config.listings.first().and_then(|place| {
            let cache = aliases.get(&place.alias)?.version(0);
            Some((cache, place.key.as_str()))
        });
        let memory = beside.clone().map(|(cache, key)| MemoryCache::new(cache, key));
        let life = beside.map(|(cache, key)| LifeCache::new(cache, key));
        Ok(Self {
            listings: Listings::new(of_listings.collect::<Result<_, _>>()?, memory, life),
            status: StatusCache::new(target(status, &config.status)?),
            proxies: Proxies::new(target(proxies, &config.proxies)?),
            domains: DOMAINS.iter().map(domain).collect::<Result<_, Error>>()?,
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

    /// Returns all caches of the application, in the order of the table.
    pub fn domains(&self) -> &[DomainCache] {
        &self.domains
    }

    /// Returns the cache of the application with this name.
    pub fn domain(&self, name: &str) -> Option<&DomainCache> {
        self.domains.iter().find(|domain| domain.domain().name == name)
    }

    /// Waits for what the caches do in the background and writes their counters; see
    /// [`Cache::close`].
    ///
    /// # Cancel safety
    /// As for [`Cache::close`].
    ///
    /// # Errors
    /// The first cache's error that failed; the others were closed all the same.
    pub async fn close(&self) -> Result<(), Error> {
        let mut first = Ok(());
        for cache in self.aliases.values() {
            first = first.and(cache.close().await);
        }
        first
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

#[cfg(test)]
mod tests {
    use rhubarb_connection::RedisConfig;

    use super::*;

    #[test]
    fn a_cache_whose_keys_can_be_anothers_is_not_made() {
        let mut config = CacheConfig::default();
        config.users.key = "jobs:{id}".to_owned();
        config.aliases.insert("jobs".to_owned(), config.aliases["default"].clone());
        let connections = Connections::new(&RedisConfig::default(), "test").unwrap();
        let refused = Caches::new(&config, &connections);
        assert!(matches!(refused, Err(Error::Collision { .. })), "{refused:?}");
        config.users.key = "people:{id}".to_owned();
        assert!(Caches::new(&config, &connections).is_ok());
    }
}
