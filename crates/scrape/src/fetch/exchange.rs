//! One request and its answer: no redirects, no robots.txt, no retries.

use std::{error::Error as _, io, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, RETRY_AFTER},
};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::{
    address::ResolvesToPrivate,
    error::{FetchError, Phase},
    page::Kind,
    politeness::{self, host_of},
    proxies::{Proxy, RefusedProxy},
};

/// What one request needs.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) client: &'a Client,
    pub(super) proxy: Option<&'a Proxy>,
    pub(super) url: &'a Url,
    pub(super) kind: Kind,
    /// When the body has to be complete.
    pub(super) until: Instant,
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    /// Where a redirect leads, as written.
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
    response: Response,
}

impl Exchange<'_> {
    pub(super) async fn send(&self) -> Result<Answer, FetchError> {
        let request = self.client.get(self.url.clone()).header(ACCEPT, self.kind.accept());
        let response = timeout_at(self.until, request.send())
            .await
            .map_err(|_| self.timeout(Phase::Head))?
            .map_err(|error| self.not_answered(&error))?;
        if let (Some(proxy), StatusCode::PROXY_AUTHENTICATION_REQUIRED) =
            (self.proxy, response.status())
        {
            return Err(self.proxy_failed(proxy, "it refuses the credentials".to_owned()));
        }
        let headers = response.headers();
        Ok(Answer {
            status: response.status(),
            content_type: text_of(headers, &CONTENT_TYPE),
            location: text_of(headers, &LOCATION).filter(|_| response.status().is_redirection()),
            retry_after: text_of(headers, &RETRY_AFTER)
                .and_then(|text| parse_retry_after(&text, Timestamp::now())),
            response,
        })
    }

    /// Reads the body up to `limit` bytes, counted after decompression; true when there is more.
    pub(super) async fn read(
        &self,
        answer: Answer,
        limit: usize,
    ) -> Result<(Bytes, bool), FetchError> {
        let mut response = answer.response;
        let mut body = BytesMut::new();
        loop {
            let chunk = timeout_at(self.until, response.chunk())
                .await
                .map_err(|_| self.timeout(Phase::Body))?
                .map_err(|error| self.not_read(&error))?;
            let Some(chunk) = chunk else { return Ok((body.freeze(), false)) };
            let room = limit - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok((body.freeze(), true));
            }
        }
    }

    fn timeout(&self, phase: Phase) -> FetchError {
        FetchError::Timeout { host: host_of(self.url), phase }
    }

    fn proxy_failed(&self, proxy: &Proxy, reason: String) -> FetchError {
        FetchError::Proxy { host: host_of(self.url), proxy: proxy.to_string(), reason }
    }

    fn not_answered(&self, error: &reqwest::Error) -> FetchError {
        let host = host_of(self.url);
        if has_cause::<ResolvesToPrivate>(error) {
            return match self.proxy {
                Some(proxy) => self.proxy_failed(proxy, RefusedProxy::Private.to_string()),
                None => FetchError::PrivateAddress { host },
            };
        }
        if let Some(proxy) = self.proxy.filter(|_| error.is_connect() || error.is_timeout()) {
            return self.proxy_failed(proxy, innermost(error));
        }
        if error.is_timeout() {
            return self.timeout(if error.is_connect() { Phase::Connect } else { Phase::Head });
        }
        let reason = innermost(error);
        if error.is_connect() {
            FetchError::Connect { host, reason }
        } else if error.is_builder() {
            FetchError::BadUrl { reason }
        } else {
            FetchError::CutOff { host, reason }
        }
    }

    fn not_read(&self, error: &reqwest::Error) -> FetchError {
        let (host, reason) = (host_of(self.url), innermost(error));
        // reqwest 0.13 calls both a decoding error; a decoder's own is an I/O error, the
        // connection's is one of hyper's.
        if error.source().is_some_and(|cause| cause.is::<io::Error>()) {
            FetchError::Decode { host, reason }
        } else {
            FetchError::CutOff { host, reason }
        }
    }
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Returns how long a `Retry-After` asks to wait, at most an hour; none when it cannot be read.
fn parse_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    Some(wait.min(politeness::MAX_HOLD))
}

/// Returns the text of the innermost cause: the outer ones repeat the URL and say "error sending".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn has_cause<E: std::error::Error + 'static>(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<E>() {
            return true;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_an_hour_at_the_most() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(parse_retry_after(text, now), expect.map(Duration::from_secs), "{text}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("86400", Some(3_600));
        check("99999999999999999999999", Some(3_600));
        check("Wed, 21 Oct 2015 07:28:00 GMT", Some(60));
        check("Wed, 21 Oct 2015 07:00:00 GMT", Some(0));
        check("Wed, 21 Oct 2099 07:00:00 GMT", Some(3_600));
        check("soon", None);
        check("-5", None);
        check("", None);
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_not_connected_to() {
        let resolver = crate::address::public_only();
        let config = rustls::ClientConfig::builder_with_provider(
            rustls::crypto::ring::default_provider().into(),
        );
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(rustls::RootCertStore::empty());
        let client = Client::builder()
            .tls_backend_preconfigured(config.with_no_client_auth())
            .no_proxy()
            .dns_resolver(resolver)
            .build()
            .unwrap();
        let url = Url::parse("http://localhost:1/").unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        let exchange = Exchange { client: &client, proxy: None, url: &url, kind: Kind::Any, until };
        let error = exchange.send().await.unwrap_err();
        assert_eq!(error, FetchError::PrivateAddress { host: "localhost:1".to_owned() });
    }
}
