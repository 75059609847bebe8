//! The looks of the pages at Redis: one for everybody who asks at the same time.

use std::sync::PoisonError;

use rhubarb_core::clock;
use rhubarb_jobs::Status;
use rhubarb_queue::{
    inspect::{self, WorkerInfo},
    letter::{self, Letter, LetterFilter, LetterKind},
    statistics::{self, Statistics},
};

use crate::{
    board::{Minute, Shown, Trend, kept},
    problem::Problem,
    site::Site,
    timetable::{self, Timetable},
};

/// So many minutes of statistics are kept: three days.
const MINUTES: i64 = 72 * 60;
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
    let memory = || site.boards().minutes.lock().unwrap_or_else(PoisonError::into_inner);
    let (settled, mut minutes) = memory().clone();
    let from = settled.max(now - MINUTES + 1);
    let hour_from = now - 59;
    let mut hour = Statistics::default();
    // Some at a time: the whole of a busy three days is never in memory at once.
    let mut start = from.min(hour_from);
    while start <= now {
        let end = (start + 59).min(now);
        for (minute, counted) in statistics::minutes(site.client(), start..=end).await? {
            minutes.insert(minute, sum(&counted));
            if minute >= hour_from {
                hour.merge(&counted);
            }
        }
        start = end + 1;
    }
    minutes.retain(|minute, _| *minute > now - MINUTES);
    *memory() = (now - SETTLED, minutes.clone());
    Ok(Trend { now, minutes, hour })
}

fn sum(counted: &Statistics) -> Minute {
    let mut sum = Minute::default();
    for ((_, _, state), n) in &counted.ends {
        match state.as_str() {
            "SUCCESS" => sum.good += n,
            "FAILURE" | "DEAD" => sum.bad += n,
            _ => {}
        }
    }
    sum
}
