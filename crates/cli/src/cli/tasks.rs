//! `tasks`: which ends of tasks are meant.

use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Span, Timestamp};
use rhubarb_core::clock;

use super::{Shown, not_empty};

/// `tasks`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb tasks --state failure --since 1h
  rhubarb tasks --task scrape --search 'rust developer' --limit 20 --json

Shown is what workers of Rhubarb have ended or put off, the newest first: SUCCESS, FAILURE, RETRY, REVOKED, and DEAD and
PARKED for what was kept apart. [history] in the configuration says how much is kept.")]
pub(crate) struct TasksArgs {
    /// Only this state, in any case
    #[arg(long, value_name = "S", value_parser = not_empty)]
    pub(crate) state: Option<String>,
    /// Only tasks whose name contains this
    #[arg(long, value_name = "NAME", value_parser = not_empty)]
    pub(crate) task: Option<String>,
    /// Only those with this text, in any case, in id, name, arguments, result, error or traceback
    #[arg(long, value_name = "TEXT", value_parser = not_empty)]
    pub(crate) search: Option<String>,
    /// Only what came since then: a time (2026-11-29T12:00:00Z) or how long ago (90s, 15m, 1h, 2d,
    /// 1w)
    #[arg(long, value_name = "T", value_parser = parse_since)]
    pub(crate) since: Option<Timestamp>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) limit: u32,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// Reads a time, or how long ago it was.
pub(crate) fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let wrong = || {
        "expected a time (2026-11-29T12:00:00Z) or how long ago (90s, 15m, 1h, 2d, 1w)".to_owned()
    };
    let number = |unit| text.strip_suffix(unit).and_then(|number| number.parse::<u32>().ok());
    let days = number('d').map(i64::from).or(number('w').map(|weeks| 7 * i64::from(weeks)));
    let ago = match days {
        Some(days) => SignedDuration::from_hours(24 * days),
        None => {
            let span: Span = text.parse().map_err(|_| wrong())?;
            let ago = Duration::try_from(span).map_err(|_| wrong())?;
            SignedDuration::try_from(ago).map_err(|_| wrong())?
        }
    };
    clock::now().checked_sub(ago).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_how_long_ago() {
        let at = "2026-11-29T12:00:00Z";
        assert_eq!(parse_since(at).unwrap(), at.parse().unwrap());
        for (text, seconds) in
            [("90s", 90), ("15m", 900), ("1h", 3600), ("2d", 172_800), ("1w", 604_800)]
        {
            let since = parse_since(text).unwrap();
            let ago = clock::now().duration_since(since).as_millis();
            assert!((seconds * 1000 - 1..=seconds * 1000 + 60_000).contains(&ago), "{text}: {ago}");
        }
        for wrong in ["", "yesterday", "-1h", "1 month", "99999999999d"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }
}
