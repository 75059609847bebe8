//! Fetching: every rule that a request keeps on its way to a page.

mod client;
mod cookies;
mod encoding;
mod exchange;
mod hop;
mod post;
mod proxies;
mod retry_after;
mod robots_cache;
mod robots_txt;
mod stored;
mod trail;

use std::{borrow::Cow, sync::Arc, time::Duration};

use reqwest::{Client, header::HeaderMap};
use tokio::time::{Instant, sleep, timeout};
use url::{Host, Url};

use self::{
    client::Clients,
    cookies::Jar,
    exchange::{Answer, Exchange},
    robots_cache::RobotsCache,
};
pub use self::{
    post::Post,
    trail::{Known, Trail},
};
pub use crate::store::{ResponseStore, Storing};
use crate::{
    address::{AllowPrivate, ResolvesToPrivate, is_private_host, resolve},
    config::{ProxyUse, ScrapeConfig},
    error::{Error, FetchError, Phase},
    hosts::{Hosts, Lines},
    page::{Page, Request},
    politeness::{Limiter, MAX_WAITED, host_of},
    proxies::{Choice, Fleet, Health, Proxy, ProxyPool, Reach, Rules, Served, way},
    robots,
};

/// Tries after the first one, for what passes: a connection refused, a 5xx, a cut answer.
const EXTRA_TRIES: u32 = 2;
/// The first wait before another try is up to this long, the next one up to twice as long.
const BACKOFF: Duration = Duration::from_millis(500);
/// How long a host is left alone after a 429 that does not say.
const DEFAULT_HOLD: Duration = Duration::from_secs(30);
/// As much of a header as an error shows.
const MAX_SHOWN: usize = 80;
/// How long a name is looked up that a proxy will look up again.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(2);
/// A longer URL is a mistake or an attack.
const MAX_URL_BYTES: usize = 8_192;

/// Fetches pages politely; clones share connections, pace and what robots.txt said.
///
/// One request at a time to a host in each `scrape.min_interval`, robots.txt obeyed, private
/// addresses refused, time and size bounded.
#[derive(Clone, Debug)]
pub struct Fetcher {
    inner: Arc<Inner>,
    proxies: Arc<ProxyPool>,
    /// The turn at the proxies that a run of a source keeps, for its cookies; others go round.
    turn: Option<usize>,
    /// The cookies of the run of a source; without a run each fetch has its own.
    cookies: Option<Arc<Jar>>,
    /// What the run of a source asks for, where that is of account.
    trail: Option<Arc<Trail>>,
    shared: Shared,
}

/// What all processes share; each is a help, without which this process goes on alone.
#[derive(Clone, Debug, Default)]
struct Shared {
    store: Option<Arc<dyn ResponseStore>>,
    hosts: Option<Arc<dyn Hosts>>,
    proxies: Option<Arc<dyn Fleet>>,
}

#[derive(Debug)]
struct Inner {
    clients: Clients,
    limiter: Limiter,
    lines: Lines,
    robots: RobotsCache,
    allow_private: AllowPrivate,
    proxy_rules: Rules,
    proxy_health: Health,
    proxies: ProxyUse,
    product: String,
    min_interval: Duration,
    request_timeout: Duration,
    source_timeout: Duration,
    max_body_bytes: usize,
    max_redirects: usize,
    allow_downgrade: bool,
    obey_robots: bool,
    concurrent_per_host: u32,
}

impl Fetcher {
    /// Returns a fetcher with these settings; nothing is connected to yet.
    ///
    /// # Errors
    ///
    /// The system has no usable root certificates, or the user agent cannot be sent.
    pub fn new(config: &ScrapeConfig) -> Result<Self, Error> {
        let inner = Inner {
            clients: Clients::new(config)?,
            limiter: Limiter::default(),
            lines: Lines::default(),
            robots: RobotsCache::default(),
            allow_private: AllowPrivate::new(&config.allow_private),
            proxy_rules: Rules::new(&config.allow_private_proxies),
            proxy_health: Health::default(),
            proxies: config.proxies,
            product: robots::product_token(&config.user_agent).to_owned(),
            min_interval: config.min_interval,
            request_timeout: config.request_timeout,
            source_timeout: config.source_timeout,
            max_body_bytes: config.max_body_bytes,
            max_redirects: config.max_redirects,
            allow_downgrade: config.allow_downgrade,
            obey_robots: config.obey_robots,
            concurrent_per_host: config.concurrent_per_host,
        };
        let (proxies, shared) = (Arc::default(), Shared::default());
        let (turn, cookies, trail) = (None, None, None);
        Ok(Self { inner: Arc::new(inner), proxies, turn, cookies, trail, shared })
    }

