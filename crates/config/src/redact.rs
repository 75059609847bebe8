//! A URL that cannot print its password.

use std::{fmt, str::FromStr};

use serde_json::Value;
use url::Url;

/// Returns the text with the password of each URL in it hidden.
pub fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end =
            after.find(|c: char| c.is_whitespace() || "\"',".contains(c)).unwrap_or(after.len());
        match after[..end].rfind('@') {
            Some(at) => {
                shown.push_str("***");
                rest = &after[at..];
            }
            None => rest = after,
        }
    }
    shown + rest
}

/// What stands for a secret.
pub const HIDDEN: &str = "***";

/// What the name of a secret has in it, without what is no letter or digit.
const SECRET: [&str; 16] = [
    "hash",
    "token",
    "secret",
    "pass",
    "csrf",
    "xsrf",
    "nonce",
    "apikey",
    "jwt",
    "authorization",
    "credential",
    "cookie",
    "verifier",
    "privatekey",
    "signature",
    "accesskey",
];

/// Names of secrets that are parts of harmless ones as well.
const SECRET_WHOLE: [&str; 7] = ["otp", "pin", "pwd", "sid", "sessionid", "sessionkey", "bearer"];

/// Tells whether a name looks like that of a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_key = name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "key");
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    is_key
        || SECRET.iter().any(|part| plain.contains(part))
        || SECRET_WHOLE.contains(&plain.as_str())
}

/// Hides what is named like a secret and the passwords of URLs, at any depth.
pub fn hidden(json: Value) -> Value {
    match json {
        Value::String(one) => Value::String(text(&one)),
        Value::Array(items) => Value::Array(items.into_iter().map(hidden).collect()),
        Value::Object(map) => {
            let shown = map.into_iter().map(|(name, value)| match is_secret(&name) {
                true => (text(&name), Value::from(HIDDEN)),
                false => (text(&name), hidden(value)),
            });
            Value::Object(shown.collect())
        }
        other => other,
    }
}

/// Returns a URL as far as its host; what follows is often a secret itself, and so is who asks.
pub fn cut(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let rest = if url.path() == "/" && url.query().is_none() { "" } else { "/…" };
    format!("{}://{}{port}{rest}", url.scheme(), url.host_str().unwrap_or_default())
}

/// An HTTP address of the configuration, maybe with `{keyword}` in it. It is printed as [`cut`] has
/// it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Takes any text; whether it is an address is for those who use it to say.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Tells whether it begins as an address of HTTP does.
    pub fn is_http(&self) -> bool {
        self.0.starts_with("http://") || self.0.starts_with("https://")
    }

    /// Returns the whole address, for fetching what is there.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.0) {
            Ok(url) => f.write_str(&cut(&url)),
            Err(_) => f.write_str("(no address)"),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A URL whose `Display` and `Debug` hide the password and any secret-looking query value.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl(Box<Url>);

impl SafeUrl {
    /// Returns the whole URL, password included, for the one place that connects.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Returns the same URL with another database number: the path, or `db` in the query of a
    /// socket's URL.
    pub fn with_database(&self, db: u32) -> Self {
        let mut url = self.0.clone();
        if self.is_socket() {
            let kept: Vec<(String, String)> = url
                .query_pairs()
                .filter(|(k, _)| k != "db")
                .map(|(k, v)| (k.into(), v.into()))
                .collect();
            url.query_pairs_mut().clear().extend_pairs(kept).append_pair("db", &db.to_string());
        } else {
            url.set_path(&format!("/{db}"));
        }
        Self(url)
    }

    /// Returns the database number in the URL, if there is one.
    pub fn database(&self) -> Option<u32> {
        if self.is_socket() {
            return self.0.query_pairs().find(|(k, _)| k == "db").and_then(|(_, v)| v.parse().ok());
        }
        self.0.path().trim_start_matches('/').parse().ok()
    }

    /// Tells whether it is the URL of a Unix socket (`unix:///path`).
    pub fn is_socket(&self) -> bool {
        self.0.scheme() == "unix"
    }
}

impl FromStr for SafeUrl {
    type Err = url::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Url::parse(text.trim()).map(|url| Self(Box::new(url)))
    }
}

