//! `schedules list`.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use rhubarb_core::clock;
use rhubarb_queue::{
    inspect,
    schedules::{KnownSchedule, Owner},
    tick::Record,
};
use rhubarb_schedule::When;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Store;
use crate::{
    cli::Shown,
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
};

/// One schedule, as JSON shows it.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    name: &'a str,
    owner: Owner,
    task: &'a str,
    when: String,
    words: String,
    timezone: String,
    args: &'a [Value],
    kwargs: &'a Map<String, Value>,
    queue: &'a str,
    enabled: bool,
    /// The whole entry, with the file's keys.
    entry: Value,
    state: String,
    last_run: Option<String>,
    next_run: Option<String>,
    runs: u64,
    missed: u64,
    late_ms: u64,
}

pub(super) async fn run(store: &Store<'_>, shown: Shown) -> Result<(), Error> {
    let (all, fault) = store.all_or_file().await?;
    let mut records = HashMap::new();
    let mut leader = None;
    if fault.is_none() {
        let queues: BTreeSet<&str> = all.known.values().map(|known| known.queue.as_str()).collect();
        for queue in queues {
            records.insert(queue, inspect::schedule_records(&store.client, queue).await?);
        }
        leader = inspect::leader(&store.client).await?;
    }
    let now = clock::now();
    let entries: Vec<Entry<'_>> = all
        .known
        .iter()
        .map(|(name, known)| {
            let record = records.get(known.queue.as_str()).and_then(|of_queue| of_queue.get(name));
            entry(known, record, now)
        })
        .collect();
    Format::of(shown.json).show(&entries, |entries| list_table(entries))?;
    for wrong in &all.problems {
        let (name, problem) = (clean(&wrong.name), clean(&wrong.problem));
        output::note(&format!("cannot be used: {name} ({}): {problem}", wrong.owner));
    }
    if let Some(fault) = fault {
        return Err(fault);
    }
    output::note(&match leader {
        Some((holder, leading)) => {
            format!("beat {} leads, for {}", clean(&holder), span(leading.as_secs()))
        }
        None => "no beat leads: nothing is published".to_owned(),
    });
    Ok(())
}

fn entry<'a>(known: &'a KnownSchedule, record: Option<&Record>, now: Timestamp) -> Entry<'a> {
    let config = &known.schedule.config;
    let zone = |at: Timestamp| super::next::shown(at, &known.schedule.timezone);
    // What beat has not seen yet starts from now.
    let current = known.record(record.cloned(), now);
    let next = known.schedule.next_at(&current.progress()).filter(|_| known.is_on());
    Entry {
        name: &known.schedule.name,
        owner: known.owner,
        task: &config.task,
        when: when(&config.when),
        words: known.schedule.words(),
        timezone: known.schedule.timezone.iana_name().unwrap_or("UTC").to_owned(),
        args: &config.args,
        kwargs: &config.kwargs,
        queue: &known.queue,
        enabled: config.enabled,
        entry: config.to_json(),
        state: state(known, record, next, now),
        last_run: record.and_then(|record| record.at).map(zone),
        next_run: next.map(zone),
        runs: record.map_or(0, |record| record.runs),
        missed: record.map_or(0, |record| record.missed),
        late_ms: record.map_or(0, |record| record.late_ms),
    }
}

/// Returns `on`, `off`, `ended`, why it is paused, or by how much it is late.
fn state(
    known: &KnownSchedule,
    record: Option<&Record>,
    next: Option<Timestamp>,
    now: Timestamp,
) -> String {
    let config = &known.schedule.config;
    if let Some(pause) = &known.pause {
        let note = if pause.note.is_empty() { String::new() } else { format!(": {}", pause.note) };
        let since = super::next::shown(pause.since, &known.schedule.timezone);
        return format!("paused since {since}{note}");
    }
    if !config.enabled {
        return "off".to_owned();
    }
    let Some(next) = next else { return "ended".to_owned() };
    let overdue = u64::try_from(now.duration_since(next).as_secs()).unwrap_or_default();
    let limit = config.alert_after.map_or(u64::MAX, |limit| limit.as_secs());
    if overdue > limit {
        return format!("LATE by {}", span(overdue));
    }
    let was_late = record.map_or(0, |record| record.late_ms / 1_000);
    if was_late > limit { format!("was late by {}", span(was_late)) } else { "on".to_owned() }
}