    /// Returns this fetcher, sending each try that names no proxy through one of these in turn.
    ///
    /// One that fails for a host is left out there for a while. Without proxies it sends directly,
    /// and so it does when none serves the host, unless `scrape.proxies` requires one. Pace and
    /// what robots.txt said stay shared.
    #[must_use]
    pub fn through(&self, proxies: Vec<Proxy>) -> Self {
        Self { proxies: Arc::new(ProxyPool::new(proxies)), ..self.clone() }
    }

    /// Returns this fetcher, keeping answers here that may be used again: by it, and by all who
    /// share the store. robots.txt is kept there too.
    #[must_use]
    pub fn with_store(&self, store: Arc<dyn ResponseStore>) -> Self {
        let shared = Shared { store: Some(store), ..self.shared.clone() };
        Self { shared, ..self.clone() }
    }

    /// Returns this fetcher, keeping hosts' pace with all who share it, beside its own.
    #[must_use]
    pub fn with_hosts(&self, hosts: Arc<dyn Hosts>) -> Self {
        let shared = Shared { hosts: Some(hosts), ..self.shared.clone() };
        Self { shared, ..self.clone() }
    }

    /// Returns this fetcher, sharing with all what is known of proxies.
    #[must_use]
    pub fn with_fleet(&self, fleet: Arc<dyn Fleet>) -> Self {
        let shared = Shared { proxies: Some(fleet), ..self.shared.clone() };
        Self { shared, ..self.clone() }
    }

    /// Returns this fetcher for one run of a source: its pages share their cookies, which are
    /// stored nowhere and gone with it, and their proxy as long as it serves.
    #[must_use]
    pub fn for_source(&self) -> Self {
        let turn = Some(self.proxies.turn());
        Self { cookies: Some(Arc::default()), turn, ..self.clone() }
    }

    /// Returns this fetcher for a run of a source that leaves a trail: where all that it asks for
    /// is what the trail knows, a fetch ends with [`FetchError::Unchanged`].
    #[must_use]
    pub fn on(&self, trail: Arc<Trail>) -> Self {
        Self { trail: Some(trail), ..self.clone() }
    }

    /// Fetches a page, redirects followed.
    ///
    /// What passes by itself is tried again twice within the time that the request has; a host that
    /// asks to be left alone for longer than that ends the fetch at once.
    ///
    /// # Errors
    ///
    /// Whatever is not a complete answer with a status of success and the kind asked for. The
    /// variants say what to do; [`FetchError::class`] sums it up.
    ///
    /// # Cancel safety
    ///
    /// May be dropped at any point: the connection is closed and a turn at the host is lost.
    pub async fn get(&self, request: &Request) -> Result<Page, FetchError> {
        let page = self.fetch(request).await?;
        if let Some(kept) = &page.kept
            && let Some(packed) = kept.packed(&page.bytes)
        {
            kept.keep(packed).await;
        }
        Ok(page)
    }

