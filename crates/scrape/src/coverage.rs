//! What a source's records look like, to be held against the run before. Pure.

use serde::{Deserialize, Serialize};

use crate::listing::Listing;

/// How many records a source had, and how many of them had each field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Coverage {
    /// Records that were read.
    pub records: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// Records with an address of their own.
    pub url: u64,
    /// Records with a company.
    pub company: u64,
    /// Records with a place.
    pub location: u64,
    /// Records with a date.
    pub date: u64,
}

/// With fewer records than this a fall or a field that is missing is chance.
const ENOUGH: u64 = 5;

impl Coverage {
    /// Counts a record.
    pub fn count(&mut self, listing: &Listing) {
        self.records += 1;
        self.url += u64::from(!listing.url.is_empty());
        self.company += u64::from(!listing.company.is_empty());
        self.location += u64::from(listing.location.is_some());
        self.date += u64::from(listing.posted_at.is_some());
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.skipped += other.skipped;
        self.url += other.url;
        self.company += other.company;
        self.location += other.location;
        self.date += other.date;
    }

    fn fields(&self) -> [(&'static str, u64); 4] {
        [
            ("address", self.url),
            ("company", self.company),
            ("location", self.location),
            ("date", self.date),
        ]
    }

    /// Says what is not believed of this run after that one, as a sentence; nothing where it is
    /// plausible.
    ///
    /// A fall of more than 80 % is not, nor is a field that nine of ten records had and none has.
    pub fn doubt(&self, last: &Self) -> Option<String> {
        if last.records < ENOUGH {
            return None;
        }
        if self.records * 5 < last.records {
            let (now, before) = (self.records, last.records);
            return Some(format!(
                "it has {now} postings after {before} at the last run; if that is right it is \
                 believed when three runs in a row say so"
            ));
        }
        let missing = self
            .fields()
            .into_iter()
            .zip(last.fields())
            .find(|((_, now), (_, before))| *now == 0 && *before * 10 >= last.records * 9);
        missing.map(|((field, _), _)| {
            format!(
                "none of its {} postings has a {field}, which nearly all had at the last run; if \
                 that is right it is believed when three runs in a row say so",
                self.records
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(records: u64, company: u64) -> Coverage {
        Coverage { records, company, url: records, ..Coverage::default() }
    }

    #[test]
    fn a_deep_fall_is_doubted_and_a_small_one_is_not() {
        let check = |now: u64, last: u64, doubted: bool| {
            assert_eq!(look(now, 0).doubt(&look(last, 0)).is_some(), doubted, "{last} to {now}");
        };
        check(1, 10, true);
        check(2, 10, false);
        check(0, 5, true);
        check(0, 4, false);
        check(100, 10, false);
        check(19, 100, true);
        check(20, 100, false);
    }

    #[test]
    fn a_field_that_nearly_all_had_and_none_has_is_doubted() {
        let check = |now: (u64, u64), last: (u64, u64), doubted: bool| {
            let said = look(now.0, now.1).doubt(&look(last.0, last.1));
            assert_eq!(
                said.is_some_and(|said| said.contains("company")),
                doubted,
                "{last:?} {now:?}"
            );
        };
        check((10, 0), (10, 9), true);
        check((10, 1), (10, 10), false);
        check((10, 0), (10, 8), false);
        check((4, 0), (4, 4), false);
    }
}
