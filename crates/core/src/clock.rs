//! The wall clock, for stored values; durations are measured with `tokio::time::Instant`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{
    Timestamp, Unit,
    tz::{Offset, TimeZone},
};
use tokio::time::Instant;

/// Returns the current time of this machine, to the microsecond.
///
/// Leases and due times never use it: those are decided on Redis's clock, in its scripts.
pub fn now() -> Timestamp {
    to_microseconds(Timestamp::now())
}

fn to_microseconds(at: Timestamp) -> Timestamp {
    at.round(Unit::Microsecond).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// A clock that a test sets and moves. Between that it goes on with tokio's time, so that it stands
/// still where tokio's time is paused. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct TestClock(Arc<Mutex<Moved>>);

/// The time that was set, and when.
#[derive(Debug)]
struct Moved {
    to: Timestamp,
    at: Instant,
}

impl TestClock {
    /// Returns the time, to the microsecond.
    pub fn now(&self) -> Timestamp {
        self.with(|moved| moved.now())
    }

    /// Sets the time.
    pub fn set(&self, to: Timestamp) {
        self.with(|moved| *moved = Moved { to, at: Instant::now() });
    }

    /// Moves the time forward; it ends at the last time that there is.
    pub fn advance(&self, by: Duration) {
        self.with(|moved| moved.to = moved.to.saturating_add(by).unwrap_or(Timestamp::MAX));
    }

    fn with<T>(&self, act: impl FnOnce(&mut Moved) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Moved {
    fn now(&self) -> Timestamp {
        to_microseconds(self.to.saturating_add(self.at.elapsed()).unwrap_or(Timestamp::MAX))
    }
}

impl Default for TestClock {
    /// Begins at this machine's time.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Moved { to: now(), at: Instant::now() })))
    }
}

/// Formats a time as Celery and Python do: `2026-11-23T21:53:30.368124+00:00`.
///
/// Microseconds are left out when they are zero, as `datetime.isoformat` leaves them out.
pub fn iso(at: Timestamp) -> String {
    let at = Offset::UTC.to_datetime(at);
    let mut text = String::with_capacity("2026-11-23T21:53:30.368124+00:00".len());
    // By hand, because each task's result has one: a tenth of what reading a format costs.
    let mut put = |before: &str, n: u32, width: u32| {
        text.push_str(before);
        for place in (0..width).rev() {
            let digit = n / 10_u32.pow(place) % 10;
            text.push(char::from(b'0' + digit as u8));
        }
    };
    let small = |n: i8| u32::from(n.unsigned_abs());
    let sign = if at.year() < 0 { "-" } else { "" };
    put(sign, u32::from(at.year().unsigned_abs()), 4);
    put("-", small(at.month()), 2);
    put("-", small(at.day()), 2);
    put("T", small(at.hour()), 2);
    put(":", small(at.minute()), 2);
    put(":", small(at.second()), 2);
    if at.subsec_nanosecond() != 0 {
        put(".", at.subsec_nanosecond().unsigned_abs() / 1_000, 6);
    }
    text.push_str("+00:00");
    text
}

/// Returns the hours between this machine's time and UTC, positive in the west: Python's
/// `time.timezone`.
pub fn utcoffset() -> f64 {
    let zone = TimeZone::system();
    // The other way round, so that UTC is 0.0 and not -0.0.
    f64::from(0 - zone.to_offset(Timestamp::now()).seconds()) / 3600.0
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn iso_is_what_its_format_says(
            // From the year 0 on: Python's begin with 1.
            second in -62_167_219_200..Timestamp::MAX.as_second(),
            nanosecond in 0..1_000_000_000,
        ) {
            for nanosecond in [0, nanosecond, 5, 1_000] {
                let at = Timestamp::new(second, nanosecond).unwrap();
                let fraction = if at.subsec_nanosecond() == 0 { "" } else { ".%6f" };
                let format = format!("%Y-%m-%dT%H:%M:%S{fraction}+00:00");
                proptest::prop_assert_eq!(iso(at), at.strftime(&format).to_string());
            }
        }
    }

    #[test]
    fn a_tests_clock_is_set_and_moved() {
        let (clock, at) = (TestClock::default(), "2030-01-01T00:00:00Z".parse().unwrap());
        clock.set(at);
        clock.clone().advance(Duration::from_secs(3600));
        let after = clock.now().duration_since(at);
        assert!((3600..3700).contains(&after.as_secs()), "{after}");
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), to_microseconds(Timestamp::MAX));
    }

    #[test]
    fn iso_is_pythons_isoformat() {
        let at: Timestamp = "2026-11-23T21:53:30.368124Z".parse().unwrap();
        assert_eq!(iso(at), "2026-11-23T21:53:30.368124+00:00");
        let at: Timestamp = "2026-11-23T21:53:30Z".parse().unwrap();
        assert_eq!(iso(at), "2026-11-23T21:53:30+00:00");
    }
}
