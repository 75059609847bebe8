//! Which kind of source reads a careers page: told by its address, or by what stands in it.

mod address;
mod answer;
mod guess;
mod widgets;

use serde_json::Value;
use url::Url;

use crate::config::{PathSettings, SourceConfig, SourceKind};

pub(crate) use self::guess::guess;
pub use self::{
    address::by_address,
    answer::{in_feed, in_json, in_page, in_sitemap, sitemaps},
};

/// A source that reads the page, and how that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The source's configuration; other settings are at their defaults.
    pub config: SourceConfig,
    /// What tells so, as a clause: "its address is that of a Lever board".
    pub why: String,
}

impl Candidate {
    fn new(kind: SourceKind, why: impl Into<String>) -> Self {
        let config = SourceConfig::new(kind);
        Self { config, why: why.into() }
    }

    fn board(kind: SourceKind, board: &str, why: &str) -> Self {
        let mut found = Self::new(kind, why);
        found.config.name = format!("{}:{board}", kind.name());
        found.config.board = Some(board.to_owned());
        found
    }

    fn site(mut self, site: &str) -> Self {
        self.config.name = format!("{}:{site}", self.config.name);
        self.config.site = Some(site.to_owned());
        self
    }

    fn urls(kind: SourceKind, url: &Url, why: impl Into<String>) -> Self {
        let mut found = Self::new(kind, why);
        found.config.name = named(url);
        found.config.urls = vec![url.as_str().into()];
        found
    }

    /// Returns what to paste into the configuration.
    pub fn toml(&self) -> String {
        let mut lines = vec!["[[sources]]".to_owned()];
        let mut set = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                lines.push(format!("{name} = {}", quoted(value)));
            }
        };
        let config = &self.config;
        set("type", Some(config.kind.name()));
        let plain = config.board.as_ref().map(|board| format!("{}:{board}", config.kind.name()));
        let usual = config.name == config.kind.name() || plain.as_ref() == Some(&config.name);
        set("name", Some(config.name.as_str()).filter(|_| !usual));
        set("board", config.board.as_deref());
        set("site", config.site.as_deref());
        set("base_url", config.base_url.as_ref().map(|url| url.expose()));
        set("company", config.company.as_deref());
        set("script", config.script.as_deref());
        set("pattern", config.pattern.as_deref());
        if !config.urls.is_empty() {
            let urls: Vec<String> = config.urls.iter().map(|url| quoted(url.expose())).collect();
            lines.push(format!("urls = [{}]", urls.join(", ")));
        }
        let paths = &config.paths;
        if *paths != PathSettings::default() {
            lines.push(String::new());
            lines.push("[sources.paths]".to_owned());
            let fields = [
                ("items", Some(&paths.items)),
                ("id", paths.id.as_ref()),
                ("title", paths.title.as_ref()),
                ("link", paths.link.as_ref()),
                ("company", paths.company.as_ref()),
                ("location", paths.location.as_ref()),
                ("date", paths.date.as_ref()),
                ("description", paths.description.as_ref()),
            ];
            let given = fields.into_iter().filter_map(|(name, path)| Some((name, path?)));
            lines.extend(given.map(|(name, path)| format!("{name} = {}", quoted(path))));
        }
        lines.join("\n") + "\n"
    }
}

/// Returns a basic string of TOML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns the name of a source that has no board: its host without what all have.
fn named(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_start_matches("www.").to_owned()
}

#[cfg(test)]
mod tests;
