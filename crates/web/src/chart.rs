//! Bars of what ended and lines of how long it took, as inline SVG. Pure.

use std::fmt::Write as _;

use rhubarb_queue::statistics::{BUCKETS, Histogram};

use crate::board::{EndCounts, Minute, Trend};

/// Width and height in a chart's own units.
const SIZE: (f64, f64) = (720.0, 120.0);
/// The same of a small one in a table.
const SMALL: (f64, f64) = (96.0, 20.0);
/// So many hours a small one has.
const HOURS: usize = 24;

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

    /// Returns when the first bar was, in words.
    pub fn begin(self) -> &'static str {
        match self {
            Self::Hour => "an hour ago",
            Self::Day => "a day ago",
            Self::Days => "72 hours ago",
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
        if let Some(at) = place(n, last - minute.div_euclid(width)) {
            bars[at].merge(counted);
        }
    }
    bars
}

/// Returns how a task ended, by the hour of the last day, the oldest first.
pub fn outcomes(trend: &Trend, task: &str) -> Vec<EndCounts> {
    let mut hours = vec![EndCounts::default(); HOURS];
    let last = trend.now.div_euclid(60);
    for (hour, tasks) in &trend.hours {
        if let (Some(at), Some(ended)) = (place(HOURS, last - hour), tasks.get(task)) {
            hours[at] = *ended;
        }
    }
    hours
}

/// Returns the place of what is so far back among `n`, the last of which is now.
fn place(n: usize, back: i64) -> Option<usize> {
    let back = usize::try_from(back).ok()?;
    n.checked_sub(back.checked_add(1)?)
}

/// Draws bars; what it shows is told in words beside it.
pub fn svg(bars: &[EndCounts]) -> String {
    let most = bars.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0).max(1);
    let (width, height) = SIZE;
    let mut svg = head("chart", SIZE);
    let step = width / float(bars.len().max(1));
    let tall = |n: u64| height * float(n) / float(most);
    for (at, bar) in bars.iter().enumerate() {
        let (x, good, bad) = (step * float(at), tall(bar.good), tall(bar.bad));
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

#[expect(clippy::cast_precision_loss, reason = "what is drawn need not be exact")]
fn float(n: impl TryInto<u64>) -> f64 {
    n.try_into().unwrap_or(u64::MAX) as f64
}

/// Draws bars in a small picture for a table: a line a bar, so that a page with many stays small.
pub fn small(bars: &[EndCounts]) -> String {
    let most = bars.iter().map(|bar| bar.good + bar.bad).max().unwrap_or(0).max(1);
    let (width, height) = SMALL;
    let step = width / float(bars.len().max(1));
    let tall = |n: u64| height * float(n) / float(most);
    let mut paths = [("good", String::new()), ("bad", String::new())];
    for (at, bar) in bars.iter().enumerate() {
        let (x, good) = (step * (float(at) + 0.5), tall(bar.good));
        for (of, from, n) in [(0, 0.0, good), (1, good, tall(bar.bad))] {
            if n > 0.0 {
                let _ = write!(paths[of].1, "M{x:.0} {:.1}v-{n:.1}", height - from);
            }
        }
    }
    let drawn = paths.iter().filter(|(_, path)| !path.is_empty());
    let drawn: String =
        drawn.map(|(class, path)| format!("<path class=\"{class}\" d=\"{path}\"/>")).collect();
    head("spark", SMALL) + &drawn + "</svg>"
}

fn head(class: &str, (width, height): (f64, f64)) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" \
         aria-hidden=\"true\">"
    )
}

