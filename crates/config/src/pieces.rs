//! A file in pieces: what is under `[schedules.NAME]` by itself for each name, and the rest.
//!
//! The tree of a parsed file takes twenty times the memory of its text, and there may be ten
//! thousand schedules: parsed one at a time, their trees are never there together. A piece starts
//! at a table's header, which is a `[` that is the first on its line and inside of no other
//! bracket; strings and comments are single tokens of the lexer, so that none in them is taken for
//! one.

use std::{borrow::Cow, ops::Range};

use toml::de::{DeTable, DeValue};
use toml_parser::{Source, lexer::TokenKind};

/// A file's text, cut up.
#[derive(Debug)]
pub(crate) struct Pieces<'t> {
    /// Everything that is not under the header of one entry.
    pub(crate) rest: Part<'t>,
    /// By the entry's name, in the order of names.
    entries: Vec<(Cow<'t, str>, Range<usize>)>,
}

/// Places of a file that are read together, as if they stood one after the other.
#[derive(Debug)]
pub(crate) struct Part<'t> {
    whole: &'t str,
    ranges: Vec<Range<usize>>,
}

impl<'t> Pieces<'t> {
    /// Cuts up a file; `many` is the section of which each table is a piece of its own.
    pub(crate) fn of(whole: &'t str, many: &str) -> Self {
        let (mut rest, mut entries) = (Vec::new(), Vec::new());
        let starts = headers(whole);
        let ends = starts.iter().copied().skip(1).chain([whole.len()]);
        for (start, end) in starts.iter().copied().zip(ends) {
            match entry(&whole[start..end], many) {
                Some(name) => entries.push((name, start..end)),
                None => rest.push(start..end),
            }
        }
        // Stable: the places of one name keep their order.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self { rest: Part { whole, ranges: rest }, entries }
    }

    /// Returns the parts of one entry each.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Part<'t>> {
        let whole = self.rest.whole;
        self.entries.chunk_by(|(one, _), (other, _)| one == other).map(move |places| Part {
            whole,
            ranges: places.iter().map(|(_, range)| range.clone()).collect(),
        })
    }
}

impl<'t> Part<'t> {
    pub(crate) fn text(&self) -> Cow<'t, str> {
        match self.ranges.as_slice() {
            [only] => Cow::Borrowed(&self.whole[only.clone()]),
            all => all.iter().map(|range| &self.whole[range.clone()]).collect::<String>().into(),
        }
    }

    /// Returns the line of the file, from 1, on which a place of the text is.
    pub(crate) fn line(&self, offset: usize) -> usize {
        let (mut left, mut at) = (offset, 0);
        for range in &self.ranges {
            at = (range.start + left).min(range.end);
            if left < range.len() {
                break;
            }
            left -= range.len();
        }
        self.whole.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// Returns where the pieces start: at 0, and at each header.
fn headers(text: &str) -> Vec<usize> {
    let (mut starts, mut depth, mut is_first) = (vec![0], 0_usize, true);
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::Newline => {
                is_first = true;
                continue;
            }
            TokenKind::Whitespace => continue,
            TokenKind::LeftSquareBracket => {
                if depth == 0 && is_first {
                    starts.push(token.span().start());
                }
                depth += 1;
            }
            TokenKind::LeftCurlyBracket => depth += 1,
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        is_first = false;
    }
    starts
}

/// Returns the name of the entry that a piece is about; what is wrong with a header is told by who
/// reads the rest.
fn entry<'p>(piece: &'p str, many: &str) -> Option<Cow<'p, str>> {
    let header = piece.lines().next().filter(|line| line.starts_with('['))?;
    let (section, value) = DeTable::parse(header).ok()?.into_inner().into_iter().next()?;
    match value.into_inner() {
        DeValue::Table(table) if section.into_inner() == many => {
            Some(table.into_iter().next()?.0.into_inner())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MANY: &str = "schedules";
    const FILE: &str = r#"
top = 1
[schedules.b]   # [schedules.comment]
task = """
[schedules.text]
"""
args = [
  [1, 2],
["schedules", 3],
]
  [ schedules . "a.b" ]
task = 't'
kwargs = {
  x = [1],
}
[other.schedules.c]
x = 1
[schedules]
c.task = "u"
[schedules.b.kwargs]
y = 2
[[schedules.d]]
[[other.list]]
"#;

    fn names(text: &str) -> Vec<String> {
        let mut names: Vec<_> =
            Pieces::of(text, MANY).entries.into_iter().map(|one| one.0).collect();
        names.dedup();
        names.into_iter().map(Cow::into_owned).collect()
    }

    /// Returns the file as one would read it piece by piece.
    fn together(text: &str) -> toml::Table {
        let pieces = Pieces::of(text, MANY);
        let mut all: toml::Table = pieces.rest.text().parse().unwrap();
        for part in pieces.entries() {
            let table: toml::Table = part.text().parse().unwrap();
            let schedules = all.entry("schedules").or_insert(toml::Table::new().into());
            let one = table["schedules"].as_table().unwrap().clone();
            schedules.as_table_mut().unwrap().extend(one);
        }
        all
    }

    #[test]
    fn the_pieces_say_what_the_whole_says() {
        assert_eq!(names(FILE), ["a.b", "b", "d"]);
        assert_eq!(together(FILE), FILE.parse().unwrap());
        let windows = FILE.replace('\n', "\r\n");
        assert_eq!(together(&windows), windows.parse().unwrap());
        let marked = format!("\u{feff}{}", FILE.trim_start());
        assert_eq!(together(&marked), marked.parse().unwrap());
    }

    #[test]
    fn a_place_is_on_the_line_of_the_file() {
        let pieces =
            Pieces::of("a = 1\n[schedules.x]\nb = 2\n[c]\nd = 3\n[schedules.x.e]\nf = 4\n", MANY);
        let line_of = |part: &Part<'_>, what: &str| part.line(part.text().find(what).unwrap());
        assert_eq!(["a =", "[c]", "d ="].map(|what| line_of(&pieces.rest, what)), [1, 4, 5]);
        let x = pieces.entries().next().unwrap();
        assert_eq!(["[schedules.x]", "b =", "f ="].map(|what| line_of(&x, what)), [2, 3, 7]);
        assert_eq!((x.line(10_000), pieces.rest.line(0)), (8, 1));
    }

    proptest! {
        #[test]
        fn no_byte_of_any_text_is_lost(text in r#"(\[schedules\.[a-c]\]\n|\[|\]|["'{}#=\n ]|\[x\]\n|a=1\n|\PC){0,40}"#) {
            let pieces = Pieces::of(&text, MANY);
            let mut ranges = pieces.rest.ranges.clone();
            ranges.extend(pieces.entries().flat_map(|part| part.ranges));
            ranges.sort_by_key(|range| (range.start, range.end));
            let again: String = ranges.iter().map(|range| &text[range.clone()]).collect();
            prop_assert_eq!(again, text);
        }

        #[test]
        fn any_pieces_say_what_the_whole_says(
            text in r#"((\[schedules\.[a-c](\.d)?\]|\[x\]|a = \[\n\[1\]\]|b = "\[x\]"|c = '''\n\[schedules\.a\]\n'''|# \[x\]|[d-f] = 1)\n){0,8}"#
        ) {
            if let Ok(whole) = text.parse::<toml::Table>() {
                prop_assert_eq!(together(&text), whole);
            }
        }
    }
}
