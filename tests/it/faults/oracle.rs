//! Judges a run: every task in exactly one final place, and each run too many with its reason.
//!
//! It is a function of what was noted; it asks nobody.

use std::collections::{BTreeMap, BTreeSet};

use rhubarb_e2e::ledger::Entry;

/// The lease of the field's workers, ms.
pub(super) const LEASE_MS: u64 = 3000;
/// How long an acknowledgement may be on its way where nothing disturbs it, and a death may go
/// unseen, ms.
const ON_THE_WAY_MS: u64 = 500;
/// How long after a disturbance it may be on its way, ms: the settling role waits at most 2 s until
/// it tries again.
const NEXT_TRY_MS: u64 = 2500;

/// How a task that was published ought to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    Success,
    Failure,
    /// It ran, or it was too late.
    SuccessOrRevoked,
    Parked,
    Dead,
}

/// A task that was published: an answer of Redis said so.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) expect: Expect,
    /// How often publishing it was cut, so that it may wait twice.
    pub(super) unsure: u32,
}

/// Where a task was found at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The stored state.
    pub(super) state: Option<String>,
    /// Why it is a dead letter.
    pub(super) dead: Option<String>,
    pub(super) parked: bool,
}

/// What was done on purpose, from and to, ms.
#[derive(Clone, Debug)]
pub(super) struct Disruption {
    pub(super) what: String,
    pub(super) from: u64,
    pub(super) to: u64,
    /// The process ids of the workers that it made silent; empty where it was Redis, which is
    /// nobody's death.
    pub(super) pids: Vec<u32>,
}

/// Everything that is known of a run.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) sent: Vec<Sent>,
    pub(super) places: BTreeMap<String, Place>,
    pub(super) ledger: Vec<Entry>,
    pub(super) disruptions: Vec<Disruption>,
    /// How each worker process that is no more ended.
    pub(super) ends: BTreeMap<u32, End>,
}

/// The end of a worker process.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// It died, at this time, ms.
    Died(u64, &'static str),
    /// It was told to stop and handed back what it did not finish, from and to, ms.
    Stopped(u64, u64),
}

impl End {
    /// Says why a run that was cut short by it began again; none when it does not explain that.
    fn explains(self, first: &Run, second: &Run, held_until: u64) -> Option<&'static str> {
        match self {
            Self::Died(at, how) => {
                (at <= held_until && (first.at..=second.at).contains(&at)).then_some(how)
            }
            Self::Stopped(from, to) => {
                let meanwhile = from <= second.at && first.at <= to;
                (meanwhile && first.ended.is_none()).then_some("handed back at SIGTERM")
            }
        }
    }
}

/// What the oracle says.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) violations: Vec<String>,
    /// How many tasks ended where.
    pub(super) places: BTreeMap<String, usize>,
    /// How many runs too many there were, by reason.
    pub(super) duplicates: BTreeMap<String, usize>,
    /// How many runs there were.
    pub(super) runs: usize,
}

/// Judges.
pub(super) fn judge(facts: &Facts) -> Verdict {
    let mut verdict = Verdict::default();
    let ended: BTreeSet<&str> = facts
        .ledger
        .iter()
        .filter(|entry| entry.get("what") == "end")
        .map(|entry| entry.get("id"))
        .collect();
    for sent in &facts.sent {
        let place = facts.places.get(&sent.id).cloned().unwrap_or_default();
        match final_place(sent, &place, ended.contains(sent.id.as_str())) {
            Ok(name) => *verdict.places.entry(name).or_default() += 1,
            Err(why) => verdict.violations.push(format!("task {}: {why}: {place:?}", sent.id)),
        }
    }
    for (id, runs) in runs(&facts.ledger) {
        verdict.runs += runs.len();
        let mut again = published_again(facts, id);
        for pair in runs.windows(2) {
            match explain(facts, &pair[0], &pair[1]).or_else(|| again.next()) {
                Some(why) => *verdict.duplicates.entry(why).or_default() += 1,
                None => verdict.violations.push(format!(
                    "task {id} attempt {} ran twice without a reason: {:?}, {:?}",
                    pair[0].attempt, pair[0], pair[1]
                )),
            }
        }
    }
    verdict
}

