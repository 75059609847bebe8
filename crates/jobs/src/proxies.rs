//! The list of proxies that scraping goes through.

use std::fmt;

use rhubarb_cache::{Error, FormatError, PyValue, redact_key};

use crate::target::Target;

/// The stored proxy list.
#[derive(Clone, Debug)]
pub struct Proxies {
    target: Target,
}

/// Proxies as URLs. They hold passwords, so `Debug` shows their number only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyList(pub Vec<String>);

impl fmt::Debug for ProxyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyList({} hidden)", self.0.len())
    }
}

impl Proxies {
    pub(crate) fn new(target: Target) -> Self {
        Self { target }
    }

    /// Writes the list; Python reads a list of text.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn write(&self, proxies: &ProxyList) -> Result<(), Error> {
        let urls = proxies.0.iter().map(|url| PyValue::from(url.as_str())).collect();
        self.target.set(&self.target.key, PyValue::List(urls)).await
    }

    /// Returns the list, if one was written of late.
    ///
    /// # Errors
    /// [`Error::Read`] when something else stands there; it is left alone, and not quoted.
    pub async fn read(&self) -> Result<Option<ProxyList>, Error> {
        let Some(value) = self.target.cache.get(&self.target.key).await? else { return Ok(None) };
        let urls = match value {
            PyValue::List(items) | PyValue::Tuple(items) => items.into_iter().map(text).collect(),
            _ => None,
        };
        let source = FormatError::unsupported("what is no list of text");
        let key = redact_key(&self.target.cache.raw_key(&self.target.key));
        urls.map(|urls| Some(ProxyList(urls))).ok_or(Error::Read { key, source })
    }

    pub(crate) async fn clear(&self) -> Result<u64, Error> {
        self.target.clear().await
    }
}

fn text(value: PyValue) -> Option<String> {
    match value {
        PyValue::Str(text) => Some(text),
        _ => None,
    }
}
