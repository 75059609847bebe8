//! Answers that are kept, and when they may be used again: RFC 9111 by `http-cache-semantics`.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use reqwest::{
    Method,
    header::{
        AGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, COOKIE, DATE, ETAG, EXPIRES, HeaderMap,
        HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, PRAGMA, VARY,
    },
};
use serde::{Deserialize, Serialize};

use super::exchange::Exchange;
use crate::store;

/// An answer that does not say how long it is good may be used for a tenth of its age, and no
/// longer than this.
const MAX_GUESSED: Duration = Duration::from_secs(600);
/// No answer is used for longer without asking, whatever it says: boards change daily.
const MAX_FRESH: Duration = Duration::from_secs(24 * 3_600);
/// What is sent of a longer body is not kept.
const MAX_BYTES: usize = 4 << 20;
/// The first byte of what is kept; another one is another version's.
const VERSION: u8 = 1;

/// The headers by which freshness is told, and what a page is.
const KEPT: [HeaderName; 10] = [
    AGE,
    CACHE_CONTROL,
    CONTENT_LANGUAGE,
    CONTENT_TYPE,
    DATE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
    PRAGMA,
    VARY,
];

/// An answer as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) head: Head,
    /// The body, decompressed.
    pub(super) body: Bytes,
}

/// What is kept of an answer beside its body: enough to ask whether it still holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    /// When it came, seconds since 1970.
    at: u64,
    method: String,
    /// What was asked with, for `Vary`.
    asked: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    /// The body's length.
    length: usize,
}

/// What may be done with a kept answer.
#[derive(Debug)]
pub(super) enum Use {
    /// It is the answer.
    Fresh,
    /// The site is asked with these headers whether it still is.
    Ask(HeaderMap),
    /// Nothing.
    Not,
}

impl Head {
    /// Returns the bytes in front of the body.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let head = serde_json::to_vec(self).ok()?;
        let length = u32::try_from(head.len()).ok()?.to_le_bytes();
        Some([&[VERSION][..], &length, &head].concat())
    }
}

impl Stored {
    /// Returns the answer, if it may be kept and would be of use.
    pub(super) fn new(
        of: &Exchange<'_>,
        headers: &HeaderMap,
        body: Bytes,
        now: SystemTime,
    ) -> Option<Self> {
        let asked = of.headers();
        // Cookies are stored nowhere, and what they choose is not kept for others.
        let by_cookie = asked.contains_key(COOKIE)
            && (has_word(headers, &VARY, "cookie") || has_word(headers, &CACHE_CONTROL, "private"));
        if by_cookie || body.len() > MAX_BYTES {
            return None;
        }
        let head = Head {
            at: seconds(now),
            method: of.method().to_string(),
            asked: pairs(&asked, |name| *name != COOKIE),
            headers: pairs(headers, |name| KEPT.contains(name)),
            length: body.len(),
        };
        let stored = Self { head, body };
        let policy = stored.policy(0.1);
        let has_validator = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
        let is_of_use = has_validator || !policy.time_to_live(now).is_zero();
        (policy.is_storable() && is_of_use).then_some(stored)
    }

    /// Tells what may be done with it for this exchange.
    pub(super) fn judge(&self, of: &Exchange<'_>, now: SystemTime) -> Use {
        let age = now.duration_since(self.at()).unwrap_or_default();
        let guess = if age < MAX_GUESSED { 0.1 } else { 0.0 };
        let mut headers = of.headers();
        if age > MAX_FRESH {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
        match self.policy(guess).before_request(&request(&of.method(), headers), now) {
            BeforeRequest::Fresh(_) => Use::Fresh,
            BeforeRequest::Stale { matches: false, .. } => Use::Not,
            // A POST cannot be asked again on a condition.
            BeforeRequest::Stale { .. } if of.json.is_some() => Use::Not,
            BeforeRequest::Stale { request, .. } => {
                let validators = [IF_NONE_MATCH, IF_MODIFIED_SINCE];
                let value = |name: HeaderName| {
                    request.headers.get(&name).map(|v| (name.clone(), v.clone()))
                };
                let asked: HeaderMap = validators.into_iter().filter_map(value).collect();
                if asked.is_empty() { Use::Not } else { Use::Ask(asked) }
            }
        }
    }

    /// Returns it with the headers of a 304, which renews it (RFC 9111, 4.3.4).
    pub(super) fn renewed(mut self, headers: &HeaderMap, now: SystemTime) -> Self {
        let new = pairs(headers, |name| KEPT.contains(name) && *name != CONTENT_TYPE);
        self.head.headers.retain(|(name, _)| name != "age" && new.iter().all(|(n, _)| n != name));
        self.head.headers.extend(new);
        self.head.at = seconds(now);
        self
    }

    /// Returns what one of the kept headers says.
    pub(super) fn header(&self, wanted: &HeaderName) -> Option<String> {
        let mut headers = self.head.headers.iter();
        headers.find(|(name, _)| name == wanted.as_str()).map(|(_, value)| value.clone())
    }

    /// Returns the bytes that are kept.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        store::pack(&self.head.encode()?, &self.body)
    }

