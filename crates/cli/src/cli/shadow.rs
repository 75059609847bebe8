//! `rhubarb shadow`.

use std::time::Duration;

use clap::Args;

use super::{Shown, not_empty, parse_queue};

/// The longest run.
const LONGEST: u64 = 7 * 86_400;

/// `shadow`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb shadow --for 10m
  rhubarb shadow --for 1h --queue celery --task shop.add --task shop.mail --json

It tells by task how many messages were seen, how often they come, how large they are, and whether \
a worker here would run them; and which messages cannot be read, and why. The names that would run \
are those that live Rust workers register, or those of --task. The last line is the one to \
decide on.

What came and went between two looks, at most four a second, is not seen in a queue. Workers that \
send events (`celery worker -E`) tell of that too. Events name no queue: with --queue they do not \
count. Ctrl-C ends the run early and shows what was seen.")]
pub(crate) struct ShadowArgs {
    /// For how long: seconds, or a number with s, m, h or d
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = parse_time)]
    pub(crate) time: Duration,
    /// Only this queue; may be given several times [default: all queues, Celery's too]
    #[arg(long = "queue", value_name = "Q", value_parser = parse_queue)]
    pub(crate) queues: Vec<String>,
    /// A task that would run here; may be given several times [default: what live Rust workers
    /// register]
    #[arg(long = "task", value_name = "NAME", value_parser = not_empty)]
    pub(crate) tasks: Vec<String>,
    /// How it is shown.
    #[command(flatten)]
    pub(crate) shown: Shown,
}

fn parse_time(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time from 1s to 7d, such as 90, 10m or 2h".to_owned();
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => 1,
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    let seconds = number.checked_mul(factor).filter(|s| (1..=LONGEST).contains(s));
    seconds.map(Duration::from_secs).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_or_has_a_unit() {
        let seconds = |text: &str| parse_time(text).map(|time| time.as_secs());
        for (text, expect) in [("1", 1), ("90s", 90), ("10m", 600), ("2h", 7_200), ("7d", LONGEST)]
        {
            assert_eq!(seconds(text), Ok(expect), "{text}");
        }
        for wrong in
            ["", "0", "8d", "m", "1.5h", "-3", "10 m", "10minutes", "99999999999999999d", "1é"]
        {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
