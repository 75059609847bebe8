//! Postal codes, whose numbers are no pay: `10115 Berlin`, `75000 Paris`, `Springfield, IL 62704`.
//! They are told by the line as it is written, because a place's name has a capital letter.

use super::{
    is_unit_or_filler,
    words::{BESIDE, PAY, UP_TO},
};
use crate::fold;

/// Words that people write with a capital letter behind a number that is pay.
const OF_PAY: [&str; 16] = [
    "basic",
    "negotiable",
    "doe",
    "ote",
    "depending",
    "dependent",
    "plus",
    "fixed",
    "fix",
    "guaranteed",
    "minimum",
    "starting",
    "package",
    "benefits",
    "gross",
    "yearly",
];

/// Tells whether a line without any sign of money names a place by its postal code.
pub(super) fn names_place(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    (0..words.len()).any(|at| {
        let Some(code) = Code::read(&words[at..]) else { return false };
        let before = at.checked_sub(1).map(|at| words[at]);
        let behind = words.get(at + code.n_words).copied();
        code.is_of_place(before, behind)
    })
}

/// A number that may be a postal code.
struct Code {
    /// Whether pay is often such a number.
    is_round: bool,
    /// Whether only an address is written so: `D-10115`, `1000-001`.
    is_certain: bool,
    /// Whether a comma stands behind it.
    has_comma: bool,
    n_words: usize,
}

impl Code {
    /// Reads a code of one word, or of two as in India (`560 001`).
    fn read(words: &[&str]) -> Option<Self> {
        let first = words.first()?;
        let (bare, has_comma) =
            first.strip_suffix(',').map_or((*first, false), |bare| (bare, true));
        let (of_country, bare) = match bare.split_once('-') {
            Some((country, rest)) if is_country(country) => (true, rest),
            _ => (false, bare),
        };
        if let Some((low, high)) = bare.split_once('-') {
            let (low, high) = (digits(low, 4..=5)?, digits(high, 3..=4)?);
            // A range of pay goes upwards.
            let is_certain = low > high;
            return Some(Self { is_round: !is_certain, is_certain, has_comma, n_words: 1 });
        }
        let code = |value: u32, has_comma, n_words| Self {
            is_round: value.is_multiple_of(100),
            is_certain: of_country,
            has_comma,
            n_words,
        };
        if let Some(value) = digits(bare, 4..=6) {
            return Some(code(value, has_comma, 1));
        }
        let second = words.get(1).filter(|_| !has_comma)?;
        let (tail, has_comma) = second.strip_suffix(',').map_or((*second, false), |t| (t, true));
        let value = digits(bare, 3..=3)? * 1_000 + digits(tail, 3..=3)?;
        Some(code(value, has_comma, 2))
    }

    fn is_of_place(&self, before: Option<&str>, behind: Option<&str>) -> bool {
        let is_before_place = behind.is_some_and(is_name) && !(self.has_comma && self.is_round);
        // "Gehalt 50000" is pay.
        let is_behind_place = before.is_some_and(|word| {
            let is_state = word.len() == 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
            is_name(word) && (is_state || !self.is_round)
        });
        self.is_certain || is_before_place || is_behind_place
    }
}

fn is_country(word: &str) -> bool {
    (1..=3).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn digits(word: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let is_number = length.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| word.parse().ok()).flatten()
}

/// Tells whether a word can be the name of a place: it has a capital letter, and says nothing of
/// pay.
fn is_name(word: &str) -> bool {
    let word = word.trim_end_matches([',', '.']);
    let plain = fold::plain(word);
    let is_word = word.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\'' | '’' | '.'));
    let says_pay = is_unit_or_filler(&plain)
        || [OF_PAY.as_slice(), &BESIDE, &UP_TO].iter().any(|words| words.contains(&&*plain))
        || PAY.iter().any(|pay| plain.contains(pay));
    word.chars().next().is_some_and(char::is_uppercase) && is_word && !says_pay
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_postal_code_with_its_place_is_told_from_pay() {
        for line in [
            "10115 Berlin",
            "Berlin 10115",
            "Berlin, 10115",
            "D-10115 Berlin",
            "75000 Paris",
            "1012 AB Amsterdam",
            "CH-8001 Zürich",
            "1010 Wien, Österreich",
            "Springfield, IL 62704",
            "Beverly Hills, CA 90210-1234",
            "Lisboa 1000-001",
            "01310-100 São Paulo",
            "560 001 Bengaluru",
            "101000 Москва",
            "Musterstr. 5, 80331 München",
        ] {
            assert!(names_place(line), "{line}");
        }
        for line in [
            "50000",
            "50000 gross",
            "Salary 50000",
            "Jahresgehalt 50000",
            "60000 Basic",
            "45000 OTE",
            "40000-50000 Berlin",
            "50000, Berlin",
            "50000 (Berlin)",
            "Vollzeit, 50000",
            "Pay 43888",
            "35 000 Brutto",
            "from 50000",
        ] {
            assert!(!names_place(line), "{line}");
        }
    }
}
