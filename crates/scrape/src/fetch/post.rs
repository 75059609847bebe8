//! Telling an address of the configuration: no page, so that robots.txt and paces rule nothing.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::Fetcher;
use crate::{error::FetchError, page::Request, politeness::host_of};

/// A message to an address.
#[derive(Clone, Debug)]
pub struct Post<'a> {
    /// The address. Only its host is ever told: the rest is often the secret itself.
    pub url: &'a Url,
    /// More headers, by their names in small letters.
    pub headers: &'a [(&'static str, String)],
    /// JSON.
    pub body: Vec<u8>,
    /// How long it may take.
    pub within: Duration,
}

impl Fetcher {
    /// Posts JSON once and returns the status; nothing of the answer is read, and a redirect is not
    /// followed.
    ///
    /// # Errors
    /// A private address that `scrape.allow_private` does not name, by its text or by what its name
    /// resolves to; whatever keeps an answer from coming, in a sentence with the host alone.
    pub async fn post(&self, post: Post<'_>) -> Result<u16, String> {
        let told = |error: FetchError| error.to_string();
        let request = Request::get(post.url.clone());
        let client = self.inner.client_for(post.url, &request).await.map_err(told)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in post.headers {
            let value = HeaderValue::from_str(value).map_err(|_| format!("header {name}"))?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let request = client.post(post.url.clone()).headers(headers).body(post.body);
        match request.timeout(post.within).send().await {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => Err(why(&error, &host_of(post.url))),
        }
    }
}

/// Says what kept an answer from coming, without the address.
fn why(error: &reqwest::Error, host: &str) -> String {
    if super::exchange::resolves_to_private(error) {
        return FetchError::PrivateAddress { host: host.to_owned() }.to_string();
    }
    match error {
        error if error.is_timeout() => format!("`{host}` does not answer in time"),
        error if error.is_connect() => format!("`{host}` cannot be connected to"),
        _ => format!("`{host}` cut the connection"),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::ScrapeConfig;

    use super::*;

    async fn refused(url: &str, allowed: &[&str]) -> String {
        let allow_private = allowed.iter().map(|&host| host.to_owned()).collect();
        let config = ScrapeConfig { allow_private, ..ScrapeConfig::default() };
        let fetcher = Fetcher::new(&config).unwrap();
        let url: Url = url.parse().unwrap();
        let within = Duration::from_secs(5);
        fetcher.post(Post { url: &url, headers: &[], body: Vec::new(), within }).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_private_address_is_told_nothing_and_a_failure_names_the_host_alone() {
        for url in
            ["http://127.0.0.1:9/secret", "http://localhost:9/secret", "http://10.0.0.1/secret"]
        {
            let told = refused(url, &[]).await;
            assert!(told.contains("private") && !told.contains("secret"), "{told}");
        }
        let told = refused("http://127.0.0.1:9/secret", &["127.0.0.1:9"]).await;
        assert_eq!(told, "`127.0.0.1:9` cannot be connected to");
        assert!(refused("ftp://a.test/secret", &[]).await.contains("is not http"));
    }
}