/// Names the one place in which a task has ended, or says what is wrong with it.
fn final_place(sent: &Sent, place: &Place, ended: bool) -> Result<String, String> {
    // What was published twice may end in two ways.
    let twice = sent.unsure > 0;
    let state = place.state.as_deref();
    match (state, &place.dead, place.parked) {
        (None, None, false) => Err("lost".to_owned()),
        (None, None, true) if sent.expect == Expect::Parked => Ok("parked".to_owned()),
        (None | Some("FAILURE"), Some(reason), false) => {
            // Innocent tasks die as often as their workers do.
            let allowed = sent.expect == Expect::Dead || reason.contains("workers died");
            allowed.then(|| "dead letter".to_owned()).ok_or_else(|| format!("dead: {reason}"))
        }
        (Some(state), None, false) => match (sent.expect, state) {
            (Expect::Success, "SUCCESS") | (Expect::Failure, "FAILURE") if !ended => {
                Err("has a result and never ran to its end".to_owned())
            }
            (Expect::Success | Expect::SuccessOrRevoked, "SUCCESS")
            | (Expect::Failure, "FAILURE")
            | (Expect::SuccessOrRevoked, "REVOKED") => Ok(state.to_owned()),
            _ => Err(format!("ended as {state}, which is not {:?}", sent.expect)),
        },
        (Some("SUCCESS"), Some(_), false) if twice => Ok("twice: SUCCESS, dead letter".to_owned()),
        _ => Err("in two places".to_owned()),
    }
}

/// One run of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    attempt: String,
    pid: u32,
    at: u64,
    /// When its handler had done its work; none for a run that was cut short.
    ended: Option<u64>,
}

/// Returns the runs of each attempt of each task, in order.
fn runs(ledger: &[Entry]) -> Vec<(&str, Vec<Run>)> {
    let mut found: BTreeMap<(&str, &str), Vec<Run>> = BTreeMap::new();
    for entry in ledger {
        let (what, attempt) = (entry.get("what"), entry.get("attempt"));
        let pid = entry.get("pid").parse().unwrap_or_default();
        let runs = || (entry.get("id"), attempt);
        if what == "begin" {
            let run = Run { attempt: attempt.to_owned(), pid, at: entry.at, ended: None };
            found.entry(runs()).or_default().push(run);
        } else if what == "end" {
            let of_pid = |run: &&mut Run| run.pid == pid && run.ended.is_none();
            if let Some(run) = found.entry(runs()).or_default().iter_mut().find(of_pid) {
                run.ended = Some(entry.at);
            }
        }
    }
    found.into_iter().map(|((id, _), runs)| (id, runs)).collect()
}

/// Explains as many runs too many as there may be messages of this task too many.
fn published_again(facts: &Facts, id: &str) -> impl Iterator<Item = String> {
    let sent = facts.sent.iter().find(|sent| sent.id == id);
    let why = "published again after a cut".to_owned();
    std::iter::repeat_n(why, sent.map_or(0, |sent| sent.unsure as usize))
}

/// Until then a run was going on, or its end was on the way to Redis, which a disturbance holds up.
fn held_until(facts: &Facts, run: &Run) -> u64 {
    let Some(ended) = run.ended else { return u64::MAX };
    facts.disruptions.iter().fold(ended + ON_THE_WAY_MS, |until, disruption| {
        let hit = disruption.pids.is_empty() || disruption.pids.contains(&run.pid);
        let next_try = disruption.to + NEXT_TRY_MS;
        let meanwhile = disruption.from <= until && ended <= next_try;
        if hit && meanwhile { until.max(next_try) } else { until }
    })
}