    /// As [`Fetcher::get`], for a reader who keeps a new answer once it is believed.
    pub(crate) async fn fetch(&self, request: &Request) -> Result<Page, FetchError> {
        let deadline =
            request.deadline.unwrap_or_else(|| Instant::now() + self.inner.source_timeout);
        let cookies = self.cookies.clone().unwrap_or_default();
        let mut tries = 0;
        loop {
            let sent = self.with_proxy(request).await?;
            let begun = Instant::now();
            let (shared, trail) = (&self.shared, self.trail.as_deref());
            let of = Try { request: &sent, deadline, cookies: &cookies, shared, trail };
            let got = self.inner.follow(of).await;
            self.note_proxy(&sent, &got, begun).await;
            let error = match got {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            // Another proxy of the pool may serve.
            let is_proxys = matches!(error, FetchError::Proxy { .. }) && request.proxy.is_none();
            let wait = wait_before_another_try(&error, tries);
            let in_time = wait <= MAX_WAITED && Instant::now() + wait < deadline;
            let may_pass = error.is_worth_another_try() || is_proxys;
            if tries == EXTRA_TRIES || !in_time || !may_pass {
                return Err(error);
            }
            tries += 1;
            tracing::debug!(%error, tries, "fetch tried again");
            // A held host is waited for by its limiter, which knows the exact end.
            if !matches!(error, FetchError::RateLimited { .. }) {
                sleep(wait).await;
            }
        }
    }

    /// Names a proxy of the pool in a request that names none.
    async fn with_proxy<'a>(&self, request: &'a Request) -> Result<Cow<'a, Request>, FetchError> {
        let proxies = self.proxies.all();
        let unused = proxies.is_empty() || self.inner.proxies == ProxyUse::Off;
        if unused || request.proxy.is_some() {
            return Ok(Cow::Borrowed(request));
        }
        let (host, turn) =
            (host_of(&request.url), self.turn.unwrap_or_else(|| self.proxies.turn()));
        match self.chosen(proxies, turn, &host).await {
            Some(proxy) => Ok(Cow::Owned(request.clone().proxy(Some(proxy.clone())))),
            None if self.inner.proxies == ProxyUse::Required => Err(FetchError::NoProxy { host }),
            None => Ok(Cow::Borrowed(request)),
        }
    }

    /// Returns the proxy whose turn it is, by what all processes know. One that failed is tried by
    /// one of them.
    async fn chosen<'p>(&self, proxies: &'p [Proxy], turn: usize, host: &str) -> Option<&'p Proxy> {
        let (health, fleet) = (&self.inner.proxy_health, &self.shared.proxies);
        if let Some(fleet) = fleet.as_ref().filter(|_| health.is_to_hear(Instant::now())) {
            health.hear(fleet.resting().await, Instant::now());
        }
        for _ in 0..proxies.len() {
            let Choice { proxy, is_probe } = health.choose(proxies, turn, host, Instant::now())?;
            match fleet {
                // Another process tries it: here it rests for now.
                Some(fleet) if is_probe && !fleet.claim(&way(proxy, host)).await => {}
                _ => return Some(proxy),
            }
        }
        None
    }

    /// Notes whether the proxy brought the host's own answer.
    async fn note_proxy(&self, sent: &Request, got: &Result<Page, FetchError>, begun: Instant) {
        let Some(proxy) = &sent.proxy else { return };
        let served = match got {
            Err(FetchError::Timeout { phase: Phase::Turn, .. }) => return,
            Err(
                FetchError::Proxy { .. }
                | FetchError::Connect { .. }
                | FetchError::CutOff { .. }
                | FetchError::Timeout { .. },
            ) => Served::No,
            _ => Served::Yes(begun.elapsed()),
        };
        let (host, health) = (host_of(&sent.url), &self.inner.proxy_health);
        let was_failing = health.fails(proxy, &host);
        let rest = health.note(proxy, &host, served, Instant::now());
        if let Some(fleet) = self.shared.proxies.as_ref().filter(|_| was_failing || rest.is_some())
        {
            fleet.note(&way(proxy, &host), rest).await;
        }
    }

    /// Returns how long a source may take.
    pub(crate) fn patience(&self) -> Duration {
        self.inner.source_timeout
    }

    /// Returns which proxies may be used.
    pub(crate) fn proxy_rules(&self) -> &Rules {
        &self.inner.proxy_rules
    }
}

/// Returns how long to wait: what the host said, or else full jitter under a bound that doubles.
fn wait_before_another_try(error: &FetchError, tries: u32) -> Duration {
    match error {
        FetchError::RateLimited { retry_after, .. }
        | FetchError::Status { retry_after: Some(retry_after), .. } => *retry_after,
        _ => (BACKOFF * 2u32.pow(tries)).mul_f64(fastrand::f64()),
    }
}

/// What is the same for all requests of one try.
#[derive(Clone, Copy, Debug)]
struct Try<'a> {
    request: &'a Request,
    deadline: Instant,
    cookies: &'a Jar,
    shared: &'a Shared,
    trail: Option<&'a Trail>,
}