    /// Reads what was kept; none for anything else, which whoever can write there may have put.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, body) = split(bytes)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        let body = zstd::bulk::decompress(body, head.length.min(MAX_BYTES)).ok()?;
        (body.len() == head.length).then(|| Self { head, body: body.into() })
    }

    fn at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.head.at.min(MAX_TIME))
    }

    fn policy(&self, guess: f32) -> CachePolicy {
        let headers = map(&self.head.headers);
        let options = CacheOptions {
            // One cache for all workers, who are one reader: `s-maxage` is for us, and so is what
            // is for one reader only.
            shared: !has_word(&headers, &CACHE_CONTROL, "private"),
            cache_heuristic: guess,
            ..CacheOptions::default()
        };
        let method = Method::from_bytes(self.head.method.as_bytes()).unwrap_or(Method::GET);
        let (mut response, ()) = http::Response::new(()).into_parts();
        response.headers = headers;
        let request = request(&method, map(&self.head.asked));
        CachePolicy::new_options(&request, &response, self.at(), options)
    }
}

/// The year 9999.
const MAX_TIME: u64 = 253_370_764_800;

fn seconds(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Returns a request as the rules see it. Its address is of no account: the key is by address.
fn request(method: &Method, headers: HeaderMap) -> http::request::Parts {
    let (mut parts, ()) = http::Request::new(()).into_parts();
    (parts.method, parts.headers) = (method.clone(), headers);
    parts
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&[VERSION])?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

fn pairs(headers: &HeaderMap, keep: impl Fn(&HeaderName) -> bool) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let kept = headers.iter().filter(|(name, _)| keep(name));
    kept.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

fn map(pairs: &[(String, String)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    headers
}

/// Tells whether one of the words of a header's values is this one.
fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split(','));
    words.any(|of| of.split('=').next().unwrap_or_default().trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stored(headers: &[(&str, &str)]) -> Stored {
        let own = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let body = Bytes::from_static(b"hello, hello, hello");
        let head = Head {
            at: 1_795_000_000,
            method: "GET".to_owned(),
            asked: own(&[("accept", "*/*")]),
            headers: own(headers),
            length: body.len(),
        };
        Stored { head, body }
    }

    #[test]
    fn what_is_kept_is_read_back_and_anything_else_is_not() {
        let kept = stored(&[("etag", "\"a\""), ("content-type", "text/html")]);
        let bytes = kept.encode().unwrap();
        assert_eq!(Stored::decode(&bytes), Some(kept));
        for end in 0..bytes.len() {
            assert_eq!(Stored::decode(&bytes[..end]), None);
        }
        let mut bomb = stored(&[]);
        bomb.body = vec![0; MAX_BYTES + 1].into();
        bomb.head.length = bomb.body.len();
        assert_eq!(Stored::decode(&bomb.encode().unwrap()), None);
    }

    #[test]
    fn a_304_renews_what_it_names_and_leaves_the_rest() {
        let old = [
            ("etag", "\"a\""),
            ("age", "99"),
            ("cache-control", "max-age=1"),
            ("content-type", "x/y"),
        ];
        let new = map(&[
            ("cache-control".to_owned(), "max-age=60".to_owned()),
            ("content-type".to_owned(), "text/plain".to_owned()),
            ("set-cookie".to_owned(), "secret=1".to_owned()),
        ]);
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_100);
        let renewed = stored(&old).renewed(&new, now);
        assert_eq!(renewed.header(&CONTENT_TYPE).as_deref(), Some("x/y"));
        let names: Vec<&str> = renewed.head.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["etag", "content-type", "cache-control"]);
        assert_eq!(renewed.policy(0.1).time_to_live(now).as_secs(), 60);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, head in ".{0,40}") {
            Stored::decode(&bytes);
            let length = (head.len() as u32).to_le_bytes();
            Stored::decode(&[&[VERSION][..], &length, head.as_bytes(), &bytes].concat());
        }
    }
}
