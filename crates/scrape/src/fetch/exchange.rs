//! One request and its answer: no redirects, no robots.txt, no retries.

use std::{error::Error as _, sync::OnceLock, time::Duration};

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{
        ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, COOKIE, DATE,
        HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    },
};
use rhubarb_core::hex::hex;
use rhubarb_trace::Fetch;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{
    cookies::Jar,
    encoding::{self, Decoded},
    retry_after,
};
use crate::{
    address::ResolvesToPrivate,
    blocked::Sign,
    error::{FetchError, Phase},
    page::Content,
    politeness::host_of,
    proxies::{Proxy, RefusedProxy},
};

/// Bodies that are decompressed, compressed and hashed where they are read; longer ones would hold
/// up a thread of the runtime.
pub(super) const QUICK_BYTES: usize = 64 << 10;

/// As much room is made for a body before it comes.
const MIB: usize = 1 << 20;

/// What one request needs.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) client: &'a Client,
    pub(super) proxy: Option<&'a Proxy>,
    pub(super) url: &'a Url,
    /// The JSON that is posted; none for a GET.
    pub(super) json: Option<&'a Bytes>,
    pub(super) kind: Content,
    pub(super) cookies: &'a Jar,
    /// What asks whether a kept answer still holds.
    pub(super) condition: HeaderMap,
    /// When the body has to be complete.
    pub(super) until: Instant,
    /// [`Exchange::key`], once it was asked for.
    pub(super) key: OnceLock<String>,
}

/// An answer whose body has not been read.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) content_type: Option<String>,
    pub(super) language: Option<String>,
    /// `Content-Encoding`, empty without one.
    encoding: String,
    /// Where a redirect leads, as written, with `%XX` for what is not ASCII.
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
    pub(super) headers: HeaderMap,
    /// What the headers say of a page that keeps visitors out.
    pub(super) sign: Option<Sign>,
    response: Response,
    span: Fetch,
}

