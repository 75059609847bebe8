//! The application's caches and Django's sessions, as people and programs see them.

use std::time::Duration;

use rhubarb_cache::{
    Timeout, Ttl,
    sessions::{Directory, Revoked, SessionError},
};
use rhubarb_core::redact;
use rhubarb_jobs::{DOMAINS, DomainCache};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{problem::Problem, site::Site};

/// One cache of the application.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CacheRow {
    /// Its name.
    pub name: &'static str,
    /// What it is, in words.
    pub about: &'static str,
    /// What a value is, in Python's words.
    pub holds: &'static str,
    /// Whether it has a value for each argument, or one only.
    pub has_many: bool,
    /// The database.
    pub db: u32,
    /// Its key as it stands in Redis; `{…}` stands for the argument.
    pub key: String,
    /// How long a value is kept, seconds; absent for ever.
    pub timeout_s: Option<f64>,
    /// How often a value was found, by all processes.
    pub hits: u64,
    /// How often none was.
    pub misses: u64,
}

impl CacheRow {
    /// Returns the share of reads that found a value; none before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        let reads = self.hits.saturating_add(self.misses);
        #[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
        (reads > 0).then(|| self.hits as f64 / reads as f64)
    }
}

/// One key of a cache.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CacheKey {
    /// What the cache's other routes take for it.
    pub argument: String,
    /// The key as it stands in Redis.
    pub key: String,
    /// How long it is still kept, seconds; absent for ever.
    pub ttl_s: Option<f64>,
}

/// Some keys of a cache.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CacheKeys {
    /// In the order of their names.
    pub items: Vec<CacheKey>,
    /// Whether there are more.
    pub has_more: bool,
}

/// One value of a cache.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CacheValue {
    /// The key as it stands in Redis.
    pub key: String,
    /// How long it is still kept, seconds; absent for ever.
    pub ttl_s: Option<f64>,
    /// The value, decoded; what is named like a secret is `***`.
    #[schema(value_type = Object)]
    pub value: Value,
}

/// Returns all caches, in the order of their table.
///
/// # Errors
///
/// Redis is away.
pub async fn rows(site: &Site) -> Result<Vec<CacheRow>, Problem> {
    let mut rows = Vec::new();
    for cache in site.caches().domains() {
        let Some((place, key, timeout)) = cache.place() else { continue };
        let (domain, counts) = (cache.domain(), cache.counts().await?);
        let timeout = match timeout {
            Timeout::Default => place.default_timeout(),
            Timeout::Never => None,
            Timeout::After(after) => Some(after),
        };
        rows.push(CacheRow {
            name: domain.name,
            about: domain.about,
            holds: domain.holds.name(),
            has_many: cache.has_many(),
            db: place.redis().db(),
            key: place.raw_key(key),
            timeout_s: timeout.map(|timeout| timeout.as_secs_f64()),
            hits: counts.hits,
            misses: counts.misses,
        });
    }
    Ok(rows)
}

/// Returns the cache of a name.
///
/// # Errors
///
/// There is none; the problem names those there are.
pub fn named<'s>(site: &'s Site, name: &str) -> Result<&'s DomainCache, Problem> {
    let known = || DOMAINS.iter().map(|domain| domain.name).collect::<Vec<_>>().join(", ");
    let none = || Problem::not_found(&format!("there is no such cache; there are {}", known()));
    site.caches().domain(name).ok_or_else(none)
}

/// Returns keys of a cache that has many, at most so many.
///
/// # Errors
///
/// Redis is away.
pub async fn keys(cache: &DomainCache, most: usize) -> Result<CacheKeys, Problem> {
    let none = CacheKeys { items: Vec::new(), has_more: false };
    let Some((place, template, _)) = cache.place() else { return Ok(none) };
    let found = cache.keys(most).await?;
    let mut items = Vec::new();
    for key in found.keys {
        let ttl = place.ttl(&key).await?;
        if let (Some(argument), false) = (argument(template, &key), ttl == Ttl::Missing) {
            items.push(CacheKey {
                argument: argument.to_owned(),
                key: redact::text(&place.raw_key(&key)),
                ttl_s: seconds(ttl),
            });
        }
    }
    Ok(CacheKeys { items, has_more: found.has_more })
}

