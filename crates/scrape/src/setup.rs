//! What a source is set up from: its board, its site and its addresses, checked.

use std::fmt;

use rhubarb_core::redact::Address;
use url::Url;

use crate::config::SourceConfig;

/// A source's configuration that cannot work; names the source and the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source `{source_name}` cannot be used: {setting}: {reason}")]
pub struct BuildError {
    /// The source's name.
    pub source_name: String,
    /// The setting (`board`, `selectors.item`, …).
    pub setting: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BuildError {
    pub(crate) fn new(config: &SourceConfig, setting: &str, reason: impl fmt::Display) -> Self {
        Self {
            source_name: config.name.clone(),
            setting: setting.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Tells whether addresses are the same for all keywords.
pub(crate) fn are_for_all(urls: &[Address]) -> bool {
    !urls.iter().any(|url| url.expose().contains("{keyword}"))
}

/// Returns the address with `{keyword}` replaced.
pub(crate) fn with_keyword(template: &Address, keyword: &str) -> Result<Url, url::ParseError> {
    let encoded: String = url::form_urlencoded::byte_serialize(keyword.trim().as_bytes()).collect();
    // "+" is a space in a query only; "%20" is one everywhere.
    Url::parse(&template.expose().replace("{keyword}", &encoded.replace('+', "%20")))
}

/// Returns the base URL (configured, or the kind's own) with path segments appended, each encoded.
pub(crate) fn endpoint(
    config: &SourceConfig,
    default: &str,
    segments: &[&str],
) -> Result<Url, BuildError> {
    let base = config.base_url.clone().unwrap_or_else(|| default.into());
    let bad = |reason: &str| BuildError::new(config, "base_url", format!("{reason}: `{base}`"));
    let mut url = Url::parse(base.expose()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("only http and https are fetched"));
    }
    let mut path = url.path_segments_mut().map_err(|()| bad("it has no path"))?;
    path.pop_if_empty().extend(segments);
    drop(path);
    Ok(url)
}

/// Returns the board that this kind cannot do without.
pub(crate) fn board(config: &SourceConfig) -> Result<&str, BuildError> {
    let board = config.board.as_deref().map(str::trim).filter(|board| !board.is_empty());
    board.ok_or_else(|| BuildError::new(config, "board", "it is required for this kind of source"))
}

/// Returns the board as a part of the kind's host.
pub(crate) fn label(config: &SourceConfig) -> Result<&str, BuildError> {
    let board = board(config)?;
    if board.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
        return Ok(board);
    }
    let reason = "it is the first part of the board's host: letters, digits, `-` and `.`";
    Err(BuildError::new(config, "board", reason))
}

/// Returns the site of the board that this kind cannot do without.
pub(crate) fn site(config: &SourceConfig) -> Result<&str, BuildError> {
    let site = config.site.as_deref().map(str::trim).filter(|site| !site.is_empty());
    site.ok_or_else(|| BuildError::new(config, "site", "it is required for this kind of source"))
}

/// Returns the configured pages, checked.
pub(crate) fn urls(config: &SourceConfig) -> Result<Vec<Address>, BuildError> {
    if config.urls.is_empty() {
        return Err(BuildError::new(config, "urls", "at least one page is required"));
    }
    for url in &config.urls {
        let parsed = with_keyword(url, "x")
            .map_err(|error| BuildError::new(config, "urls", format!("{error}: `{url}`")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            let reason = format!("only http and https are fetched: `{url}`");
            return Err(BuildError::new(config, "urls", reason));
        }
    }
    Ok(config.urls.clone())
}
