//! What can go wrong between a URL and its listings, by what to do about it.

use std::{fmt, time::Duration};

use rhubarb_core::class::Class;

use crate::{blocked::Sign, source_status::Ending, trouble::Trouble};

/// Why the scraping part could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system's root certificates or the TLS settings cannot be used.
    #[error("failed to set up TLS for fetching")]
    Tls(#[source] rustls::Error),
    /// The HTTP client refused its settings.
    #[error("failed to set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The configured user agent cannot stand in a header.
    #[error("the user agent is not a header value: it must be printable ASCII")]
    UserAgent,
}

impl Error {
    /// Returns what a caller should do: none of these goes away by itself.
    pub fn class(&self) -> Class {
        Class::Permanent
    }
}

/// The part of a fetch that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the host's turn: others ask the same host, at its pace.
    Turn,
    /// Connecting, TLS included.
    Connect,
    /// Waiting for the answer's head.
    Head,
    /// Reading the answer's body.
    Body,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Turn => "waiting for a turn",
            Self::Connect => "connecting",
            Self::Head => "waiting for an answer",
            Self::Body => "reading the body",
        })
    }
}

/// Why a page was not fetched.
///
/// The text names the host only, never the path, the query or a proxy's credentials, so it may be
/// shown and stored. `host` carries the port where it is not the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// It is what is known of it already: nobody needs it. Only who names what is known gets this.
    #[error("`{host}` has what it had")]
    Unchanged {
        /// Who answered.
        host: String,
    },
    /// 404 or 410: there is no such page, board or account.
    #[error("`{host}` has no such page ({status})")]
    NotFound {
        /// Who answered.
        host: String,
        /// 404 or 410.
        status: u16,
    },
    /// A page that keeps visitors out in place of what was asked for: its headers say so, or its
    /// markup where data was expected.
    #[error("{}", sign.told(host))]
    Challenge {
        /// Who answered.
        host: String,
        /// What was seen.
        sign: Sign,
    },
    /// 401 or 403: the host does not want us. Stop the source; never go around it by a proxy.
    #[error("`{host}` refuses access ({status})")]
    Blocked {
        /// Who answered.
        host: String,
        /// 401 or 403.
        status: u16,
    },
    /// 429, now or a moment ago: the host is left alone until then.
    #[error("`{host}` asks to be left alone for {} s", retry_after.as_secs())]
    RateLimited {
        /// Who answered.
        host: String,
        /// How long the host is held, from now.
        retry_after: Duration,
    },
    /// The host failed many times in a row, for all who ask it: it is left alone until then.
    #[error("`{host}` failed again and again and is left alone for {} s", retry_after.as_secs())]
    Resting {
        /// Who failed.
        host: String,
        /// How long, from now.
        retry_after: Duration,
    },
    /// Any other status that is not success.
    #[error("`{host}` answered {status}")]
    Status {
        /// Who answered.
        host: String,
        /// The status.
        status: u16,
        /// What `Retry-After` said, at most an hour.
        retry_after: Option<Duration>,
    },
    /// 206, which nobody asked for: the rest of the answer is missing.
    #[error("`{host}` sent a part of its answer only (206)")]
    Part {
        /// Who answered.
        host: String,
    },
    /// It took too long.
    #[error("`{host}` took too long: {phase}")]
    Timeout {
        /// Who was asked.
        host: String,
        /// Where the time went.
        phase: Phase,
    },
    /// The body is longer than allowed, counted after decompression.
    #[error("the answer of `{host}` is longer than {limit} bytes")]
    TooLarge {
        /// Who answered.
        host: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// More redirects than allowed.
    #[error("`{host}` redirects more than {limit} times")]
    TooManyRedirects {
        /// The host of the last redirect.
        host: String,
        /// The limit.
        limit: usize,
    },
    /// A redirect leads from https to http, which `scrape.allow_downgrade` does not allow.
    #[error("`{host}` redirects from https to http, which `scrape.allow_downgrade` does not allow")]
    Downgrade {
        /// Who redirects.
        host: String,
    },
    /// robots.txt forbids this path to us.
    #[error("robots.txt of `{host}` forbids this page")]
    RobotsDisallow {
        /// Whose robots.txt.
        host: String,
    },
    /// robots.txt could not be read, which forbids everything until it can (RFC 9309, 2.3.1.4).
    #[error("robots.txt of `{host}` cannot be read, so nothing there may be fetched: {reason}")]
    RobotsUnreachable {
        /// Whose robots.txt.
        host: String,
        /// Why it cannot be read.
        reason: String,
    },
    /// robots.txt asks for a longer pause between requests than a scrape can keep.
    #[error("robots.txt of `{host}` asks for {} s between requests, more than is kept", delay.as_secs())]
    CrawlDelay {
        /// Whose robots.txt.
        host: String,
        /// The pause asked for.
        delay: Duration,
    },
    /// The host is, or resolves to, an address in a private network.
    #[error("`{host}` is in a private network, which `scrape.allow_private` does not allow")]
    PrivateAddress {
        /// The host as the URL has it.
        host: String,
    },
    /// No connection: name not found, refused, TLS failed.
    #[error("failed to connect to `{host}`: {reason}")]
    Connect {
        /// Who was asked.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// The proxy does not serve; another one may.
    #[error("failed to reach `{host}` through proxy {proxy}: {reason}")]
    Proxy {
        /// Who was asked.
        host: String,
        /// The proxy, credentials hidden.
        proxy: String,
        /// The innermost cause.
        reason: String,
    },
    /// Every proxy failed for this host a moment ago, and `scrape.proxies = "required"` lets
    /// nothing be sent directly.
    #[error(
        "no proxy serves `{host}` now, and `scrape.proxies = \"required\"` allows no other way"
    )]
    NoProxy {
        /// Who was to be asked.
        host: String,
    },
    /// The connection ended in the middle of the answer.
    #[error("the answer of `{host}` was cut off: {reason}")]
    CutOff {
        /// Who answered.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// The body's compression is broken or incomplete.
    #[error("the answer of `{host}` cannot be decompressed: {reason}")]
    Decode {
        /// Who answered.
        host: String,
        /// The innermost cause.
        reason: String,
    },
    /// The URL cannot be fetched at all.
    #[error("cannot fetch this URL: {reason}")]
    BadUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// The answer is of another kind than what was asked for, such as HTML in place of JSON.
    #[error("`{host}` answered with {found} in place of {expected}")]
    UnexpectedType {
        /// Who answered.
        host: String,
        /// What was asked for.
        expected: &'static str,
        /// The media type of the answer.
        found: String,
    },
}