/// Returns what a template's key was made of.
fn argument<'k>(template: &str, key: &'k str) -> Option<&'k str> {
    let Some((before, rest)) = template.split_once('{') else { return Some("") };
    let after = rest.split_once('}').map_or("", |(_, after)| after);
    key.strip_prefix(before)?.strip_suffix(after)
}

/// Returns the value for an argument.
///
/// # Errors
///
/// 404: there is none. 422: it is no value that is read as data. Redis is away.
pub async fn value(cache: &DomainCache, argument: &str) -> Result<CacheValue, Problem> {
    let none = || Problem::not_found(&format!("nothing is cached in {}", cache.domain().name));
    let argument = meant(cache, Some(argument))?.unwrap_or_default();
    let (value, ttl) = cache.get(argument).await?.ok_or_else(none)?;
    let key = cache.place().map_or_else(String::new, |(place, template, _)| {
        place.raw_key(&rhubarb_jobs::template::of(template, argument))
    });
    Ok(CacheValue {
        key: redact::text(&key),
        ttl_s: seconds(ttl),
        value: redact::hidden(value.shown()),
    })
}

/// Deletes the value for an argument, or all; returns how many there were.
///
/// # Errors
///
/// Redis is away; what was deleted stays deleted.
pub async fn clear(cache: &DomainCache, argument: Option<&str>) -> Result<u64, Problem> {
    Ok(match meant(cache, argument)? {
        Some(argument) => cache.delete(argument).await?,
        None => cache.clear().await?,
    })
}

/// Refuses an argument where there is one value only.
fn meant<'a>(cache: &DomainCache, argument: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    match argument {
        Some(given) if !cache.has_many() && !given.is_empty() => {
            let name = cache.domain().name;
            Err(Problem::bad(&format!("{name} is one value: it takes no argument")))
        }
        Some(_) if !cache.has_many() => Ok(Some("")),
        Some("") => Ok(None),
        given => Ok(given),
    }
}

fn seconds(ttl: Ttl) -> Option<f64> {
    match ttl {
        Ttl::Left(left) => Some(left.as_secs_f64()),
        Ttl::Never => None,
        Ttl::Missing => Some(Duration::ZERO.as_secs_f64()),
    }
}

/// Returns the sessions of a cache alias.
///
/// # Errors
///
/// There is no such alias.
pub fn sessions(site: &Site, alias: &str) -> Result<Directory, Problem> {
    let aliases = &site.config().cache.aliases;
    Directory::new(aliases, site.connections(), alias).map_err(|_| {
        let known: Vec<&str> = aliases.keys().map(String::as_str).collect();
        let known = known.join(", ");
        Problem::not_found(&format!("there is no such cache alias; there are {known}"))
    })
}

/// Ends all sessions of a user.
///
/// # Errors
///
/// 400: no user is named. Redis is away; what has ended stays so.
pub async fn end(site: &Site, alias: &str, user: &str) -> Result<Revoked, Problem> {
    let user = user.trim();
    if user.is_empty() {
        return Err(Problem::bad("user: the id of a user is expected, such as 17"));
    }
    Ok(sessions(site, alias)?.revoke_user(user).await?)
}

/// What sessions answer.
impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        let cause = std::error::Error::source(&error);
        Self::unavailable(
            &cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_what_its_template_was_given() {
        assert_eq!(argument("jobs:{keyword_slug}", "jobs:rust"), Some("rust"));
        assert_eq!(argument("api:{path}:x", "api:/a?b:x"), Some("/a?b"));
        assert_eq!(argument("api:{path}:x", "api:/a"), None);
        assert_eq!(argument("scraping_status", "scraping_status"), Some(""));
        assert_eq!(argument("{id", "7"), Some("7"));
    }
}
