//! Reading entries of the schedule: from the file's tables, and from the JSON that Redis and
//! exporters hold.

mod json;

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rhubarb_config::{
    self as config, Entry, Input, Reader, Shown, Wrong, is_queue_name, quoted, words,
};
use rhubarb_wire::CallOptions;
use serde_json::Value;

use crate::{
    crontab::{Crontab, CrontabError},
    entry::{CatchUp, CrontabText, Dst, Moment, Overlap, ScheduleConfig, When},
    schedule::Schedule,
};

/// Ten years: beyond it an interval is a mistake, and grids stay far from the calendar's ends.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);
/// The most ticks that one schedule catches up on, and how far back.
const MOST_CAUGHT_UP: u32 = 10_000;
const LONGEST_WINDOW: Duration = Duration::from_secs(7 * 86_400);

/// Tells what is wrong with a schedule's name.
///
/// # Errors
///
/// What is expected of it.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err("a name of 1 to 200 printable characters is expected".to_owned());
    }
    Ok(())
}

/// What the template has: the entries that hold where the file has none, and one with everything.
const TEMPLATE: &str = r#"# An entry says when in one of four ways:
#   crontab = { minute = "0", hour = "*/4" }
#       Celery's fields: second, minute, hour, day_of_week, day_of_month, month_of_year; all have to
#       hold at once
#   cron = "30 9 * * mon-fri"
#       the same as a line; six fields have seconds in front; also "@hourly"
#   every = 30
#       an interval, on a grid counted from when beat first saw it; with relative = true on whole
#       days, hours, minutes (Celery's `relative`)
#   at = "2026-12-24T18:00:00"
#       once
[schedules.scrape_jobs_hourly]
task = "job_scraper.tasks.scrape_jobs_hourly"
crontab = { minute = "0" }

[schedules.scrape_jobs_every_fourth_hour]
task = "job_scraper.tasks.scrape_jobs_hourly"
crontab = { minute = "30", hour = "*/4" }

# An entry with everything:
# [schedules.rust_in_lisbon]
# task = "job_scraper.tasks.scrape_specific_keyword"
# cron = "15 8-18 * * mon-fri"
# Its own time zone; else beat.timezone.
# timezone = "Europe/Lisbon"
# Where clocks are changed. 02:30 that does not exist: celery = at 03:30, skip = not at all, once =
# when the clocks change, both = not at all. 02:30 that exists twice: on the first pass, both = on
# both.
# dst = "celery"
# args = ["rust developer"]
# kwargs = { location = "Lisbon" }
# What else the message says; also ignore_result = false, shadow = "name", headers = { a = 1 }.
# options = { time_limit = "10m", soft_time_limit = "9m" }
# The queue; else that of celery.task_routes, else celery.task_default_queue.
# queue = "celery"
# 0 (most urgent) to 9; else as for the queue.
# priority = 0
# Not begun this long after its tick: revoked.
# expires = "30m"
# enabled = true
# No tick before, none after end_at, in the entry's time zone or with an offset.
# start_at = "2026-12-01T00:00:00"
# end_at = "2027-01-01T00:00:00"
# Ends after so many ticks.
# max_runs = 1000
# Each tick up to this much later; less than two ticks are apart.
# jitter = "30s"
# Of ticks missed: "last", "none", "all" (of a day, 1,000 at most), or { max = 100, window = "1h" }.
# catch_up = "last"
# A tick later than this is left out; with catch_up = "none" 30 s where absent.
# misfire_grace = "10m"
# While the last tick's task waits or runs: "allow", "skip", "queue_one" (wait for it),
# "cancel_running" (revoke it).
# overlap = "allow"
# A tick later than this is warned about.
# alert_after = "15m"
"#;

impl Entry for ScheduleConfig {
    const TEMPLATE: &'static str = TEMPLATE;

    fn check_name(name: &str) -> Result<(), String> {
        check_name(name)
    }

    fn read(reader: Reader<'_>) -> Arc<Self> {
        schedule(reader, None)
    }

