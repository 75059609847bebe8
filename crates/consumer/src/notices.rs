//! Which ends of tasks an address is told of: the first of a kind and a name in each minute.
//!
//! What is left out is counted and told with the next one. The counts are this worker's own; the
//! task that delivers counts those of all workers.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use rhubarb_core::secrets::Secrets;
use rhubarb_queue::{
    Config,
    config::NotifyConfig,
    notice::{self, Notice, NoticeKind},
};

/// The most names that are told apart; what comes beyond is told as [`OTHERS`].
const NAMES: usize = 500;
const OTHERS: &str = "other tasks";
const MINUTE_MS: i64 = 60_000;

/// What a worker tells of the ends that it writes.
#[derive(Debug)]
pub(crate) struct Notices {
    config: NotifyConfig,
    secrets: Secrets,
    told: Mutex<HashMap<(NoticeKind, String), Told>>,
}

#[derive(Clone, Debug, Default)]
struct Told {
    /// Absent before the first.
    minute: Option<i64>,
    /// Of which task: its end may be planned twice.
    id: String,
    before: u64,
    left_out: u64,
}

/// An end that somebody may have to be told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) kind: NoticeKind,
    pub(crate) task: &'a str,
    pub(crate) id: &'a str,
    pub(crate) queue: &'a str,
    pub(crate) worker: &'a str,
    pub(crate) error: &'a str,
    pub(crate) at: Timestamp,
}

impl Notices {
    pub(crate) fn new(config: &Config) -> Self {
        let secrets = Secrets::new(&config.history.hide);
        Self { config: config.notify.clone(), secrets, told: Mutex::default() }
    }

    /// Returns the notice of an end, if it is to be told.
    pub(crate) fn of(&self, failure: Failure<'_>) -> Option<Notice> {
        let Failure { kind, task, id, queue, worker, error, at } = failure;
        let wanted = match kind {
            NoticeKind::TaskDead => self.config.dead,
            _ => self.config.failures,
        };
        // What tells of failures is not told of: it would go round.
        if !wanted || self.config.url.expose().is_none() || task == notice::TASK {
            return None;
        }
        let left_out = self.first_of_its_minute(kind, task, id, at)?;
        let error = self.secrets.hide(error);
        let what = match kind {
            NoticeKind::TaskDead => "is a dead letter",
            _ => "failed",
        };
        let text = format!("Task {task} {what}: {error} (queue {queue}, id {id})");
        let notice = Notice::new(kind, task, at, &text)
            .with("task", task)
            .with("id", id)
            .with("queue", queue)
            .with("worker", worker)
            .with("error", error.as_ref());
        Some(Notice { left_out, ..notice })
    }

    /// Returns how many were left out before this one; none where this is one of them.
    fn first_of_its_minute(
        &self,
        kind: NoticeKind,
        task: &str,
        id: &str,
        at: Timestamp,
    ) -> Option<u64> {
        let minute = Some(at.as_millisecond().div_euclid(MINUTE_MS));
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= NAMES {
            // Of these nothing is left to be told.
            told.retain(|_, one| one.minute == minute || one.left_out > 0);
        }
        let known = told.contains_key(&(kind, task.to_owned())) || told.len() < NAMES;
        let name = if known { task } else { OTHERS };
        let told = told.entry((kind, name.to_owned())).or_default();
        if told.minute == minute && told.id != id {
            told.left_out += 1;
            return None;
        }
        if told.minute != minute {
            let before = std::mem::take(&mut told.left_out);
            *told = Told { minute, id: id.to_owned(), before, left_out: 0 };
        }
        Some(told.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notices(toml: &str) -> Notices {
        Notices::new(&Config::from_toml(toml).unwrap())
    }

    fn failure<'a>(task: &'a str, id: &'a str, at: i64) -> Failure<'a> {
        Failure {
            kind: NoticeKind::TaskFailed,
            task,
            id,
            queue: "celery",
            worker: "w",
            error: "password=hunter2 is wrong",
            at: Timestamp::from_second(at).unwrap(),
        }
    }

    const URL: &str = "[notify]\nurl = \"https://alerts.example/x\"\n";

    #[test]
    fn a_storm_is_one_notice_a_minute_with_the_count_of_the_others() {
        let notices = notices(URL);
        let told = |n: i64, at: i64| {
            let all = (0..n).filter_map(|i| notices.of(failure("t", &format!("{at} {i}"), at)));
            all.map(|notice| notice.left_out).collect::<Vec<_>>()
        };
        assert_eq!(told(10_000, 0), [0]);
        assert_eq!(told(3, 61), [9_999]);
        assert_eq!(told(1, 125), [2]);
        assert_eq!(told(1, 190), [0]);
    }

    #[test]
    fn an_end_that_is_planned_again_is_told_again() {
        let notices = notices(URL);
        let first = notices.of(failure("t", "1", 0));
        assert!(first.is_some());
        assert_eq!(notices.of(failure("t", "1", 1)).map(|n| n.text), first.map(|n| n.text));
    }

    #[test]
    fn names_are_told_apart_within_a_bound() {
        let notices = notices(URL);
        let names: Vec<String> = (0..NAMES * 3).map(|n| format!("t{n}")).collect();
        let told = names.iter().filter_map(|name| notices.of(failure(name, name, 0))).count();
        assert_eq!(told, NAMES + 1);
        let later = notices.of(failure("new", "new", 61));
        assert_eq!(later.map(|notice| notice.about).as_deref(), Some("new"), "room is made");
    }

    #[test]
    fn nobody_is_told_without_an_address_or_of_the_telling_itself() {
        assert_eq!(notices("").of(failure("t", "1", 0)), None);
        assert_eq!(notices(URL).of(failure(notice::TASK, "1", 0)), None);
        let off = notices(&format!("{URL}failures = false\n"));
        assert_eq!(off.of(failure("t", "1", 0)), None);
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let notice = notices(URL).of(failure("t", "1", 0)).unwrap();
        assert!(!format!("{notice:?}").contains("hunter2"), "{notice:?}");
    }
}
