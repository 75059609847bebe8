//! Cookies of one run of a source: kept in memory, sent back, and forgotten with it.

use std::sync::Mutex;

use cookie_store::{CookieStore, RawCookie};
use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use url::{Host, Url};

/// As many cookies as a run keeps; browsers keep 180 a site.
const MAX_COOKIES: usize = 100;
/// A longer one is not kept, as browsers do (RFC 6265bis, 5.6).
const MAX_BYTES: usize = 4_096;

/// The cookies of one run. Their values are secrets: `Debug` does not show them.
#[derive(Default)]
pub(super) struct Jar(Mutex<CookieStore>);

impl std::fmt::Debug for Jar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jar(hidden)")
    }
}

impl Jar {
    /// Keeps what an answer from this URL sets for its own site.
    pub(super) fn keep(&self, url: &Url, headers: &HeaderMap) {
        let mut store = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for value in headers.get_all(SET_COOKIE) {
            let text = String::from_utf8_lossy(value.as_bytes());
            let is_full = store.iter_any().count() >= MAX_COOKIES;
            if let Some(cookie) = acceptable(&text, url).filter(|_| !is_full) {
                // What the store refuses is not for this site.
                let _refused = store.insert_raw(&cookie, url);
            }
        }
    }

    /// Returns the header that a request for this URL carries; none without a cookie for it.
    pub(super) fn header(&self, url: &Url) -> Option<HeaderValue> {
        let store = self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let pairs: Vec<String> =
            store.get_request_values(url).map(|(name, value)| format!("{name}={value}")).collect();
        let mut header = HeaderValue::from_str(&pairs.join("; ")).ok()?;
        header.set_sensitive(true);
        (!pairs.is_empty()).then_some(header)
    }
}

/// Returns the cookie, if it may be kept: not for all of `co.uk`, and not longer than browsers
/// take. One for a public suffix that is the host itself is for this host alone.
fn acceptable(text: &str, url: &Url) -> Option<RawCookie<'static>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut cookie = RawCookie::parse(text.to_owned()).ok()?;
    let Some(domain) = cookie.domain().map(|domain| domain.trim_matches('.').to_lowercase()) else {
        return Some(cookie);
    };
    let is_own = url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&domain));
    if is_own && (is_public_suffix(&domain) || !matches!(url.host(), Some(Host::Domain(_)))) {
        cookie.unset_domain();
        return Some(cookie);
    }
    (!is_public_suffix(&domain)).then_some(cookie)
}

fn is_public_suffix(domain: &str) -> bool {
    psl::suffix(domain.as_bytes()).is_some_and(|suffix| suffix == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(set: &[(&str, &str)], to: &str) -> String {
        let jar = Jar::default();
        for (url, cookie) in set {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, HeaderValue::from_str(cookie).unwrap());
            jar.keep(&Url::parse(url).unwrap(), &headers);
        }
        let header = jar.header(&Url::parse(to).unwrap());
        header.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn a_cookie_goes_to_its_own_site_and_path_only() {
        let check = |from: &str, cookie: &str, to: &str, expect: &str| {
            assert_eq!(sent(&[(from, cookie)], to), expect, "{cookie} of {from} to {to}");
        };
        let a = "https://www.acme.co.uk/jobs/list";
        check(a, "s=1", "https://www.acme.co.uk/jobs/7", "s=1");
        check(a, "s=1", "https://www.acme.co.uk/", "");
        check(a, "s=1; Path=/", "https://www.acme.co.uk/", "s=1");
        check(a, "s=1; Path=/", "https://api.acme.co.uk/", "");
        check(a, "s=1; Path=/; Domain=acme.co.uk", "https://api.acme.co.uk/", "s=1");
        check(a, "s=1; Path=/; Domain=.acme.co.uk", "https://api.acme.co.uk/", "s=1");
        check(a, "s=1; Path=/; Domain=co.uk", "https://evil.co.uk/", "");
        check(a, "s=1; Path=/; Domain=uk", "https://www.acme.co.uk/", "");
        check(a, "s=1; Path=/; Domain=evil.example", "https://evil.example/", "");
        check(a, "s=1; Path=/; Secure", "http://www.acme.co.uk/", "");
        let tenant = "https://acme.github.io/";
        check(tenant, "s=1; Domain=github.io", "https://other.github.io/", "");
        check("http://localhost/", "s=1; Domain=localhost", "http://localhost/", "s=1");
        check("http://127.0.0.1:8/", "s=1; Domain=127.0.0.1", "http://127.0.0.1:8/", "s=1");
        check("http://127.0.0.1:8/", "s=a b=c\"; Path=/", "http://127.0.0.1:8/", "s=a b=c\"");
    }

    #[test]
    fn the_last_value_counts_and_a_jar_is_bounded() {
        let url = "https://acme.example/";
        assert_eq!(sent(&[(url, "s=1"), (url, "s=2")], url), "s=2");
        assert_eq!(sent(&[(url, "s=1"), (url, "s=; Max-Age=0")], url), "");
        let jar = Jar::default();
        let mut headers = HeaderMap::new();
        for n in 0..2 * MAX_COOKIES {
            headers.append(SET_COOKIE, HeaderValue::from_str(&format!("c{n}=1")).unwrap());
        }
        headers.append(SET_COOKIE, HeaderValue::from_str(&"x".repeat(5_000)).unwrap());
        let url = Url::parse(url).unwrap();
        jar.keep(&url, &headers);
        let sent = jar.header(&url).unwrap();
        assert_eq!(sent.to_str().unwrap().split("; ").count(), MAX_COOKIES);
        assert!(!format!("{jar:?} {sent:?}").contains("c1=1"));
    }
}
