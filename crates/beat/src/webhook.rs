//! Telling addresses over HTTP: that a schedule is late, and that all is well.

use std::time::Duration;

use rhubarb_core::clock;
use rhubarb_queue::{
    config::NotifyConfig,
    notice::{Notice, NoticeKind, sign},
};
use rhubarb_schedule::{BeatConfig, WebhookUrl};
use serde_json::Value;
use tokio::{task::JoinSet, time::Instant};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most calls at once; what comes while all of them hang is left out, with a line in the log.
const MOST: usize = 8;
/// How often the switch is told that all is well.
const PING: Duration = Duration::from_secs(60);

/// How long is waited before each try to tell a notice.
const TRIES: &[Duration] =
    &[Duration::ZERO, Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(60)];

/// What is posted.
#[derive(Debug)]
struct Message {
    body: String,
    headers: Vec<(&'static str, String)>,
    tries: &'static [Duration],
}

impl Message {
    fn new(body: String) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { body, headers, tries: &TRIES[..1] }
    }

    fn of(notice: &Notice, config: &NotifyConfig) -> Self {
        let mut message = Self::new(notice.body(config.form, 0));
        let (at, id) = (clock::now().as_second(), format!("msg_{}_{}", notice.key(), notice.at));
        if let Some(secret) = &config.secret {
            let signature = sign(secret.expose(), &id, at, &message.body);
            message.headers.push(("webhook-signature", signature));
        }
        message.headers.push(("webhook-timestamp", at.to_string()));
        message.headers.push(("webhook-id", id));
        Self { tries: TRIES, ..message }
    }
}

/// The addresses of the configuration. Calls run beside the beat, and never hold it up.
#[derive(Debug, Default)]
pub struct Webhooks {
    alert: WebhookUrl,
    ping: WebhookUrl,
    notify: NotifyConfig,
    client: Option<reqwest::Client>,
    calls: JoinSet<()>,
    pinged: Option<Instant>,
}

impl Webhooks {
    /// Prepares; without an address nothing is made.
    pub fn new(config: &BeatConfig, notify: &NotifyConfig) -> Self {
        let (alert, ping) = (config.alert_url.clone(), config.ping_url.clone());
        Self { alert, ping, notify: notify.clone(), ..Self::default() }
    }

    /// Tells the alert's address.
    pub fn alert(&mut self, event: &Value) {
        let url = self.alert.clone();
        self.call(url, Message::new(event.to_string()));
    }

    /// Tells the switch's address that all is well, if a minute has passed.
    pub fn ping(&mut self, event: impl FnOnce() -> Value) {
        let due = self.pinged.is_none_or(|pinged| pinged.elapsed() >= PING);
        if due && self.ping.expose().is_some() {
            self.pinged = Some(Instant::now());
            let url = self.ping.clone();
            self.call(url, Message::new(event().to_string()));
        }
    }

    /// Tells the address of `notify.url`, signed, in a few tries: the beat may be the only process
    /// that still lives, so that no task would carry it.
    pub fn notice(&mut self, notice: &Notice) {
        let wanted = match notice.kind {
            NoticeKind::ScheduleLate | NoticeKind::ScheduleOnTime => self.notify.late,
            _ => true,
        };
        if wanted {
            let message = Message::of(notice, &self.notify);
            self.call(self.notify.url.clone(), message);
        }
    }

    fn call(&mut self, url: WebhookUrl, message: Message) {
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
        self.calls.spawn(async move {
            for wait in message.tries {
                tokio::time::sleep(*wait).await;
                let mut request = client.post(address.clone()).body(message.body.clone());
                for (name, value) in &message.headers {
                    request = request.header(*name, value);
                }
                let answer = request.send().await.and_then(reqwest::Response::error_for_status);
                match answer {
                    Ok(_) => return,
                    Err(error) => {
                        tracing::warn!(%url, error = %error.without_url(), "webhook failed");
                    }
                }
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
