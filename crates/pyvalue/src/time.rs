//! Python's dates and times: what the module `datetime` knows beyond a calendar's.

use std::sync::Arc;

use jiff::{
    civil,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

/// A `datetime.datetime`, to the microsecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// The wall clock's date and time.
    pub civil: civil::DateTime,
    /// The offset from UTC; absent for a naive datetime.
    pub offset: Option<Offset>,
    /// Whether this is the second pass of a repeated hour.
    pub fold: bool,
    /// The time zone that the offset is of: a `zoneinfo.ZoneInfo`, as Django's
    /// `timezone.localtime()` has it. Absent for a naive datetime and for a `datetime.timezone`.
    /// Pickles keep it; JSON has the offset alone.
    pub zone: Option<Zone>,
}

/// A `datetime.time`, to the microsecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeOfDay {
    /// The wall clock's time.
    pub civil: civil::Time,
    /// Whether this is the second pass of a repeated hour.
    pub fold: bool,
    /// The offset from UTC; absent for a naive time and for one in a `zoneinfo.ZoneInfo`.
    pub offset: Option<Offset>,
    /// A `zoneinfo.ZoneInfo`, whose offset no time of day alone has.
    pub zone: Option<Zone>,
}

/// A `zoneinfo.ZoneInfo`: a time zone of the IANA database, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(Arc<String>);

/// A `datetime.timedelta`, normalised as Python does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeDelta {
    days: i32,
    seconds: u32,
    microseconds: u32,
}

impl Zone {
    /// Returns the zone of this name, as `Europe/Berlin`; `None` where the IANA database of this
    /// machine, and the one that is built in where it has none, know no such name.
    pub fn new(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(|_| Self(Arc::new(name.to_owned())))
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Returns the offset at this time of its wall clock, by Python's rules (PEP 495): of a
    /// repeated hour that of the pass, and in a gap the one before it, or behind it with `fold`.
    pub fn offset(&self, civil: civil::DateTime, fold: bool) -> Option<Offset> {
        let zone = TimeZone::get(&self.0).ok()?;
        Some(match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { before, after } | AmbiguousOffset::Fold { before, after } => {
                if fold {
                    after
                } else {
                    before
                }
            }
        })
    }
}

impl DateTime {
    /// Returns the text of Django's JSON encoder: `isoformat()` cut to milliseconds, UTC as `Z`.
    pub(crate) fn json_text(&self) -> String {
        let text = self.isoformat();
        let text = match text.find('.') {
            // A fraction of six digits stands at the 19th place of every year that Python has.
            Some(point) => format!("{}{}", &text[..point + 4], &text[point + 7..]),
            None => text,
        };
        text.strip_suffix("+00:00").map(|utc| format!("{utc}Z")).unwrap_or(text)
    }

    /// Returns Python's `isoformat()`.
    pub(crate) fn isoformat(&self) -> String {
        self.civil.strftime("%Y-%m-%dT").to_string() + &time_text(self.civil.time(), self.offset)
    }
}

impl TimeOfDay {
    /// Returns the text of Django's JSON encoder, cut to milliseconds; it has none for a time with
    /// a zone.
    pub(crate) fn json_text(&self) -> Option<String> {
        let naive = self.offset.is_none() && self.zone.is_none();
        let mut text = naive.then(|| self.isoformat())?;
        text.truncate("00:00:00.000".len());
        Some(text)
    }

    /// Returns Python's `isoformat()`.
    pub(crate) fn isoformat(&self) -> String {
        time_text(self.civil, self.offset)
    }
}

/// Returns a time of day as Python's `isoformat()` has it, with its offset.
fn time_text(time: civil::Time, offset: Option<Offset>) -> String {
    let micros = time.subsec_nanosecond() / 1000;
    let mut text = time.strftime("%H:%M:%S").to_string();
    if micros > 0 {
        text += &format!(".{micros:06}");
    }
    if let Some(offset) = offset {
        let total = offset.seconds();
        let (sign, total) = (if total < 0 { '-' } else { '+' }, total.unsigned_abs());
        text += &format!("{sign}{:02}:{:02}", total / 3600, total / 60 % 60);
        if total % 60 > 0 {
            text += &format!(":{:02}", total % 60);
        }
    }
    text
}

impl TimeDelta {
    /// Returns the delta of these parts, normalised; `None` beyond Python's 999,999,999 days.
    pub fn new(days: i64, seconds: i64, microseconds: i64) -> Option<Self> {
        let total = i128::from(days) * 86_400_000_000
            + i128::from(seconds) * 1_000_000
            + i128::from(microseconds);
        let days = total.div_euclid(86_400_000_000);
        let rest = total.rem_euclid(86_400_000_000);
        if days.abs() > 999_999_999 {
            return None;
        }
        Some(Self {
            days: i32::try_from(days).ok()?,
            seconds: u32::try_from(rest / 1_000_000).ok()?,
            microseconds: u32::try_from(rest % 1_000_000).ok()?,
        })
    }

    /// Returns days, seconds (below 86,400) and microseconds (below 1,000,000).
    pub fn parts(&self) -> (i32, u32, u32) {
        (self.days, self.seconds, self.microseconds)
    }

    /// Returns the text of Django's `duration_iso_string`.
    pub(crate) fn iso_string(&self) -> String {
        let total = i128::from(self.days) * 86_400_000_000
            + i128::from(self.seconds) * 1_000_000
            + i128::from(self.microseconds);
        let sign = if total < 0 { "-" } else { "" };
        let total = total.unsigned_abs();
        let (seconds, micros) = (total / 1_000_000, total % 1_000_000);
        let (days, seconds) = (seconds / 86_400, seconds % 86_400);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = if micros > 0 { format!(".{micros:06}") } else { String::new() };
        format!("{sign}P{days}DT{hours:02}H{minutes:02}M{seconds:02}{fraction}S")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zones_offset_is_pythons_in_gaps_and_repeated_hours_too() {
        let zone = Zone::new("Europe/Berlin").unwrap();
        let offset = |month, day, hour, fold| {
            let civil = civil::date(2026, month, day).at(hour, 30, 0, 0);
            zone.offset(civil, fold).unwrap().seconds() / 3600
        };
        // Python 3.11: datetime(2026, m, d, h, 30, fold=f,
        // tzinfo=ZoneInfo("Europe/Berlin")).utcoffset()
        assert_eq!((offset(7, 1, 12, false), offset(1, 1, 12, true)), (2, 1));
        assert_eq!((offset(3, 29, 2, false), offset(3, 29, 2, true)), (1, 2));
        assert_eq!((offset(10, 25, 2, false), offset(10, 25, 2, true)), (2, 1));
        assert_eq!(Zone::new("../../etc/passwd"), None);
    }

    #[test]
    fn a_delta_is_normalised_as_python_does() {
        let delta = |d, s, us| TimeDelta::new(d, s, us).map(|t| t.parts());
        assert_eq!(delta(0, 0, -1), Some((-1, 86_399, 999_999)));
        assert_eq!(delta(0, 90_000, 1_500_000), Some((1, 3601, 500_000)));
        assert_eq!(delta(1_000_000_000, 0, 0), None);
        assert_eq!(delta(i64::MAX, i64::MAX, i64::MAX), None);
        assert_eq!(TimeDelta::new(-1, 82_800, 0).unwrap().iso_string(), "-P0DT01H00M00S");
    }
}
