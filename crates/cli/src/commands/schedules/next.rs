//! `schedules next`: when schedules run next, without waiting for it.

use std::collections::HashMap;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rhubarb_core::clock;
use rhubarb_queue::{
    inspect,
    schedules::{All, KnownSchedule, Live, RedBeat},
    tick::Record,
};
use rhubarb_settings::Settings;
use serde::Serialize;

use super::Store;
use crate::{
    cli::NextArgs,
    error::Error,
    output::Format,
    table::{Grid, clean},
};

/// A schedule's next runs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    pub(crate) name: String,
    pub(crate) task: String,
    /// When it runs, in words.
    pub(crate) words: String,
    /// `on`, `off`, `paused`, or `ended`.
    pub(crate) state: &'static str,
    /// ISO 8601 in the schedule's time zone; none when it is disabled, paused or at its end.
    pub(crate) runs: Vec<String>,
}

pub(super) async fn run(store: &Store<'_>, args: NextArgs) -> Result<(), Error> {
    let zone = args.tz.as_deref().map(zone).transpose()?;
    let now = clock::now();
    let from = match &args.from {
        Some(text) => moment(text, zone.as_ref(), store.config)?,
        None => now,
    };
    let (all, fault) = store.all_or_file().await?;
    if let Some(name) = args.name.as_ref().filter(|name| !all.known.contains_key(*name)) {
        return Err(Error::Failed(format!(
            "there is no schedule `{}`; `rhubarb schedules list` shows them",
            clean(name)
        )));
    }
    let mut next = Vec::new();
    for (name, known) in &all.known {
        if args.name.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let kept = if fault.is_none() {
            inspect::schedule_records(&store.client, &known.queue).await?.remove(name)
        } else {
            None
        };
        let start = if kept.is_some() || args.from.is_none() { now } else { from };
        let record = known.record(kept, start);
        next.push(of(known, &record, from, usize::from(args.n), zone.as_ref()));
    }
    Format::of(args.shown.json).show(&next, |next| next_table(next))?;
    fault.map_or(Ok(()), Err)
}

fn zone(name: &str) -> Result<TimeZone, Error> {
    TimeZone::get(name).map_err(|_| {
        let name = clean(name);
        Error::Usage(format!(
            "--tz: `{name}` is not a time zone; write an IANA name, for example Europe/Berlin"
        ))
    })
}

fn moment(text: &str, zone: Option<&TimeZone>, config: &Settings) -> Result<Timestamp, Error> {
    let zone = zone.cloned().or_else(|| TimeZone::get(&config.beat.timezone).ok());
    let local = || {
        let local: DateTime = text.parse().ok()?;
        zone.unwrap_or(TimeZone::UTC).to_timestamp(local).ok()
    };
    text.parse::<Timestamp>().ok().or_else(local).ok_or_else(|| {
        let text = clean(text);
        Error::Usage(format!(
            "--from: `{text}` is no time; write, for example, 2027-03-28T00:00:00 or 2027-03-28T00:00:00Z"
        ))
    })
}

/// Returns the next `n` runs of each of the file's schedules after `now`, by what is kept of them.
///
/// # Errors
/// A schedule that cannot be used; the configuration was validated, so none is expected.
pub(crate) fn next(
    config: &Settings,
    records: &HashMap<String, Record>,
    now: Timestamp,
    n: usize,
) -> Result<Vec<Next>, Error> {
    let all = All::of(config.scheduled(), Live::default(), &RedBeat::default());
    if let Some(wrong) = all.problems.first() {
        return Err(Error::Failed(format!("schedule `{}`: {}", wrong.name, wrong.problem)));
    }
    let of = |known: &KnownSchedule| {
        let kept = records.get(&known.schedule.name).cloned();
        of(known, &known.record(kept, now), now, n, None)
    };
    Ok(all.known.values().map(|known| of(known)).collect())
}

