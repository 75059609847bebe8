//! One hop of a fetch: a kept answer, or a turn at the host and an exchange with it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{
    StatusCode,
    header::{CONTENT_LANGUAGE, CONTENT_TYPE},
};
use rhubarb_core::clock;
use tokio::time::Instant;
use url::Url;

use super::{
    DEFAULT_HOLD, Inner, MAX_SHOWN, Try, check_status,
    exchange::{Answer, Exchange, QUICK_BYTES},
    stored::{Stored, Use},
    trail,
};
use crate::{
    blocked::Sign,
    error::{FetchError, Phase},
    hosts::{Held, Pace, RequestEnd, Why},
    page::{Fetched, Page, essence},
    politeness::{MAX_WAITED, TooLate, host_of},
    store::Kept,
};

/// Where a hop leads.
enum Hop {
    Page(Page),
    To(Url),
}

impl Inner {
    /// Follows redirects to a page.
    pub(super) async fn follow(&self, of: Try<'_>) -> Result<Page, FetchError> {
        let mut url = of.request.url.clone();
        for _ in 0..=self.max_redirects {
            match self.hop(&url, of).await? {
                Hop::Page(page) => return Ok(page),
                Hop::To(next) => url = next,
            }
        }
        Err(FetchError::TooManyRedirects { host: host_of(&url), limit: self.max_redirects })
    }

    async fn hop(&self, url: &Url, of: Try<'_>) -> Result<Hop, FetchError> {
        let client = self.client_for(url, of.request).await?;
        let interval = self.permitted_interval(url, of).await?;
        let mut exchange = self.exchange(&client, url, of);
        let kept = match kept(&exchange, of).await {
            Some((Use::Fresh, kept)) => {
                noted(&exchange, of, &kept)?;
                let place = place(&exchange, of, None);
                return as_page(&exchange, kept, place, Fetched::Fresh).map(Hop::Page);
            }
            Some((Use::Ask(condition), kept)) => {
                exchange.condition = condition;
                Some(kept)
            }
            Some((Use::Not, _)) | None => None,
        };
        let held = self.turn(url, interval, of).await?;
        exchange.until = self.until(of);
        let mut ended = RequestEnd::default();
        let got = self.ask(&exchange, kept, of, &mut ended).await;
        ended.serves = serves(&got, &exchange);
        held.end(ended).await;
        got
    }

    /// Asks the host, and notes how it answered.
    async fn ask(
        &self,
        exchange: &Exchange<'_>,
        kept: Option<Stored>,
        of: Try<'_>,
        ended: &mut RequestEnd,
    ) -> Result<Hop, FetchError> {
        let answer = self.send(exchange, ended).await?;
        if let Some(location) = &answer.location {
            return self.next_url(exchange.url, location).map(Hop::To);
        }
        if let (StatusCode::NOT_MODIFIED, Some(kept)) = (answer.status, kept) {
            let kept = kept.renewed(&answer.headers, now());
            noted(exchange, of, &kept)?;
            save(exchange.key().to_owned(), of, kept.clone()).await;
            let place = place(exchange, of, None);
            return as_page(exchange, kept, place, Fetched::NotModified).map(Hop::Page);
        }
        check_status(exchange.url, &answer)?;
        self.page(exchange, answer, of).await.map(Hop::Page)
    }

    /// Sends the request, and notes the host's latency and its wish to be left alone.
    pub(super) async fn send(
        &self,
        exchange: &Exchange<'_>,
        ended: &mut RequestEnd,
    ) -> Result<Answer, FetchError> {
        let begun = Instant::now();
        let answer = exchange.send().await;
        ended.latency = Some(begun.elapsed());
        if let Ok(answer) = &answer {
            ended.hold = self.heed(exchange.url, answer);
        }
        answer
    }

    /// Reads the page out of an answer of success.
    async fn page(
        &self,
        exchange: &Exchange<'_>,
        mut answer: Answer,
        of: Try<'_>,
    ) -> Result<Page, FetchError> {
        let (url, status) = (exchange.url, answer.status.as_u16());
        let (content_type, language) = (answer.content_type.take(), answer.language.take());
        let headers = std::mem::take(&mut answer.headers);
        let limit = self.max_body_bytes;
        let (bytes, more) = exchange.read(answer, limit).await?;
        if more {
            return Err(FetchError::TooLarge { host: host_of(url), limit });
        }
        let (kept, fetched) = (place(exchange, of, None), Fetched::Full);
        let page = Page { url: url.clone(), status, content_type, language, bytes, fetched, kept };
        let page = admitted(exchange, page)?;
        tracing::debug!(host = host_of(url), bytes = page.bytes.len(), "page fetched");
        let is_kept = status == 200 && (of.shared.store.is_some() || of.trail.is_some());
        let mut stored =
            is_kept.then(|| Stored::new(exchange, &headers, page.bytes.clone(), now())).flatten();
        if let Some(trail) = of.trail {
            let bytes = page.bytes.clone();
            let digest = apart(bytes.len(), move || trail::digest(&bytes)).await;
            let Some(digest) = digest else { return Ok(page) };
            let step = trail.came(exchange.key().to_owned(), digest, stored);
            if step.is_known {
                return Err(FetchError::Unchanged { host: host_of(url) });
            }
            if let Some((key, first)) = step.first {
                save(key, of, first).await;
            }
            stored = step.own;
        }
        let head = stored.and_then(|stored| stored.head.encode());
        Ok(match head {
            Some(head) => Page { kept: place(exchange, of, Some(head)), ..page },
            None => page,
        })
    }

