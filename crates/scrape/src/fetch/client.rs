//! The HTTP clients: one for the Internet, one for allowed private hosts, and one for each proxy in use.

use std::sync::{Arc, Mutex};

use reqwest::{Client, ClientBuilder, redirect};
use rhubarb_core::config::ScrapeConfig;
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::Verifier;

use crate::{address, error::Error, proxies::Proxy};

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
}

impl Clients {
    pub(super) fn new(config: &ScrapeConfig) -> Result<Self, Error> {
        let settings = Settings {
            tls: tls()?,
            user_agent: config.user_agent.parse().map_err(|_| Error::UserAgent)?,
            connect_timeout: config.connect_timeout,
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

    /// Returns the client that sends everything through this proxy.
    ///
    /// The proxy's own address is whatever the owner configured. What it connects to is in its
    /// network, not in ours, except with socks4 and socks5, which are told an address: they get the
    /// name instead.
    pub(super) fn through(&self, proxy: &Proxy) -> reqwest::Result<Client> {
        let mut kept = self.by_proxy.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let client = match kept.iter().position(|(of, _)| of == proxy) {
            Some(at) => kept.remove(at).1,
            None => {
                let to = reqwest::Proxy::all(resolving_there(proxy))?;
                self.settings.builder().proxy(to).build()?
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
            .pool_max_idle_per_host(2)
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