/// What is drawn as a line: its class, of what, and which share of it.
pub type Line = (&'static str, fn(&Minute) -> &Histogram, f64);

/// All lines.
pub const LINES: [Line; 3] = [
    ("run50", |bar| &bar.run, 0.5),
    ("run95", |bar| &bar.run, 0.95),
    ("wait95", |bar| &bar.wait, 0.95),
];

/// Draws how long it took, on a scale that grows tenfold with each step; a gap is where nothing
/// ended.
pub fn lines(bars: &[Minute]) -> String {
    let mut svg = head("chart lines", SIZE);
    for (class, of, share) in LINES {
        let heights = bars.iter().map(|bar| of(bar).percentile(share).map(height));
        let path = path(&heights.collect::<Vec<_>>());
        if !path.is_empty() {
            let _ = write!(svg, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }
    svg + "</svg>"
}

/// Returns where a time is drawn: the shortest bucket at the bottom, the longest at the top.
fn height(seconds: f64) -> f64 {
    let (low, high) = (BUCKETS[0].ln(), BUCKETS[BUCKETS.len() - 1].ln());
    let share = (seconds.clamp(BUCKETS[0], BUCKETS[BUCKETS.len() - 1]).ln() - low) / (high - low);
    // Not on the edge, where half of a line would be cut off.
    SIZE.1 * (0.97 - 0.94 * share)
}

/// Returns steps, one a bar.
fn path(heights: &[Option<f64>]) -> String {
    let step = SIZE.0 / float(heights.len().max(1));
    let mut path = String::new();
    let mut is_on = false;
    for (at, height) in heights.iter().enumerate() {
        let x = step * float(at);
        if let Some(y) = height {
            let _ = write!(path, "{}{x:.1} {y:.1}h{step:.1}", if is_on { "L" } else { "M" });
        }
        is_on = height.is_some();
    }
    path
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn trend(minutes: &[(i64, u64, u64)]) -> Trend {
        let minute = |good, bad| Minute { ended: EndCounts { good, bad }, ..Minute::default() };
        let minutes = minutes.iter().map(|(at, good, bad)| (*at, minute(*good, *bad)));
        Trend { now: 30_000_010, minutes: minutes.collect(), ..Trend::default() }
    }

    fn ended(trend: &Trend, span: Span) -> Vec<EndCounts> {
        bars(trend, span).iter().map(|bar| bar.ended).collect()
    }

    #[test]
    fn each_end_is_in_one_bar_and_the_last_bar_is_now() {
        let trend = trend(&[(30_000_010, 1, 2), (30_000_009, 4, 0), (29_999_000, 8, 0)]);
        let hour = ended(&trend, Span::Hour);
        assert_eq!((hour.len(), hour[59], hour[58].good), (60, EndCounts { good: 1, bad: 2 }, 4));
        let sum = |span| ended(&trend, span).iter().map(|bar| bar.good).sum::<u64>();
        assert_eq!([Span::Hour, Span::Day, Span::Days].map(sum), [5, 13, 13]);
    }

    #[test]
    fn a_bar_is_drawn_within_the_picture() {
        let svg = svg(&ended(&trend(&[(30_000_010, 3, 1)]), Span::Hour));
        assert!(svg.contains("height=\"90.0\"") && svg.contains("height=\"30.0\""), "{svg}");
        assert_eq!(svg.matches("<rect").count(), 2);
        assert_eq!(super::svg(&[]).matches("<rect").count(), 0);
    }

    #[test]
    fn a_tasks_last_day_is_a_bar_an_hour() {
        let mut trend = trend(&[]);
        let ended = EndCounts { good: 1, bad: 2 };
        for hour in [500_000, 499_999, 499_000, 500_001] {
            trend.hours.entry(hour).or_default().insert("t".into(), ended);
        }
        let hours = outcomes(&trend, "t");
        assert_eq!((hours[23], hours[22], hours[21]), (ended, ended, EndCounts::default()));
        assert_eq!(outcomes(&trend, "u"), vec![EndCounts::default(); 24]);
    }

    #[test]
    fn a_small_picture_is_two_lines_of_text() {
        let mut day = vec![EndCounts::default(); 24];
        (day[22], day[23]) = (EndCounts { good: 2, bad: 0 }, EndCounts { good: 1, bad: 3 });
        let svg = small(&day);
        assert!(svg.contains("class=\"good\" d=\"M90 20.0v-10.0M94 20.0v-5.0\""), "{svg}");
        assert!(svg.contains("class=\"bad\" d=\"M94 15.0v-15.0\""), "{svg}");
        assert_eq!(small(&[]).matches("<path").count(), 0);
    }

    #[test]
    fn how_long_it_took_is_a_line_with_gaps() {
        let mut bars = vec![Minute::default(); 4];
        for at in [0, 1, 3] {
            bars[at].run.add(Duration::from_millis(1));
            bars[at].run.add(Duration::from_secs(7200));
        }
        let svg = lines(&bars);
        // Half within the shortest bucket, at the bottom; the rest beyond the longest, at the top.
        let low = "M0.0 116.4h180.0L180.0 116.4h180.0M540.0 116.4h180.0";
        assert!(svg.contains(&format!("class=\"run50\" d=\"{low}\"")), "{svg}");
        assert!(svg.contains("class=\"run95\" d=\"M0.0 3.6h180.0"), "{svg}");
        assert!(!svg.contains("wait95"), "{svg}");
    }
}