    fn show(&self) -> (toml::Value, bool) {
        let (whole, shown) = (self.to_json(), self.redacted().to_json());
        let table = json::toml_of(&shown).unwrap_or_else(|| toml::Table::new().into());
        (table, whole != shown)
    }
}

/// What JSON holds and TOML cannot: null, at any depth.
struct Arguments {
    args: Vec<Value>,
    kwargs: serde_json::Map<String, Value>,
}

fn schedule(mut reader: Reader<'_>, arguments: Option<Arguments>) -> Arc<ScheduleConfig> {
    let n_problems = reader.problems.len();
    let default = ScheduleConfig::default();
    if arguments.is_some() {
        // They were taken out before; here they only become known.
        let _ = (reader.get("args"), reader.get("kwargs"));
    }
    let arguments = arguments.unwrap_or_else(|| Arguments {
        args: json(&mut reader, "args").unwrap_or_default(),
        kwargs: json(&mut reader, "kwargs").unwrap_or_default(),
    });
    let schedule = Arc::new(ScheduleConfig {
        task: task(&mut reader),
        when: when(&mut reader),
        timezone: reader.optional("timezone"),
        dst: reader.or("dst", default.dst),
        args: arguments.args.into_boxed_slice().into_vec(),
        kwargs: exact(arguments.kwargs),
        options: Some(options(&mut reader))
            .filter(|all| *all != CallOptions::default())
            .map(Box::new),
        queue: reader.optional("queue"),
        priority: reader.optional("priority"),
        expires: reader.optional("expires"),
        enabled: reader.or("enabled", default.enabled),
        start_at: reader.optional("start_at"),
        end_at: reader.optional("end_at"),
        max_runs: reader.optional::<u32>("max_runs").map(u64::from),
        jitter: reader.or("jitter", default.jitter),
        catch_up: catch_up(&mut reader),
        misfire_grace: reader.optional("misfire_grace"),
        overlap: reader.or("overlap", default.overlap),
        alert_after: reader.optional("alert_after"),
    });
    check(&mut reader, &schedule);
    if reader.problems.len() == n_problems {
        // The time zone of the others is not read yet; whether an entry can be used does not hang
        // on which it is.
        if let Err(error) = Schedule::compile("", Arc::clone(&schedule), "UTC") {
            reader.wrong(error.setting(), &error.to_string());
        }
    }
    reader.finish();
    schedule
}

/// Returns the map without room for more: most have one entry, and read ones have room for four.
fn exact(map: serde_json::Map<String, Value>) -> serde_json::Map<String, Value> {
    let mut exact = serde_json::Map::with_capacity(map.len());
    exact.extend(map);
    exact
}

fn task(reader: &mut Reader<'_>) -> String {
    let task = reader.named("task");
    if task.chars().any(char::is_control) || task.len() > 512 {
        reader.wrong(
            "task",
            "a name of at most 512 characters without line breaks, for example \"shop.tasks.report\", is expected",
        );
    }
    task
}

fn check(reader: &mut Reader<'_>, schedule: &ScheduleConfig) {
    if schedule.priority.is_some_and(|priority| priority > 9) {
        reader.wrong("priority", "0 (most urgent) to 9 is expected");
    }
    if schedule.queue.as_ref().is_some_and(|name| !is_queue_name(name)) {
        reader.wrong("queue", "a queue's name is expected");
    }
    if schedule.timezone.as_deref().is_some_and(|zone| TimeZone::get(zone).is_err()) {
        reader.wrong(
            "timezone",
            "no such time zone; an IANA name such as \"Europe/Berlin\" is expected",
        );
    }
    if schedule.max_runs == Some(0) {
        reader.wrong("max_runs", "1 or more is expected");
    }
    let zero =
        |length: Option<Duration>| length.is_some_and(|length| length < Duration::from_secs(1));
    for (key, length) in
        [("misfire_grace", schedule.misfire_grace), ("alert_after", schedule.alert_after)]
    {
        if zero(length) {
            reader.wrong(key, "1 s or more, for example \"10m\", is expected");
        }
    }
}