    /// Waits for the host's turn: in this process first, then in the fleet.
    pub(super) async fn turn(
        &self,
        url: &Url,
        interval: Duration,
        of: Try<'_>,
    ) -> Result<Held, FetchError> {
        let host = host_of(url);
        let busy = |host| FetchError::Timeout { host, phase: Phase::Turn };
        match self.limiter.turn(&host, interval, of.deadline).await {
            Ok(()) => {}
            Err(TooLate::Held(retry_after)) => {
                return Err(FetchError::RateLimited { host, retry_after });
            }
            Err(TooLate::Busy) => return Err(busy(host)),
        }
        let Some(hosts) = &of.shared.hosts else { return Ok(Held::default()) };
        let lease = self.request_timeout;
        let pace = Pace { interval, in_flight: self.concurrent_per_host, lease };
        let taken = Held::take((hosts, &self.lines), &host, pace, of.deadline, MAX_WAITED).await;
        taken.map_err(|(why, retry_after)| match why {
            Why::Held => {
                self.limiter.hold(&host, retry_after);
                FetchError::RateLimited { host, retry_after }
            }
            Why::Resting => FetchError::Resting { host, retry_after },
            Why::Pace | Why::Busy => busy(host),
        })
    }

    /// Leaves the host alone when it asks for that, and returns for how long.
    fn heed(&self, url: &Url, answer: &Answer) -> Duration {
        let wait = match (answer.status, answer.retry_after) {
            (StatusCode::TOO_MANY_REQUESTS, said) => said.unwrap_or(DEFAULT_HOLD),
            (StatusCode::SERVICE_UNAVAILABLE, Some(said)) => said,
            _ => return Duration::ZERO,
        };
        let host = host_of(url);
        tracing::warn!(host, seconds = wait.as_secs(), "host asks to be left alone");
        self.limiter.hold(&host, wait);
        wait
    }
}

/// Tells whether the host serves, by what became of a request; through a proxy a failure may be
/// the proxy's.
pub(super) fn serves<T>(got: &Result<T, FetchError>, exchange: &Exchange<'_>) -> Option<bool> {
    let failed = exchange.proxy.is_none().then_some(false);
    match got {
        Err(
            FetchError::Timeout { .. } | FetchError::Connect { .. } | FetchError::CutOff { .. },
        ) => failed,
        Err(FetchError::Status { status: 503, retry_after: Some(_), .. }) => None,
        Err(FetchError::Status { status: 500.., .. } | FetchError::RobotsUnreachable { .. }) => {
            failed
        }
        Err(
            FetchError::RateLimited { .. }
            | FetchError::Proxy { .. }
            | FetchError::PrivateAddress { .. }
            | FetchError::BadUrl { .. },
        ) => None,
        _ => Some(true),
    }
}

fn now() -> SystemTime {
    let since_1970 = u64::try_from(clock::now().as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since_1970)
}

/// Returns what is kept of the answer to this exchange, and what may be done with it.
async fn kept(exchange: &Exchange<'_>, of: Try<'_>) -> Option<(Use, Stored)> {
    if let Some(known) = of.trail.and_then(|trail| trail.known(exchange.key())) {
        return Some((known.judge(exchange, now()), known));
    }
    let bytes = of.shared.store.as_ref()?.load(exchange.key()).await?;
    let kept = apart(bytes.len(), move || Stored::decode(&bytes)).await??;
    Some((kept.judge(exchange, now()), kept))
}

/// Notes a kept answer that holds, and ends the fetch where a trail knows it: its body is at
/// nobody's hand then.
fn noted(exchange: &Exchange<'_>, of: Try<'_>, kept: &Stored) -> Result<(), FetchError> {
    let Some(trail) = of.trail else { return Ok(()) };
    if trail.holds(exchange.key(), kept) {
        return Err(FetchError::Unchanged { host: host_of(exchange.url) });
    }
    trail.came(exchange.key().to_owned(), trail::digest(&kept.body), None);
    Ok(())
}

async fn save(key: String, of: Try<'_>, stored: Stored) {
    let Some(store) = &of.shared.store else { return };
    if let Some(Some(bytes)) = apart(stored.body.len(), move || stored.encode()).await {
        store.save(&key, bytes).await;
    }
}

/// Returns where the answer to this exchange is kept, or is to be kept behind this head.
fn place(exchange: &Exchange<'_>, of: Try<'_>, head: Option<Vec<u8>>) -> Option<Kept> {
    let store = Arc::clone(of.shared.store.as_ref()?);
    Some(Kept { store, key: exchange.key().to_owned(), head })
}

/// Runs what takes milliseconds for a large page off the runtime's threads; for a small one a
/// change of threads would cost as much.
async fn apart<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    if bytes <= QUICK_BYTES {
        return Some(work());
    }
    tokio::task::spawn_blocking(work).await.ok()
}

fn as_page(
    exchange: &Exchange<'_>,
    stored: Stored,
    kept: Option<Kept>,
    fetched: Fetched,
) -> Result<Page, FetchError> {
    let page = Page {
        url: exchange.url.clone(),
        status: 200,
        content_type: stored.header(&CONTENT_TYPE),
        language: stored.header(&CONTENT_LANGUAGE),
        bytes: stored.body,
        fetched,
        kept,
    };
    admitted(exchange, page)
}

/// Returns the page, if it is of the kind that was asked for.
fn admitted(exchange: &Exchange<'_>, page: Page) -> Result<Page, FetchError> {
    if exchange.kind.admits(page.content_type.as_deref(), &page.bytes) {
        return Ok(page);
    }
    if let Some(sign) = Sign::of_body(&page.bytes, exchange.url) {
        return Err(FetchError::Challenge { host: host_of(exchange.url), sign });
    }
    Err(FetchError::UnexpectedType {
        host: host_of(exchange.url),
        expected: exchange.kind.name(),
        found: essence(page.content_type.as_deref()).chars().take(MAX_SHOWN).collect(),
    })
}
