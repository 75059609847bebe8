//! Changing schedules while beats run.

use std::io::Read;

use rhubarb_core::{config::ScheduleConfig, schedule::Schedule};
use rhubarb_queue::schedules::{Edited, Owner};
use serde_json::{Map, Value};

use super::Store;
use crate::{
    cli::{EntryArgs, ImportArgs, PauseScheduleArgs},
    error::Error,
    output,
    table::clean,
};

/// A file that is larger than this is not read.
const MOST_BYTES: u64 = 64 << 20;
/// The ways to say when: giving one takes the place of another.
const WHEN: [&str; 5] = ["crontab", "cron", "every", "relative", "at"];

pub(super) async fn add(store: &Store<'_>, args: &EntryArgs) -> Result<(), Error> {
    let name = &args.name;
    not_of_file(store, name)?;
    let entry = read(store, name, args.given())?;
    if store.schedules.add(name, &entry).await? == Edited::Nothing {
        let name = clean(name);
        return Err(Error::Failed(format!(
            "there is a live schedule `{name}` already; `rhubarb schedules set {name}` changes it"
        )));
    }
    told(store, name, &entry, "is added")
}

pub(super) async fn set(store: &Store<'_>, args: &EntryArgs) -> Result<(), Error> {
    let name = &args.name;
    not_of_file(store, name)?;
    let all = store.all().await?;
    let before = all.known.get(name).filter(|known| known.owner == Owner::Live);
    let before = before.map(|known| known.schedule.config.to_json());
    let entry = read(store, name, over(before.as_ref(), args.given()))?;
    store.schedules.set(name, &entry).await?;
    told(store, name, &entry, "is set")
}

/// Returns an entry with what was given in place of what it had.
fn over(before: Option<&Value>, given: Map<String, Value>) -> Map<String, Value> {
    let mut entry = before.and_then(Value::as_object).cloned().unwrap_or_default();
    if WHEN.iter().any(|key| given.contains_key(*key)) {
        WHEN.iter().for_each(|key| {
            entry.remove(*key);
        });
    }
    entry.extend(given);
    entry
}

pub(super) async fn remove(store: &Store<'_>, name: &str) -> Result<(), Error> {
    not_of_file(store, name)?;
    let edited = store.schedules.remove(name).await?;
    done(name, edited, "is removed", "there is no live schedule")
}

pub(super) async fn pause(store: &Store<'_>, args: &PauseScheduleArgs) -> Result<(), Error> {
    exists(store, &args.name).await?;
    let edited = store.schedules.pause(&args.name, &args.note).await?;
    done(&args.name, edited, "is paused", "cannot pause")
}

pub(super) async fn resume(store: &Store<'_>, name: &str) -> Result<(), Error> {
    let edited = store.schedules.resume(name).await?;
    done(name, edited, "goes on", "there is no paused schedule")
}

pub(super) async fn run(store: &Store<'_>, name: &str) -> Result<(), Error> {
    let all = store.all().await?;
    let known = all.known.get(name).ok_or_else(|| missing(name))?;
    let mut task = known.publish();
    task.expires_in = known.schedule.config.expires;
    let published = store.client.publish(&task).await?;
    Ok(output::print(&published.id)?)
}

pub(super) async fn import(store: &Store<'_>, args: &ImportArgs) -> Result<(), Error> {
    let text = text(args)?;
    let file = args.file.display();
    let found: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Failed(format!("{file} is no JSON: {error}")))?;
    let Value::Object(mut entries) = found else {
        return Err(Error::Failed(format!("{file}: a JSON object of entries by name is expected")));
    };
    if let Some(Value::Object(inner)) = entries.get("schedules").cloned() {
        // The exporter's form; a schedule of that name would have a task.
        if !inner.contains_key("task") {
            entries = inner;
        }
    }
    let (mut n_taken, mut n_refused) = (0, 0);
    for (name, entry) in &entries {
        match take(store, name, entry, args.dry_run).await {
            Ok(()) => n_taken += 1,
            Err(error @ (Error::Failed(_) | Error::Usage(_))) => {
                output::note(&format!("refused: {error}"));
                n_refused += 1;
            }
            Err(error) => return Err(error),
        }
    }
    let would = if args.dry_run { "would be " } else { "" };
    output::print(&format!("{n_taken} {would}imported, {n_refused} refused"))?;
    if n_refused > 0 {
        return Err(Error::Failed(format!(
            "{n_refused} of {} entries were refused",
            entries.len()
        )));
    }
    Ok(())
}

