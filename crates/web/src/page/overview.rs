//! The first page: how many tasks ended, what is wrong and how to mend it, queues.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{Query, State},
    response::Html,
};
use rhubarb_jobs::Status;
use rhubarb_monitor::{finding::Finding, report::Report};
use rhubarb_queue::{
    inspect::QueueInfo,
    statistics::{Histogram, Statistics},
};
use serde::Deserialize;

use super::{Frame, html, text};
use crate::{
    access::Reader,
    board::{EndCounts, Minute, Trend},
    chart::{self, Span},
    looks,
    problem::Problem,
    site::Site,
};

/// So many queues are shown.
const QUEUES: usize = 50;
/// So many tasks are shown, those that ended most.
const TASKS: usize = 20;

/// Which time.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// `hour`, `day` or `days`.
    #[serde(default)]
    span: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    report: Arc<Report>,
    span: Span,
    chart: String,
    good: u64,
    bad: u64,
    most: u64,
    width: &'static str,
    begin: &'static str,
    lines: String,
    /// Class of the line, words, how long; empty where nothing ended.
    took: Vec<(&'static str, &'static str, String)>,
    tasks: Vec<Row>,
    scraping: Option<String>,
}

/// What became of the tasks of a name.
#[derive(Debug, Default)]
struct Row {
    name: String,
    ended: EndCounts,
    run_50: String,
    run_95: String,
    wait_95: String,
}

impl OverviewPage {
    fn findings(&self) -> &[Finding] {
        self.report.findings.as_deref().unwrap_or_default()
    }

    fn spans(&self) -> [(&'static str, &'static str, bool); 3] {
        Span::ALL.map(|(span, word, words)| (word, words, span == self.span))
    }

    /// Returns the queues that are shown: name, waiting, running, scheduled, paused.
    fn queues(&self) -> Vec<(String, u64, u64, u64, bool)> {
        let queues = self.report.queues.as_deref().unwrap_or_default().iter().take(QUEUES);
        let row = |queue: &QueueInfo| {
            let name = text(&queue.name, 100);
            (name, queue.waiting, queue.claimed, queue.scheduled, queue.paused)
        };
        queues.map(row).collect()
    }

    fn queues_left_out(&self) -> usize {
        self.report.queues.as_ref().map_or(0, |queues| queues.len().saturating_sub(QUEUES))
    }
}

/// Returns a percentile in words; empty where nothing was measured.
fn within(of: Option<&Histogram>, share: f64) -> String {
    match of.and_then(|one| one.percentile(share)) {
        None => String::new(),
        Some(s) if s.is_infinite() => "longer".to_owned(),
        Some(s) if s < 1.0 => format!("≤ {} ms", s * 1000.0),
        Some(s) => format!("≤ {s} s"),
    }
}

fn tasks(hour: &Statistics) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for ((_, task, state), n) in &hour.ends {
        let row = rows.entry(task).or_default();
        row.ended.add(state, *n);
    }
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|(task, row)| Row {
            name: text(task, 100),
            run_50: within(hour.run.get(task), 0.5),
            run_95: within(hour.run.get(task), 0.95),
            wait_95: within(hour.wait.get(task), 0.95),
            ..row
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.ended.good + row.ended.bad));
    rows.truncate(TASKS);
    rows
}

/// Returns what the lines are, and how long it took in the whole time.
fn took(bars: &[Minute]) -> Vec<(&'static str, &'static str, String)> {
    let mut all = Minute::default();
    bars.iter().for_each(|bar| all.merge(bar));
    let words = ["Half ran for", "95 % ran for", "95 % waited for"];
    let lines = chart::LINES.iter().zip(words);
    let rows =
        lines.map(|((class, of, share), words)| (*class, words, within(Some(of(&all)), *share)));
    rows.filter(|(.., time)| !time.is_empty()).collect()
}

fn scraping(status: &Status) -> String {
    let unwell = status.sources.values().filter(|source| source.error.is_some()).count();
    let unwell = match unwell {
        0 => "every source answered".to_owned(),
        n => format!("{n} of {} sources did not end well", status.sources.len()),
    };
    let (keyword, at) = (text(&status.keyword, 100), text(&status.last_scraped, 40));
    format!("{} listings for {keyword} at {at}; {unwell}.", status.jobs_count)
}

/// Shows it. The report stands without Redis; the rest is left out until it answers.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
    Query(wanted): Query<Wanted>,
) -> Result<Html<String>, Problem> {
    let seen = site.report().await?;
    let span = Span::of(&wanted.span);
    let trend = looks::trend(&site).await.ok();
    let age_s = trend.as_ref().map_or(0, |shown| shown.age_s.saturating_sub(looks::TREND_S));
    let none = Trend::default();
    let trend = trend.as_ref().map_or(&none, |shown| shown.what.as_ref());
    let bars = chart::bars(trend, span);
    let ended: Vec<EndCounts> = bars.iter().map(|bar| bar.ended).collect();
    let status = looks::status(&site).await.ok();
    let status = status.as_ref().and_then(|shown| shown.what.as_ref().as_ref());
    html(&OverviewPage {
        frame: Frame::new(&site, &visitor, "/", "Overview")
            .aged(age_s.max(seen.at.elapsed().as_secs())),
        report: seen.what,
        span,
        chart: chart::svg(&ended),
        good: ended.iter().map(|bar| bar.good).sum(),
        bad: ended.iter().map(|bar| bar.bad).sum(),
        most: ended.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0),
        width: span.width(),
        begin: span.begin(),
        lines: chart::lines(&bars),
        took: took(&bars),
        tasks: tasks(&trend.hour),
        scraping: status.map(scraping),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tasks_that_ended_most_come_first_with_their_times() {
        let mut hour = Statistics::default();
        hour.ends("q", "a", "SUCCESS", 2);
        hour.ends("q", "b", "SUCCESS", 2);
        hour.ends("p", "b", "FAILURE", 1);
        hour.ends("p", "b", "RETRY", 9);
        let mut took = Histogram::default();
        took.add(std::time::Duration::from_millis(3));
        hour.runs("b", &took);
        let rows = tasks(&hour);
        assert_eq!((rows[0].name.as_str(), rows[0].ended), ("b", EndCounts { good: 2, bad: 1 }));
        assert_eq!((rows[0].run_95.as_str(), rows[1].run_95.as_str()), ("≤ 5 ms", ""));
    }
}
