//! All schedules as people and programs see them.

use std::collections::{BTreeSet, HashMap};

use jiff::{Timestamp, tz::TimeZone};
use rhubarb_core::clock;
use rhubarb_queue::{
    Client, inspect,
    schedules::{All, KnownSchedule, Owner, Problem as Broken},
    tick::Record,
};
use rhubarb_settings::Settings;
use serde::Serialize;

use crate::problem::Problem;

/// So many runs are told ahead.
const AHEAD: usize = 3;

/// All schedules.
#[derive(Debug, Serialize)]
pub struct Timetable {
    /// By name.
    pub items: Vec<Entry>,
    /// What cannot be used.
    pub problems: Vec<Broken>,
    /// The beat that leads; none where nothing is published.
    pub leader: Option<String>,
}

/// One schedule.
#[derive(Debug, Serialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Who owns it: where it is edited.
    pub owner: Owner,
    /// The task.
    pub task: String,
    /// Its queue.
    pub queue: String,
    /// When it runs, in words.
    pub words: String,
    /// `on`, `off`, `paused`, `ended` or `late`.
    pub state: &'static str,
    /// Since when it is paused.
    pub paused_since: Option<String>,
    /// Why.
    pub note: Option<String>,
    /// When it was last published.
    pub last_run: Option<String>,
    /// When it runs next, in its own time zone.
    pub next_runs: Vec<String>,
    /// How often it was published.
    pub runs: u64,
    /// How often it was not.
    pub missed: u64,
    /// How late the last one was, milliseconds.
    pub late_ms: u64,
}

/// Reads them.
///
/// # Errors
///
/// Redis is away.
pub async fn read(client: &Client, config: &Settings) -> Result<Timetable, Problem> {
    let all = All::read(client, config.scheduled()).await?;
    let queues: BTreeSet<&str> = all.known.values().map(|known| known.queue.as_str()).collect();
    let mut records = HashMap::new();
    for queue in queues {
        records.insert(queue, inspect::schedule_records(client, queue).await?);
    }
    let now = clock::now();
    let known = all.known.iter().map(|(name, known)| {
        let record = records.get(known.queue.as_str()).and_then(|of_queue| of_queue.get(name));
        entry(known, record, now)
    });
    let items = known.collect();
    let leader = inspect::leader(client).await?.map(|(holder, _)| holder);
    Ok(Timetable { items, problems: all.problems, leader })
}

fn entry(known: &KnownSchedule, record: Option<&Record>, now: Timestamp) -> Entry {
    let (schedule, zone) = (&known.schedule, &known.schedule.timezone);
    // What beat has not seen yet starts from now.
    let current = known.record(record.cloned(), now);
    let due = schedule.next_at(&current.progress()).filter(|_| known.is_on());
    let later = std::iter::successors(due, |at| schedule.next_after(*at, current.anchor));
    let left = schedule.config.max_runs.map_or(u64::MAX, |max| max.saturating_sub(current.runs));
    let n = AHEAD.min(usize::try_from(left).unwrap_or(usize::MAX));
    Entry {
        name: schedule.name.clone(),
        owner: known.owner,
        task: schedule.config.task.clone(),
        queue: known.queue.clone(),
        words: schedule.words(),
        state: state(known, due, now),
        paused_since: known.pause.as_ref().map(|pause| clock::iso(pause.since)),
        note: known.pause.as_ref().map(|pause| pause.note.clone()),
        last_run: record.and_then(|record| record.at).map(|at| shown(at, zone)),
        next_runs: later.take(n).map(|at| shown(at, zone)).collect(),
        runs: record.map_or(0, |record| record.runs),
        missed: record.map_or(0, |record| record.missed),
        late_ms: record.map_or(0, |record| record.late_ms),
    }
}

/// Returns its state in a word: it is late where its next run should have been long ago.
fn state(known: &KnownSchedule, due: Option<Timestamp>, now: Timestamp) -> &'static str {
    let config = &known.schedule.config;
    let limit = config.alert_after.map_or(60, |after| after.as_secs());
    let late = |due: Timestamp| now.as_second() - due.as_second();
    match (config.enabled, &known.pause, due) {
        (false, ..) => "off",
        (true, Some(_), _) => "paused",
        (true, None, None) => "ended",
        (true, None, Some(due)) if late(due) > i64::try_from(limit).unwrap_or(i64::MAX) => "late",
        (true, None, Some(_)) => "on",
    }
}

fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::schedules::{Live, RedBeat, SchedulePause};

    use super::*;

    fn known(entry: &str) -> KnownSchedule {
        let text = format!("[schedules.s]\ntask = \"t\"\n{entry}");
        let config = Settings::from_toml(&text).unwrap();
        All::of(config.scheduled(), Live::default(), &RedBeat::default()).known["s"]
            .as_ref()
            .clone()
    }

    #[test]
    fn a_schedule_says_when_it_runs_next_and_whether_it_is_late() {
        let at = |s: i64| Timestamp::from_second(1_790_000_000 + s).unwrap();
        let every = known("every = 100\nalert_after = 30");
        let record = every.record(None, at(0));
        let seen = entry(&every, Some(&record), at(50));
        assert_eq!((seen.state, seen.next_runs.len()), ("on", 3));
        assert_eq!(seen.next_runs[0], "2026-09-21T14:15:00+00:00");
        assert_eq!(entry(&every, Some(&record), at(131)).state, "late");
        let twice = known("every = 100\nmax_runs = 1");
        assert_eq!(entry(&twice, None, at(0)).next_runs.len(), 1);
        assert_eq!(entry(&known("every = 9\nenabled = false"), None, at(0)).state, "off");
        let pause = Some(SchedulePause { since: at(0), note: "a deploy".to_owned() });
        let paused = entry(&KnownSchedule { pause, ..every }, Some(&record), at(50));
        assert_eq!((paused.state, paused.note.as_deref()), ("paused", Some("a deploy")));
        assert!(paused.next_runs.is_empty());
    }
}