impl Exchange<'_> {
    pub(super) async fn send(&self) -> Result<Answer, FetchError> {
        let span = self.span();
        let response = timeout_at(self.until, self.request().send())
            .await
            .map_err(|_| self.timeout(Phase::Head))
            .and_then(|sent| sent.map_err(|error| self.not_answered(&error)))
            .inspect_err(|error| span.failed(error))?;
        span.answered(response.status().as_u16());
        if let (Some(proxy), StatusCode::PROXY_AUTHENTICATION_REQUIRED) =
            (self.proxy, response.status())
        {
            return Err(self.proxy_failed(proxy, "it refuses the credentials".to_owned()));
        }
        let headers = response.headers().clone();
        self.cookies.keep(self.url, &headers);
        Ok(Answer {
            status: response.status(),
            content_type: text_of(&headers, &CONTENT_TYPE),
            language: text_of(&headers, &CONTENT_LANGUAGE),
            encoding: all_of(&headers, &CONTENT_ENCODING),
            location: self.location(&response),
            retry_after: retry_after(&headers),
            sign: Sign::of_headers(|name| headers.get(name)?.to_str().ok()),
            headers,
            response,
            span,
        })
    }

    fn span(&self) -> Fetch {
        let (method, host) = (self.method(), self.url.host_str().unwrap_or_default());
        Fetch::begin(method.as_str(), host, self.url.port(), self.url.path())
    }

    fn request(&self) -> RequestBuilder {
        let url = self.url.clone();
        let request = match self.json {
            None => self.client.get(url),
            Some(json) => self.client.post(url).body(json.clone()),
        };
        request.headers(self.headers()).headers(self.condition.clone())
    }

    /// Returns the key under which its answer is kept.
    pub(super) fn key(&self) -> &str {
        self.key.get_or_init(|| {
            let mut hash = Sha256::new();
            let url = self.url.as_str();
            let url = url.split_once('#').map_or(url, |(address, _)| address);
            for part in [self.method().as_str(), url, self.kind.accept()] {
                hash.update(part);
                hash.update("\n");
            }
            hash.update(self.json.map_or(&b""[..], |json| json));
            hex(&hash.finalize()[..16])
        })
    }

    pub(super) fn method(&self) -> Method {
        if self.json.is_some() { Method::POST } else { Method::GET }
    }

    /// Returns the headers that tell what is asked for, and by whom.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(self.kind.accept()));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(encoding::OFFERED));
        if self.json.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        headers.extend(self.cookies.header(self.url).map(|cookies| (COOKIE, cookies)));
        headers
    }

    /// Returns where a redirect leads; none where a browser would not go.
    ///
    /// A POST is not turned into a GET, which would ask for something else.
    fn location(&self, response: &Response) -> Option<String> {
        let leads_on = match response.status().as_u16() {
            301..=303 => self.json.is_none(),
            307 | 308 => true,
            _ => false,
        };
        let value = response.headers().get(LOCATION).filter(|_| leads_on)?.as_bytes().trim_ascii();
        // Bytes that are not ASCII stand for themselves, in whatever charset the site has them.
        let ascii = |byte: &u8| match byte {
            byte if byte.is_ascii() => char::from(*byte).to_string(),
            byte => format!("%{byte:02X}"),
        };
        (!value.is_empty()).then(|| value.iter().map(ascii).collect())
    }

    /// Reads the body up to `limit` bytes, before and after decompression; true when there is more.
    pub(super) async fn read(
        &self,
        answer: Answer,
        limit: usize,
    ) -> Result<(Bytes, bool), FetchError> {
        let encoding = answer.encoding;
        let read = self.read_raw(answer.response, limit).await;
        let (body, more) = read.inspect_err(|error| answer.span.failed(error))?;
        answer.span.read(body.len());
        if encoding.is_empty() || more {
            return Ok((body, more));
        }
        let quick = body.len() <= QUICK_BYTES;
        let undo = move || encoding::decode(&encoding, body, limit);
        let decoded = if quick { undo() } else { apart(undo).await };
        match decoded {
            Ok(Decoded { bytes, more }) => Ok((bytes, more)),
            Err(reason) => Err(FetchError::Decode { host: host_of(self.url), reason }),
        }
    }

    async fn read_raw(
        &self,
        mut response: Response,
        limit: usize,
    ) -> Result<(Bytes, bool), FetchError> {
        let promised = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = BytesMut::with_capacity(promised.unwrap_or_default().min(limit).min(MIB));
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
        FetchError::CutOff { host: host_of(self.url), reason: innermost(error) }
    }
}

async fn apart(
    work: impl FnOnce() -> Result<Decoded, String> + Send + 'static,
) -> Result<Decoded, String> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err("undoing its compression panicked".to_owned()))
}

/// Returns how long an answer asks to be left alone, on the clock of whoever sent it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = text_of(headers, &RETRY_AFTER)?;
    let sent = text_of(headers, &DATE).and_then(|date| retry_after::date(&date));
    retry_after::parse(&text, sent.unwrap_or_else(Timestamp::now))
}

fn all_of(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes()));
    values.collect::<Vec<_>>().join(",")
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Returns the text of the innermost cause: the outer ones repeat the URL and say "error sending".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Tells whether a request failed because a name resolves to private addresses only.
pub(super) fn resolves_to_private(error: &reqwest::Error) -> bool {
    has_cause::<ResolvesToPrivate>(error)
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
        let exchange = Exchange {
            client: &client,
            proxy: None,
            url: &url,
            json: None,
            kind: Content::Any,
            cookies: &Jar::default(),
            condition: HeaderMap::new(),
            until,
            key: OnceLock::new(),
        };
        let error = exchange.send().await.unwrap_err();
        assert_eq!(error, FetchError::PrivateAddress { host: "localhost:1".to_owned() });
    }
}
