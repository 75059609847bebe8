//! Tables of text that read well without colour, narrow or piped.

use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use jiff::Timestamp;
pub(crate) use rhubarb_core::shown::{clean, escaped};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Between two columns.
const GAP: usize = 2;

/// What a column of text wants at the least before another one is left out for it.
const COMFORTABLE: usize = 8;

/// After these a long name may go on in the next line.
const JOINTS: [char; 6] = ['.', '_', '/', ',', '&', '?'];

/// Whether tables are shown whole: `--wide`.
static WIDE: AtomicBool = AtomicBool::new(false);

/// From now on tables are shown whole, however narrow the terminal is.
pub(crate) fn show_whole() {
    WIDE.store(true, Ordering::Relaxed);
}

/// A table being built: headings in capitals, two spaces between columns, no lines.
///
/// Cells come from the web and from other services, so nothing that could steer a terminal is kept.
#[derive(Debug)]
pub(crate) struct Grid {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
    whole: Vec<usize>,
    times: Vec<usize>,
    spare: Vec<usize>,
}

impl Grid {
    /// Returns an empty table with these headings.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        let [right, whole, times, spare] = [const { Vec::new() }; 4];
        Self { headings: headings.to_vec(), rows: Vec::new(), right, whole, times, spare }
    }

    /// Aligns the columns with these headings to the right, for numbers.
    pub(crate) fn right(mut self, headings: &[&str]) -> Self {
        self.right = self.columns(headings);
        self
    }

    /// Never wraps the columns with these headings: ids, which a person copies.
    pub(crate) fn whole(mut self, headings: &[&str]) -> Self {
        self.whole = self.columns(headings);
        self
    }

    /// Shortens the ISO 8601 times of these columns on a terminal.
    pub(crate) fn times(mut self, headings: &[&str]) -> Self {
        self.times = self.columns(headings);
        self
    }

    /// Leaves these columns out on a terminal that is too narrow, the first one first.
    pub(crate) fn spare(mut self, headings: &[&str]) -> Self {
        self.spare = self.columns(headings);
        self
    }

    fn columns(&self, headings: &[&str]) -> Vec<usize> {
        let find = |heading| self.headings.iter().position(|own| own == heading);
        headings.iter().filter_map(find).collect()
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let shown = cells.map(|cell| match clean(&cell) {
            cell if cell.is_empty() => "-".to_owned(),
            cell => cell,
        });
        self.rows.push(shown.to_vec());
    }

    /// Renders the table for standard output: as wide as the terminal, one line a row elsewhere.
    pub(crate) fn render(self) -> String {
        let width = terminal().filter(|_| !WIDE.load(Ordering::Relaxed));
        self.render_in(width)
    }

    fn render_in(mut self, width: Option<usize>) -> String {
        let Some(width) = width else { return self.drawn() };
        self.shorten_times(Timestamp::now());
        let left_out = self.leave_out(width);
        for (column, width) in self.widths(width).into_iter().enumerate() {
            for row in &mut self.rows {
                row[column] = wrapped(&row[column], width, self.whole.contains(&column));
            }
        }
        let drawn = self.drawn();
        match left_out.is_empty() {
            true => drawn,
            false => format!("{drawn}\n(not shown: {}; --wide shows all)", left_out.join(", ")),
        }
    }

    fn drawn(self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.headings);
        table.add_rows(self.rows);
        for (idx, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.right.contains(&idx) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }

    fn shorten_times(&mut self, now: Timestamp) {
        for row in &mut self.rows {
            for &column in &self.times {
                row[column] = short_times(&row[column], now);
            }
        }
    }

    /// Takes out spare columns until the others have room; returns their headings.
    fn leave_out(&mut self, width: usize) -> Vec<&'static str> {
        let mut left_out = Vec::new();
        while self.least().iter().sum::<usize>() + self.gaps() > width && !self.spare.is_empty() {
            left_out.push(self.remove(self.spare[0]));
        }
        left_out
    }

    fn remove(&mut self, column: usize) -> &'static str {
        for row in &mut self.rows {
            row.remove(column);
        }
        for columns in [&mut self.right, &mut self.whole, &mut self.times, &mut self.spare] {
            columns.retain(|own| *own != column);
            for own in columns.iter_mut().filter(|own| **own > column) {
                *own -= 1;
            }
        }
        self.headings.remove(column)
    }

    fn gaps(&self) -> usize {
        GAP * self.headings.len().saturating_sub(1)
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let rows = self.rows.iter().map(move |row| row[column].as_str());
        rows.chain([self.headings[column]])
    }

    /// The width of each column in which no line is wrapped.
    fn natural(&self) -> Vec<usize> {
        let widest = |column| self.cells(column).map(UnicodeWidthStr::width).max().unwrap_or(0);
        (0..self.headings.len()).map(widest).collect()
    }

    /// The width of each column in which no word is cut.
    fn least(&self) -> Vec<usize> {
        let natural = self.natural();
        let least = |(column, natural): (usize, usize)| match self.whole.contains(&column) {
            true => natural,
            false => {
                let longest = self.cells(column).flat_map(pieces).map(|piece| piece.trim_end());
                let longest = longest.map(UnicodeWidthStr::width).max().unwrap_or(0);
                let heading = self.headings[column].width();
                longest.max(heading).max(COMFORTABLE).min(natural)
            }
        };
        natural.iter().copied().enumerate().map(least).collect()
    }

    /// Shares the width out: what no word is cut in first, then what each lacks, the least first.
    fn widths(&self, width: usize) -> Vec<usize> {
        let (natural, mut widths) = (self.natural(), self.least());
        let room = width.saturating_sub(self.gaps());
        // An address of two hundred letters fits no terminal: the widest give way.
        while widths.iter().sum::<usize>() > room {
            let breakable = |column: &usize| !self.whole.contains(column);
            let columns = 0..widths.len();
            let widest = columns.clone().filter(breakable).max_by_key(|column| widths[*column]);
            let widest = widest.filter(|column| widths[*column] > COMFORTABLE);
            let widest = widest.or_else(|| columns.max_by_key(|column| widths[*column]));
            match widest.filter(|column| widths[*column] > 1) {
                Some(column) => widths[column] -= 1,
                None => break,
            }
        }
        while widths.iter().sum::<usize>() < room {
            let wants = (0..widths.len()).filter(|column| widths[*column] < natural[*column]);
            match wants.min_by_key(|column| widths[*column]) {
                Some(column) => widths[column] += 1,
                None => break,
            }
        }
        widths
    }
}

