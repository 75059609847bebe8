//! Tables of text that read well without colour, narrow or piped.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
pub(crate) use rhubarb_core::shown::{clean, escaped};

/// A table being built: headings in capitals, two spaces between columns, no lines.
///
/// Cells come from the web and from other services, so nothing that could steer a terminal is kept.
#[derive(Debug)]
pub(crate) struct Grid {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    right: Vec<usize>,
}

impl Grid {
    /// Returns an empty table with these headings.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new(), right: Vec::new() }
    }

    /// Aligns the columns with these headings to the right, for numbers.
    pub(crate) fn right(mut self, headings: &[&str]) -> Self {
        self.right = (0..self.headings.len())
            .filter(|idx| headings.contains(&self.headings[*idx]))
            .collect();
        self
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let shown = cells.map(|cell| match clean(&cell) {
            cell if cell.is_empty() => "-".to_owned(),
            cell => cell,
        });
        self.rows.push(shown.to_vec());
    }

    /// Renders the table for standard output: wrapped on a terminal, one line a row elsewhere.
    pub(crate) fn render(self) -> String {
        self.render_in(None)
    }

    fn render_in(self, width: Option<u16>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = width {
            table.set_width(width);
        }
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_narrow_table_wraps_inside_its_cells() {
        let mut grid = Grid::new(&["TITLE", "COMPANY"]);
        grid.row(["Senior Software Engineer, Payments".into(), "Kettle & Kernel".into()]);
        for line in grid.render_in(Some(30)).lines() {
            assert!(line.chars().count() <= 30, "{line}");
        }
    }

    #[test]
    fn nothing_in_a_cell_steers_the_terminal() {
        let mut grid = Grid::new(&["TITLE"]);
        grid.row(["a\u{1b}[31mred\u{7}\r\nb\u{202e}c".into()]);
        assert_eq!(grid.render(), "TITLE\na [31mred   b c");
    }
}
