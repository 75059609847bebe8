//! A URL that cannot print its password.

use std::{fmt, str::FromStr};

use url::Url;

/// A URL whose `Display` and `Debug` hide the password and any secret-looking query value.
#[derive(Clone, PartialEq, Eq)]
pub struct SafeUrl(Box<Url>);

impl SafeUrl {
    /// Returns the whole URL, password included, for the one place that connects.
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// Returns the same URL with another database number as its path.
    pub fn with_database(&self, db: u32) -> Self {
        let mut url = self.0.clone();
        url.set_path(&format!("/{db}"));
        Self(url)
    }

    /// Returns the database number in the path, if there is one.
    pub fn database(&self) -> Option<u32> {
        self.0.path().trim_start_matches('/').parse().ok()
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
        }
        let hidden: Vec<(String, String)> = shown
            .query_pairs()
            .map(|(k, v)| {
                let secret = ["pass", "secret", "token", "key"].iter().any(|s| k.contains(s));
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
    use super::*;

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
}