/// Says why an attempt that began once began again; none when at-least-once does not allow it.
fn explain(facts: &Facts, first: &Run, second: &Run) -> Option<String> {
    let held_until = held_until(facts, first);
    let end = facts.ends.get(&first.pid).and_then(|end| end.explains(first, second, held_until));
    if let Some(how) = end {
        return Some(how.to_owned());
    }
    let lost_lease = facts.disruptions.iter().find(|disruption| {
        let hit = disruption.pids.contains(&first.pid);
        // The lease is renewed three times in its length, so that losing half of it is the least
        // that loses all.
        let long = disruption.to.saturating_sub(disruption.from) >= LEASE_MS / 2;
        let there =
            disruption.from <= second.at.min(held_until) && disruption.to + LEASE_MS >= first.at;
        hit && long && there
    });
    lost_lease.map(|disruption| format!("lease lost: {}", disruption.what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(expect: Expect) -> Sent {
        Sent { id: "a".to_owned(), expect, unsure: 0 }
    }

    fn entry(at: u64, what: &str, pid: u32) -> Entry {
        let fields = [("what", what), ("id", "a"), ("attempt", "0"), ("pid", &pid.to_string())]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Entry { at, fields: fields.into() }
    }

    fn place(state: &str) -> BTreeMap<String, Place> {
        let place = Place { state: Some(state.to_owned()), ..Place::default() };
        [("a".to_owned(), place)].into()
    }

    fn once() -> Facts {
        Facts {
            sent: vec![sent(Expect::Success)],
            places: place("SUCCESS"),
            ledger: vec![entry(1000, "begin", 7), entry(1100, "end", 7)],
            ..Facts::default()
        }
    }

    #[test]
    fn a_task_that_ran_once_and_has_its_result_is_fine() {
        let verdict = judge(&once());
        assert!(verdict.violations.is_empty(), "{verdict:?}");
        assert_eq!((verdict.places["SUCCESS"], verdict.runs), (1, 1));
    }

    #[test]
    fn a_lost_task_a_wrong_end_and_a_result_of_nothing_are_violations() {
        let violates = |facts: &Facts| assert_eq!(judge(facts).violations.len(), 1, "{facts:?}");
        violates(&Facts { places: BTreeMap::new(), ..once() });
        violates(&Facts { places: place("FAILURE"), ..once() });
        violates(&Facts { places: place("STARTED"), ..once() });
        violates(&Facts { ledger: Vec::new(), ..once() });
        violates(&Facts { sent: vec![sent(Expect::Parked)], ..once() });
        let mut both = once();
        both.places.get_mut("a").unwrap().dead = Some("workers died".to_owned());
        violates(&both);
    }

    #[test]
    fn a_second_run_needs_a_reason_that_hit_the_first_ones_worker() {
        let twice = || {
            let mut facts = once();
            facts.ledger.push(entry(5000, "begin", 8));
            facts
        };
        assert_eq!(judge(&twice()).violations.len(), 1);
        let explained = |facts: &Facts| {
            let verdict = judge(facts);
            verdict.violations.is_empty() && verdict.duplicates.len() == 1
        };
        assert!(explained(&Facts { ends: [(7, End::Died(1050, "killed"))].into(), ..twice() }));
        assert!(!explained(&Facts { ends: [(7, End::Died(3000, "killed"))].into(), ..twice() }));
        assert!(!explained(&Facts { ends: [(7, End::Died(900, "killed"))].into(), ..twice() }));
        assert!(!explained(&Facts { ends: [(8, End::Died(1050, "killed"))].into(), ..twice() }));
        let stopped = |from, to| Facts { ends: [(7, End::Stopped(from, to))].into(), ..twice() };
        assert!(!explained(&stopped(1050, 5100)), "what ended is not handed back");
        let mut cut_short = stopped(4000, 5100);
        cut_short.ledger.remove(1);
        cut_short.ledger.push(entry(5100, "end", 8));
        assert!(explained(&cut_short));
        let disrupted = |from, to, pids| {
            let disruption = Disruption { what: "x".to_owned(), from, to, pids };
            explained(&Facts { disruptions: vec![disruption], ..twice() })
        };
        assert!(disrupted(1000, 3000, vec![7]));
        assert!(!disrupted(1000, 3000, vec![]), "an outage of Redis");
        assert!(!disrupted(2000, 4000, vec![7]), "it had ended long before");
        assert!(!disrupted(1000, 3000, vec![8]));
        assert!(!disrupted(1000, 1100, vec![7]), "too short to lose a lease");
        assert!(!disrupted(6000, 9000, vec![7]), "after the second run");
        let outage = |from, to, died| {
            let outage = Disruption { what: "x".to_owned(), from, to, pids: Vec::new() };
            let ends = [(7, End::Died(died, "killed"))].into();
            explained(&Facts { disruptions: vec![outage], ends, ..twice() })
        };
        assert!(outage(1000, 4000, 3500), "its end did not come through before it died");
        assert!(!outage(2000, 4000, 3500), "it had ended before the outage");
        assert!(outage(500, 1000, 1700), "its end waited for the next try");
        assert!(!outage(1000, 2000, 4700), "its end had come through by then");
        let mut unsure = twice();
        unsure.sent[0].unsure = 1;
        assert!(explained(&unsure));
        unsure.ledger.push(entry(6000, "begin", 8));
        assert!(!explained(&unsure), "two messages are no three runs");
    }
}
