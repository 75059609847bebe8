//! `[beat]`.

use std::{fmt, net::SocketAddr, time::Duration};

use rhubarb_config::{
    Input, Shown, Value, Wrong, redact,
    rules::{ZONE, is_name, is_zone, seconds, within},
    settings,
};

settings! {
    /// The beat.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BeatConfig {
        /// The time zone of schedules that name none.
        timezone: String = "UTC".into(), accepts ZONE, if |zone| is_zone(zone);
        /// How long a silent leader stays leader. Shorter makes fail-over faster; too short, and a
        /// slow network loses the lead.
        lease: Duration = seconds(10), accepts "2 s to 10 minutes", if |d| within(d, 2, 600);
        /// Whether the entries that Python's RedBeat keeps on the queue's database are obeyed. They
        /// are read and never written, and left alone for as long as a RedBeat of Python's holds
        /// its lock.
        redbeat: bool = true;
        /// RedBeat's `redbeat_key_prefix`.
        redbeat_key_prefix: String = "redbeat:".into(),
            accepts "text of 1 to 200 characters", if |text| is_name(text);
        /// This address receives a POST of JSON when a schedule is later than its `alert_after`,
        /// and when it no longer is.
        alert_url: WebhookUrl = WebhookUrl::default();
        /// This address receives a POST of JSON each minute while a beat leads and no schedule is
        /// late. Give that of a dead man's switch, which raises the alarm when it hears nothing.
        ping_url: WebhookUrl = WebhookUrl::default();
        /// An address to answer health checks and a scraper of this beat on; without it none is
        /// answered. Everybody who reaches it reads how many schedules there are.
        http: Option<SocketAddr> = None, example "\"127.0.0.1:9465\"";
    }
}

/// The address of a webhook, or none. What follows its host is often the secret itself, so that it
/// is never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct WebhookUrl(Option<url::Url>);

impl WebhookUrl {
    /// Returns the whole address, for sending to it; absent when none is configured.
    pub fn expose(&self) -> Option<&url::Url> {
        self.0.as_ref()
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.as_ref().map(redact::cut).unwrap_or_default())
    }
}

impl Value for WebhookUrl {
    const ACCEPTS: &'static str = "an http:// or https:// address, or nothing,";
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        let text = input.text().ok_or(None)?.trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let url = url::Url::parse(text).ok();
        let url = url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        url.map(|url| Self(Some(url))).ok_or(None)
    }
    fn show(&self) -> Shown {
        let whole = self.0.as_ref().map_or("", |url| url.as_str().trim_end_matches('/'));
        Shown::of(&self.to_string(), whole)
    }
}