fn when(reader: &mut Reader<'_>) -> When {
    const KEYS: [&str; 4] = ["crontab", "cron", "every", "at"];
    let given: Vec<&str> = KEYS.into_iter().filter(|key| reader.table.contains_key(*key)).collect();
    let relative = reader.optional::<bool>("relative");
    if relative.is_some() && given != ["every"] {
        reader.wrong("relative", "it goes with `every`");
    }
    let every = reader.optional::<Duration>("every");
    let at = reader.optional::<Moment>("at");
    let (crontab, line) = (reader.get("crontab"), reader.get("cron"));
    match (given.as_slice(), every, at) {
        (["every"], Some(every), _) => {
            if !(Duration::from_secs(1)..=LONGEST).contains(&every) {
                reader.wrong("every", "1 s or more, at most ten years, for example 30 or \"1h30m\", is expected");
            }
            return When::Every { every, relative: relative.unwrap_or(false) };
        }
        (["at"], _, Some(at)) => return When::At(at),
        (["crontab"], ..) => {
            return When::Crontab(crontab_table(reader, crontab.expect("it is the one given")).into());
        }
        (["cron"], ..) => {
            return When::Crontab(crontab_line(reader, line.expect("it is the one given")).into());
        }
        // What is wrong with its value was told when it was read.
        ([_], ..) => {}
        ([], ..) => reader.wrong(
            "crontab",
            "one of crontab = { minute = \"0\" }, cron = \"0 * * * *\", every = 30 and at = \"2026-12-24T18:00:00\" is \
             expected",
        ),
        (more, ..) => {
            let problem = format!("only one of {} is expected: remove the others", more.join(", "));
            reader.wrong(more[1], &problem);
        }
    }
    ScheduleConfig::default().when
}

fn crontab_line(reader: &mut Reader<'_>, value: &toml::Value) -> CrontabText {
    let expected = "text such as \"30 9 * * mon-fri\" or \"@hourly\" is expected";
    let text = match value {
        toml::Value::String(line) => {
            CrontabText::from_line(line).map_err(|error| error.to_string())
        }
        _ => Err(expected.to_owned()),
    };
    text.unwrap_or_else(|problem| {
        reader.wrong("cron", &problem);
        CrontabText::default()
    })
}

fn crontab_table(reader: &mut Reader<'_>, value: &toml::Value) -> CrontabText {
    let mut text = CrontabText::default();
    let toml::Value::Table(table) = value else {
        reader.wrong("crontab", "a table such as { minute = \"0\", hour = \"*/4\" } is expected");
        return text;
    };
    for (key, value) in table {
        let shown = match value {
            toml::Value::String(text) => CrontabText::field(text),
            toml::Value::Integer(n) => n.to_string().into(),
            _ => {
                reader.wrong(&format!("crontab.{key}"), "text such as \"*/15\" is expected");
                continue;
            }
        };
        match key.as_str() {
            "second" => text.second = shown,
            "minute" => text.minute = shown,
            "hour" => text.hour = shown,
            "day_of_week" => text.day_of_week = shown,
            "day_of_month" => text.day_of_month = shown,
            "month_of_year" => text.month_of_year = shown,
            _ => reader.wrong(
                &format!("crontab.{key}"),
                "no such field; known: second, minute, hour, day_of_week, day_of_month, month_of_year",
            ),
        }
    }
    if let Err(error) = Crontab::parse(&text) {
        let place = match &error {
            CrontabError::Part { field, .. } => format!("crontab.{field}"),
            _ => "crontab".to_owned(),
        };
        reader.wrong(&place, &error.to_string());
    }
    text
}

