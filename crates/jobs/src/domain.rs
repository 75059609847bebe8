//! The caches of the application by name: the table of [`DOMAINS`](crate::config::DOMAINS)
//! at work.

use crate::config::{Domain, Holds};

use rhubarb_cache::{
    Cache, Counts, Error, Fetch, FormatError, PyValue, Timeout, Ttl, namespace, redact_key,
};

use crate::{target::Target, template};

/// One cache of the application, wherever the configuration has put it.
#[derive(Clone, Debug)]
pub struct DomainCache {
    domain: &'static Domain,
    targets: Vec<Target>,
}

/// The keys of a cache's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundKeys {
    /// The logical keys, in order.
    pub keys: Vec<String>,
    /// Whether there are more.
    pub has_more: bool,
    /// How many were seen that are not UTF-8: no argument names them, and clearing deletes them.
    pub no_text: u64,
}

impl DomainCache {
    pub(crate) fn new(domain: &'static Domain, targets: Vec<Target>) -> Self {
        Self { domain, targets }
    }

    /// Returns its row of the table.
    pub fn domain(&self) -> &'static Domain {
        self.domain
    }

    /// Tells whether it has a value for each argument, or one only.
    pub fn has_many(&self) -> bool {
        self.targets.first().is_some_and(|target| template::is_template(&target.key))
    }

    /// Returns the cache that it is read from, the template of its keys there, and how long they
    /// are kept.
    pub fn place(&self) -> Option<(&Cache, &str, Timeout)> {
        self.targets.first().map(|target| (&target.cache, target.key.as_str(), target.timeout))
    }

    /// Returns how often it was found and missed, by all processes, where it is read from.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn counts(&self) -> Result<Counts, Error> {
        let Some(target) = self.targets.first() else { return Ok(Counts::default()) };
        let counters = target.cache.counters().await?;
        Ok(counters.get(&namespace(&target.key)).copied().unwrap_or_default())
    }

    /// Returns the value for an argument (a keyword, an id; of no account where there is one value)
    /// and its time to live.
    ///
    /// # Errors
    /// As for [`Cache::get`].
    pub async fn get(&self, argument: &str) -> Result<Option<(PyValue, Ttl)>, Error> {
        let Some(target) = self.targets.first() else { return Ok(None) };
        target.cache.get_with_ttl(&template::of(&target.key, argument)).await
    }

    /// Stores the value for an argument, everywhere the cache is kept.
    ///
    /// # Errors
    /// [`Error::Write`] for another kind of value than the table says, or a larger one; nothing was
    /// written then.
    pub async fn set(&self, argument: &str, value: &PyValue) -> Result<(), Error> {
        for target in &self.targets {
            self.check(target, argument, value)?;
        }
        for target in &self.targets {
            target.set(&template::of(&target.key, argument), value.clone()).await?;
        }
        Ok(())
    }

    /// Returns the value, or computes and stores it once: [`Cache::fetch`] where it is read from,
    /// with its timeout and cap.
    ///
    /// # Errors
    /// As for [`Cache::fetch`], and [`Error::UnknownAlias`] without a place.
    pub async fn fetch<F, Fut, E>(
        &self,
        argument: &str,
        stale: std::time::Duration,
        compute: F,
    ) -> Result<PyValue, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<PyValue, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let alias = || Error::UnknownAlias { alias: self.domain.name.to_owned() };
        let target = self.targets.first().ok_or_else(alias)?;
        let how = Fetch { max_bytes: self.domain.max_bytes, ..Fetch::new(target.timeout) };
        target.cache.fetch(&template::of(&target.key, argument), how.stale(stale), compute).await
    }

    /// Deletes the value for an argument and returns how many there were, counting every place.
    ///
    /// # Errors
    /// [`Error::Redis`]; what was deleted stays deleted.
    pub async fn delete(&self, argument: &str) -> Result<u64, Error> {
        let mut deleted = 0;
        for target in &self.targets {
            deleted += u64::from(target.cache.delete(&template::of(&target.key, argument)).await?);
        }
        Ok(deleted)
    }

    /// Deletes all its values and returns how many there were; never a session.
    ///
    /// # Cancel safety
    /// A dropped call has deleted some of them; calling it again goes on.
    ///
    /// # Errors
    /// [`Error::Redis`]; what was deleted stays deleted.
    pub async fn clear(&self) -> Result<u64, Error> {
        let mut deleted = 0;
        for target in &self.targets {
            deleted += target.clear().await?;
        }
        Ok(deleted)
    }

    /// Returns the logical keys of its values where they are read from, at most so many.
    ///
    /// # Errors
    /// [`Error::Redis`].
    pub async fn keys(&self, limit: usize) -> Result<FoundKeys, Error> {
        let Some(target) = self.targets.first() else { return Ok(FoundKeys::default()) };
        let mut found = std::collections::BTreeSet::new();
        let mut has_more = false;
        let mut keys = target.cache.iter_keys(&template::logical_pattern(&target.key));
        while let Some(key) = keys.next().await? {
            if found.len() >= limit && !found.contains(&key) {
                has_more = true;
                break;
            }
            found.insert(key);
        }
        Ok(FoundKeys { keys: found.into_iter().collect(), has_more, no_text: keys.passed() })
    }

    fn check(&self, target: &Target, argument: &str, value: &PyValue) -> Result<(), Error> {
        if holds(self.domain.holds, value) {
            return Ok(());
        }
        let key = redact_key(&target.cache.raw_key(&template::of(&target.key, argument)));
        let class = format!("what is no {}", self.domain.holds.name());
        Err(Error::Write { key, source: FormatError::Unsupported { class } })
    }
}

fn holds(kind: Holds, value: &PyValue) -> bool {
    let is_dict = |value: &PyValue| matches!(value, PyValue::Dict(_) | PyValue::OrderedDict(_));
    let items = match value {
        PyValue::List(items) | PyValue::Tuple(items) => Some(items),
        _ => None,
    };
    let all = |is: fn(&PyValue) -> bool| items.is_some_and(|items| items.iter().all(is));
    match kind {
        Holds::Anything => true,
        Holds::Dict => is_dict(value),
        Holds::Dicts => all(|item| matches!(item, PyValue::Dict(_) | PyValue::OrderedDict(_))),
        Holds::Texts => all(|item| matches!(item, PyValue::Str(_))),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{CacheConfig, DOMAINS};

    use super::*;

    #[test]
    fn every_cache_of_the_table_has_its_place_in_the_configuration() {
        let config = CacheConfig::default();
        for domain in &DOMAINS {
            assert_eq!(config.places(domain.name), [domain.target()], "{}", domain.name);
        }
    }

    #[test]
    fn a_kind_of_value_is_told_from_others() {
        let dict = || PyValue::Dict(vec![]);
        let table = [
            (Holds::Dict, dict(), true),
            (Holds::Dict, PyValue::List(vec![]), false),
            (Holds::Dicts, PyValue::List(vec![dict()]), true),
            (Holds::Dicts, PyValue::List(vec![PyValue::None]), false),
            (Holds::Dicts, dict(), false),
            (Holds::Texts, PyValue::Tuple(vec!["a".into()]), true),
            (Holds::Texts, PyValue::List(vec![PyValue::Int(1)]), false),
            (Holds::Anything, PyValue::None, true),
        ];
        for (kind, value, is_held) in table {
            assert_eq!(holds(kind, &value), is_held, "{kind:?} {value:?}");
        }
    }
}
