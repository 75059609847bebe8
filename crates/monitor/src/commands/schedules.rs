//! `schedules`: what the configuration schedules, and when it runs next.

use jiff::Timestamp;
use rhubarb_core::{
    clock,
    config::{Config, When},
    schedule::Schedule,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    cli::{NextArgs, SchedulesCommand, Shown},
    error::Error,
    output::Format,
    table::Grid,
};

/// One schedule, as JSON shows it.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    name: &'a str,
    task: &'a str,
    when: String,
    timezone: &'a str,
    args: &'a [Value],
    kwargs: &'a Map<String, Value>,
    queue: &'a str,
    enabled: bool,
}

/// A schedule's next runs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    pub(crate) name: String,
    pub(crate) task: String,
    /// ISO 8601 in the schedule's time zone; none when it is disabled.
    pub(crate) runs: Vec<String>,
}

/// Runs a command on the schedules.
pub(crate) fn run(config: &Config, command: &SchedulesCommand) -> Result<(), Error> {
    match command {
        SchedulesCommand::List(shown) => list(config, *shown),
        SchedulesCommand::Next(NextArgs { n, shown }) => {
            let next = next(config, clock::now(), usize::from(*n))?;
            Ok(Format::of(shown.json).show(&next, |next| next_table(next))?)
        }
    }
}

fn list(config: &Config, shown: Shown) -> Result<(), Error> {
    let entries: Vec<Entry<'_>> = config
        .schedules
        .iter()
        .map(|(name, schedule)| Entry {
            name,
            task: &schedule.task,
            when: when(&schedule.when),
            timezone: schedule.timezone.as_ref().unwrap_or(&config.beat.timezone),
            args: &schedule.args,
            kwargs: &schedule.kwargs,
            queue: schedule
                .queue
                .as_deref()
                .unwrap_or_else(|| config.celery.queue_for(&schedule.task)),
            enabled: schedule.enabled,
        })
        .collect();
    Ok(Format::of(shown.json).show(&entries, |entries| list_table(entries))?)
}

fn list_table(entries: &[Entry<'_>]) -> String {
    let mut grid = Grid::new(&["SCHEDULE", "WHEN", "TIME ZONE", "TASK", "QUEUE", "ENABLED"]);
    for entry in entries {
        grid.row([
            entry.name.to_owned(),
            entry.when.clone(),
            entry.timezone.to_owned(),
            entry.task.to_owned(),
            entry.queue.to_owned(),
            if entry.enabled { "yes" } else { "no" }.to_owned(),
        ]);
    }
    grid.render()
}

/// Returns when it runs, a crontab in the order of crontab(5).
fn when(when: &When) -> String {
    match when {
        When::Every(every) => format!("every {} s", every.as_secs_f64()),
        When::Crontab(at) => {
            [&at.minute, &at.hour, &at.day_of_month, &at.month_of_year, &at.day_of_week]
                .map(String::as_str)
                .join(" ")
        }
    }
}

/// Returns the next `n` runs of each schedule after `now`.
///
/// # Errors
/// A schedule that cannot be used; the configuration was validated, so none is expected.
pub(crate) fn next(config: &Config, now: Timestamp, n: usize) -> Result<Vec<Next>, Error> {
    let mut all = Vec::new();
    for (name, entry) in &config.schedules {
        let schedule = Schedule::compile(name, entry, &config.beat.timezone)
            .map_err(|problem| Error::Failed(format!("schedule `{name}`: {problem}")))?;
        let ticks = std::iter::successors(Some(now), |after| schedule.next_after(*after)).skip(1);
        let shown = |at: Timestamp| {
            at.to_zoned_datetime(schedule.timezone.clone())
                .strftime("%Y-%m-%dT%H:%M:%S%:z")
                .to_string()
        };
        let runs = if entry.enabled { ticks.take(n).map(shown).collect() } else { Vec::new() };
        all.push(Next { name: name.clone(), task: entry.task.clone(), runs });
    }
    Ok(all)
}

/// Renders the next runs, one a line.
pub(crate) fn next_table(next: &[Next]) -> String {
    let mut grid = Grid::new(&["SCHEDULE", "NEXT RUN", "TASK"]);
    for schedule in next {
        if schedule.runs.is_empty() {
            grid.row([schedule.name.clone(), "never".to_owned(), schedule.task.clone()]);
        }
        for run in &schedule.runs {
            grid.row([schedule.name.clone(), run.clone(), schedule.task.clone()]);
        }
    }
    grid.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
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
        Config::from_toml(text).unwrap()
    }

    #[test]
    fn next_runs_are_in_the_schedules_own_time_zone() {
        let now = "2026-11-24T00:29:50Z".parse().unwrap();
        let expect = "\
SCHEDULE  NEXT RUN                   TASK
nightly   2026-11-24T01:30:00+01:00  shop.report
nightly   2026-11-25T01:30:00+01:00  shop.report
off       never                      shop.old
often     2026-11-24T01:30:00+01:00  shop.ping
often     2026-11-24T01:30:20+01:00  shop.ping";
        assert_eq!(next_table(&next(&config(), now, 2).unwrap()), expect);
    }

    #[test]
    fn schedules_are_listed_with_when_they_run() {
        let config = config();
        let shown: Vec<String> = config.schedules.values().map(|entry| when(&entry.when)).collect();
        assert_eq!(shown, ["30 1 * * mon-fri", "every 20 s", "every 20 s"]);
    }
}