fn of(
    known: &KnownSchedule,
    record: &Record,
    from: Timestamp,
    n: usize,
    zone: Option<&TimeZone>,
) -> Next {
    let schedule = &known.schedule;
    // As many as it has left to run.
    let left = schedule.config.max_runs.map_or(u64::MAX, |max| max.saturating_sub(record.runs));
    let n = if known.is_on() { n.min(usize::try_from(left).unwrap_or(usize::MAX)) } else { 0 };
    let first = from.max(record.tick.min(known.floor.unwrap_or(from)));
    let ticks =
        std::iter::successors(Some(first), |after| schedule.next_after(*after, record.anchor));
    let zone = zone.unwrap_or(&schedule.timezone);
    let runs: Vec<String> = ticks.skip(1).take(n).map(|at| shown(at, zone)).collect();
    let state = match (&known.pause, schedule.config.enabled, runs.is_empty()) {
        (Some(_), ..) => "paused",
        (None, false, _) => "off",
        (None, true, true) => "ended",
        (None, true, false) => "on",
    };
    Next {
        name: schedule.name.clone(),
        task: schedule.config.task.clone(),
        words: schedule.words(),
        state,
        runs,
    }
}

/// Returns a time as it is shown: ISO 8601 with the offset of the zone.
pub(super) fn shown(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// Renders the next runs, one a line.
pub(crate) fn next_table(next: &[Next]) -> String {
    let mut grid =
        Grid::new(&["SCHEDULE", "NEXT RUN", "WHEN", "TASK"]).whole(&["NEXT RUN"]).spare(&["TASK"]);
    for schedule in next {
        let mut row = |run: &str| {
            let (words, task) = (schedule.words.clone(), schedule.task.clone());
            grid.row([schedule.name.clone(), run.to_owned(), words, task]);
        };
        if schedule.runs.is_empty() {
            row(if schedule.state == "ended" { "never" } else { schedule.state });
        }
        schedule.runs.iter().for_each(|run| row(run));
    }
    grid.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Settings {
        let text = r#"
            [beat]
            timezone = "Europe/Berlin"
            [schedules.nightly]
            task = "shop.report"
            crontab = { minute = "30", hour = "1", day_of_week = "mon-fri" }
            [schedules.often]
            task = "shop.ping"
            every = 20
            [schedules.off]
            task = "shop.old"
            every = 20
            enabled = false
        "#;
        Settings::from_toml(text).unwrap()
    }

    #[test]
    fn next_runs_are_in_the_schedules_own_time_zone() {
        let now = "2026-11-24T00:29:50Z".parse().unwrap();
        let expect = "\
SCHEDULE  NEXT RUN                   WHEN                                            TASK
nightly   2026-11-24T01:30:00+01:00  at 01:30 on Monday to Friday (Europe/Berlin)    shop.report
nightly   2026-11-25T01:30:00+01:00  at 01:30 on Monday to Friday (Europe/Berlin)    shop.report
off       off                        every 20 seconds                                shop.old
often     2026-11-24T01:30:10+01:00  every 20 seconds                                shop.ping
often     2026-11-24T01:30:30+01:00  every 20 seconds                                shop.ping";
        let shown = next_table(&next(&config(), &HashMap::new(), now, 2).unwrap());
        let squeeze = |text: &str| {
            text.lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect::<Vec<_>>()
        };
        assert_eq!(squeeze(&shown), squeeze(expect));
    }

    #[test]
    fn a_preview_is_from_any_time_in_any_zone_and_ends_with_the_runs() {
        let all = All::of(config().scheduled(), Live::default(), &RedBeat::default());
        let from = moment("2027-03-27T12:00:00", None, &config()).unwrap();
        assert_eq!(from.to_string(), "2027-03-27T11:00:00Z");
        let nightly = &all.known["nightly"];
        let record = nightly.record(None, from);
        let tokyo = zone("Asia/Tokyo").unwrap();
        let next = of(nightly, &record, from, 1, Some(&tokyo));
        assert_eq!(next.runs, ["2027-03-29T08:30:00+09:00"]);

        let mut twice = all.known["often"].clone();
        std::sync::Arc::make_mut(&mut twice.schedule.config).max_runs = Some(2);
        assert_eq!(of(&twice, &twice.record(None, from), from, 10, None).runs.len(), 2);
        let message = moment("soon", None, &config()).unwrap_err().to_string();
        assert!(message.contains("2027-03-28T00:00:00Z"), "{message}");
        assert!(zone("Mars/Base").unwrap_err().to_string().contains("Europe/Berlin"));
    }
}
