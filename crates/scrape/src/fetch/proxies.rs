//! What a fetcher does with proxies beside fetching through them: lists got, proxies tried.

use std::time::Duration;

use url::Url;

use super::Fetcher;
use crate::{
    error::FetchError,
    page::{Page, Request},
    proxies::{Proxy, ProxyList, parse_list},
};

impl Fetcher {
    /// Fetches a list and returns its proxies.
    ///
    /// A proxy that may not be used (see [`Fetcher::permitted`]) is refused as a line is.
    ///
    /// # Errors
    ///
    /// Those of [`Fetcher::get`].
    pub async fn proxy_list(&self, url: &Url) -> Result<ProxyList, FetchError> {
        let page = self.get(&Request::get(url.clone())).await?;
        let list = parse_list(&page.text());
        let before = list.proxies.len();
        let proxies = self.permitted(list.proxies);
        Ok(ProxyList { refused: list.refused + before - proxies.len(), proxies })
    }

    /// Returns those of the proxies that may be used, by their own text.
    ///
    /// Not those in a private network, unless `scrape.allow_private_proxies` has them, nor those at
    /// the port of another service: whoever writes a list must not choose what we talk to.
    pub fn permitted(&self, mut proxies: Vec<Proxy>) -> Vec<Proxy> {
        proxies.retain(|proxy| match self.proxy_rules().judge(proxy) {
            Ok(_) => true,
            Err(reason) => {
                tracing::debug!(%proxy, %reason, "proxy refused");
                false
            }
        });
        proxies
    }

    /// Returns whether the proxy accepts a connection within `patience`.
    ///
    /// Its name is resolved by the rules that hold when it is used.
    pub async fn accepts(&self, proxy: &Proxy, patience: Duration) -> bool {
        self.proxy_rules().accepts(proxy, patience).await
    }

    /// Returns whether the proxy fetches this page.
    ///
    /// The page should be one that is meant for it: it is asked for once by each proxy.
    pub async fn serves(&self, proxy: &Proxy, url: &Url) -> bool {
        let request = Request::get(url.clone()).proxy(Some(proxy.clone()));
        let answer: Result<Page, FetchError> = self.get(&request).await;
        if let Err(error) = &answer {
            tracing::debug!(%proxy, %error, "proxy does not serve");
        }
        answer.is_ok()
    }
}
