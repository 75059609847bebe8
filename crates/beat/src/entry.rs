//! From a schedule's tick to the task that is published for it. Pure.

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_queue::{Publish, schedules::KnownSchedule};
use uuid::Uuid;

/// Returns the task of a schedule's tick, published at `now` in the installation with this
/// `global_keyprefix`.
///
/// Its expiry counts from the tick: a tick that was missed for longer is published and revoked, so
/// that its result says what became of it.
pub fn task(prefix: &str, known: &KnownSchedule, tick: Timestamp, now: Timestamp) -> Publish {
    let config = &known.schedule.config;
    known.publish().with(|options| {
        options.id = Some(id(prefix, &known.schedule.name, tick));
        options.expires_in = config.expires.map(|expires| expires.saturating_sub(late(tick, now)));
        // As Celery's beat marks them.
        options.headers.insert("celery_beat_task".to_owned(), true.into());
    })
}

/// Returns the id of a tick's task: the same from every beat of an installation, so that a log line
/// is found from a result, and another one in each installation, because they may share a database
/// of results.
pub fn id(prefix: &str, schedule: &str, tick: Timestamp) -> String {
    let name = format!("{prefix}rhubarb:{schedule}:{tick}");
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

/// Returns how long after its tick it is.
pub fn late(tick: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(tick)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::{
        CallOptions,
        schedules::{All, Live, RedBeat},
    };
    use rhubarb_schedule::{ScheduleConfig, When};
    use rhubarb_settings::Settings;

    use super::*;

    fn known() -> KnownSchedule {
        let when = When::Every { every: Duration::from_secs(5), relative: false };
        let entry = ScheduleConfig {
            task: "t".to_owned(),
            when,
            args: vec![1.into()],
            kwargs: [("k".to_owned(), "v".into())].into_iter().collect(),
            priority: Some(6),
            expires: Some(Duration::from_secs(60)),
            options: Some(Box::new(CallOptions {
                ignore_result: Some(true),
                time_limit: Some(Duration::from_secs(9)),
                shadow: Some("shown".to_owned()),
                headers: [("h".to_owned(), 1.into())].into_iter().collect(),
                ..CallOptions::default()
            })),
            ..ScheduleConfig::default()
        };
        let schedules = [("s".to_owned(), entry.into())].into();
        let config = Settings { schedules, ..Settings::default() };
        All::of(config.scheduled(), Live::default(), &RedBeat::default()).known["s"]
            .as_ref()
            .clone()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + seconds).unwrap()
    }

    #[test]
    fn a_ticks_task_has_everything_that_is_configured() {
        let options = CallOptions {
            id: Some(id("", "s", at(0))),
            queue: Some("celery".to_owned()),
            expires_in: Some(Duration::from_secs(58)),
            priority: Some(6),
            ignore_result: Some(true),
            time_limit: Some(Duration::from_secs(9)),
            shadow: Some("shown".to_owned()),
            headers: [("h".to_owned(), 1.into()), ("celery_beat_task".to_owned(), true.into())]
                .into_iter()
                .collect(),
            ..CallOptions::default()
        };
        let expect = Publish { options, ..Publish::new("t").arg(1).kwarg("k", "v") };
        assert_eq!(task("", &known(), at(0), at(2)), expect);
    }

    #[test]
    fn expiry_counts_from_the_tick() {
        for (late, rest) in [(0, 60), (59, 1), (60, 0), (7200, 0), (-1, 60)] {
            let task = task("", &known(), at(0), at(late));
            assert_eq!(task.options.expires_in, Some(Duration::from_secs(rest)), "{late}");
        }
    }

    #[test]
    fn a_ticks_id_differs_by_schedule_and_tick() {
        let ids = [("", "a", 0), ("", "a", 1), ("", "b", 0), ("", "b", 1), ("shop:", "a", 0)]
            .map(|(prefix, schedule, seconds)| id(prefix, schedule, at(seconds)));
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 5);
        assert_eq!(id("", "a", at(0)), ids[0]);
    }
}
