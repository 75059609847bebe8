//! Bars of what ended, as an inline SVG. Pure.

use std::fmt::Write as _;

use crate::board::{Minute, Trend};

/// Its width and height in its own units.
const SIZE: (f64, f64) = (720.0, 120.0);

/// Which time is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// An hour by the minute.
    Hour,
    /// A day by the quarter of an hour.
    Day,
    /// Three days by the hour.
    Days,
}

impl Span {
    /// All of them: word in the address, words.
    pub const ALL: [(Self, &'static str, &'static str); 3] =
        [(Self::Hour, "hour", "Hour"), (Self::Day, "day", "Day"), (Self::Days, "days", "72 hours")];

    /// Returns the one of a word; an hour for any other.
    pub fn of(word: &str) -> Self {
        Self::ALL.iter().find(|(_, name, _)| *name == word).map_or(Self::Hour, |(span, ..)| *span)
    }

    /// Returns how much time a bar is, in words.
    pub fn width(self) -> &'static str {
        match self {
            Self::Hour => "a minute",
            Self::Day => "a quarter of an hour",
            Self::Days => "an hour",
        }
    }

    /// Returns how many bars there are, and how many minutes each has.
    fn bars(self) -> (usize, i64) {
        match self {
            Self::Hour => (60, 1),
            Self::Day => (96, 15),
            Self::Days => (72, 60),
        }
    }
}

/// Returns the sums of each bar, the oldest first.
pub fn bars(trend: &Trend, span: Span) -> Vec<Minute> {
    let (n, width) = span.bars();
    let mut bars = vec![Minute::default(); n];
    let last = trend.now.div_euclid(width);
    for (minute, counted) in &trend.minutes {
        let back = usize::try_from(last - minute.div_euclid(width)).unwrap_or(usize::MAX);
        if let Some(bar) = n.checked_sub(back.saturating_add(1)).and_then(|at| bars.get_mut(at)) {
            bar.good += counted.good;
            bar.bad += counted.bad;
        }
    }
    bars
}

/// Draws bars; what it shows is told in words beside it.
pub fn svg(bars: &[Minute]) -> String {
    let most = bars.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0).max(1);
    let (width, height) = SIZE;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\">"
    );
    #[expect(clippy::cast_precision_loss, reason = "counts and bars are far below 2^53")]
    let (step, tall) = (width / bars.len().max(1) as f64, |n: u64| height * n as f64 / most as f64);
    for (at, bar) in bars.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "bars are few")]
        let x = step * at as f64;
        let (good, bad) = (tall(bar.good), tall(bar.bad));
        for (class, y, n) in [("good", height - good, good), ("bad", height - good - bad, bad)] {
            if n > 0.0 {
                let _ = write!(
                    svg,
                    "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" \
                     height=\"{n:.1}\"/>",
                    step * 0.8
                );
            }
        }
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(minutes: &[(i64, u64, u64)]) -> Trend {
        let minutes =
            minutes.iter().map(|(at, good, bad)| (*at, Minute { good: *good, bad: *bad }));
        Trend { now: 30_000_010, minutes: minutes.collect(), ..Trend::default() }
    }

    #[test]
    fn each_end_is_in_one_bar_and_the_last_bar_is_now() {
        let trend = trend(&[(30_000_010, 1, 2), (30_000_009, 4, 0), (29_999_000, 8, 0)]);
        let hour = bars(&trend, Span::Hour);
        assert_eq!((hour.len(), hour[59], hour[58].good), (60, Minute { good: 1, bad: 2 }, 4));
        let sum = |span| bars(&trend, span).iter().map(|bar| bar.good).sum::<u64>();
        assert_eq!([Span::Hour, Span::Day, Span::Days].map(sum), [5, 13, 13]);
    }

    #[test]
    fn a_bar_is_drawn_within_the_picture() {
        let svg = svg(&bars(&trend(&[(30_000_010, 3, 1)]), Span::Hour));
        assert!(svg.contains("height=\"90.0\"") && svg.contains("height=\"30.0\""), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(super::svg(&[]).matches("<rect").count(), 0);
    }
}
