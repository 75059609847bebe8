//! The HTTP clients: one for the Internet, one for allowed private hosts, and one for each proxy in
//! use.

use std::sync::{Arc, Mutex};

use reqwest::{Client, ClientBuilder, redirect};
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::Verifier;

use crate::{
    address,
    config::ScrapeConfig,
    error::Error,
    proxies::{Proxy, Reach},
};

/// Clients kept for proxies; each holds its idle connections, and a client is cheap to make again.
const MAX_PROXY_CLIENTS: usize = 32;

/// Makes and keeps clients; all share one TLS configuration, for the roots are read from disk.
#[derive(Debug)]
pub(super) struct Clients {
    settings: Settings,
    public: Client,
    private: Client,
    /// The last used one last.
    by_proxy: Mutex<Vec<(Proxy, Client)>>,
}

#[derive(Debug)]
struct Settings {
    tls: ClientConfig,
    user_agent: reqwest::header::HeaderValue,
    connect_timeout: std::time::Duration,
    /// As many connections are kept to a host as it is asked at once.
    idle_per_host: usize,
}

impl Clients {
    pub(super) fn new(config: &ScrapeConfig) -> Result<Self, Error> {
        let settings = Settings {
            tls: tls()?,
            user_agent: config.user_agent.parse().map_err(|_| Error::UserAgent)?,
            connect_timeout: config.connect_timeout,
            idle_per_host: config.concurrent_per_host.max(2) as usize,
        };
        let public = settings.builder().dns_resolver(address::public_only());
        let public = public.build().map_err(Error::Client)?;
        let private = settings.builder().build().map_err(Error::Client)?;
        Ok(Self { settings, public, private, by_proxy: Mutex::default() })
    }

    /// Returns the client that connects to public addresses only.
    pub(super) fn public(&self) -> &Client {
        &self.public
    }

    /// Returns the client that connects to any address.
    pub(super) fn private(&self) -> &Client {
        &self.private
    }

    /// Returns the client that sends everything through this proxy, which the rules permit.
    ///
    /// The proxy's own name goes through the resolver that pages' names go through, on each
    /// connection. The pages' names are the proxy's to resolve: socks4 and socks5, which are told
    /// an address, get the name instead.
    pub(super) fn through(&self, proxy: &Proxy, reach: Reach) -> reqwest::Result<Client> {
        let mut kept = self.by_proxy.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let client = match kept.iter().position(|(of, _)| of == proxy) {
            Some(at) => kept.remove(at).1,
            None => {
                let to = reqwest::Proxy::all(resolving_there(proxy))?;
                let builder = match reach {
                    Reach::Public => self.settings.builder().dns_resolver(address::public_only()),
                    Reach::Anywhere => self.settings.builder(),
                };
                builder.proxy(to).build()?
            }
        };
        if kept.len() >= MAX_PROXY_CLIENTS {
            kept.remove(0);
        }
        kept.push((proxy.clone(), client.clone()));
        Ok(client)
    }
}

/// Returns the proxy's URL with the scheme that leaves names to the proxy.
fn resolving_there(proxy: &Proxy) -> String {
    let url = proxy.expose().as_str();
    match url.split_once("://") {
        Some(("socks4", rest)) => format!("socks4a://{rest}"),
        Some(("socks5", rest)) => format!("socks5h://{rest}"),
        _ => url.to_owned(),
    }
}

impl Settings {
    fn builder(&self) -> ClientBuilder {
        Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .user_agent(self.user_agent.clone())
            .connect_timeout(self.connect_timeout)
            // Each hop is checked by us: its scheme, its address, its robots.txt and its turn.
            .redirect(redirect::Policy::none())
            .referer(false)
            // A proxy of the environment would resolve names where no private address is refused.
            .no_proxy()
            .pool_max_idle_per_host(self.idle_per_host)
            // Odd lines of a head are passed over, or taken for what they mean, as browsers do.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
    }
}

/// Returns TLS with the system's roots, by ring, with HTTP/2 offered.
fn tls() -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(Arc::clone(&provider)).map_err(Error::Tls)?;
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(tls)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::scrape_config;

    /// A name that turns private after the check (DNS rebinding) is found at the connection.
    #[tokio::test]
    async fn a_proxys_name_is_resolved_by_the_rules_on_each_connection() {
        let clients = Clients::new(&scrape_config()).unwrap();
        for scheme in ["http", "https", "socks4", "socks4a", "socks5", "socks5h"] {
            let proxy: Proxy = format!("{scheme}://localhost:1").parse().unwrap();
            let client = clients.through(&proxy, Reach::Public).unwrap();
            let error = client.get("http://jobs.example.invalid/").send().await.unwrap_err();
            // The client for SOCKS does not pass the cause on, only its text.
            let shown = format!("{error:?}");
            assert!(shown.contains("ResolvesToPrivate"), "{scheme}: {shown}");
        }
    }
}
