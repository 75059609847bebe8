//! The cookie that carries a session's key.

use std::{borrow::Cow, time::Duration};

use super::key::SessionKey;

/// The longest `Cookie` header that is read; browsers send 4 kB per cookie, servers refuse 8 to
/// 16 kB.
const LONGEST: usize = 64 << 10;

/// A session's cookie, as `SESSION_COOKIE_NAME`, `_PATH`, `_DOMAIN`, `_SECURE` and `_SAMESITE`
/// describe it.
///
/// `HttpOnly` is always set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionCookie {
    /// Its name: `sessionid`.
    pub name: Cow<'static, str>,
    /// The path: `/`.
    pub path: Cow<'static, str>,
    /// The domain; absent means the host alone.
    pub domain: Option<Cow<'static, str>>,
    /// Whether it is sent over TLS only. True here; Django's own default is false.
    pub secure: bool,
    /// `Lax`, `Strict` or `None`: `Lax`.
    pub same_site: Cow<'static, str>,
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self {
            name: "sessionid".into(),
            path: "/".into(),
            domain: None,
            secure: true,
            same_site: "Lax".into(),
        }
    }
}

impl SessionCookie {
    /// Finds the session's key in a `Cookie` header; `None` when it is not there or is no key.
    ///
    /// Split as Django's `parse_cookie` does; the last of several of this name counts. A value in
    /// quotes is read without them. Whatever bytes the header holds, the answer is a key that is
    /// safe to use, or none.
    pub fn find(&self, header: &[u8]) -> Option<SessionKey> {
        if header.len() > LONGEST {
            return None;
        }
        let named = |chunk: &[u8]| {
            let at = chunk.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (chunk[..at].trim_ascii(), chunk[at + 1..].trim_ascii());
            (name == self.name.as_bytes()).then(|| value.to_vec())
        };
        let value = header.split(|byte| *byte == b';').filter_map(named).next_back()?;
        let text = std::str::from_utf8(&value).ok()?;
        SessionKey::parse(text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text))
    }

    /// Returns the `Set-Cookie` header that gives a visitor a session; with an age of `None` it
    /// ends with the browser.
    pub fn set(&self, key: &SessionKey, age: Option<Duration>) -> String {
        let age = age.map(|age| format!("; Max-Age={}", age.as_secs())).unwrap_or_default();
        format!("{}={}{age}{}", self.name, key.expose(), self.attributes())
    }

    /// Returns the `Set-Cookie` header that takes it away again.
    pub fn remove(&self) -> String {
        format!("{}=; Max-Age=0{}", self.name, self.attributes())
    }

    fn attributes(&self) -> String {
        let domain = self.domain.as_ref().map(|d| format!("; Domain={d}")).unwrap_or_default();
        let secure = if self.secure { "; Secure" } else { "" };
        format!("; HttpOnly; Path={}; SameSite={}{domain}{secure}", self.path, self.same_site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "s6efptxbt1ntjjscon1jw2z0k4mg3t0h";

    #[test]
    fn the_key_is_found_as_django_finds_it() {
        let cookie = SessionCookie::default();
        let check = |header: &str, key: Option<&str>| {
            let found = cookie.find(header.as_bytes());
            assert_eq!(found.as_ref().map(SessionKey::expose), key, "{header}");
        };
        check(&format!("sessionid={KEY}"), Some(KEY));
        check(&format!("csrftoken=x; sessionid={KEY}; a"), Some(KEY));
        check(&format!("  sessionid = {KEY} ;"), Some(KEY));
        check(&format!("sessionid=\"{KEY}\""), Some(KEY));
        check(&format!("sessionid=abcdefgh; sessionid={KEY}"), Some(KEY));
        check(&format!("sessionid={KEY}; sessionid=no!"), None);
        check(&format!("xsessionid={KEY}"), None);
        check(&format!("SESSIONID={KEY}"), None);
        check("sessionid", None);
        check("sessionid=", None);
        check("sessionid=\"", None);
        check(&format!("sessionid={KEY}%0d%0a"), None);
        check("", None);
    }

    #[test]
    fn odd_and_huge_cookies_name_no_session() {
        let cookie = SessionCookie::default();
        let check = |value: &[u8]| assert_eq!(cookie.find(&[b"sessionid=", value].concat()), None);
        check(&vec![b'a'; 10_240]);
        check(&vec![b'a'; 10 << 20]);
        check(b"abcdefgh\xff\xfe");
        check(b"abcdefgh\0");
        check("абвгдежзийклмноп".as_bytes());
        check(b"*");
        check(b"abcdefgh\r\nX: y");
    }

    #[test]
    fn the_cookie_is_set_and_taken_away() {
        let key = SessionKey::parse(KEY).unwrap();
        let plain = SessionCookie { secure: false, ..SessionCookie::default() };
        assert_eq!(
            plain.set(&key, Some(Duration::from_secs(60))),
            format!("sessionid={KEY}; Max-Age=60; HttpOnly; Path=/; SameSite=Lax")
        );
        let domain =
            SessionCookie { domain: Some("example.com".into()), ..SessionCookie::default() };
        assert_eq!(
            domain.remove(),
            "sessionid=; Max-Age=0; HttpOnly; Path=/; SameSite=Lax; Domain=example.com; Secure"
        );
        assert!(!domain.set(&key, None).contains("Max-Age"));
    }
}
