//! How long a session lives: Django's `get_expiry_age`.

use std::time::Duration;

use jiff::{Timestamp, civil, tz::Offset};

use crate::{BigInt, DateTime, PyValue};

/// Django's `SESSION_COOKIE_AGE`: two weeks.
pub const DEFAULT_AGE: Duration = Duration::from_secs(1_209_600);

/// The longest life that is written. Beyond some point Redis refuses a time; ten years is for ever
/// for a cookie.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// Returns how long a session with this `_session_expiry` lives from now; zero means that it is
/// over.
///
/// As in Django: seconds as a number, a time as a datetime or ISO text; nothing or zero means
/// `default` (with zero the cookie ends with the browser). Django fails on anything else; here it
/// means `default`, too. A time without an offset is taken as UTC.
pub(super) fn of(expiry: Option<&PyValue>, default: Duration, now: Timestamp) -> Duration {
    let age = match expiry {
        Some(PyValue::Int(seconds)) if *seconds != 0 => Some(whole_seconds(*seconds)),
        Some(PyValue::BigInt(seconds)) => {
            Some(if *seconds < BigInt::ZERO { Duration::ZERO } else { LONGEST })
        }
        Some(PyValue::Float(seconds)) if *seconds != 0.0 && !seconds.is_nan() => {
            Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST))
        }
        Some(PyValue::DateTime(at)) => instant(at).map(|at| until(at, now)),
        Some(PyValue::Str(text)) => iso(text).map(|at| until(at, now)),
        _ => None,
    };
    age.unwrap_or(default).min(LONGEST)
}

fn whole_seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// Whole seconds, rounded down as Django does.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    whole_seconds(at.duration_since(now).as_millis().div_euclid(1000).try_into().unwrap_or(0))
}

fn instant(at: &DateTime) -> Option<Timestamp> {
    at.offset.unwrap_or(Offset::UTC).to_timestamp(at.civil).ok()
}

fn iso(text: &str) -> Option<Timestamp> {
    // Without the cap a hostile text would be parsed to its end.
    if text.len() > 64 {
        return None;
    }
    let naive = || Offset::UTC.to_timestamp(text.parse::<civil::DateTime>().ok()?).ok();
    text.parse().ok().or_else(naive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_is_djangos() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let check = |expiry: Option<PyValue>, seconds: u64| {
            let age = of(expiry.as_ref(), DEFAULT_AGE, now);
            assert_eq!(age, Duration::from_secs(seconds), "{expiry:?}");
        };
        let default = 1_209_600;
        check(None, default);
        check(Some(PyValue::None), default);
        check(Some(PyValue::Int(0)), default);
        check(Some(PyValue::Int(3600)), 3600);
        check(Some(PyValue::Int(-1)), 0);
        check(Some(PyValue::Int(i64::MAX)), LONGEST.as_secs());
        check(Some(PyValue::Float(90.0)), 90);
        check(Some(PyValue::Float(f64::NAN)), default);
        check(Some(PyValue::Float(f64::INFINITY)), LONGEST.as_secs());
        check(Some(PyValue::Float(-0.5)), 0);
        check(Some("2026-01-01T01:00:00+00:00".into()), 3600);
        check(Some("2026-01-01T02:00:00.999999+01:00".into()), 3600);
        check(Some("2026-01-01T00:30:00".into()), 1800);
        check(Some("2025-12-31T23:59:59+00:00".into()), 0);
        check(Some("tomorrow".into()), default);
        check(Some(PyValue::Str("9".repeat(100_000))), default);
        check(Some(PyValue::List(vec![])), default);
        let civil = civil::datetime(2026, 1, 1, 1, 0, 0, 0);
        let at =
            |offset| Some(PyValue::DateTime(DateTime { civil, offset, fold: false, zone: None }));
        check(at(None), 3600);
        check(at(Some(Offset::from_seconds(1800).unwrap())), 1800);
    }
}
