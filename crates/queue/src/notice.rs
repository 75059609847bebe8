//! Notices: what went wrong, as one address is told of it. Pure.
//!
//! Whoever sees it makes a [`Notice`]. A worker publishes it as the task [`TASK`] in the step that
//! ends the failed task, so that neither is without the other. The task delivers it. The beat
//! delivers its own: it may be the only process that still lives.

mod signing;

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_core::hex::hex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{client::Publish, config::NoticeForm};

pub use signing::sign;

/// The task that delivers a notice.
pub const TASK: &str = "rhubarb.notice";

/// What was not told within a day is no news.
const EXPIRES: Duration = Duration::from_secs(86_400);

/// The most characters of an error's text.
const MAX_TEXT: usize = 1_000;
/// The most characters of a name.
const MAX_NAME: usize = 200;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum NoticeKind {
    /// A task has failed for good.
    #[serde(rename = "task.failed")]
    TaskFailed,
    /// A message became a dead letter.
    #[serde(rename = "task.dead")]
    TaskDead,
    /// A schedule is late.
    #[serde(rename = "schedule.late")]
    ScheduleLate,
    /// A schedule that was late is on time again.
    #[serde(rename = "schedule.on_time")]
    ScheduleOnTime,
    /// A source is broken, gone or suspicious.
    #[serde(rename = "source.broken")]
    SourceBroken,
    /// The next task of a queue has waited for too long.
    #[serde(rename = "queue.old")]
    QueueOld,
}

impl NoticeKind {
    /// Returns its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::TaskFailed => "task.failed",
            Self::TaskDead => "task.dead",
            Self::ScheduleLate => "schedule.late",
            Self::ScheduleOnTime => "schedule.on_time",
            Self::SourceBroken => "source.broken",
            Self::QueueOld => "queue.old",
        }
    }
}

/// One notice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What happened.
    pub kind: NoticeKind,
    /// To what: the name of a task, a schedule, a source or a queue.
    pub about: String,
    /// When, ISO 8601.
    pub at: String,
    /// One sentence for a person.
    pub text: String,
    /// The same for a program.
    #[serde(default)]
    pub data: Map<String, Value>,
    /// How many like it were left out before it.
    #[serde(default)]
    pub left_out: u64,
}

impl Notice {
    /// Makes one; texts that are too long are cut.
    pub fn new(kind: NoticeKind, about: &str, at: Timestamp, text: &str) -> Self {
        let (about, text) = (cut(about, MAX_NAME), cut(text, MAX_TEXT));
        Self { kind, about, at: rhubarb_core::clock::iso(at), text, data: Map::new(), left_out: 0 }
    }

    /// Adds what a program reads.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = match value.into() {
            Value::String(text) => cut(&text, MAX_TEXT).into(),
            other => other,
        };
        self.data.insert(name.to_owned(), value);
        self
    }

    /// Returns the name under which notices of the same kind about the same thing count as one.
    pub fn key(&self) -> String {
        let digest = Sha256::digest(format!("{}\n{}", self.kind.name(), self.about));
        hex(&digest[..16])
    }

    /// Returns the task that delivers it; nobody waits for its result.
    pub fn task(&self) -> Publish {
        let notice = serde_json::to_value(self).unwrap_or_default();
        Publish::new(TASK).kwarg("notice", notice).expires_in(EXPIRES).with(|options| {
            options.ignore_result = Some(true);
        })
    }

    /// Returns the body of the POST; `more` were left out besides.
    pub fn body(&self, form: NoticeForm, more: u64) -> String {
        let left_out = self.left_out.saturating_add(more);
        match form {
            NoticeForm::Json => {
                let mut data = self.data.clone();
                data.insert("about".to_owned(), self.about.as_str().into());
                data.insert("text".to_owned(), self.text.as_str().into());
                data.insert("left_out".to_owned(), left_out.into());
                let (kind, at) = (self.kind.name(), &self.at);
                json!({ "type": kind, "timestamp": at, "data": data }).to_string()
            }
            NoticeForm::Slack => {
                let more = match left_out {
                    0 => String::new(),
                    n => format!(" ({n} more like it)"),
                };
                json!({ "text": escaped(&format!("{}{more}", self.text)) }).to_string()
            }
        }
    }
}

/// Slack's own three; so nothing in an error's text becomes a link or calls a channel.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut cut: String = text.chars().take(most).map(clean).collect();
    if text.chars().nth(most).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(text: &str) -> Notice {
        let at = "2026-11-29T19:00:00Z".parse().unwrap();
        let notice = Notice::new(NoticeKind::TaskFailed, "shop.mail", at, text);
        notice.with("queue", "celery")
    }

    #[test]
    fn a_notice_is_a_standard_webhook() {
        let body: Value = serde_json::from_str(&notice("No").body(NoticeForm::Json, 2)).unwrap();
        assert_eq!(body["type"], "task.failed");
        assert_eq!(body["timestamp"].as_str().map(|at| &at[..10]), Some("2026-11-29"));
        let data = json!({"queue": "celery", "about": "shop.mail", "text": "No", "left_out": 2});
        assert_eq!(body["data"], data);
    }

    #[test]
    fn slack_gets_one_line_in_which_nothing_is_markup() {
        let body = notice("<!channel> a&b\nc").body(NoticeForm::Slack, 3);
        assert_eq!(body, r#"{"text":"&lt;!channel&gt; a&amp;b c (3 more like it)"}"#);
    }

    #[test]
    fn a_notice_is_bounded_and_comes_back_from_its_task() {
        let long = notice(&"é".repeat(5_000)).with("error", "x".repeat(9_000));
        let body = long.body(NoticeForm::Json, 0);
        assert!(body.len() < 4_000, "{}", body.len());
        let value = serde_json::to_value(&long).unwrap();
        assert_eq!(serde_json::from_value::<Notice>(value).unwrap(), long);
        assert_ne!(long.key(), Notice { about: "b".into(), ..long.clone() }.key());
        assert_ne!(long.key(), Notice { kind: NoticeKind::TaskDead, ..long.clone() }.key());
    }
}