/// Returns a length of time in its two largest units.
fn span(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn list_table(entries: &[Entry<'_>]) -> String {
    let headings = [
        "SCHEDULE", "OWNER", "WHEN", "TASK", "QUEUE", "LAST RUN", "NEXT RUN", "RUNS", "MISSED",
        "STATE",
    ];
    let mut grid = Grid::new(&headings)
        .right(&["RUNS", "MISSED"])
        .times(&["LAST RUN", "NEXT RUN"])
        .spare(&["RUNS", "QUEUE", "LAST RUN", "OWNER", "MISSED", "TASK"]);
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    for entry in entries {
        grid.row([
            entry.name.to_owned(),
            entry.owner.to_string(),
            entry.words.clone(),
            entry.task.to_owned(),
            entry.queue.to_owned(),
            or_none(&entry.last_run),
            or_none(&entry.next_run),
            entry.runs.to_string(),
            entry.missed.to_string(),
            entry.state.clone(),
        ]);
    }
    grid.render()
}

/// Returns when it runs, a crontab in the order of crontab(5).
fn when(when: &When) -> String {
    match when {
        When::Every { every, .. } => format!("every {} s", every.as_secs_f64()),
        When::Crontab(text) => text.line(),
        When::At(at) => format!("at {at}"),
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::schedules::{All, Live, RedBeat, SchedulePause};
    use rhubarb_settings::Settings;

    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + s).unwrap()
    }

    fn known(entry: &str) -> KnownSchedule {
        let text = format!("[schedules.s]\ntask = \"t\"\n{entry}");
        let config = Settings::from_toml(&text).unwrap();
        All::of(config.scheduled(), Live::default(), &RedBeat::default()).known["s"]
            .as_ref()
            .clone()
    }

    #[test]
    fn a_schedules_state_is_told() {
        let check = |known: &KnownSchedule, change: &dyn Fn(&mut Record), expect: &str| {
            let mut record = known.record(None, at(0));
            change(&mut record);
            assert_eq!(entry(known, Some(&record), at(100)).state, expect);
        };
        let hourly = known("every = 3600\nalert_after = 30");
        check(&hourly, &|_| {}, "on");
        check(&hourly, &|record| record.late_ms = 90_000, "was late by 1 min 30 s");
        check(&known("every = 10\nalert_after = 30"), &|_| {}, "LATE by 1 min 30 s");
        check(&known("every = 10"), &|_| {}, "on");
        check(&known("every = 10\nenabled = false"), &|_| {}, "off");
        check(&known("every = 10\nmax_runs = 3"), &|record| record.runs = 3, "ended");
        let pause = SchedulePause { since: at(0), note: "a deploy".to_owned() };
        let paused = KnownSchedule { pause: Some(pause), ..hourly };
        check(&paused, &|_| {}, "paused since 2026-09-21T14:13:20+00:00: a deploy");
    }

    #[test]
    fn a_row_tells_what_became_of_a_schedule() {
        let known = known("crontab = { minute = \"0\" }");
        let new = known.record(None, at(0));
        let record = Record { runs: 3, missed: 1, at: Some(at(-800)), ..new };
        let table = list_table(&[entry(&known, Some(&record), at(100))]);
        let expect = "\
SCHEDULE  OWNER  WHEN                          TASK  QUEUE   LAST RUN                   NEXT RUN                   RUNS  MISSED  STATE
s         file   every hour at minute 0 (UTC)  t     celery  2026-09-21T14:00:00+00:00  2026-09-21T15:00:00+00:00     3       1  on";
        assert_eq!(table, expect);
    }

    #[test]
    fn lengths_of_time_are_told_in_two_units() {
        let told = [5, 65, 3_700, 90_000].map(span);
        assert_eq!(told, ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h"]);
    }
}
