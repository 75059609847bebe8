//! Telling addresses over HTTP: that a schedule is late, and that all is well.

use std::time::Duration;

use rhubarb_schedule::{BeatConfig, WebhookUrl};
use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most calls at once; what comes while all of them hang is left out, with a line in the log.
const MOST: usize = 8;
/// How often the switch is told that all is well.
const PING: Duration = Duration::from_secs(60);

/// The addresses of the configuration. Calls run beside the beat, and never hold it up.
#[derive(Debug, Default)]
pub struct Webhooks {
    alert: WebhookUrl,
    ping: WebhookUrl,
    client: Option<reqwest::Client>,
    calls: JoinSet<()>,
    pinged: Option<Instant>,
}

impl Webhooks {
    /// Prepares; without an address nothing is made.
    pub fn new(config: &BeatConfig) -> Self {
        let (alert, ping) = (config.alert_url.clone(), config.ping_url.clone());
        Self { alert, ping, ..Self::default() }
    }

    /// Tells the alert's address.
    pub fn alert(&mut self, event: &Value) {
        let url = self.alert.clone();
        self.call(url, event);
    }

    /// Tells the switch's address that all is well, if a minute has passed.
    pub fn ping(&mut self, event: impl FnOnce() -> Value) {
        let due = self.pinged.is_none_or(|pinged| pinged.elapsed() >= PING);
        if due && self.ping.expose().is_some() {
            self.pinged = Some(Instant::now());
            let url = self.ping.clone();
            self.call(url, &event());
        }
    }

    fn call(&mut self, url: WebhookUrl, event: &Value) {
        while self.calls.try_join_next().is_some() {}
        let Some(address) = url.expose().cloned() else { return };
        if self.calls.len() >= MOST {
            tracing::warn!(%url, "webhook was left out: too many calls are under way");
            return;
        }
        let client = match self.client() {
            Ok(client) => client,
            Err(error) => {
                tracing::warn!(%url, error = %error.without_url(), "webhook cannot be called");
                return;
            }
        };
        let request =
            client.post(address).header("content-type", "application/json").body(event.to_string());
        self.calls.spawn(async move {
            let answer = request.send().await.and_then(reqwest::Response::error_for_status);
            if let Err(error) = answer {
                tracing::warn!(%url, error = %error.without_url(), "webhook failed");
            }
        });
    }

    fn client(&mut self) -> reqwest::Result<reqwest::Client> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let agent = concat!("rhubarb-beat/", env!("CARGO_PKG_VERSION"));
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(agent)
            .build()?;
        Ok(self.client.insert(client).clone())
    }
}
