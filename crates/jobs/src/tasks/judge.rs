//! What a source's end means for its earlier listings, held against the runs before. No I/O.

use rhubarb_scrape::{Ending, SourceStatus, run::SourceReport};

use crate::Remembered;

/// As many runs in a row say the same before it is believed: that a board is not there, or that it
/// has fallen deeply.
pub const RUNS_BELIEVED: u32 = 3;

/// What becomes of a source's earlier listings that did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Earlier {
    /// They are closed: all that the source has did come.
    Closed,
    /// They are kept, but for those that are said to be gone.
    Kept,
    /// They are kept, also in place of what came for them.
    Preferred,
}

/// How a source ended, held against the runs before.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What is told of it.
    pub status: SourceStatus,
    /// What becomes of what it had before.
    pub earlier: Earlier,
    /// Addresses and identifiers of its postings that are gone.
    pub gone: Vec<String>,
    /// What is remembered for the next run.
    pub remembered: Remembered,
}

/// Judges a source's end; `had` is how many of its listings were cached.
pub fn judge(report: &SourceReport, last: Remembered, had: usize) -> Verdict {
    let mut verdict = Verdict {
        status: report.status(),
        earlier: Earlier::Kept,
        gone: report.gone.clone(),
        remembered: last,
    };
    match report.ending {
        Ending::Found | Ending::Nothing | Ending::Unchanged => verdict.of_whole(report, last),
        Ending::Partial if !report.cut => verdict.of_whole(report, last),
        Ending::Partial => verdict.remembered.missing = 0,
        Ending::NotFound | Ending::Gone => verdict.of_missing(report, last, had),
        _ => verdict.remembered.missing = 0,
    }
    verdict
}

impl Verdict {
    /// All that the source has did come, but for records that could not be read.
    fn of_whole(&mut self, report: &SourceReport, last: Remembered) {
        let (now, before) = (&report.look, &last.look);
        // Evidence of emptiness is believed at once.
        let doubt = now.doubt(before).filter(|_| report.ending != Ending::Nothing);
        let lost_more = now.skipped > before.skipped;
        let runs = last.doubts + 1;
        if doubt.is_none() && !lost_more || runs >= RUNS_BELIEVED {
            self.earlier = Earlier::Closed;
            self.remembered = Remembered { look: report.look, ..Remembered::default() };
            return;
        }
        self.remembered = Remembered { doubts: runs, missing: 0, ..last };
        // Nothing was known before: this is what the next run is held against.
        if before.records == 0 {
            self.remembered.look = report.look;
        }
        if let Some(doubt) = doubt {
            self.earlier = Earlier::Preferred;
            self.status.turn(Ending::Suspicious, doubt);
        }
    }

