//! What may come by the thousand, told as one: by itself at first, then counted, with a line each
//! minute and one when it is over.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rhubarb_connection::Spell;
use rhubarb_queue::letter::LetterKind;

/// How many are told apart at once; more are told as one.
const MAX: usize = 1_000;
/// How much of a text tells one from another, bytes.
const TEXT: usize = 200;

/// What is coming: one is told apart from another by all of this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flood {
    what: What,
    task: Option<String>,
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// Messages that nobody knows how to run.
    Parked,
    /// Messages that can never run.
    Dead,
    /// Messages that are left for other workers.
    Left,
    /// Kept messages that were too many.
    GaveWay,
    /// Messages that were too large to be kept.
    Stripped,
    /// Revocations.
    Revoked,
    /// Revocations that were too many.
    Forgotten,
    /// Revocations that could not be taken.
    Refused,
    /// Commands that were not heard.
    Missed,
    /// Commands that were not answered.
    Unanswered,
}

impl What {
    /// What it is called in the lines that count it, how many are told one by one before, and
    /// whether it is bad.
    fn told(self) -> (&'static str, u64, bool) {
        match self {
            Self::Parked => ("messages of a task that nobody knows are parked", 1, true),
            Self::Dead => ("messages go to the dead letters", 10, true),
            Self::Left => ("messages are left for the workers that run their task", 1, false),
            Self::Stripped => ("of messages only what is known of them is kept", 1, true),
            Self::Revoked => ("tasks are revoked by remote control", 20, false),
            Self::Forgotten => ("the oldest revocations give way, and are forgotten", 1, true),
            Self::Refused => ("revocations are refused", 1, true),
            Self::Missed => ("commands of remote control are missed", 1, true),
            Self::Unanswered => ("commands of remote control are dropped", 1, true),
            Self::GaveWay => ("kept messages have to give way, and are lost", 1, true),
        }
    }
}

impl From<LetterKind> for What {
    fn from(kind: LetterKind) -> Self {
        match kind {
            LetterKind::Dead => Self::Dead,
            LetterKind::Parked => Self::Parked,
        }
    }
}

impl From<What> for Flood {
    fn from(what: What) -> Self {
        Self { what, task: None, reason: None }
    }
}

impl Flood {
    pub(crate) fn new(what: What, task: Option<&str>, reason: Option<&str>) -> Self {
        let short = |text: &str| text[..text.floor_char_boundary(TEXT)].to_owned();
        Self { what, task: task.map(short), reason: reason.map(short) }
    }
}

/// All that is coming.
#[derive(Debug, Default)]
pub(crate) struct Floods {
    coming: Mutex<BTreeMap<Flood, Counted>>,
}

#[derive(Debug)]
struct Counted {
    spell: Spell,
    n: u64,
}

impl Floods {
    fn coming(&self) -> MutexGuard<'_, BTreeMap<Flood, Counted>> {
        self.coming.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes `n` more; tells whether they are to be told by themselves.
    pub(crate) fn note(&self, flood: impl Into<Flood>, n: u64) -> bool {
        self.note_at(flood.into(), n, Instant::now())
    }

    fn note_at(&self, flood: Flood, n: u64, now: Instant) -> bool {
        let mut coming = self.coming();
        let is_known = coming.contains_key(&flood) || coming.len() < MAX;
        let flood = if is_known { flood } else { flood.what.into() };
        let counted = coming
            .entry(flood.clone())
            .or_insert_with(|| Counted { spell: Spell::begin(Duration::ZERO, now), n: 0 });
        let singly = counted.n < flood.what.told().1;
        counted.n += n;
        let (goes_on, n) = (counted.spell.again(now), counted.n);
        drop(coming);
        if let Some(lasted) = goes_on {
            flood.tell(false, n, lasted);
        }
        singly
    }

    /// Tells what is over: what has not come for a minute.
    pub(crate) fn ebb(&self) {
        self.end(|spell| spell.faded(Instant::now()));
    }

    /// Tells what has come so far, before the process ends.
    pub(crate) fn finish(&self) {
        self.end(|spell| Some(spell.lasted(Instant::now())));
    }

    fn end(&self, over: impl Fn(&Spell) -> Option<Duration>) {
        let mut coming = self.coming();
        let ended: Vec<_> = coming
            .extract_if(.., |_, counted| over(&counted.spell).is_some())
            .filter_map(|(flood, counted)| Some((flood, counted.n, over(&counted.spell)?)))
            .collect();
        drop(coming);
        // What was told one by one needs no sum.
        for (flood, n, lasted) in ended.iter().filter(|(flood, n, _)| *n > flood.what.told().1) {
            flood.tell(true, *n, *lasted);
        }
    }
}

impl Flood {
    fn tell(&self, is_over: bool, n: u64, lasted: Duration) {
        let (what, _, is_bad) = self.what.told();
        let (task, reason) = (self.task.as_deref(), self.reason.as_deref());
        let for_s = lasted.as_secs();
        let state = if is_over { "over" } else { "still" };
        if is_bad && !is_over {
            tracing::warn!(task, n, for_s, reason, "{state}: {what}");
        } else {
            tracing::info!(task, n, for_s, reason, "{state}: {what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_are_told_by_themselves_and_the_rest_is_counted() {
        let (floods, begun) = (Floods::default(), Instant::now());
        let parked = |task| Flood::new(What::Parked, Some(task), None);
        assert!(floods.note_at(parked("a"), 1, begun));
        assert!(!floods.note_at(parked("a"), 1, begun + S));
        assert!(floods.note_at(parked("b"), 1, begun + S), "each name by itself");
        let dead = || Flood::new(What::Dead, None, Some("no JSON"));
        let told = (0..100).filter(|_| floods.note_at(dead(), 1, begun)).count();
        assert_eq!(told, 10);
        let counts: Vec<u64> = floods.coming().values().map(|counted| counted.n).collect();
        assert_eq!(counts, [2, 1, 100]);
        floods.end(|spell| spell.faded(begun + 60 * S));
        assert_eq!(floods.coming().len(), 2, "what came last a second later goes on");
        floods.end(|spell| spell.faded(begun + 61 * S));
        assert!(floods.coming().is_empty());
        assert!(floods.note_at(parked("a"), 1, begun + 62 * S), "it begins anew");
    }

    #[test]
    fn many_names_and_long_ones_are_bounded() {
        let (floods, begun) = (Floods::default(), Instant::now());
        let told = (0..3 * MAX).filter(|n| {
            let task = format!("{n}é{}", "é".repeat(TEXT));
            floods.note_at(Flood::new(What::Parked, Some(&task), None), 1, begun)
        });
        assert_eq!(told.count(), MAX + 1);
        let coming = floods.coming();
        assert_eq!(coming.len(), MAX + 1);
        assert!(coming.keys().all(|flood| flood.task.as_ref().is_none_or(|t| t.len() <= TEXT)));
        assert_eq!(coming[&What::Parked.into()].n, 2 * MAX as u64);
    }
}
