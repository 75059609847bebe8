//! Changing live schedules, by the same rules as the command line's.

use rhubarb_core::clock;
use rhubarb_queue::{
    queue_name,
    schedules::{All, Edited, KnownSchedule, Owner, Schedules},
};
use rhubarb_schedule::{Schedule, ScheduleConfig};

use crate::{problem::Problem, site::Site};

/// Returns a schedule, whoever owns it.
///
/// # Errors
///
/// 404: there is none. Redis is away.
pub async fn known(site: &Site, name: &str) -> Result<Box<KnownSchedule>, Problem> {
    let mut all = All::read(site.client(), site.config().scheduled()).await?;
    all.known.remove(name).ok_or_else(|| Problem::not_found("there is no such schedule"))
}

/// Adds a live schedule, or replaces it; its history stays. Returns it in words.
///
/// # Errors
///
/// 409: the name is another owner's. 422: the entry cannot be. Redis is away.
pub async fn set(site: &Site, name: &str, entry: &str) -> Result<String, Problem> {
    not_anothers(site, name).await?;
    let (entry, words) = read(site, name, entry)?;
    Schedules::new(site.client()).set(name, &entry).await?;
    Ok(words)
}

/// Removes a live schedule; tells whether there was one.
///
/// # Errors
///
/// As for [`set`].
pub async fn remove(site: &Site, name: &str) -> Result<bool, Problem> {
    not_anothers(site, name).await?;
    Ok(Schedules::new(site.client()).remove(name).await? != Edited::Nothing)
}

async fn not_anothers(site: &Site, name: &str) -> Result<(), Problem> {
    let of = match known(site, name).await {
        Ok(known) => known.owner,
        Err(problem) if problem.status == 404 => return Ok(()),
        Err(problem) => return Err(problem),
    };
    let whose = match of {
        Owner::Live => return Ok(()),
        Owner::File => "the configuration file's; change it there, or pause it",
        Owner::RedBeat => "RedBeat's; change it in Python, or pause it",
    };
    let told = format!("this schedule is {whose}");
    Err(Problem::new(axum::http::StatusCode::CONFLICT, told))
}

/// Reads an entry, and tells it in words.
fn read(site: &Site, name: &str, entry: &str) -> Result<(ScheduleConfig, String), Problem> {
    let wrong = |told: &str| Problem::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, told);
    let config = site.config();
    let entry = ScheduleConfig::from_json(name, entry);
    let entry = entry.map_err(|problems| wrong(&problems.join("; ")))?;
    let schedule = Schedule::compile(name, entry.clone(), &config.beat.timezone)
        .map_err(|error| wrong(&error.to_string()))?;
    if let Some(queue) = &entry.queue {
        queue_name::check(queue, &config.engine.celery)
            .map_err(|told| wrong(&format!("queue: {told}")))?;
    }
    let now = clock::now();
    if schedule.next_after(now, now).is_none() {
        return Err(wrong("it would never run: its time is over"));
    }
    let words = schedule.words();
    Ok((entry, words))
}
