//! The proxy list: from its cache, or fetched, checked and stored.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt, stream};
use rhubarb::TaskError;
use rhubarb_scrape::{
    config::ProxyUse,
    fetch::Fetcher,
    proxies::{Proxy, to_check},
};
use url::Url;

use super::Scraping;
use crate::ProxyList;

/// As many proxies as are kept and used.
const MAX_KEPT: usize = 500;
/// Proxies checked at once.
const CHECKED_AT_ONCE: usize = 32;
/// How long a scrape that must have proxies waits for some.
const WITHOUT_PROXIES: Duration = Duration::from_secs(300);

/// A refreshed list.
#[derive(Debug, Default)]
pub(super) struct Refreshed {
    /// The proxies that answer, in the lists' order.
    pub(super) usable: Vec<Proxy>,
    /// How many the lists named that may be used.
    pub(super) listed: usize,
    /// How many of them were connected to.
    pub(super) checked: usize,
}

/// Returns the proxies of the cache, or refreshes them.
///
/// Whoever can write into the cache is not trusted with our network: an entry that may not be used
/// is left out, and each connection is judged once more.
///
/// # Errors
///
/// A retry in 300 s when proxies are required and there are none.
pub(super) async fn at_hand(scraping: &Scraping) -> Result<Vec<Proxy>, TaskError> {
    let config = &scraping.0.config;
    let required = config.proxies == ProxyUse::Required;
    if config.proxies == ProxyUse::Off || (config.proxy_lists.is_empty() && !required) {
        return Ok(Vec::new());
    }
    let cached = scraping.0.caches.proxies().read().await?.unwrap_or_default();
    let cached = cached.0.iter().filter_map(|url| url.parse().ok()).take(MAX_KEPT);
    let mut proxies = scraping.0.scraper.fetcher.permitted(cached.collect());
    if proxies.is_empty() {
        proxies = refresh(scraping).await?.usable;
    }
    if proxies.is_empty() && required {
        return Err(TaskError::retry(WITHOUT_PROXIES, "proxies are required and none answers"));
    }
    Ok(proxies)
}

/// Fetches the configured lists, keeps the proxies that accept a connection, and stores them.
///
/// When no list could be fetched the stored one is left alone.
///
/// # Errors
///
/// The cache's; a list that cannot be fetched is left out and logged.
pub(super) async fn refresh(scraping: &Scraping) -> Result<Refreshed, TaskError> {
    let inner = &scraping.0;
    let fetcher = &inner.scraper.fetcher;
    let (mut n_listed, mut candidates) = (0, Vec::new());
    let mut fetched = inner.config.proxy_lists.is_empty();
    for address in &inner.config.proxy_lists {
        let url: Url = address.expose().parse()?;
        match fetcher.proxy_list(&url).await {
            Ok(list) => {
                fetched = true;
                let (listed, refused) = (list.proxies.len(), list.refused);
                let chosen = to_check(list.proxies);
                tracing::info!(
                    host = url.host_str(),
                    listed,
                    refused,
                    checked = chosen.len(),
                    "proxy list fetched"
                );
                n_listed += listed;
                candidates.extend(chosen);
            }
            Err(error) => {
                tracing::warn!(host = url.host_str(), %error, "a proxy list was not fetched")
            }
        }
    }
    if !fetched {
        return Err(TaskError::transient("ConnectionError", "no proxy list could be fetched"));
    }
    let mut seen = HashSet::new();
    candidates.retain(|proxy: &Proxy| seen.insert(proxy.clone()));
    let checked = candidates.len();
    let usable = answering(fetcher, candidates, inner.config.connect_timeout).await;
    let urls = ProxyList(usable.iter().map(|proxy| proxy.expose().to_string()).collect());
    inner.caches.proxies().write(&urls).await?;
    Ok(Refreshed { usable, listed: n_listed, checked })
}

async fn answering(fetcher: &Fetcher, proxies: Vec<Proxy>, patience: Duration) -> Vec<Proxy> {
    let checks = proxies
        .into_iter()
        .map(|proxy| async move { fetcher.accepts(&proxy, patience).await.then_some(proxy) });
    stream::iter(checks)
        .buffered(CHECKED_AT_ONCE)
        .filter_map(std::future::ready)
        .take(MAX_KEPT)
        .collect()
        .await
}

#[cfg(test)]
mod tests {
    use rhubarb_scrape::config::ScrapeConfig;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_proxies_that_accept_a_connection_are_usable() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = [&open, &closed].map(|listener| listener.local_addr().unwrap().port());
        drop(closed);
        let proxies = ports.map(|port| format!("127.0.0.1:{port}").parse().unwrap());
        let allowed = vec!["127.0.0.1".to_owned()];
        let config = ScrapeConfig { allow_private_proxies: allowed, ..ScrapeConfig::default() };
        let fetcher = Fetcher::new(&config).unwrap();
        let usable = answering(&fetcher, proxies.to_vec(), Duration::from_secs(5)).await;
        assert_eq!(usable, proxies[..1]);
    }
}
