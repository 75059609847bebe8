//! The looks of the pages at Redis: one for everybody who asks at the same time.

use std::{collections::BTreeMap, sync::PoisonError};

use rhubarb_core::clock;
use rhubarb_jobs::Status;
use rhubarb_queue::{
    inspect::{self, WorkerInfo},
    letter::{self, Letter, LetterFilter, LetterKind},
    statistics::{self, Statistics},
};

use crate::{
    board::{EndCounts, Hours, Minute, Shown, Trend, kept, merge},
    problem::Problem,
    site::Site,
    timetable::{self, Timetable},
};

/// So many minutes of statistics are kept: three days.
const MINUTES: i64 = 72 * 60;
/// Of the last day it is known by the hour how each task ended.
const DAY: i64 = 24 * 60;
/// So many letters are shown and grouped.
pub const LETTERS: usize = 500;
/// How old the trend is at the most while all is well.
pub const TREND_S: u64 = 10;
/// A minute may still grow for so long: workers write with their heartbeats.
const SETTLED: i64 = 3;

/// Returns the workers of the last hour.
///
/// # Errors
///
/// Redis is away, and was since the start.
pub async fn workers(site: &Site) -> Result<Shown<Vec<WorkerInfo>>, Problem> {
    let own = site.clone();
    let look = Box::pin(async move { Ok(inspect::workers(own.client()).await?) });
    kept(&site.boards().workers, look).await
}

/// Returns the schedules.
///
/// # Errors
///
/// As for [`workers`].
pub async fn timetable(site: &Site) -> Result<Shown<Timetable>, Problem> {
    let own = site.clone();
    kept(
        &site.boards().timetable,
        Box::pin(async move { timetable::read(own.client(), own.config()).await }),
    )
    .await
}

/// Returns the newest letters of a kind, [`LETTERS`] at the most and one more.
///
/// # Errors
///
/// As for [`workers`].
pub async fn letters(site: &Site, kind: LetterKind) -> Result<Shown<Vec<Letter>>, Problem> {
    let own = site.clone();
    let look = Box::pin(async move {
        Ok(letter::heads(own.client(), kind, &LetterFilter::default(), LETTERS + 1).await?)
    });
    let boards = site.boards();
    match kind {
        LetterKind::Dead => kept(&boards.dead, look).await,
        LetterKind::Parked => kept(&boards.parked, look).await,
    }
}

/// Returns the scraping status, where there is one.
///
/// # Errors
///
/// As for [`workers`]; or what stands there is none.
pub async fn status(site: &Site) -> Result<Shown<Option<Status>>, Problem> {
    let own = site.clone();
    let look = Box::pin(async move { Ok(own.caches().status().read().await?) });
    kept(&site.boards().status, look).await
}

/// Returns how many tasks ended in the last three days.
///
/// # Errors
///
/// As for [`workers`].
pub async fn trend(site: &Site) -> Result<Shown<Trend>, Problem> {
    let own = site.clone();
    kept(&site.boards().trend, Box::pin(async move { look_at_trend(&own).await })).await
}

async fn look_at_trend(site: &Site) -> Result<Trend, Problem> {
    let now = statistics::minute_of(clock::now().as_millisecond());
    let memory = || site.boards().past.lock().unwrap_or_else(PoisonError::into_inner);
    let mut past = memory().clone();
    let from = past.settled.max(now - MINUTES + 1);
    let (hour_from, settled) = (now - 59, now - SETTLED);
    let (mut hour, mut recent) = (Statistics::default(), Hours::default());
    // Some at a time: the whole of a busy three days is never in memory at once.
    let mut start = from.min(hour_from);
    while start <= now {
        let end = (start + 59).min(now);
        for (minute, counted) in statistics::minutes(site.client(), start..=end).await? {
            // A minute that may still grow is counted anew by each look.
            let hours = if minute < settled { &mut past.hours } else { &mut recent };
            if minute >= from && minute > now - DAY {
                by_task(hours.entry(minute.div_euclid(60)).or_default(), &counted);
            }
            past.minutes.insert(minute, sum(&counted));
            if minute >= hour_from {
                hour.merge(&counted);
            }
        }
        start = end + 1;
    }
    past.minutes.retain(|minute, _| *minute > now - MINUTES);
    past.hours.retain(|hour, _| *hour > (now - DAY).div_euclid(60));
    past.settled = settled;
    let hours = both(past.hours.clone(), recent);
    let trend = Trend { now, minutes: past.minutes.clone(), hours, hour };
    *memory() = past;
    Ok(trend)
}

fn both(mut hours: Hours, recent: Hours) -> Hours {
    for (hour, tasks) in recent {
        let of_hour = hours.entry(hour).or_default();
        for (task, ended) in tasks {
            let own = of_hour.entry(task).or_default();
            own.good += ended.good;
            own.bad += ended.bad;
        }
    }
    hours
}

fn by_task(of_hour: &mut BTreeMap<String, EndCounts>, counted: &Statistics) {
    for ((_, task, state), n) in &counted.ends {
        of_hour.entry(task.clone()).or_default().add(state, *n);
    }
}

fn sum(counted: &Statistics) -> Minute {
    let mut sum = Minute::default();
    counted.ends.iter().for_each(|((_, _, state), n)| sum.ended.add(state, *n));
    counted.run.values().for_each(|one| merge(&mut sum.run, one));
    counted.wait.values().for_each(|one| merge(&mut sum.wait, one));
    sum
}
