//! From a schedule's tick to the task that is published for it. Pure.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use rhubarb_core::{config::Config, schedule::Schedule};
use rhubarb_queue::Publish;
use uuid::Uuid;

use crate::Error;

/// A schedule and the queue that its tasks go to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The schedule.
    pub schedule: Schedule,
    /// The queue's name.
    pub queue: String,
}

impl Entry {
    /// Returns the enabled schedules of the configuration, by queue; queues of disabled ones are named too.
    ///
    /// # Errors
    ///
    /// [`Error::Schedule`] for the first that cannot be used, disabled ones included.
    pub fn by_queue(config: &Config) -> Result<BTreeMap<String, Vec<Self>>, Error> {
        let mut queues: BTreeMap<String, Vec<Self>> = BTreeMap::new();
        for (name, entry) in &config.schedules {
            let schedule = Schedule::compile(name, entry, &config.beat.timezone)
                .map_err(|source| Error::Schedule { name: name.clone(), source })?;
            let routed = || config.celery.queue_for(&entry.task).to_owned();
            let queue = entry.queue.clone().unwrap_or_else(routed);
            let of_queue = queues.entry(queue.clone()).or_default();
            if entry.enabled {
                of_queue.push(Self { schedule, queue });
            }
        }
        Ok(queues)
    }

    /// Returns the task of a tick, published at `now`.
    ///
    /// Its expiry counts from the tick: a tick that was missed for longer is published and revoked, so that its
    /// result says what became of it.
    pub fn task(&self, tick: Timestamp, now: Timestamp) -> Publish {
        let config = &self.schedule.config;
        Publish {
            args: config.args.clone(),
            kwargs: config.kwargs.clone(),
            id: Some(self.id(tick)),
            queue: Some(self.queue.clone()),
            expires_in: config.expires.map(|expires| expires.saturating_sub(late(tick, now))),
            priority: config.priority,
            from_beat: true,
            ..Publish::new(&config.task)
        }
    }

    /// Returns the id of a tick's task: the same from every beat, so that a log line is found from a result.
    pub fn id(&self, tick: Timestamp) -> String {
        let name = format!("rhubarb:{}:{}:{tick}", self.queue, self.schedule.name);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
    }
}

/// Returns how long after its tick it is.
pub fn late(tick: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(tick)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rhubarb_core::config::{CrontabText, ScheduleConfig, When};

    use super::*;

    fn config(schedules: impl IntoIterator<Item = (&'static str, ScheduleConfig)>) -> Config {
        let schedules = schedules.into_iter().map(|(name, entry)| (name.to_owned(), entry));
        Config { schedules: schedules.collect(), ..Config::default() }
    }

    fn entry() -> ScheduleConfig {
        ScheduleConfig {
            task: "t".to_owned(),
            args: vec![1.into()],
            kwargs: [("k".to_owned(), "v".into())].into_iter().collect(),
            priority: Some(6),
            expires: Some(Duration::from_secs(60)),
            ..ScheduleConfig::default()
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_ticks_task_has_everything_that_is_configured() {
        let queues = Entry::by_queue(&config([("s", entry())])).unwrap();
        let entry = &queues["celery"][0];
        let expect = Publish {
            id: Some(entry.id(at(0))),
            queue: Some("celery".to_owned()),
            expires_in: Some(Duration::from_secs(58)),
            priority: Some(6),
            from_beat: true,
            ..Publish::new("t").arg(1).kwarg("k", "v")
        };
        assert_eq!(entry.task(at(0), at(2)), expect);
    }

    #[test]
    fn expiry_counts_from_the_tick() {
        let queues = Entry::by_queue(&config([("s", entry())])).unwrap();
        for (late, rest) in [(0, 60), (59, 1), (60, 0), (7200, 0), (-1, 60)] {
            let task = queues["celery"][0].task(at(0), at(late));
            assert_eq!(task.expires_in, Some(Duration::from_secs(rest)), "{late}");
        }
    }

    #[test]
    fn a_ticks_id_differs_by_schedule_queue_and_tick() {
        let other = ScheduleConfig { queue: Some("q".to_owned()), ..entry() };
        let queues =
            Entry::by_queue(&config([("a", entry()), ("b", entry()), ("c", other)])).unwrap();
        let all: Vec<&Entry> = queues.values().flatten().collect();
        let ids: std::collections::HashSet<String> =
            all.iter().flat_map(|e| [e.id(at(0)), e.id(at(1))]).collect();
        assert_eq!(ids.len(), 6);
        assert_eq!(all[0].id(at(0)), all[0].clone().id(at(0)));
    }

    #[test]
    fn a_disabled_schedule_has_no_entry_and_a_wrong_one_is_named() {
        let off = ScheduleConfig { enabled: false, ..entry() };
        assert!(Entry::by_queue(&config([("s", off)])).unwrap()["celery"].is_empty());
        let text = CrontabText { minute: "61".to_owned(), ..CrontabText::default() };
        let wrong = ScheduleConfig { when: When::Crontab(text), ..entry() };
        let error = Entry::by_queue(&config([("s", wrong)])).unwrap_err();
        assert_eq!(error.to_string(), "cannot use schedule `s`");
    }
}
