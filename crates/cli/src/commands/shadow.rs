//! `shadow`: what would run here of a queue that Celery's workers serve.

use std::time::Duration;

use rhubarb_core::shutdown::Shutdown;
use rhubarb_monitor::collect::configured_queues;
use rhubarb_queue::{
    inspect,
    shadow::{self, KnownTasks, ShadowReport, TaskReport, Verdict, Watch},
};

use super::Context;
use crate::{
    cli::ShadowArgs,
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
};

/// For how long keys are looked through for Celery's queues.
const EFFORT: Duration = Duration::from_secs(2);

/// Looks for as long as was asked, or until Ctrl-C, and tells what was seen.
pub(crate) async fn shadow(context: &Context, args: ShadowArgs) -> Result<(), Error> {
    let Context { config, client, .. } = context;
    let ShadowArgs { time, queues, tasks, shown } = args;
    let events = queues.is_empty();
    let queues = match events {
        true => inspect::all_queue_names(client, &configured_queues(config), EFFORT).await?.names,
        false => queues,
    };
    let known = match tasks.is_empty() {
        true => KnownTasks::of_workers(&inspect::workers(client).await?),
        false => KnownTasks::of_names(tasks),
    };
    if output::is_interactive() {
        output::note(&format!("looking at {} queues for {} s", queues.len(), time.as_secs()));
    }
    let max_message_bytes = config.worker.max_message_bytes;
    let watch = Watch { queues, events, known, max_message_bytes };
    let shutdown = Shutdown::new();
    let signals = shutdown.listen()?;
    let stop = async {
        tokio::select! {
            () = signals => {}
            () = shutdown.drained() => {}
        }
    };
    let report = shadow::watch(client, watch, time, stop).await?;
    Ok(Format::of(shown.json).show(&report, text)?)
}

/// Renders a report: queues, tasks, what cannot be read, what was perhaps not seen, and last the
/// sentence to decide on.
fn text(report: &ShadowReport) -> String {
    let mut parts = vec![queues(report)];
    if !report.tasks.is_empty() {
        parts.push(tasks(report));
    }
    parts.extend(misfits(report));
    parts.extend(report.unreadable.iter().map(|(kind, it)| {
        let id = it.id.as_ref().map(|id| format!(" (the first: {id})")).unwrap_or_default();
        clean(&format!("unreadable, {kind}: {}{id}: {}", it.n, it.reason))
    }));
    parts.extend(unseen(report));
    parts.push(report.conclusion.clone());
    parts.join("\n\n")
}

fn queues(report: &ShadowReport) -> String {
    let numbers = ["FIRST", "LAST", "MOST", "OLDEST"];
    let mut grid = Grid::new(&["QUEUE", "FIRST", "LAST", "MOST", "OLDEST"]).right(&numbers);
    for queue in &report.queues {
        grid.row([
            queue.name.clone(),
            queue.waiting_first.to_string(),
            queue.waiting_last.to_string(),
            queue.waiting_most.to_string(),
            format!("{:.0} s", queue.oldest_seconds),
        ]);
    }
    let unacked = &report.unacked;
    let held = match unacked.most {
        0 => String::new(),
        n => format!(
            "\nPython's workers held {n} at the most; the oldest for {:.0} s",
            unacked.oldest_seconds
        ),
    };
    format!("{}{held}", grid.render())
}

fn tasks(report: &ShadowReport) -> String {
    let numbers = ["SEEN", "WAITED", "CAME", "TOLD", "A MINUTE", "BYTES", "LARGEST"];
    let headings = [&["TASK", "HERE"], &numbers[..]].concat();
    let mut grid = Grid::new(&headings).right(&numbers).spare(&["LARGEST", "BYTES", "TOLD"]);
    let mut all: Vec<(&String, &TaskReport)> = report.tasks.iter().collect();
    all.sort_by_key(|(name, task)| (std::cmp::Reverse(task.seen()), name.as_str()));
    for (name, task) in all {
        let here = match task.verdict {
            Verdict::Runs => "runs",
            Verdict::Unknown => "unknown",
            Verdict::NobodySays => "?",
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 500,000")]
        let rate = (task.came + task.told) as f64 * 60.0 / report.seconds.max(1.0);
        grid.row([
            name.clone(),
            here.to_owned(),
            task.seen().to_string(),
            task.waited.to_string(),
            task.came.to_string(),
            task.told.to_string(),
            format!("{rate:.1}"),
            task.mean_bytes().to_string(),
            task.largest.to_string(),
        ]);
    }
    grid.render()
}

fn misfits(report: &ShadowReport) -> impl Iterator<Item = String> {
    report.tasks.iter().filter_map(|(name, task)| {
        let why = task.misfit.as_ref()?;
        Some(clean(&format!("arguments that do not fit `{name}`: {}; {why}", task.misfits)))
    })
}

/// Says what a sampler cannot know.
fn unseen(report: &ShadowReport) -> Vec<String> {
    let mut told = Vec::new();
    let gaps: Vec<&str> = report
        .queues
        .iter()
        .filter(|queue| queue.looks_without_gap < report.looks)
        .map(|queue| queue.name.as_str())
        .collect();
    if !gaps.is_empty() {
        let by_events = match report.events {
            0 => "no worker sent events (`celery worker -E`), which would tell of these too",
            _ => "those of workers that send events are counted under TOLD",
        };
        let gaps = clean(&gaps.join(", "));
        told.push(format!(
            "not all was seen of {gaps}: messages came and went between two looks; {by_events}"
        ));
    }
    let not_reached: u64 = report.queues.iter().map(|queue| queue.not_reached).sum();
    if not_reached > 0 {
        told.push(format!("{not_reached} messages that waited were not reached; look for longer"));
    }
    if report.failed_looks > 0 {
        told.push(format!("{} looks failed because Redis was away", report.failed_looks));
    }
    if report.ended_early {
        told.push("it ended early: no more messages can be told apart".to_owned());
    }
    told
}
