//! The proxy list: from its cache, or fetched, checked and stored.

use std::{collections::HashSet, time::Duration};

use futures_util::{StreamExt, stream};
use rhubarb_cache::ProxyList;
use rhubarb_scrape::proxies::{Proxy, fetch_list};
use tokio::{net::TcpStream, time::timeout};
use url::Url;

use super::Scraping;
use crate::TaskError;

/// As many proxies as are checked; public lists have tens of thousands, most of them dead.
const MAX_CHECKED: usize = 500;
/// Proxies checked at once.
const CHECKED_AT_ONCE: usize = 32;
/// How long a scrape that must have proxies waits for some.
const WITHOUT_PROXIES: Duration = Duration::from_secs(300);

/// A refreshed list.
#[derive(Debug, Default)]
pub(super) struct Refreshed {
    /// The proxies that answer, in the lists' order.
    pub(super) usable: Vec<Proxy>,
    /// How many the lists named.
    pub(super) listed: usize,
}

/// Returns the proxies of the cache, or refreshes them.
///
/// # Errors
///
/// A retry in 300 s when proxies are required and there are none.
pub(super) async fn at_hand(scraping: &Scraping) -> Result<Vec<Proxy>, TaskError> {
    let config = &scraping.0.config;
    if config.proxy_lists.is_empty() && !config.proxies_required {
        return Ok(Vec::new());
    }
    let cached = scraping.0.caches.proxies().read().await?.unwrap_or_default();
    let mut proxies: Vec<Proxy> = cached.0.iter().filter_map(|url| url.parse().ok()).collect();
    if proxies.is_empty() {
        proxies = refresh(scraping).await?.usable;
    }
    if proxies.is_empty() && config.proxies_required {
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
    let mut listed = Vec::new();
    let mut fetched = inner.config.proxy_lists.is_empty();
    for address in &inner.config.proxy_lists {
        let url: Url = address.expose().parse()?;
        match fetch_list(&inner.scraper.fetcher, &url).await {
            Ok(list) => {
                fetched = true;
                listed.extend(list.proxies);
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
    listed.retain(|proxy: &Proxy| seen.insert(proxy.clone()));
    let n_listed = listed.len();
    let usable = answering(listed, inner.config.connect_timeout).await;
    let urls = ProxyList(usable.iter().map(|proxy| proxy.expose().to_string()).collect());
    inner.caches.proxies().write(&urls).await?;
    Ok(Refreshed { usable, listed: n_listed })
}

async fn answering(proxies: Vec<Proxy>, patience: Duration) -> Vec<Proxy> {
    let checks = proxies.into_iter().take(MAX_CHECKED).map(|proxy| async move {
        let address = address(&proxy)?;
        let connected = timeout(patience, TcpStream::connect(address)).await;
        matches!(connected, Ok(Ok(_))).then_some(proxy)
    });
    stream::iter(checks).buffered(CHECKED_AT_ONCE).filter_map(std::future::ready).collect().await
}

fn address(proxy: &Proxy) -> Option<(String, u16)> {
    let url = proxy.expose();
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    Some((host, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_proxies_that_accept_a_connection_are_usable() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = [&open, &closed].map(|listener| listener.local_addr().unwrap().port());
        drop(closed);
        let proxies = ports.map(|port| format!("127.0.0.1:{port}").parse().unwrap());
        let usable = answering(proxies.to_vec(), Duration::from_secs(5)).await;
        assert_eq!(usable, proxies[..1]);
    }

    #[test]
    fn a_proxys_address_is_its_host_and_port() {
        let check = |proxy: &str, host: &str, port| {
            assert_eq!(address(&proxy.parse().unwrap()), Some((host.to_owned(), port)));
        };
        check("198.51.100.7:80", "198.51.100.7", 80);
        check("socks5://me:pw@proxy.example.com:1080", "proxy.example.com", 1080);
        check("[2001:db8::1]:8080", "2001:db8::1", 8080);
    }
}
