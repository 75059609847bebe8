//! Rate limits: how often a task may start in one worker, in Celery's notation.

use std::{collections::HashMap, fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};

/// The most messages of one task that have a place kept for them.
const PLACES: usize = 10_000;
/// The longest that a message is put off at once. A change of the rate is felt by those that wait
/// after this long.
const HORIZON: SignedDuration = SignedDuration::from_mins(5);
/// How long a place is kept for a message that does not come.
const UNUSED: SignedDuration = SignedDuration::from_mins(1);

/// So many starts in a second, a minute or an hour: Celery's `rate_limit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    text: String,
    interval: SignedDuration,
}

/// Why a text is no rate limit, in Python's words, which Celery's clients show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RateError {
    /// The unit is none of `s`, `m` and `h`.
    #[error("KeyError('{0}')")]
    Unit(String),
    /// The number is none.
    #[error("Invalid rate limit string: ValueError(\"could not convert string to float: '{0}'\")")]
    Number(String),
}

impl Rate {
    /// Reads `10/s`, `100/m`, `0.5/h` or a number a second; none for a text that is empty or says
    /// zero.
    ///
    /// # Errors
    ///
    /// [`RateError`].
    pub fn parse(text: &str) -> Result<Option<Self>, RateError> {
        if text.is_empty() {
            return Ok(None);
        }
        let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
        let seconds = match unit {
            "s" | "" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(RateError::Unit(unit.to_owned())),
        };
        let wrong = || RateError::Number(number.to_owned());
        let number: f64 = number.trim().parse().map_err(|_| wrong())?;
        if !number.is_finite() {
            return Err(wrong());
        }
        if number == 0.0 {
            return Ok(None);
        }
        if !number.is_finite() {
            return Err(wrong());
        }
        let interval = Duration::try_from_secs_f64(seconds / number).map_err(|_| wrong())?;
        let interval = SignedDuration::try_from(interval).map_err(|_| wrong())?;
        // Ten years: the sum of a place and an interval has to stay a time.
        if interval > SignedDuration::from_hours(87_600) {
            return Err(wrong());
        }
        Ok(Some(Self { text: text.to_owned(), interval }))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a message may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Now.
    Now,
    /// Not before this time. Told `again` when it had been told before.
    At {
        /// The time to come again.
        at: Timestamp,
        /// Whether the message has come before its turn already.
        again: bool,
    },
}

/// The places in the line of one task.
///
/// A message that comes too early is given the next free place and comes back when it is its turn,
/// so that a thousand that wait are looked at once each and not all of them all the time. Places
/// are at even distances, with no burst (Celery's bucket has a capacity of one).
#[derive(Debug, Default)]
pub(crate) struct Places {
    next: Option<Timestamp>,
    kept: HashMap<String, Timestamp>,
    /// When those who did not come are looked for again.
    prune_at: Option<Timestamp>,
}

impl Places {
    /// Decides about a message at `now`.
    pub(crate) fn turn(&mut self, id: &str, rate: &Rate, now: Timestamp) -> Turn {
        // Redis's schedule counts milliseconds.
        let soon = later(now, SignedDuration::from_millis(1));
        if let Some(at) = self.kept.get(id).copied() {
            if at > soon {
                return Turn::At { at: at.min(later(now, HORIZON)), again: true };
            }
            self.kept.remove(id);
            return Turn::Now;
        }
        let next = self.next.filter(|next| *next > soon);
        let Some(place) = next else {
            self.next = Some(later(now, rate.interval));
            return Turn::Now;
        };
        if self.kept.len() >= PLACES && self.prune_at.is_none_or(|at| at <= now) {
            self.prune_at = Some(later(now, UNUSED));
            self.kept.retain(|_, at| later(*at, UNUSED) > now);
        }
        if self.kept.len() < PLACES {
            self.kept.insert(id.to_owned(), place);
            self.next = Some(later(place, rate.interval));
        }
        Turn::At { at: place.min(later(now, HORIZON)), again: false }
    }

    /// Forgets all places: those who wait line up anew.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + ms).unwrap()
    }

    fn rate(text: &str) -> Rate {
        Rate::parse(text).unwrap().unwrap()
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_rate_of_a_bounded_interval_or_an_error(
            text in r"[-+.0-9einfNaN_ ]{0,25}(/[smhd]?)?|.{0,30}",
        ) {
            if let Ok(Some(rate)) = Rate::parse(&text) {
                let interval = rate.interval;
                let bounds = SignedDuration::ZERO..=SignedDuration::from_hours(87_600);
                assert!(bounds.contains(&interval), "{text}: {interval}");
            }
        }
    }

    #[test]
    fn rates_are_read_as_celery_reads_them() {
        let ms = |text: &str| rate(text).interval.as_millis();
        assert_eq!(ms("10/s"), 100);
        assert_eq!(ms("100/m"), 600);
        assert_eq!(ms("2/h"), 1_800_000);
        assert_eq!(ms("0.5/s"), 2000);
        assert_eq!(ms("4"), 250);
        for none in ["", "0", "0/s", "0/m"] {
            assert_eq!(Rate::parse(none), Ok(None), "{none}");
        }
        assert_eq!(Rate::parse("x/y").unwrap_err().to_string(), "KeyError('y')");
        assert_eq!(
            Rate::parse("x/s").unwrap_err().to_string(),
            "Invalid rate limit string: ValueError(\"could not convert string to float: 'x'\")"
        );
        for wrong in ["-1/s", "nan/s", "inf", "1e-300/h", "/s"] {
            assert!(Rate::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_message_is_put_off_once_and_starts_in_its_turn() {
        let (rate, mut places) = (rate("10/s"), Places::default());
        assert_eq!(places.turn("a", &rate, at(0)), Turn::Now);
        assert_eq!(places.turn("b", &rate, at(1)), Turn::At { at: at(100), again: false });
        assert_eq!(places.turn("c", &rate, at(2)), Turn::At { at: at(200), again: false });
        assert_eq!(places.turn("c", &rate, at(50)), Turn::At { at: at(200), again: true });
        assert_eq!(places.turn("b", &rate, at(100)), Turn::Now);
        assert_eq!(places.turn("d", &rate, at(150)), Turn::At { at: at(300), again: false });
        assert_eq!(places.turn("c", &rate, at(230)), Turn::Now);
        assert_eq!(places.turn("d", &rate, at(300)), Turn::Now);
        assert_eq!(places.turn("e", &rate, at(1000)), Turn::Now);
        assert_eq!(places.turn("f", &rate, at(1000)), Turn::At { at: at(1100), again: false });
    }

    #[test]
    fn places_are_bounded_in_number_and_in_time() {
        let (rate, mut places) = (rate("1/m"), Places::default());
        for n in 0..PLACES + 500 {
            let turn = places.turn(&n.to_string(), &rate, at(0));
            if let Turn::At { at: due, .. } = turn {
                assert!(due <= later(at(0), HORIZON), "{n}: {due}");
            }
        }
        assert_eq!(places.kept.len(), PLACES);
        let years = later(at(0), SignedDuration::from_hours(24 * 365 * 10));
        assert_eq!(places.turn("new", &rate, years), Turn::Now);
        assert_eq!(
            places.turn("next", &rate, years),
            Turn::At { at: later(years, SignedDuration::from_mins(1)), again: false }
        );
        assert_eq!(places.kept.len(), 1, "who never came has lost the place");
    }
}
