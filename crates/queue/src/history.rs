//! What became of tasks: their last ends and changes of state, kept in Redis and bounded.
//!
//! One stream for an installation, `rhubarb:history`. A worker writes what one batch of ends was
//! in one entry: field `n` how many, `w` its node, `d` a JSON list of [`Entry`]. So a busy worker
//! pays one command for a hundred ends. The stream is no part of the queue: where it is refused
//! (no memory), an end is missing here and nowhere else.

mod read;

use std::borrow::Cow;

use jiff::Timestamp;
use rhubarb_core::clock;
use serde::{Deserialize, Serialize};

pub use read::{History, HistoryFilter, follow, newest, read};

/// The most bytes of one entry of the stream; more ends make more entries.
const ENTRY_BYTES: usize = 64 << 10;
/// The most ends of one entry of the stream.
pub const ENTRY_ENDS: usize = 100;
/// How many characters are kept of arguments and results, and of an error.
const SHORT: usize = 300;
/// How many characters are kept of a traceback, the last ones.
const TRACEBACK: usize = 2000;

/// One change of a task's state as it stands in the stream: short names, absent values left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry<'a> {
    /// The task's id.
    #[serde(rename = "i")]
    pub id: Cow<'a, str>,
    /// Its name.
    #[serde(rename = "t")]
    pub task: Cow<'a, str>,
    /// Its queue.
    #[serde(rename = "q")]
    pub queue: Cow<'a, str>,
    /// Celery's state (`SUCCESS`, `FAILURE`, `RETRY`, `REVOKED`, …), or `DEAD` and `PARKED`.
    #[serde(rename = "s")]
    pub state: Cow<'a, str>,
    /// When it was so, milliseconds since 1970 on the worker's clock.
    #[serde(rename = "a")]
    pub at: i64,
    /// When it was claimed, milliseconds since 1970 on Redis's clock.
    #[serde(rename = "c", default, skip_serializing_if = "is_zero")]
    pub claimed: i64,
    /// How long its handler ran, microseconds.
    #[serde(rename = "u", default, skip_serializing_if = "Option::is_none")]
    pub ran: Option<u64>,
    /// How often it had been retried before.
    #[serde(rename = "r", default, skip_serializing_if = "is_none")]
    pub retries: u32,
    /// When its next attempt is due, milliseconds since 1970.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub due: Option<i64>,
    /// Its positional arguments as its publisher shows them.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Cow<'a, str>>,
    /// Its keyword arguments as its publisher shows them.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub kwargs: Option<Cow<'a, str>>,
    /// What it returned.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Cow<'a, str>>,
    /// What it raised, or why it is where it is.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Cow<'a, str>>,
    /// Where it raised that.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<Cow<'a, str>>,
    /// The task that published it.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Cow<'a, str>>,
    /// The first task of its canvas, where that is another.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    pub root: Option<Cow<'a, str>>,
    /// Who published it.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Cow<'a, str>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_none(n: &u32) -> bool {
    *n == 0
}

impl Entry<'_> {
    /// Cuts what may be long, so that an entry has at most some 4 KB.
    #[must_use]
    pub fn cut(mut self) -> Self {
        for text in [&mut self.args, &mut self.kwargs, &mut self.result, &mut self.error] {
            cut(text, SHORT);
        }
        if let Some(text) = &mut self.traceback {
            let surplus = text.chars().count().saturating_sub(TRACEBACK);
            if surplus > 0 {
                *text = Cow::Owned(text.chars().skip(surplus).collect());
            }
        }
        for name in [&mut self.id, &mut self.task, &mut self.queue] {
            if let Some((end, _)) = name.char_indices().nth(SHORT) {
                *name = Cow::Owned(name[..end].to_owned());
            }
        }
        self
    }
}

fn cut(text: &mut Option<Cow<'_, str>>, most: usize) {
    if let Some(text) = text
        && let Some((end, _)) = text.char_indices().nth(most)
    {
        *text = Cow::Owned(format!("{}…", &text[..end]));
    }
}

/// What one entry of the stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// How many ends.
    pub n: usize,
    /// They themselves.
    pub data: Vec<u8>,
}

/// Packs ends for as few entries of the stream as their sizes allow.
pub fn pack<'a>(ends: impl IntoIterator<Item = Entry<'a>>) -> Vec<Packed> {
    let mut packed: Vec<Packed> = Vec::new();
    for end in ends {
        let Ok(bytes) = serde_json::to_vec(&end.cut()) else { continue };
        match packed.last_mut() {
            Some(last) if last.n < ENTRY_ENDS && last.data.len() + bytes.len() < ENTRY_BYTES => {
                last.data.push(b',');
                last.data.extend(bytes);
                last.n += 1;
            }
            _ => packed.push(Packed { n: 1, data: [b"[".as_slice(), &bytes].concat() }),
        }
    }
    packed.iter_mut().for_each(|one| one.data.push(b']'));
    packed
}