/// Returns how wide the terminal on standard output is; none elsewhere.
fn terminal() -> Option<usize> {
    #[cfg(test)]
    if let Some(width) = tests::WIDTH.get() {
        return Some(width);
    }
    Table::new().width().map(usize::from)
}

/// Returns a text with each time in it as short as it can be.
fn short_times(text: &str, now: Timestamp) -> String {
    let word = |word: &str| {
        let time = word.trim_end_matches([':', ',']);
        short_time(time, now) + &word[time.len()..]
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Returns a time as it is read at a glance: of today its clock's, else the day with it, of another
/// year the day alone. Anything else is left as it is.
fn short_time(text: &str, now: Timestamp) -> String {
    let today = now.to_string();
    match (text.get(..10), text.get(10..11), text.get(11..19)) {
        (Some(day), Some("T"), Some(clock)) if text.as_bytes()[4] == b'-' => {
            if today.starts_with(day) {
                clock.to_owned()
            } else if today.get(..5) == day.get(..5) {
                format!("{} {}", &day[5..], &clock[..5])
            } else {
                day.to_owned()
            }
        }
        _ => text.to_owned(),
    }
}

/// Cuts a text behind spaces, and behind the joints of long names; no number is cut.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let letters = rest.char_indices().zip(rest.chars().skip(1));
        let cut = letters.into_iter().find_map(|((at, one), next)| {
            let joint = JOINTS.contains(&one) && next.is_alphabetic();
            (joint || one == ' ' && next != ' ').then_some(at + one.len_utf8())
        });
        let (piece, after) = rest.split_at(cut.unwrap_or(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Breaks a text into lines of this width, between pieces where they fit.
fn wrapped(text: &str, width: usize, whole: bool) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let pieces: Vec<&str> = if whole { vec![text] } else { pieces(text).collect() };
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    for piece in pieces {
        if used > 0 && used + piece.trim_end().width() > width {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for letter in piece.chars() {
            let more = letter.width().unwrap_or(0);
            if used + more > width && letter != ' ' {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(letter);
            used += more;
        }
    }
    lines.push(line);
    let trimmed: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    trimmed.join("\n")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// The terminal's width in a test; none where it has no terminal.
        pub(super) static WIDTH: Cell<Option<usize>> = const { Cell::new(None) };
    }

    /// Renders as on a terminal of 80 columns, and checks that no line is wider and that these
    /// words stand in it whole.
    pub(crate) fn fits_80(render: impl FnOnce() -> String, words: &[&str]) -> String {
        WIDTH.set(Some(80));
        let shown = render();
        WIDTH.set(None);
        for line in shown.lines() {
            assert!(line.width() <= 80, "{} columns: {line}\n{shown}", line.width());
        }
        for word in words {
            assert!(shown.contains(word), "{word} is cut or left out:\n{shown}");
        }
        shown
    }

    fn grid() -> Grid {
        let mut grid = Grid::new(&["QUEUE", "WAITING"]).right(&["WAITING"]);
        grid.row(["celery".into(), "12".into()]);
        grid.row(["mail".into(), String::new()]);
        grid
    }

    #[test]
    fn a_piped_table_has_one_line_a_row_and_no_trailing_spaces() {
        assert_eq!(grid().render(), "QUEUE   WAITING\ncelery       12\nmail          -");
    }

    #[test]
    fn a_narrow_table_wraps_between_words() {
        let mut grid = Grid::new(&["TITLE", "COMPANY"]);
        grid.row(["Senior Software Engineer, Payments".into(), "Kettle & Kernel".into()]);
        let shown = grid.render_in(Some(30));
        assert!(shown.lines().all(|line| line.width() <= 30), "{shown}");
        for word in ["Senior", "Software", "Engineer,", "Payments", "Kettle", "Kernel"] {
            assert!(shown.contains(word), "{shown}");
        }
    }

    #[test]
    fn a_long_name_is_broken_at_its_joints_and_an_id_never() {
        let id = "0e2e5091-f018-4dc3-b7dd-8d5eaa2521be";
        let mut grid = Grid::new(&["TASK", "ID"]).whole(&["ID"]);
        grid.row(["job_scraper.tasks.scrape_specific_keyword".into(), id.into()]);
        let shown = grid.render_in(Some(56));
        let lines: Vec<&str> = shown.lines().skip(1).collect();
        assert_eq!(lines[0], format!("job_scraper.tasks.  {id}"));
        assert_eq!(lines[1..], ["scrape_specific_", "keyword"]);
    }

    #[test]
    fn what_is_spare_is_left_out_first_and_told() {
        let mut grid = Grid::new(&["A", "B", "C"]).spare(&["B", "A"]).whole(&["A", "B", "C"]);
        grid.row(["a".repeat(10), "b".repeat(10), "c".repeat(10)]);
        let shown = grid.render_in(Some(25));
        let expect = "A           C\naaaaaaaaaa  cccccccccc\n(not shown: B; --wide shows all)";
        assert_eq!(shown, expect);
    }

    #[test]
    fn a_word_wider_than_the_terminal_is_broken_and_nothing_of_it_is_lost() {
        let mut grid = Grid::new(&["NAME", "ADDRESS"]);
        grid.row(["a".into(), "x".repeat(100)]);
        let shown = grid.render_in(Some(40));
        assert!(shown.lines().all(|line| line.width() <= 40), "{shown}");
        assert_eq!(shown.matches('x').count(), 100);
    }

    #[test]
    fn a_wide_letter_counts_as_two_columns() {
        let mut grid = Grid::new(&["TITLE"]);
        grid.row(["\u{4f60}\u{597d}".repeat(30)]);
        let shown = grid.render_in(Some(41));
        assert!(shown.lines().all(|line| line.width() <= 41), "{shown}");
    }

    #[test]
    fn a_time_is_as_short_as_it_can_be() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        for (time, expect) in [
            ("2026-11-30T03:15:18.123Z", "03:15:18"),
            ("2026-11-29T23:59:59", "11-29 23:59"),
            ("since 2026-11-30T03:15:18Z: a deploy", "since 03:15:18: a deploy"),
            ("2025-11-30T03:15:18+00:00", "2025-11-30"),
            ("2026-11-30", "2026-11-30"),
            ("-", "-"),
            ("never, as far as is known", "never, as far as is known"),
            (
                "\u{4f60}\u{597d}\u{4f60}\u{597d}\u{4f60}\u{597d}",
                "\u{4f60}\u{597d}\u{4f60}\u{597d}\u{4f60}\u{597d}",
            ),
        ] {
            assert_eq!(short_times(time, now), expect);
        }
    }

    #[test]
    fn nothing_in_a_cell_steers_the_terminal() {
        let mut grid = Grid::new(&["TITLE"]);
        grid.row(["a\u{1b}[31mred\u{7}\r\nb\u{202e}c".into()]);
        assert_eq!(grid.render(), "TITLE\na [31mred   b c");
    }
}