fn catch_up(reader: &mut Reader<'_>) -> CatchUp {
    let expected = "\"last\", \"none\", \"all\", or { max = 100, window = \"1h\" } is expected";
    let Some(value) = reader.get("catch_up") else { return CatchUp::default() };
    match value {
        toml::Value::String(text) => match text.as_str() {
            "last" => return CatchUp::Last,
            "none" => return CatchUp::None,
            "all" => return CatchUp::ALL,
            _ => reader.wrong("catch_up", expected),
        },
        toml::Value::Table(_) => return caught_up(reader, value),
        _ => reader.wrong("catch_up", expected),
    }
    CatchUp::default()
}

fn caught_up(reader: &mut Reader<'_>, value: &toml::Value) -> CatchUp {
    let CatchUp::All { max, window } = CatchUp::ALL else { unreachable!("it is a constant") };
    let Some(mut reader) = reader.inner("catch_up", value) else { return CatchUp::ALL };
    let (max, window) = (reader.or("max", max), reader.or("window", window));
    if !(1..=MOST_CAUGHT_UP).contains(&max) {
        reader.wrong("max", &format!("1 to {MOST_CAUGHT_UP} is expected"));
    }
    if !(Duration::from_secs(1)..=LONGEST_WINDOW).contains(&window) {
        reader.wrong("window", "1 s to 7 days, for example \"1h\", is expected");
    }
    reader.finish();
    CatchUp::All { max, window }
}

fn options(reader: &mut Reader<'_>) -> CallOptions {
    let Some(value) = reader.get("options") else { return CallOptions::default() };
    let Some(mut reader) = reader.inner("options", value) else { return CallOptions::default() };
    let options = CallOptions {
        ignore_result: Some(reader.or("ignore_result", false)).filter(|ignore| *ignore),
        time_limit: reader.optional("time_limit"),
        soft_time_limit: reader.optional("soft_time_limit"),
        shadow: reader.optional("shadow"),
        headers: json(&mut reader, "headers").unwrap_or_default(),
        ..CallOptions::default()
    };
    reader.finish();
    options
}

/// Reads a value as JSON; TOML's dates become text.
fn json<T: serde::de::DeserializeOwned>(reader: &mut Reader<'_>, key: &'static str) -> Option<T> {
    match serde_json::from_value(json_of(reader.get(key)?)) {
        Ok(value) => Some(value),
        Err(_) => {
            let expected = if key == "args" {
                "a list, args = [1, \"b\"], is expected".to_owned()
            } else {
                format!("a table, {key} = {{ a = 1 }}, is expected")
            };
            reader.wrong(key, &expected);
            None
        }
    }
}

fn json_of(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(n) => (*n).into(),
        // JSON has neither infinities nor NaN.
        toml::Value::Float(n) if !n.is_finite() => n.to_string().into(),
        toml::Value::Float(n) => (*n).into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(at) => at.to_string().into(),
        toml::Value::Array(items) => items.iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            let map: serde_json::Map<_, _> =
                table.iter().map(|(key, value)| (key.clone(), json_of(value))).collect();
            map.into()
        }
    }
}

words!(Dst: "celery" => Self::Celery, "skip" => Self::Skip, "once" => Self::Once, "both" => Self::Both);
words!(Overlap: "allow" => Self::Allow, "skip" => Self::Skip, "queue_one" => Self::QueueOne,
    "cancel_running" => Self::CancelRunning);

impl config::Value for Moment {
    const ACCEPTS: &'static str = "a date and time, such as \"2026-12-24T18:00:00\" in the schedule's \
                                   time zone or \"2026-12-24T18:00:00Z\",";
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        let text = match input {
            Input::Toml(toml::Value::Datetime(at)) => at.to_string(),
            other => other.text().unwrap_or_default().to_owned(),
        };
        moment(text.trim()).ok_or(None)
    }
    fn show(&self) -> Shown {
        Shown::Is(quoted(&self.to_string()))
    }
}

fn moment(text: &str) -> Option<Moment> {
    let local = || text.parse::<DateTime>().ok().map(Moment::Local);
    // A zone in brackets would be ignored: the schedule's own holds.
    if text.contains('[') {
        return None;
    }
    text.parse::<Timestamp>().ok().map(Moment::Instant).or_else(local)
}

#[cfg(test)]
mod tests;