/// Reads the ends of one entry of the stream, the oldest first; what is none is left out.
fn unpack(data: &[u8]) -> Vec<Entry<'static>> {
    if data.len() > 4 * ENTRY_BYTES {
        return Vec::new();
    }
    let all: Vec<serde_json::Value> = serde_json::from_slice(data).unwrap_or_default();
    all.into_iter().take(ENTRY_ENDS).filter_map(|one| serde_json::from_value(one).ok()).collect()
}

/// One change of a task's state, for whoever looks.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StateChange {
    /// The task's id.
    pub id: String,
    /// Its name.
    pub task: String,
    /// Its queue.
    pub queue: String,
    /// Celery's state, or `DEAD` and `PARKED`.
    pub state: String,
    /// When it was so: ISO 8601 text in UTC.
    pub at: String,
    /// When it was claimed.
    pub claimed_at: Option<String>,
    /// How long its handler ran, milliseconds.
    pub runtime_ms: Option<f64>,
    /// How often it had been retried before.
    pub retries: u32,
    /// When its next attempt is due.
    pub due: Option<String>,
    /// The node that ran it.
    pub worker: String,
    /// Its positional arguments as its publisher shows them.
    pub args: Option<String>,
    /// Its keyword arguments as its publisher shows them.
    pub kwargs: Option<String>,
    /// What it returned.
    pub result: Option<String>,
    /// What it raised, or why it is where it is.
    pub error: Option<String>,
    /// Where it raised that.
    pub traceback: Option<String>,
    /// The task that published it.
    pub parent: Option<String>,
    /// The first task of its canvas.
    pub root: Option<String>,
    /// Who published it.
    pub origin: Option<String>,
}

impl StateChange {
    fn of(entry: Entry<'static>, worker: &str) -> Self {
        let own = |text: Option<Cow<'static, str>>| text.map(Cow::into_owned);
        #[expect(clippy::cast_precision_loss, reason = "a runtime is far below 2^53 us")]
        let ms = |us: u64| us as f64 / 1000.0;
        Self {
            id: entry.id.into_owned(),
            task: entry.task.into_owned(),
            queue: entry.queue.into_owned(),
            state: entry.state.into_owned(),
            at: iso(entry.at).unwrap_or_default(),
            claimed_at: (entry.claimed != 0).then(|| iso(entry.claimed)).flatten(),
            runtime_ms: entry.ran.map(ms),
            retries: entry.retries,
            due: entry.due.and_then(iso),
            worker: worker.to_owned(),
            args: own(entry.args),
            kwargs: own(entry.kwargs),
            result: own(entry.result),
            error: own(entry.error),
            traceback: own(entry.traceback),
            parent: own(entry.parent),
            root: own(entry.root),
            origin: own(entry.origin),
        }
    }
}

fn iso(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(clock::iso)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(id: &str) -> Entry<'_> {
        Entry {
            id: id.into(),
            task: "shop.add".into(),
            queue: "celery".into(),
            state: "SUCCESS".into(),
            at: 1_700_000_000_123,
            ran: Some(1500),
            args: Some("(1, 2)".into()),
            ..Entry::default()
        }
    }

    #[test]
    fn a_batch_is_one_entry_and_comes_back_as_it_was() {
        let ends = ["a", "b", "c"].map(end);
        let packed = pack(ends.clone());
        assert_eq!((packed.len(), packed[0].n), (1, 3));
        assert_eq!(unpack(&packed[0].data), ends);
        assert_eq!(pack([]), []);
    }

    #[test]
    fn an_entry_holds_at_most_a_hundred_ends_and_64_kib() {
        let packed = pack((0..250).map(|_| end("a")));
        assert_eq!(packed.iter().map(|one| one.n).collect::<Vec<_>>(), [100, 100, 50]);
        let long = "é".repeat(100_000);
        let large = || Entry {
            args: Some(long.as_str().into()),
            traceback: Some(long.as_str().into()),
            ..end(&long)
        };
        for one in pack((0..100).map(|_| large())) {
            assert!(one.data.len() <= ENTRY_BYTES + 8 * 1024, "{}", one.data.len());
            assert_eq!(unpack(&one.data).len(), one.n);
        }
    }

    #[test]
    fn what_is_long_is_cut_and_of_a_traceback_the_end_is_kept() {
        let text = format!("{}last line", "x".repeat(5000));
        let cut = Entry {
            kwargs: Some(text.as_str().into()),
            traceback: Some(text.as_str().into()),
            ..end("a")
        }
        .cut();
        assert!(cut.kwargs.unwrap().ends_with("x…"));
        assert!(cut.traceback.unwrap().ends_with("last line"));
    }

    #[test]
    fn whatever_stands_there_is_read_as_far_as_it_goes() {
        assert_eq!(unpack(b"rubbish"), []);
        assert_eq!(unpack(b"{}"), []);
        let found = unpack(br#"[1, {"i": 3}, {"i":"a","t":"t","q":"q","s":"S","a":1,"x":2}]"#);
        assert_eq!(found.len(), 1);
        assert_eq!(StateChange::of(found[0].clone(), "w").at, "1970-01-01T00:00:00.001000+00:00");
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_are_no_ends(data in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            proptest::prop_assert!(unpack(&data).len() <= ENTRY_ENDS);
        }
    }
}