impl fmt::Display for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = self.0.clone();
        if shown.password().is_some() {
            let _ = shown.set_password(Some("***"));
        } else if !shown.username().is_empty() {
            // A password without the colon before it is a user to the parser.
            let _ = shown.set_username("***");
        }
        let hidden: Vec<(String, String)> = shown
            .query_pairs()
            .map(|(k, v)| {
                let secret = is_secret(&k);
                (k.into_owned(), if secret { "***".into() } else { v.into_owned() })
            })
            .collect();
        if !hidden.is_empty() {
            shown.query_pairs_mut().clear().extend_pairs(hidden);
        }
        f.write_str(shown.as_str())
    }
}

impl fmt::Debug for SafeUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "_auth_user_hash",
            "_csrftoken",
            "oauth_token",
            "API_SECRET",
            "api_key",
            "X-Api-Key",
            "jwt",
            "Authorization",
            "passwd",
            "credentials",
            "Cookie",
            "code_verifier",
            "otp",
            "PIN",
            "pwd",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "_auth_user_id",
            "_auth_user_backend",
            "cart",
            "_session_expiry",
            "shipping",
            "keyword",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_secret_is_hidden_however_deep_it_lies() {
        let value = json!({"oauth": {"access_token": "t0p"}, "all": [{"jwt": "t0p"}, {"a": 1}], "u": "a://b:t0p@c"});
        let shown = hidden(value);
        assert_eq!(
            shown,
            json!({"oauth": {"access_token": "***"}, "all": [{"jwt": "***"}, {"a": 1}], "u": "a://***@c"})
        );
    }

    #[test]
    fn a_password_is_never_printed() {
        let url: SafeUrl =
            "rediss://:hunter2@h:6380/3?api_key=abc&ssl_cert_reqs=none".parse().unwrap();
        let shown = format!("{url} {url:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("abc"), "{shown}");
        assert!(shown.contains("ssl_cert_reqs=none"));
        assert_eq!(url.database(), Some(3));
        assert_eq!(url.with_database(1).database(), Some(1));
    }

    #[test]
    fn what_follows_an_addresss_host_is_never_printed() {
        let check = |given: &str, expect: &str| {
            let address = Address::from(given);
            assert_eq!(format!("{address} {address:?}"), format!("{expect} {expect}"));
            assert_eq!(address.expose(), given);
        };
        check("https://u:hunter2@h:8443/p?k=hunter2#hunter2", "https://h:8443/…");
        check("https://hunter2@h/jobs/{keyword}", "https://h/…");
        check("http://127.0.0.1:9000", "http://127.0.0.1:9000");
        check("https://h/?hunter2", "https://h/…");
        check("hunter2", "(no address)");
    }

    #[test]
    fn a_password_without_its_colon_is_never_printed() {
        let url: SafeUrl = "redis://hunter2@h:6379/0".parse().unwrap();
        assert_eq!(url.to_string(), "redis://***@h:6379/0");
    }

    #[test]
    fn a_sockets_database_is_in_its_query() {
        let url: SafeUrl = "unix:///run/redis.sock?pass=hunter2&db=3".parse().unwrap();
        assert_eq!(url.database(), Some(3));
        let other = url.with_database(1);
        assert_eq!(other.expose().as_str(), "unix:///run/redis.sock?pass=hunter2&db=1");
        assert!(!format!("{other}").contains("hunter2"));
    }

    #[test]
    fn a_keyword_is_no_secret() {
        for name in ["api_key", "API-Key", "apikey", "access_token", "password", "key"] {
            assert!(is_secret(name), "{name}");
        }
        assert!(!is_secret("keyword") && !is_secret("monkey"));
    }

    #[test]
    fn the_passwords_of_urls_in_a_text_are_hidden() {
        let check = |given: &str, expect: &str| assert_eq!(text(given), expect);
        check("a redis://u:hunter2@h:1/0 b", "a redis://***@h:1/0 b");
        check("http://u:p@a,http://b/x@y", "http://***@a,http://***@y");
        check("no URL, a@b", "no URL, a@b");
    }
}
