//! Units, and rules that several settings have.

use std::time::Duration;

/// Bytes.
pub const MIB: usize = 1 << 20;
/// Seconds.
pub const DAY: u64 = 86_400;
/// What a time zone is, as a person reads it.
pub const ZONE: &str = "an IANA time zone such as \"Europe/Berlin\"";

/// Returns so many seconds.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Tells whether a length of time is between these seconds, both included.
pub fn within(length: &Duration, low: u64, high: u64) -> bool {
    (seconds(low)..=seconds(high)).contains(length)
}

/// Tells the same, with parts of seconds.
pub fn range(length: &Duration, low: f64, high: f64) -> bool {
    (Duration::from_secs_f64(low)..=Duration::from_secs_f64(high)).contains(length)
}

/// Tells whether there is a time zone of this name.
pub fn is_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// Tells whether a text can be a name: 1 to 200 bytes without control characters.
pub fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.chars().any(char::is_control)
}
