//! Changing schedules while beats run.

use rhubarb_core::clock;
use rhubarb_queue::{
    queue_name,
    schedules::{Edited, Owner},
};
use rhubarb_schedule::{Schedule, ScheduleConfig};
use serde_json::{Map, Value};

use super::{Store, flags};
use crate::{
    cli::{EntryArgs, PauseScheduleArgs},
    error::Error,
    output,
    table::clean,
};

/// The ways to say when: giving one takes the place of another.
const WHEN: [&str; 5] = ["crontab", "cron", "every", "relative", "at"];

pub(super) async fn add(store: &Store<'_>, args: &EntryArgs) -> Result<(), Error> {
    let name = &args.name;
    not_of_file(store, name)?;
    let entry = given(store, args, args.given())?;
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
    let entry = given(store, args, over(before.as_ref(), args.given()))?;
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
    let name = clean(name);
    match edited {
        Edited::Nothing => Err(Error::Failed(format!(
            "there is no live schedule `{name}`; `rhubarb schedules list` shows them"
        ))),
        Edited::Done | Edited::Again => Ok(output::print(&format!("schedule {name} is removed"))?),
    }
}

pub(super) async fn pause(store: &Store<'_>, args: &PauseScheduleArgs) -> Result<(), Error> {
    exists(store, &args.name).await?;
    let told = match store.schedules.pause(&args.name, &args.note).await? {
        Edited::Again => "was paused already; its note is the new one",
        Edited::Done | Edited::Nothing => "is paused",
    };
    Ok(output::print(&format!("schedule {} {told}", clean(&args.name)))?)
}

pub(super) async fn resume(store: &Store<'_>, name: &str) -> Result<(), Error> {
    let told = match store.schedules.resume(name).await? {
        Edited::Done | Edited::Again => "goes on",
        Edited::Nothing => {
            exists(store, name).await?;
            "was not paused"
        }
    };
    Ok(output::print(&format!("schedule {} {told}", clean(name)))?)
}

pub(super) async fn run(store: &Store<'_>, name: &str) -> Result<(), Error> {
    let all = store.all().await?;
    let known = all.known.get(name).ok_or_else(|| missing(name))?;
    let mut task = known.publish();
    task.options.expires_in = known.schedule.config.expires;
    let published = store.client.publish(&task).await?;
    Ok(output::print(&published.id)?)
}

/// Reads the entry of a command line; what is wrong with it is told in the command line's own
/// words.
fn given(
    store: &Store<'_>,
    args: &EntryArgs,
    entry: Map<String, Value>,
) -> Result<ScheduleConfig, Error> {
    let name = &args.name;
    let entry = ScheduleConfig::from_json(name, &Value::Object(entry).to_string());
    let entry = entry.map_err(|problems| {
        let told: Vec<String> =
            problems.iter().map(|problem| flags::told(name, problem, args)).collect();
        Error::Usage(told.join("\n"))
    })?;
    let schedule = Schedule::compile(name, entry.clone(), &store.config.beat.timezone)
        .map_err(|error| Error::Usage(format!("{}: {error}", clean(name))))?;
    if let Some(queue) = &entry.queue {
        let refused = |problem| Error::Usage(format!("--queue: {problem}"));
        queue_name::check(queue, &store.config.celery).map_err(refused)?;
    }
    let now = clock::now();
    let ends = args.given();
    let ends = ["at", "end_at"].into_iter().find(|key| ends.contains_key(*key));
    if let Some(key) = ends.filter(|_| schedule.next_after(now, now).is_none()) {
        return Err(Error::Usage(flags::never(key, now)));
    }
    Ok(entry)
}

pub(super) fn told(
    store: &Store<'_>,
    name: &str,
    entry: &ScheduleConfig,
    done: &str,
) -> Result<(), Error> {
    let compiled = Schedule::compile(name, entry.clone(), &store.config.beat.timezone);
    let words = compiled.map(|schedule| schedule.words()).unwrap_or_default();
    Ok(output::print(&format!("schedule {} {done}: {words}", clean(name)))?)
}

/// What the file has is changed in the file.
pub(super) fn not_of_file(store: &Store<'_>, name: &str) -> Result<(), Error> {
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