async fn take(store: &Store<'_>, name: &str, entry: &Value, dry_run: bool) -> Result<(), Error> {
    not_of_file(store, name)?;
    let Value::Object(entry) = entry else {
        return Err(Error::Failed(format!("{}: a JSON object is expected", clean(name))));
    };
    // What the exporter could not translate.
    if let Some(problem) = entry.get("problem").and_then(Value::as_str) {
        return Err(Error::Failed(format!("{}: {}", clean(name), clean(problem))));
    }
    let entry = read(store, name, entry.clone())?;
    if !dry_run {
        store.schedules.set(name, &entry).await?;
    }
    told(store, name, &entry, if dry_run { "is right" } else { "is set" })
}

fn text(args: &ImportArgs) -> Result<String, Error> {
    let mut text = String::new();
    let reader: Box<dyn Read> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(&args.file).map_err(|error| {
            Error::Failed(format!("cannot read {}: {error}", args.file.display()))
        })?;
        Box::new(file)
    };
    let read = reader.take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|error| Error::Failed(format!("cannot read {}: {error}", args.file.display())))?;
    Ok(text)
}

fn read(store: &Store<'_>, name: &str, entry: Map<String, Value>) -> Result<ScheduleConfig, Error> {
    let entry = ScheduleConfig::from_json(name, &Value::Object(entry).to_string());
    let entry = entry.map_err(|problems| Error::Failed(problems.join("\n")))?;
    Schedule::compile(name, &entry, &store.config.beat.timezone)
        .map_err(|error| Error::Failed(format!("{}: {error}", clean(name))))?;
    Ok(entry)
}

fn told(store: &Store<'_>, name: &str, entry: &ScheduleConfig, done: &str) -> Result<(), Error> {
    let compiled = Schedule::compile(name, entry, &store.config.beat.timezone);
    let words = compiled.map(|schedule| schedule.words()).unwrap_or_default();
    Ok(output::print(&format!("schedule {} {done}: {words}", clean(name)))?)
}

/// What the file has is changed in the file.
fn not_of_file(store: &Store<'_>, name: &str) -> Result<(), Error> {
    if store.config.schedules.contains_key(name) {
        let name = clean(name);
        return Err(Error::Failed(format!(
            "schedule `{name}` is the configuration file's; change it there, or pause it with `rhubarb schedules pause`"
        )));
    }
    Ok(())
}

async fn exists(store: &Store<'_>, name: &str) -> Result<(), Error> {
    let all = store.all().await?;
    if all.known.contains_key(name) { Ok(()) } else { Err(missing(name)) }
}

fn missing(name: &str) -> Error {
    Error::Failed(format!(
        "there is no schedule `{}`; `rhubarb schedules list` shows them",
        clean(name)
    ))
}

fn done(name: &str, edited: Edited, done: &str, nothing: &str) -> Result<(), Error> {
    let name = clean(name);
    match edited {
        Edited::Done => Ok(output::print(&format!("schedule {name} {done}"))?),
        Edited::Nothing => Err(Error::Failed(format!("{nothing} `{name}`"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_given_takes_the_place_of_what_was_there() {
        let before = json!({ "task": "t", "every": 5, "relative": true, "queue": "q" });
        let given = |value: Value| value.as_object().unwrap().clone();
        let merged = over(Some(&before), given(json!({ "cron": "@hourly", "priority": 3 })));
        assert_eq!(
            Value::Object(merged),
            json!({ "task": "t", "queue": "q", "cron": "@hourly", "priority": 3 })
        );
        let merged = over(Some(&before), given(json!({ "queue": "r" })));
        assert_eq!(
            Value::Object(merged),
            json!({ "task": "t", "every": 5, "relative": true, "queue": "r" })
        );
        assert_eq!(over(None, given(json!({ "task": "t" }))).len(), 1);
    }
}
