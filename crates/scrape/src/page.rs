//! What is asked for and what comes back.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use crate::{charset, proxies::Proxy, store::Kept};

/// The kind of content that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// Anything.
    #[default]
    Any,
    /// JSON.
    Json,
    /// A page.
    Html,
    /// RSS, Atom or other XML.
    Xml,
}

impl Content {
    /// Returns the `Accept` header.
    pub(crate) fn accept(self) -> &'static str {
        match self {
            Self::Any => "*/*",
            Self::Json => "application/json, */*;q=0.1",
            Self::Html => "text/html, application/xhtml+xml, */*;q=0.1",
            Self::Xml => {
                "application/rss+xml, application/atom+xml, application/xml, text/xml, */*;q=0.1"
            }
        }
    }

    /// Returns its name for a person.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Json => "JSON",
            Self::Html => "HTML",
            Self::Xml => "XML",
        }
    }

    /// Returns whether an answer is of this kind, by its declared type or, failing that, its first
    /// bytes.
    ///
    /// Feeds are often declared as HTML and APIs as plain text, so a declared type alone refuses
    /// nothing that looks right.
    pub(crate) fn admits(self, content_type: Option<&str>, body: &[u8]) -> bool {
        let essence = essence(content_type);
        let neutral = matches!(
            essence.as_str(),
            "" | "text/plain" | "application/octet-stream" | "binary/octet-stream"
        );
        let start = body.trim_ascii_start();
        let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        neutral
            || match self {
                Self::Any => true,
                Self::Json => essence.contains("json") || matches!(start, [b'{' | b'[', ..]),
                Self::Html => essence.contains("html") || essence.contains("xml"),
                Self::Xml => {
                    essence.contains("xml") && !essence.contains("xhtml")
                        || [&b"<?xml"[..], b"<rss", b"<feed", b"<rdf"].iter().any(|tag| {
                            start.get(..tag.len()).is_some_and(|s| s.eq_ignore_ascii_case(tag))
                        })
                }
            }
    }
}

/// Returns the media type without its parameters, in lower case; empty when there is none.
pub(crate) fn essence(content_type: Option<&str>) -> String {
    let declared = content_type.unwrap_or_default();
    declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A request for a page: a GET, or a POST of JSON.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) url: Url,
    /// The JSON that is posted; none for a GET.
    pub(crate) json: Option<Bytes>,
    pub(crate) kind: Content,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) deadline: Option<Instant>,
}

impl Request {
    /// Returns a request for this URL: of any kind, sent directly, within the source's time.
    pub fn get(url: Url) -> Self {
        Self { url, json: None, kind: Content::Any, proxy: None, deadline: None }
    }

    /// Returns a request that posts this JSON and asks for JSON.
    ///
    /// It has to be a question, as a search is: it is tried again as a GET is. robots.txt rules its
    /// URL, and a redirect that would turn it into a GET is not followed.
    pub fn post_json(url: Url, body: &serde_json::Value) -> Self {
        let json = Some(body.to_string().into());
        Self { json, kind: Content::Json, ..Self::get(url) }
    }

    /// Asks for this kind; an answer of another kind is an error.
    #[must_use]
    pub fn kind(self, kind: Content) -> Self {
        Self { kind, ..self }
    }

    /// Sends it through this proxy; `None` sends it directly.
    #[must_use]
    pub fn proxy(self, proxy: Option<Proxy>) -> Self {
        Self { proxy, ..self }
    }

    /// Ends the fetch, waiting and retries included, at this time in place of
    /// `scrape.source_timeout`.
    #[must_use]
    pub fn deadline(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }
}

/// An answer with a status of success.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it came from, redirects followed.
    pub url: Url,
    /// 200 to 299.
    pub status: u16,
    /// The `Content-Type` header as it came.
    pub content_type: Option<String>,
    /// The `Content-Language` header as it came.
    pub language: Option<String>,
    /// The body, decompressed.
    pub bytes: Bytes,
    /// Whether the site sent it now.
    pub fetched: Fetched,
    /// Where it is kept for the next time.
    pub(crate) kept: Option<Kept>,
}

/// How a page came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The site sent it.
    Full,
    /// The site said that what was kept still holds (304).
    NotModified,
    /// It was kept and is fresh: the site was not asked.
    Fresh,
}

impl Page {
    /// Returns the body as text, in the charset that it declares or seems to be in.
    pub fn text(&self) -> String {
        charset::decode(&self.bytes, self.content_type.as_deref(), self.url.domain())
    }

    /// Returns the body read as JSON.
    ///
    /// # Errors
    ///
    /// The body is not JSON, or not of this shape: malformed, the same answer will fail again.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        // JSON is UTF-8 whatever the header says (RFC 8259, 8.1); only what is not goes the long
        // way.
        let bytes = self.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.bytes);
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => serde_json::from_str(text),
            _ => serde_json::from_str(&self.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(content_type: &str, body: &[u8]) -> Page {
        Page {
            url: Url::parse("https://example.com/").unwrap(),
            status: 200,
            content_type: Some(content_type.to_owned()),
            language: None,
            bytes: Bytes::copy_from_slice(body),
            fetched: Fetched::Full,
            kept: None,
        }
    }

    #[test]
    fn an_answer_is_refused_only_when_both_type_and_bytes_say_otherwise() {
        let check = |kind: Content, content_type: Option<&str>, body: &str, expect: bool| {
            assert_eq!(
                kind.admits(content_type, body.as_bytes()),
                expect,
                "{kind:?} {content_type:?} {body}"
            );
        };
        check(Content::Json, Some("application/json; charset=utf-8"), "", true);
        check(Content::Json, Some("application/vnd.api+json"), "", true);
        check(Content::Json, Some("text/html"), "<!doctype html>", false);
        check(Content::Json, Some("text/html"), " [1]", true);
        check(Content::Json, Some("text/plain"), "[]", true);
        check(Content::Json, None, "[]", true);
        check(Content::Xml, Some("text/html"), "<?xml version=\"1.0\"?>", true);
        check(Content::Xml, Some("application/xhtml+xml"), "<html>", false);
        check(Content::Xml, Some("text/html"), "<html>", false);
        check(Content::Html, Some("image/png"), "", false);
        check(Content::Html, Some("application/json"), "{}", false);
        check(Content::Html, Some("Text/HTML;charset=x"), "", true);
        check(Content::Any, Some("video/mp4"), "", true);
    }

    #[test]
    fn json_is_utf_8_whatever_the_header_says() {
        let value: String =
            page("application/json; charset=iso-8859-1", "\"café\"".as_bytes()).json().unwrap();
        assert_eq!(value, "café");
    }

    #[test]
    fn json_with_a_byte_order_mark_or_in_utf_16_is_read() {
        let value: Vec<u8> = page("application/json", b"\xEF\xBB\xBF[1]").json().unwrap();
        assert_eq!(value, [1]);
        let value: Vec<u8> = page("application/json", b"\xFF\xFE[\x001\x00]\x00").json().unwrap();
        assert_eq!(value, [1]);
    }
}