impl FetchError {
    /// Returns what a caller should do about it.
    pub fn class(&self) -> Class {
        match self {
            Self::Status { status, .. } if *status >= 500 || *status == 408 => Class::Transient,
            Self::RateLimited { .. }
            | Self::Resting { .. }
            | Self::Timeout { .. }
            | Self::RobotsUnreachable { .. }
            | Self::Connect { .. }
            | Self::Proxy { .. }
            | Self::NoProxy { .. }
            | Self::CutOff { .. } => Class::Transient,
            Self::Decode { .. } | Self::UnexpectedType { .. } => Class::Malformed,
            Self::Unchanged { .. }
            | Self::NotFound { .. }
            | Self::Challenge { .. }
            | Self::Blocked { .. }
            | Self::Part { .. }
            | Self::Status { .. }
            | Self::TooLarge { .. }
            | Self::TooManyRedirects { .. }
            | Self::Downgrade { .. }
            | Self::RobotsDisallow { .. }
            | Self::CrawlDelay { .. }
            | Self::PrivateAddress { .. }
            | Self::BadUrl { .. } => Class::Permanent,
        }
    }

    /// Returns how a source ends that got nothing else.
    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::Unchanged { .. } => Ending::Unchanged,
            Self::NotFound { status: 410, .. } => Ending::Gone,
            Self::NotFound { .. } => Ending::NotFound,
            Self::Blocked { .. } | Self::Challenge { .. } => Ending::Blocked,
            // Payment and law: there is a page, and it is not for us. 999 is LinkedIn's refusal.
            Self::Status { status: 402 | 407 | 451 | 999, .. } => Ending::Blocked,
            Self::RateLimited { .. } | Self::Status { status: 503, retry_after: Some(_), .. } => {
                Ending::Throttled
            }
            _ => Ending::Failed,
        }
    }

    /// Returns whether the same request may be sent again at once, within one fetch.
    ///
    /// Not through the same proxy, which has just failed, and not after the time is up.
    pub(crate) fn is_worth_another_try(&self) -> bool {
        let hopeless = matches!(
            self,
            Self::Proxy { .. }
                | Self::NoProxy { .. }
                | Self::Resting { .. }
                | Self::Timeout { phase: Phase::Turn, .. }
        );
        self.class() == Class::Transient && !hopeless
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        let permanent = error.class() == Class::Permanent;
        Self { ending: error.ending(), reason: error.to_string(), permanent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_transient_only_when_the_server_is_at_fault() {
        let of =
            |status| FetchError::Status { host: "h".into(), status, retry_after: None }.class();
        assert_eq!(of(500), Class::Transient);
        assert_eq!(of(408), Class::Transient);
        assert_eq!(of(400), Class::Permanent);
        assert_eq!(of(304), Class::Permanent);
    }

    #[test]
    fn a_failed_proxy_and_a_missed_turn_are_not_tried_again() {
        let proxy =
            FetchError::Proxy { host: "h".into(), proxy: "p".into(), reason: "refused".into() };
        let turn = FetchError::Timeout { host: "h".into(), phase: Phase::Turn };
        let head = FetchError::Timeout { host: "h".into(), phase: Phase::Head };
        assert!(!proxy.is_worth_another_try() && !turn.is_worth_another_try());
        assert!(head.is_worth_another_try());
    }
}
