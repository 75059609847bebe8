//! Numbers as people write amounts.

/// A number in a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Number {
    /// Its value; a lone separator before three digits parts thousands.
    pub(super) value: f64,
    /// Its value if that separator were a decimal one: `62.500` in `62.500k`.
    pub(super) decimal: Option<f64>,
    /// Whether it has nothing but digits: a year, an age, a number of days.
    pub(super) is_bare: bool,
}

/// Reads a number at the beginning of a text, and returns it with its length in bytes; the length
/// alone where it is no amount (`1.2.3`).
pub(super) fn read(text: &str) -> (Option<Number>, usize) {
    let end = end(text);
    let (raw, rest) = text.split_at(end);
    (number(raw), end + dash(rest))
}

/// Returns where a number ends: digits, and separators with digits behind them; a space or an
/// apostrophe only before three.
fn end(text: &str) -> usize {
    let mut end = 0;
    let mut group = 0;
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let inside = match c {
            '.' | ',' => digits > 0,
            ' ' | '\'' | '’' | '`' => digits == 3 && group <= 3,
            c => c.is_ascii_digit(),
        };
        if !inside {
            break;
        }
        group = if c.is_ascii_digit() { group + 1 } else { 0 };
        end = at + c.len_utf8();
    }
    end
}

/// The dash that some write in place of no cents: `5'000.-`.
fn dash(rest: &str) -> usize {
    let mut chars = rest.chars();
    let (Some('.' | ','), Some(dash @ ('-' | '–' | '—'))) = (chars.next(), chars.next()) else {
        return 0;
    };
    let is_end = chars.next().is_none_or(|c| !c.is_ascii_digit());
    if is_end { 1 + dash.len_utf8() } else { 0 }
}

fn number(raw: &str) -> Option<Number> {
    let marks: Vec<char> = raw.chars().filter(|c| !c.is_ascii_digit()).collect();
    let is_bare = marks.is_empty();
    let lone = |value| Some(Number { value, decimal: None, is_bare });
    let Some(last) = marks.last().copied() else { return lone(raw.parse().ok()?) };
    let tail = raw.rsplit(last).next().unwrap_or_default();
    let count = marks.iter().filter(|mark| **mark == last).count();
    let is_separator = matches!(last, '.' | ',');
    // The last of two kinds of separator is the decimal one.
    if is_separator && count == 1 && marks.len() > 1 {
        return lone(decimal(raw, last)?);
    }
    if is_separator && count == 1 {
        if tail.len() != 3 || raw.starts_with('0') {
            return lone(decimal(raw, last)?);
        }
        let value = digits(raw)?;
        return Some(Number { value, decimal: decimal(raw, last), is_bare });
    }
    let mut groups = raw.split(|c: char| !c.is_ascii_digit()).skip(1);
    // In India the groups before the last have two digits.
    let is_grouped = tail.len() == 3 && groups.all(|group| matches!(group.len(), 2 | 3));
    is_grouped.then(|| digits(raw)).flatten().and_then(lone)
}

fn digits(raw: &str) -> Option<f64> {
    raw.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok()
}

fn decimal(raw: &str, separator: char) -> Option<f64> {
    let (whole, fraction) = raw.rsplit_once(separator)?;
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    format!("{whole}.{fraction}").parse().ok()
}

/// Returns what a word behind a number multiplies it with.
pub(super) fn scale(word: &str) -> Option<f64> {
    Some(match word {
        "k" | "tsd" | "tys" | "tis" | "mil" | "thousand" | "tausend" | "ribu" | "rb" | "тыс"
        | "千" | "천" => 1e3,
        "万" | "萬" | "만" => 1e4,
        "lakhs" | "lakh" | "lacs" | "lac" | "lpa" => 1e5,
        "m" | "million" | "millions" | "mio" | "mln" | "juta" | "jt" | "millones" => 1e6,
        "crore" | "crores" | "cr" => 1e7,
        "억" => 1e8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_of_every_country_are_told_apart() {
        let check = |text: &str, expect: Option<f64>| {
            assert_eq!(read(text).0.map(|number| number.value), expect, "{text}");
        };
        check("120,000", Some(120_000.0));
        check("50.000", Some(50_000.0));
        check("3.500,00", Some(3_500.0));
        check("3,500.00", Some(3_500.0));
        check("1.234.567", Some(1_234_567.0));
        check("12,00,000", Some(1_200_000.0));
        check("42 000", Some(42_000.0));
        check("5'000.-", Some(5_000.0));
        check("3.500,-", Some(3_500.0));
        check("1,5", Some(1.5));
        check("19.19", Some(19.19));
        check("0.500", Some(0.5));
        check("5.11.2026", None);
        check("1.2.3", None);
        assert_eq!(read("5 000–6 000"), (read("5 000").0, 5));
        assert_eq!(read("62.500k").0.unwrap().decimal, Some(62.5));
        assert!(read("2026").0.unwrap().is_bare);
    }
}
