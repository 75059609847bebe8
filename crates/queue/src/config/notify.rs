//! `[notify]`.

use std::time::Duration;

use rhubarb_config::{Secret, settings, words};
use rhubarb_schedule::WebhookUrl;

settings! {
    /// Who is told when something goes wrong. Without an address nobody is.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NotifyConfig {
        /// It receives a POST of JSON for each notice, at most one a minute of the same kind about
        /// the same thing. One in a private network has to be named in `scrape.allow_private` too.
        url: WebhookUrl = WebhookUrl::default(), example "\"https://alerts.example/rhubarb\"";
        /// What notices are signed with, as Standard Webhooks has it: "whsec_" and base64, or any
        /// text of at least 16 characters. Without it they are not signed.
        secret: Option<Secret> = None, accepts "a text of 16 to 1000 characters",
            example "\"whsec_…\"";
        /// How a notice is written: "json", or "slack" for an address of Slack's, Mattermost's or
        /// Discord's (with `/slack` behind it).
        form: NoticeForm = NoticeForm::Json, accepts "\"json\" or \"slack\"";
        /// Tell of tasks that have failed for good.
        failures: bool = true;
        /// Tell of dead letters.
        dead: bool = true;
        /// Tell of schedules that are later than their `alert_after`.
        late: bool = true;
        /// Tell of sources that are broken, gone or suspicious.
        sources: bool = true;
        /// Tell of a queue whose next task waits for longer than this; 0 tells of none. The beat
        /// that leads looks once a minute.
        queue_age: Duration = Duration::ZERO, accepts "0, or 10 s to 30 days",
            if |age| age.is_zero() || (10..=30 * 86_400).contains(&age.as_secs());
    }
}

/// How a notice is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoticeForm {
    /// As Standard Webhooks has it: `type`, `timestamp`, `data`.
    #[default]
    Json,
    /// One line of text, as Slack takes it.
    Slack,
}
words!(NoticeForm: "json" => Self::Json, "slack" => Self::Slack);