    /// The source, or the one posting that it reads, is not there.
    fn of_missing(&mut self, report: &SourceReport, last: Remembered, had: usize) {
        let missing = last.missing + 1;
        self.remembered = Remembered { missing, doubts: 0, ..last };
        // Each page that is gone held one posting: then it was that posting's own.
        let n_pages = report.gone.len() as u64;
        let are_postings = report.ending == Ending::Gone
            && n_pages > 0
            && last.look.records.max(had as u64) <= n_pages;
        if are_postings || missing >= RUNS_BELIEVED {
            self.earlier = Earlier::Closed;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rhubarb_scrape::{Coverage, SourceState};

    use super::*;

    fn report(ending: Ending, look: Coverage) -> SourceReport {
        SourceReport {
            name: "a".into(),
            ending,
            reason: (ending.state() != SourceState::Ok).then(|| "why".into()),
            matched: 1,
            total: 1,
            permanent: false,
            limited: false,
            cut: ending.is_silent(),
            gone: Vec::new(),
            look,
            elapsed: Duration::ZERO,
        }
    }

    fn look(records: u64, company: u64) -> Coverage {
        Coverage { records, company, url: records, ..Coverage::default() }
    }

    fn known(records: u64) -> Remembered {
        Remembered { look: look(records, records), ..Remembered::default() }
    }

    /// The words of runs after each other.
    fn runs(first: Remembered, reports: &[SourceReport]) -> Vec<(Ending, Earlier)> {
        let mut last = first;
        let mut seen = Vec::new();
        for report in reports {
            let verdict = judge(report, last, 3);
            last = verdict.remembered;
            seen.push((verdict.status.outcome.unwrap(), verdict.earlier));
        }
        seen
    }

    #[test]
    fn a_whole_run_closes_what_did_not_come_and_is_remembered() {
        let verdict = judge(&report(Ending::Found, look(9, 9)), known(10), 3);
        assert_eq!((verdict.earlier, verdict.remembered), (Earlier::Closed, known(9)));
    }

    #[test]
    fn a_deep_fall_is_suspicious_until_three_runs_in_a_row_say_so() {
        let fallen = || report(Ending::Found, look(1, 1));
        let suspicious = (Ending::Suspicious, Earlier::Preferred);
        let believed = (Ending::Found, Earlier::Closed);
        let seen = runs(known(10), &[fallen(), fallen(), fallen(), fallen()]);
        assert_eq!(seen, [suspicious, suspicious, believed, believed]);
        let whole = report(Ending::Found, look(10, 10));
        let seen = runs(known(10), &[fallen(), fallen(), whole, fallen()]);
        assert_eq!(seen, [suspicious, suspicious, believed, suspicious]);
    }

    #[test]
    fn a_field_that_nearly_all_had_and_none_has_is_suspicious() {
        let seen = runs(known(10), &[report(Ending::Found, look(10, 0))]);
        assert_eq!(seen, [(Ending::Suspicious, Earlier::Preferred)]);
    }

    #[test]
    fn evidence_of_emptiness_is_believed_at_once() {
        let seen = runs(known(50), &[report(Ending::Nothing, look(0, 0))]);
        assert_eq!(seen, [(Ending::Nothing, Earlier::Closed)]);
    }

    #[test]
    fn a_run_that_was_cut_short_closes_nothing_and_is_no_measure() {
        let cut = SourceReport { cut: true, ..report(Ending::Partial, look(1, 1)) };
        let verdict = judge(&cut, known(10), 3);
        assert_eq!((verdict.earlier, verdict.remembered), (Earlier::Kept, known(10)));
        for ending in [Ending::Blocked, Ending::Throttled, Ending::Failed, Ending::Suspicious] {
            let seen = runs(known(10), &[(); 4].map(|()| report(ending, look(0, 0))));
            assert_eq!(seen, [(ending, Earlier::Kept); 4]);
        }
    }

    #[test]
    fn records_that_were_never_read_hold_nothing_back_and_newly_lost_ones_do() {
        let lost = |skipped| report(Ending::Partial, Coverage { skipped, ..look(10, 10) });
        let (kept, closed) = ((Ending::Partial, Earlier::Kept), (Ending::Partial, Earlier::Closed));
        assert_eq!(runs(Remembered::default(), &[lost(2), lost(2), lost(3)]), [kept, closed, kept]);
        assert_eq!(runs(known(10), &[lost(1), lost(1), lost(1)]), [kept, kept, closed]);
    }

    #[test]
    fn a_board_that_is_not_there_closes_its_own_after_three_runs_in_a_row() {
        let (missing, failed) =
            (report(Ending::NotFound, look(0, 0)), report(Ending::Failed, look(0, 0)));
        let (kept, closed) =
            ((Ending::NotFound, Earlier::Kept), (Ending::NotFound, Earlier::Closed));
        let thrice = [missing.clone(), missing.clone(), missing.clone()];
        assert_eq!(runs(known(3), &thrice), [kept, kept, closed]);
        let broken = [missing.clone(), failed, missing.clone(), missing];
        let seen = runs(known(3), &broken);
        assert_eq!(seen[3], kept, "the row was broken");
    }

    #[test]
    fn a_posting_is_closed_by_its_own_page_at_once_and_a_list_by_one_answer_is_not() {
        let gone = SourceReport {
            gone: vec!["https://a.test/p".into()],
            ..report(Ending::Gone, look(0, 0))
        };
        let check = |last: Remembered, had: usize, expect: Earlier| {
            assert_eq!(judge(&gone, last, had).earlier, expect, "{last:?} {had}");
        };
        check(known(1), 1, Earlier::Closed);
        check(Remembered::default(), 1, Earlier::Closed);
        check(known(30), 1, Earlier::Kept);
        check(Remembered::default(), 2, Earlier::Kept);
    }
}
