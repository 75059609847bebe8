//! What is wrong with an entry, in the words of the command line that it was given on. Pure.

use jiff::{SignedDuration, Timestamp};

use crate::{cli::EntryArgs, table::clean};

/// Settings that have a flag, with an example of its right form.
const FLAGS: [(&str, &str); 18] = [
    ("task", "--task shop.tasks.report"),
    ("cron", "--cron '30 1 * * mon-fri'"),
    ("crontab", "--cron '30 1 * * mon-fri'"),
    ("every", "--every 30"),
    ("relative", "--every 1h --relative"),
    ("at", "--at 2026-12-24T18:00:00"),
    ("timezone", "--timezone Europe/Berlin"),
    ("dst", "--dst skip"),
    ("queue", "--queue reports"),
    ("priority", "--priority 3"),
    ("expires", "--expires 10m"),
    ("start_at", "--start-at 2026-12-24T18:00:00"),
    ("end_at", "--end-at 2026-12-24T18:00:00"),
    ("max_runs", "--max-runs 10"),
    ("jitter", "--jitter 30s"),
    ("catch_up", "--catch-up last"),
    ("misfire_grace", "--misfire-grace 10m"),
    ("alert_after", "--alert-after 10m"),
];
const OVERLAP: (&str, &str) = ("overlap", "--overlap skip");

/// Turns a problem, `schedules.NAME.SETTING: what is wrong`, into one of the command line.
pub(super) fn told(name: &str, problem: &str, args: &EntryArgs) -> String {
    let problem = clean(problem);
    let shown: String = clean(name).chars().take(60).collect();
    let rest = problem.strip_prefix("schedules.").map_or(problem.as_str(), |rest| {
        rest.strip_prefix(shown.as_str()).map_or(rest, |rest| rest.trim_start())
    });
    let Some((setting, what)) = rest.strip_prefix('.').and_then(|rest| rest.split_once(": "))
    else {
        return format!("schedule {shown}{rest}");
    };
    if what.starts_with("one of crontab") {
        return "one of --cron '30 1 * * mon-fri', --every 30 and --at 2026-12-24T18:00:00 is expected"
            .to_owned();
    }
    let mut flags = FLAGS.iter().chain([&OVERLAP]);
    match flags.find(|(key, _)| *key == setting && !args.is_of_json(key)) {
        Some((_, example)) => {
            let words: Vec<&str> = example.split(' ').collect();
            let flag = if setting == "relative" { "--relative" } else { words[0] };
            format!("{flag}: {what}; write, for example, {example}")
        }
        None => format!("--json: {setting}: {what}"),
    }
}

/// Says that a time has passed, with one that has not.
pub(super) fn never(key: &str, now: Timestamp) -> String {
    let flag = if key == "at" { "--at" } else { "--end-at" };
    let tomorrow = now.checked_add(SignedDuration::from_hours(24)).unwrap_or(now);
    let tomorrow = tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "{flag}: the schedule would never run, this time is over; write, for example, {flag} {tomorrow}"
    )
}
