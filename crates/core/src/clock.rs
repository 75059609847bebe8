//! The wall clock, for stored values; durations are measured with `tokio::time::Instant`.

use jiff::{Timestamp, Unit, tz::TimeZone};

/// Returns the current time of this machine, to the microsecond.
///
/// Leases and due times never use it: those are decided on Redis's clock, in its scripts.
pub fn now() -> Timestamp {
    Timestamp::now().round(Unit::Microsecond).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Formats a time as Celery and Python do: `2026-11-23T21:53:30.368124+00:00`.
///
/// Microseconds are left out when they are zero, as `datetime.isoformat` leaves them out.
pub fn iso(at: Timestamp) -> String {
    let text =
        if at.subsec_nanosecond() == 0 { "%Y-%m-%dT%H:%M:%S" } else { "%Y-%m-%dT%H:%M:%S.%6f" };
    format!("{}+00:00", at.strftime(text))
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

    #[test]
    fn iso_is_pythons_isoformat() {
        let at: Timestamp = "2026-11-23T21:53:30.368124Z".parse().unwrap();
        assert_eq!(iso(at), "2026-11-23T21:53:30.368124+00:00");
        let at: Timestamp = "2026-11-23T21:53:30Z".parse().unwrap();
        assert_eq!(iso(at), "2026-11-23T21:53:30+00:00");
    }
}