impl Inner {
    /// Returns the client for this URL, or why nothing may be sent to it.
    async fn client_for(&self, url: &Url, request: &Request) -> Result<Client, FetchError> {
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(FetchError::BadUrl { reason: "it is too long".to_owned() });
        }
        let (true, Some(host)) = (matches!(url.scheme(), "http" | "https"), url.host()) else {
            let reason = format!("`{}` is not http or https", url.scheme());
            return Err(FetchError::BadUrl { reason });
        };
        let host = host.to_owned();
        let allowed = self.allow_private.permits(&host, url.port_or_known_default().unwrap_or(0));
        if !allowed && is_private_host(&host) {
            return Err(FetchError::PrivateAddress { host: host_of(url) });
        }
        match &request.proxy {
            Some(proxy) => self.client_through(proxy, url, allowed).await,
            None if allowed => Ok(self.clients.private().clone()),
            None => Ok(self.clients.public().clone()),
        }
    }

    /// Returns the client that reaches this URL through a proxy, or why it may not be used.
    ///
    /// The proxy resolves the URL's name, in its own network. That of a public proxy is none of
    /// ours. A permitted private proxy stands in ours and could be sent inside by a page, so that
    /// a name which resolves, here and now, to private addresses only is refused. Where the proxy
    /// resolves it to something else, the proxy's own rules must hold.
    async fn client_through(
        &self,
        proxy: &Proxy,
        url: &Url,
        allowed: bool,
    ) -> Result<Client, FetchError> {
        let failed = |reason: String| FetchError::Proxy {
            host: host_of(url),
            proxy: proxy.to_string(),
            reason,
        };
        let reach = self.proxy_rules.judge(proxy).map_err(|why| failed(why.to_string()))?;
        if reach == Reach::Anywhere && !allowed && leads_inside(url).await {
            return Err(FetchError::PrivateAddress { host: host_of(url) });
        }
        let client = self.clients.through(proxy, reach);
        client.map_err(|error| failed(error.without_url().to_string()))
    }

    /// Returns where a redirect leads; from https to http only by `scrape.allow_downgrade`.
    fn next_url(&self, from: &Url, location: &str) -> Result<Url, FetchError> {
        let to = next_url(from, location)?;
        if from.scheme() == "https" && to.scheme() == "http" && !self.allow_downgrade {
            return Err(FetchError::Downgrade { host: host_of(from) });
        }
        Ok(to)
    }

    fn exchange<'a>(&self, client: &'a Client, url: &'a Url, of: Try<'a>) -> Exchange<'a> {
        Exchange {
            client,
            proxy: of.request.proxy.as_ref(),
            url,
            json: of.request.json.as_ref(),
            kind: of.request.kind,
            cookies: of.cookies,
            condition: HeaderMap::new(),
            until: self.until(of),
            key: Default::default(),
        }
    }

    /// Returns until when an exchange that begins now has to be complete.
    fn until(&self, of: Try<'_>) -> Instant {
        of.deadline.min(Instant::now() + self.request_timeout)
    }
}

fn check_status(url: &Url, answer: &Answer) -> Result<(), FetchError> {
    let (host, status) = (host_of(url), answer.status.as_u16());
    let retry_after = answer.retry_after;
    if let Some(sign) = answer.sign.filter(|_| status != 429) {
        return Err(FetchError::Challenge { host, sign });
    }
    Err(match status {
        206 => FetchError::Part { host },
        200..=299 => return Ok(()),
        404 | 410 => FetchError::NotFound { host, status },
        401 | 403 => FetchError::Blocked { host, status },
        429 => FetchError::RateLimited { host, retry_after: retry_after.unwrap_or(DEFAULT_HOLD) },
        _ => FetchError::Status { host, status, retry_after },
    })
}

/// Tells whether the URL's name resolves to private addresses only, as far as that is known here.
async fn leads_inside(url: &Url) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let found = timeout(RESOLVE_PATIENCE, resolve(name, 0, false)).await;
    matches!(found, Ok(Err(error)) if error.is::<ResolvesToPrivate>())
}

fn next_url(from: &Url, location: &str) -> Result<Url, FetchError> {
    from.join(location).map_err(|error| FetchError::BadUrl {
        reason: format!("redirect from `{}`: {error}", host_of(from)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::scrape_config;

    #[test]
    fn a_redirect_leads_from_https_to_http_only_by_setting() {
        let check = |allow_downgrade, from: &str, to: &str, expect: Result<&str, FetchError>| {
            let config = ScrapeConfig { allow_downgrade, ..scrape_config() };
            let fetcher = Fetcher::new(&config).unwrap();
            let next = fetcher.inner.next_url(&Url::parse(from).unwrap(), to);
            assert_eq!(next.as_ref().map(Url::as_str), expect.as_ref().copied(), "{from} {to}");
        };
        let refused = || Err(FetchError::Downgrade { host: "a.example".to_owned() });
        check(false, "https://a.example/", "http://a.example/x", refused());
        check(false, "https://a.example/", "HTTP://b.example/x", refused());
        check(true, "https://a.example/", "http://b.example/x", Ok("http://b.example/x"));
        check(false, "https://a.example/", "//b.example/x", Ok("https://b.example/x"));
        check(false, "http://a.example/", "https://a.example/", Ok("https://a.example/"));
        check(false, "http://a.example/", "/x", Ok("http://a.example/x"));
    }
}
