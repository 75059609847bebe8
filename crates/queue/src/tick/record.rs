//! What is kept of a schedule in Redis: one field of its queue's ticks hash.
//!
//! The text is ours: `<tick> <runs> <missed> <late> <at> <next> <anchor> <ran> <digest>`, times in
//! ms since the epoch, `-` for what there is not. Before 0.2 it was the tick alone, which is still
//! read.

use jiff::Timestamp;
use rhubarb_schedule::Progress;

/// What became of a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The last tick that was published or passed over, or the moment at which the schedule was
    /// first seen.
    pub tick: Timestamp,
    /// How many ticks were published.
    pub runs: u64,
    /// How many ticks were not.
    pub missed: u64,
    /// How late the last publication was, ms.
    pub late_ms: u64,
    /// When the last tick was published; absent before the first.
    pub at: Option<Timestamp>,
    /// When the next one is to be; absent when there is none.
    pub next: Option<Timestamp>,
    /// The moment from which an interval's ticks are counted.
    pub anchor: Timestamp,
    /// The last tick that was published.
    pub ran: Option<Timestamp>,
    /// The timetable that all this is of ([`rhubarb_schedule::Schedule::digest`]); empty when
    /// it is not known.
    pub digest: String,
}

impl Record {
    /// Returns the record of a schedule that is seen for the first time: it starts from now, an
    /// interval's grid on a whole second.
    pub fn new(now: Timestamp) -> Self {
        Self {
            tick: now,
            runs: 0,
            missed: 0,
            late_ms: 0,
            at: None,
            next: None,
            anchor: Timestamp::from_second(now.as_second()).unwrap_or(now),
            ran: None,
            digest: String::new(),
        }
    }

    /// Returns what decides what is due.
    pub fn progress(&self) -> Progress {
        Progress { last: self.tick, anchor: self.anchor, runs: self.runs }
    }

    /// Reads a record; absent when it is none.
    pub fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let tick = time(parts.next()?)?;
        let Some(runs) = parts.next() else {
            return Some(Self { anchor: tick, ..Self::new(tick) });
        };
        Some(Self {
            tick,
            runs: runs.parse().ok()?,
            missed: parts.next()?.parse().ok()?,
            late_ms: parts.next()?.parse().ok()?,
            at: time_or_none(parts.next()?)?,
            next: time_or_none(parts.next()?)?,
            anchor: time(parts.next()?)?,
            ran: time_or_none(parts.next()?)?,
            digest: parts.next()?.to_owned(),
        })
    }

    /// Writes a record.
    pub fn encode(&self) -> String {
        format!("{} {} {} {}", self.tick.as_millisecond(), self.counts(), self.times(), self.rest())
    }

    pub(super) fn counts(&self) -> String {
        format!("{} {}", self.runs, self.missed)
    }

    pub(super) fn times(&self) -> String {
        format!("{} {}", self.late_ms, text(self.at))
    }

    pub(super) fn rest(&self) -> String {
        let anchor = self.anchor.as_millisecond();
        format!("{} {anchor} {} {}", text(self.next), text(self.ran), self.digest)
    }
}

fn time(text: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(text.parse().ok()?).ok()
}

/// Absent inside for `-`, absent outside for what is no time.
fn time_or_none(text: &str) -> Option<Option<Timestamp>> {
    if text == "-" { Some(None) } else { time(text).map(Some) }
}

fn text(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "-".to_owned(), |at| at.as_millisecond().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: i64) -> Timestamp {
        Timestamp::from_second(s).unwrap()
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_record_that_survives_or_none(
            text in r"(-?[0-9]{1,19}|-| |[a-z]{1,5}){0,14}|.{0,60}",
        ) {
            if let Some(record) = Record::decode(&text) {
                assert_eq!(Record::decode(&record.encode()), Some(record));
            }
        }
    }

    #[test]
    fn a_record_survives_redis() {
        let whole = Record {
            tick: at(9),
            runs: 3,
            missed: 2,
            late_ms: 17,
            at: Some(at(10)),
            next: Some(at(12)),
            anchor: at(1),
            ran: Some(at(8)),
            digest: "abc".to_owned(),
        };
        assert_eq!(whole.encode(), "9000 3 2 17 10000 12000 1000 8000 abc");
        let fresh = Record::new("2026-11-23T21:53:30.368Z".parse().unwrap());
        assert_eq!(fresh.anchor.subsec_nanosecond(), 0);
        for record in [whole, fresh] {
            assert_eq!(Record::decode(&record.encode()), Some(record));
        }
    }

    #[test]
    fn an_old_mark_is_read_and_what_is_no_record_is_not() {
        let old = Record::decode("9000").unwrap();
        assert_eq!((old.tick, old.anchor, old.digest.as_str()), (at(9), at(9), ""));
        for bad in [
            "",
            "x",
            "9000 1",
            "9000 1 2 3 4 5 6 7",
            "9000 x 0 0 - - 1000 - a",
            "99999999999999999",
        ] {
            assert_eq!(Record::decode(bad), None, "{bad}");
        }
    }
}
