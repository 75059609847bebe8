//! Fetching robots.txt, and what it means for a page.

use std::time::Duration;

use bytes::Bytes;
use rhubarb_core::clock;
use url::Url;

use super::{Inner, Try, check_status, exchange::Exchange, hop::serves};
use crate::{
    error::FetchError,
    hosts::RequestEnd,
    politeness::host_of,
    robots::{self, Robots},
};

/// Longer pauses that robots.txt asks for are not kept: the source is left out and that is
/// reported.
const MAX_CRAWL_DELAY: Duration = Duration::from_secs(60);
/// RFC 9309, 2.4: a copy is not used for longer than a day. Half of that here, half in the
/// process that has read it.
const MAX_SHARED_AGE: u64 = 12 * 3_600;

/// What an answer to the request for robots.txt says.
enum Told {
    Text(Bytes),
    Elsewhere(Url),
}

impl Inner {
    /// Returns the pause between requests to this host, or why robots.txt lets this page not be
    /// fetched.
    pub(super) async fn permitted_interval(
        &self,
        url: &Url,
        of: Try<'_>,
    ) -> Result<Duration, FetchError> {
        if !self.obey_robots || url.path() == robots::PATH {
            return Ok(self.min_interval);
        }
        let rules = self.robots.get(url, of.deadline, || self.robots_of(url, of)).await?;
        let host = host_of(url);
        if !rules.allows(url) {
            return Err(FetchError::RobotsDisallow { host });
        }
        match rules.crawl_delay() {
            Some(delay) if delay > MAX_CRAWL_DELAY => Err(FetchError::CrawlDelay { host, delay }),
            delay => Ok(self.min_interval.max(delay.unwrap_or_default())),
        }
    }

    /// Returns the rules of the URL's host: as another process has read them, or fetched.
    async fn robots_of(&self, page: &Url, of: Try<'_>) -> Result<Robots, FetchError> {
        let key = format!("robots.txt {}", page.origin().ascii_serialization());
        let now = u64::try_from(clock::now().as_second()).unwrap_or_default();
        if let Some(store) = &of.shared.store
            && let Some(copy) = store.load(&key).await
            && let Some(text) = fresh(&copy, now)
        {
            return Ok(Robots::parse(text, &self.product));
        }
        let text = self.fetch_robots(page, of).await?;
        if let Some(store) = &of.shared.store {
            store.save(&key, [&now.to_le_bytes(), &text[..]].concat()).await;
        }
        Ok(Robots::parse(&text, &self.product))
    }

    /// Fetches robots.txt of the URL's host, redirects followed; empty where all is allowed.
    async fn fetch_robots(&self, page: &Url, of: Try<'_>) -> Result<Bytes, FetchError> {
        let mut url = robots::url_of(page);
        for _ in 0..=robots::MAX_REDIRECTS {
            let client = self.client_for(&url, of.request).await?;
            let place = self.turn(&url, self.min_interval, of).await?;
            let exchange = self.exchange(&client, &url, of);
            let exchange = Exchange { kind: Default::default(), json: None, ..exchange };
            let mut ended = RequestEnd::default();
            let told = self.ask_robots(page, &exchange, &mut ended).await;
            ended.serves = serves(&told, &exchange);
            place.end(ended).await;
            match told? {
                Told::Text(text) => return Ok(text),
                Told::Elsewhere(next) => url = next,
            }
        }
        // RFC 9309, 2.3.1.2: more redirects than that count as no robots.txt at all.
        Ok(Bytes::new())
    }

    async fn ask_robots(
        &self,
        page: &Url,
        exchange: &Exchange<'_>,
        ended: &mut RequestEnd,
    ) -> Result<Told, FetchError> {
        let url = exchange.url;
        let as_robots = |error| as_robots_error(page, url, error);
        let answer = self.send(exchange, ended).await.map_err(as_robots)?;
        match (&answer.location, answer.status.as_u16()) {
            (Some(location), _) => {
                self.next_url(url, location).map(Told::Elsewhere).map_err(as_robots)
            }
            (None, 200..=299) => {
                let read = exchange.read(answer, robots::MAX_BYTES).await;
                let (bytes, more) = read.map_err(as_robots)?;
                let whole = robots::whole_lines(&bytes, more).len();
                Ok(Told::Text(bytes.slice(..whole)))
            }
            // Not in RFC 9309, where a 4xx allows all; this one says that we are too fast
            // already.
            (None, 429) => Err(check_status(url, &answer).expect_err("429 is an error")),
            (None, status @ 500..) => {
                let reason = format!("it answered {status}");
                Err(FetchError::RobotsUnreachable { host: host_of(page), reason })
            }
            (None, _) => Ok(Told::Text(Bytes::new())),
        }
    }
}

/// Returns the text of a shared copy that is not too old, nor from the future.
fn fresh(copy: &[u8], now: u64) -> Option<&[u8]> {
    let (at, text) = copy.split_first_chunk::<8>()?;
    let age = now.checked_sub(u64::from_le_bytes(*at))?;
    (age < MAX_SHARED_AGE).then_some(text)
}

/// Returns the error for a robots.txt that did not come.
///
/// What holds for the page as well is told as it is; the rest says that it was robots.txt.
fn as_robots_error(page: &Url, at: &Url, error: FetchError) -> FetchError {
    let same_host = host_of(page) == host_of(at);
    match error {
        FetchError::PrivateAddress { .. }
        | FetchError::Connect { .. }
        | FetchError::Proxy { .. }
        | FetchError::RateLimited { .. }
            if same_host =>
        {
            error
        }
        other => FetchError::RobotsUnreachable { host: host_of(page), reason: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_copy_is_used_for_half_a_day() {
        let copy = [&1_000_u64.to_le_bytes()[..], b"text"].concat();
        assert_eq!(fresh(&copy, 1_000), Some(&b"text"[..]));
        assert_eq!(fresh(&copy, 1_000 + MAX_SHARED_AGE - 1), Some(&b"text"[..]));
        assert_eq!(fresh(&copy, 1_000 + MAX_SHARED_AGE), None);
        assert_eq!(fresh(&copy, 999), None);
        assert_eq!(fresh(b"short", 999), None);
    }
}
