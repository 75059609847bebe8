//! `Retry-After` and the dates of HTTP, in every form that is seen.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

use crate::politeness::MAX_HOLD;

/// Numbers from this on are times, not waits: seconds since 1970.
const SINCE_1970: f64 = 1e9;
/// And these are milliseconds.
const SINCE_1970_MS: f64 = 1e12;

/// Returns how long a `Retry-After` asks to wait, at most an hour; none when it cannot be read.
///
/// It is a number of seconds or a date; `now` is the sender's time. What has passed asks for
/// nothing.
pub(super) fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim().trim_matches('"').trim();
    let wait = match seconds(text, now) {
        Some(seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX),
        None => Duration::try_from(date(text)?.duration_since(now)).unwrap_or_default(),
    };
    Some(wait.min(MAX_HOLD))
}

/// Returns the seconds that a text such as `120`, `1.5`, `120s` or `2 minutes` says.
fn seconds(text: &str, now: Timestamp) -> Option<f64> {
    // More digits than any wait has say as much as a long one.
    let end = text.find(|c: char| !c.is_ascii_digit() && !".-+".contains(c)).unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = text[end..].split(',').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match unit.as_str() {
        "" if number >= SINCE_1970_MS => number / 1_000.0 - now.as_millisecond() as f64 / 1_000.0,
        "" if (SINCE_1970..SINCE_1970_MS / 10.0).contains(&number) => {
            number - now.as_second() as f64
        }
        "" | "s" | "sec" | "secs" | "second" | "seconds" => number,
        "ms" | "millisecond" | "milliseconds" => number / 1_000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => number * 60.0,
        "h" | "hour" | "hours" => number * 3_600.0,
        _ => return None,
    })
}

/// Returns the time that a date of HTTP says: the three forms of RFC 9110, 5.6.7, those of mail,
/// and ISO 8601.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let of_http = httpdate::parse_http_date(text).ok().and_then(|at| Timestamp::try_from(at).ok());
    of_http
        .or_else(|| rfc2822::DateTimeParser::new().parse_timestamp(text).ok())
        .or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_an_hour_is_the_most() {
        let now: Timestamp = "2015-10-21T07:27:00Z".parse().unwrap();
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(parse(text, now), expect.map(Duration::from_secs), "{text}");
        };
        check("120", Some(120));
        check(" 0 ", Some(0));
        check("86400", Some(3_600));
        check("99999999999999999999999", Some(3_600));
        check("-5", Some(0));
        check("+7", Some(7));
        check("2.0", Some(2));
        check("120s", Some(120));
        check("\"60\"", Some(60));
        check("2 minutes", Some(120));
        check("5, 10", Some(5));
        check("60000ms", Some(60));
        check("1445412480", Some(60));
        check("1445412480000", Some(60));
        check("Wed, 21 Oct 2015 07:28:00 GMT", Some(60));
        check("Wed, 21 Oct 2015 07:00:00 GMT", Some(0));
        check("Wed, 21 Oct 2099 07:00:00 GMT", Some(3_600));
        check("Wednesday, 21-Oct-15 07:28:00 GMT", Some(60));
        check("Wed Oct 21 07:28:00 2015", Some(60));
        check("Wed, 21 Oct 2015 09:28:00 +0200", Some(60));
        check("2015-10-21T07:28:00Z", Some(60));
        for odd in ["soon", "", "-", ".", "1e9999", "NaN", "inf", "5 moons", "\u{0}"] {
            check(odd, None);
        }
    }
}
