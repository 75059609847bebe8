//! The history's read side: page by page, so that no command costs the server a millisecond.

use std::time::Duration;

use jiff::Timestamp;
use redis::Value;
use tokio::time::Instant;

use super::{Entry, StateChange, unpack};
use crate::{Client, Error, error::redis};

/// How many entries of the stream are read at once: at most some 640 KiB.
const PAGE: usize = 10;

/// Which ends are meant; empty for all.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Only this state, in any case.
    pub state: Option<String>,
    /// Only tasks whose name contains this.
    pub task: Option<String>,
    /// Only those with this text, in any case, in id, name, arguments, result or error.
    pub text: Option<String>,
    /// Only what came at this time or later.
    pub since: Option<Timestamp>,
    /// Only what stands behind this place: a [`History::next`] of an earlier look.
    pub behind: Option<Place>,
}

/// A place in the history, from which a later look goes on towards what is older. What is written
/// meanwhile does not move it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The entry of the stream.
    entry: String,
    /// How many of its ends were passed, from the newest.
    passed: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.entry, self.passed)
    }
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let no_place = || "it is no place in the history".to_owned();
        let (entry, passed) = text.split_once('.').ok_or_else(no_place)?;
        let (ms, n) = entry.split_once('-').ok_or_else(no_place)?;
        let is_number = |text: &str| text.parse::<u64>().is_ok() && !text.starts_with('+');
        if !is_number(ms) || !is_number(n) {
            return Err(no_place());
        }
        let passed = passed.parse().map_err(|_| no_place())?;
        Ok(Self { entry: entry.to_owned(), passed })
    }
}

/// What was found in the history.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The ends that are meant, the newest first.
    pub changes: Vec<StateChange>,
    /// How many ends were looked at.
    pub searched: usize,
    /// Whether there is more that was not looked at.
    pub more: bool,
    /// Where a later look goes on; none where nothing was looked at.
    pub next: Option<Place>,
}

impl HistoryFilter {
    /// Tells whether an end is meant.
    fn takes(&self, end: &Entry<'_>) -> bool {
        self.state.as_ref().is_none_or(|state| end.state.eq_ignore_ascii_case(state))
            && self.task.as_ref().is_none_or(|task| end.task.contains(task.as_str()))
            && self.since.is_none_or(|since| end.at >= since.as_millisecond())
            && self.text.as_ref().is_none_or(|text| has(end, &text.to_lowercase()))
    }
}

fn has(end: &Entry<'_>, text: &str) -> bool {
    let texts = [&end.args, &end.kwargs, &end.result, &end.error, &end.traceback];
    let texts = texts.into_iter().flatten();
    [&end.id, &end.task].into_iter().chain(texts).any(|one| one.to_lowercase().contains(text))
}

/// One entry of the stream: its id, the worker's node, and the ends, the oldest first.
type Read = (String, String, Vec<Entry<'static>>);

/// Returns the newest ends that are meant, at most `limit`; looks at most at `depth` ends and for
/// at most `patience`.
///
/// # Errors
/// [`Error::Redis`].
pub async fn read(
    client: &Client,
    filter: &HistoryFilter,
    limit: usize,
    depth: usize,
    patience: Duration,
) -> Result<History, Error> {
    let until = Instant::now() + patience;
    let mut history = History::default();
    let (mut before, mut passed) = match &filter.behind {
        Some(place) => (place.entry.clone(), place.passed),
        None => ("+".to_owned(), 0),
    };
    let start = filter.behind.as_ref().map(|place| place.entry.as_str());
    loop {
        let page = page(client, "XREVRANGE", &before, "-").await?;
        let ends_here = page.len() < PAGE;
        for (id, worker, ends) in page {
            // A worker's batch is written when it has ended: its first end is hardly older.
            if filter.since.is_some_and(|since| is_before(&id, since)) {
                return Ok(history);
            }
            before = format!("({id}");
            if start != Some(id.as_str()) {
                passed = 0;
            }
            for end in ends.into_iter().rev().skip(passed) {
                if history.changes.len() == limit || history.searched == depth {
                    history.more = true;
                    return Ok(history);
                }
                history.searched += 1;
                passed += 1;
                history.next = Some(Place { entry: id.clone(), passed });
                if filter.takes(&end) {
                    history.changes.push(StateChange::of(end, &worker));
                }
            }
        }
        if ends_here {
            return Ok(history);
        }
        if Instant::now() > until {
            history.more = true;
            return Ok(history);
        }
    }
}

/// Returns the ends written after the entry `after` (`0` for all), the oldest first, at most a page
/// of them, with the last entry's id; none where nothing came.
///
/// # Errors
/// [`Error::Redis`].
pub async fn follow(
    client: &Client,
    after: &str,
) -> Result<Option<(String, Vec<StateChange>)>, Error> {
    let page = page(client, "XRANGE", &format!("({after}"), "+").await?;
    let Some((last, _, _)) = page.last() else { return Ok(None) };
    let last = last.clone();
    let changes = page.into_iter().flat_map(|(_, worker, ends)| {
        ends.into_iter().map(move |end| StateChange::of(end, &worker)).collect::<Vec<_>>()
    });
    Ok(Some((last, changes.collect())))
}

/// Returns the id of the newest entry; `0` where there is none.
///
/// # Errors
/// [`Error::Redis`].
pub async fn newest(client: &Client) -> Result<String, Error> {
    let mut command = ::redis::cmd("XREVRANGE");
    command.arg(client.keys().history()).arg("+").arg("-").arg("COUNT").arg(1);
    let found: Value = client.queue().query(&command).await.map_err(failed())?;
    Ok(entries(found).pop().map_or_else(|| "0".to_owned(), |(id, _, _)| id))
}

fn failed() -> impl FnOnce(rhubarb_connection::Error) -> Error {
    redis("read the history")
}

/// Milliseconds that a batch may have taken to be written.
const WRITTEN_WITHIN: i64 = 60_000;

fn is_before(id: &str, since: Timestamp) -> bool {
    let ms = id.split('-').next().and_then(|ms| ms.parse::<i64>().ok());
    ms.is_some_and(|ms| ms < since.as_millisecond().saturating_sub(WRITTEN_WITHIN))
}

async fn page(client: &Client, command: &str, from: &str, to: &str) -> Result<Vec<Read>, Error> {
    let mut read = ::redis::cmd(command);
    read.arg(client.keys().history()).arg(from).arg(to).arg("COUNT").arg(PAGE);
    Ok(entries(client.queue().query(&read).await.map_err(failed())?))
}

/// Reads a reply of entries; what is none is left out, but for its id.
fn entries(reply: Value) -> Vec<Read> {
    let Value::Array(all) = reply else { return Vec::new() };
    all.into_iter().filter_map(entry).collect()
}

fn entry(reply: Value) -> Option<Read> {
    let Value::Array(parts) = reply else { return None };
    let mut parts = parts.into_iter();
    let id = text(&parts.next()?)?;
    let (mut worker, mut ends) = (String::new(), Vec::new());
    if let Some(Value::Array(fields)) = parts.next() {
        for pair in fields.chunks_exact(2) {
            match (text(&pair[0]).as_deref(), &pair[1]) {
                (Some("w"), value) => worker = text(value).unwrap_or_default(),
                (Some("d"), Value::BulkString(data)) => ends = unpack(data),
                _ => {}
            }
        }
    }
    Some((id, worker, ends))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}
