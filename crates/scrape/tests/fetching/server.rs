//! A local site that answers with bytes of the test's own, and a fetcher that may ask local sites.

use std::{net::SocketAddr, time::Duration};

use rhubarb_scrape::{
    config::ScrapeConfig,
    error::FetchError,
    fetch::Fetcher,
    page::{Page, Request},
};
pub(crate) use rhubarb_testbed::site::Site;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

/// Answers each connection with these bytes and closes it, until the test's runtime ends.
pub(crate) async fn raw(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            if stream.read(&mut head).await.is_ok() {
                stream.write_all(answer).await.ok();
                stream.shutdown().await.ok();
            }
        }
    });
    address
}

/// Returns the address of a path.
pub(crate) fn url(site: &Site, path: &str) -> Url {
    Url::parse(&site.url(path)).unwrap()
}

/// Returns settings that let a test be quick and fetch from this machine.
pub(crate) fn config() -> ScrapeConfig {
    ScrapeConfig {
        user_agent: "rhubarb-test/0.1 (+https://example.com/bot)".to_owned(),
        min_interval: Duration::from_millis(1),
        connect_timeout: Duration::from_secs(5),
        source_timeout: Duration::from_secs(60),
        max_body_bytes: 64 * 1024,
        allow_private: vec!["127.0.0.1".to_owned()],
        allow_private_proxies: vec!["127.0.0.1".to_owned()],
        concurrent_sources: 1,
        ..ScrapeConfig::default()
    }
}

/// Returns a fetcher with [`config`]'s settings.
pub(crate) fn fetcher() -> Fetcher {
    Fetcher::new(&config()).unwrap()
}

/// Fetches a path of a site once, with a fetcher of its own.
pub(crate) async fn get(site: &Site, path: &str) -> Result<Page, FetchError> {
    fetcher().get(&Request::get(url(site, path))).await
}
