//! Salaries in text: which of its numbers are pay, and what the words around them make of it.

mod amounts;
mod beside;
mod periods;
mod places;
mod tokens;
mod words;

use self::{
    amounts::{Amount, amounts},
    periods::{implied, named_period, period_of},
    tokens::{Piece, Token, money, tokens, word},
    words::{ANDS, BETWEEN, FILLERS, JOINS, PER, UP_TO},
};
use super::{
    Salary,
    amount::Number,
    currency::{self, Money},
    period,
};
use crate::{fold, locale::Locale};

/// One or two amounts that belong together.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: Amount,
    high: Option<Amount>,
}

/// Reads a salary out of one clean line.
pub(super) fn read(line: &str, locale: &Locale) -> Salary {
    let plain = fold::plain(line).replace("p.a", " pa ").replace("p.m.", " pm ");
    let plain = plain.replace("p.h.", " ph ").replace("c.a.", "ca");
    let tokens = tokens(&plain);
    let amounts = amounts(&tokens);
    let Some(range) = chosen(line, &tokens, &amounts) else { return Salary::default() };
    let (min, max) = ends(&tokens, range);
    let money = range.money(&tokens);
    let currency = money.and_then(|money| money.code(locale));
    let largest = max.or(min).unwrap_or_default();
    let scale = range.high.and_then(|high| high.scale).or(range.low.scale).unwrap_or(1.0);
    let spaced = fold::spaced(&plain);
    let period = period::other(&spaced)
        .or_else(|| period_of(&tokens, &amounts, range))
        .or_else(|| implied(largest, scale, currency));
    Salary { display: None, min, max, currency: currency.map(str::to_owned), period }
}

/// Returns the amounts that are the pay: the first with a currency, else the first range, else the
/// first number that can be one.
fn chosen(line: &str, tokens: &[Token<'_>], amounts: &[Amount]) -> Option<Range> {
    let mut ranges = Vec::new();
    let mut at = 0;
    while let Some(low) = amounts.get(at).copied() {
        let high = amounts.get(at + 1).copied().filter(|high| joins(tokens, &low, high));
        at += 1 + usize::from(high.is_some());
        ranges.push(Range { low, high });
    }
    let rank = |range: &Range| {
        let sign = 2 * u8::from(range.money(tokens).is_some());
        sign + u8::from(range.high.is_some())
    };
    let best = ranges.iter().map(rank).max()?;
    // A range without a currency is no better than the first amount that has one.
    let found = ranges.into_iter().find(|range| rank(range) == best || rank(range) >= 2)?;
    let ends = [Some(found.low), found.high];
    let has_scale = ends.iter().flatten().any(|end| end.scale.is_some());
    let is_large = ends.iter().flatten().any(|end| !is_doubtful(&end.number));
    let is_sure = best >= 2
        || has_scale
        || named_period(tokens, amounts, found).is_some()
        || is_large && !places::names_place(line);
    is_sure.then_some(found)
}

/// A small number or a year without any sign of money may be anything.
fn is_doubtful(number: &Number) -> bool {
    number.value < 1_000.0 || number.is_bare && (1_900.0..=2_100.0).contains(&number.value)
}

impl Range {
    /// The currency that is written at one of its ends.
    fn money(&self, tokens: &[Token<'_>]) -> Option<Money> {
        let high = self.high.and_then(|high| high.money);
        match (self.low.money, high) {
            (Some(Money::Sign(_)), Some(code @ Money::Code(_))) => Some(code),
            (low, high) => low.or(high).or_else(|| self.named(tokens)),
        }
    }

    /// The currency that is named beside it: `salary in EUR: 50000`, `50000 gross/month EUR`.
    fn named(&self, tokens: &[Token<'_>]) -> Option<Money> {
        let to = self.high.map_or(self.low.to, |high| high.to);
        let code = |token: &Token<'_>| {
            money(Some(token)).filter(|_| word(Some(token)).is_none_or(|word| word.len() == 3))
        };
        let is_plain = |token: &&Token<'_>| !matches!(token.piece, Piece::Number(_));
        let after = tokens[to..].iter().take(6).take_while(is_plain).find_map(code);
        after.or_else(|| {
            tokens[..self.low.from].iter().rev().take(6).take_while(is_plain).find_map(code)
        })
    }
}

/// Tells whether what stands between two amounts makes a range of them.
fn joins(tokens: &[Token<'_>], low: &Amount, high: &Amount) -> bool {
    let between = &tokens[low.to..high.from];
    let is_between = tokens[..low.from]
        .iter()
        .rev()
        .take(4)
        .any(|token| word(Some(token)).is_some_and(|word| BETWEEN.contains(&word)));
    let mut n_joins = 0;
    for (idx, token) in between.iter().enumerate() {
        let is_of_next =
            |t: &Token<'_>| money(Some(t)).is_some() || matches!(t.piece, Piece::Mark('.'));
        let is_last = between[idx + 1..].iter().all(is_of_next);
        match token.piece {
            Piece::Mark('-' | '–' | '—' | '−' | '‐' | '‑' | '~' | '～' | '〜' | '→') => {
                n_joins += 1
            }
            Piece::Mark('.' | '/' | '(' | ')') | Piece::Money(_) | Piece::Scale(_) => {}
            Piece::Word("up" | "zu") => {}
            Piece::Word(word) => {
                let can_join = JOINS.contains(&word) || is_between && ANDS.contains(&word);
                if can_join && is_last {
                    n_joins += 1;
                } else if !is_unit_or_filler(word) {
                    return false;
                }
            }
            Piece::Mark(_) | Piece::Number(_) => return false,
        }
    }
    n_joins > 0
}

fn is_unit_or_filler(word: &str) -> bool {
    PER.contains(&word)
        || FILLERS.contains(&word)
        || JOINS.contains(&word)
        || period::unit(word, true).is_some()
        || period::alone(word).is_some()
        || currency::of_word(word).is_some()
}

/// Returns the ends of the pay: a scale at one end may count for both, zero is none, and "from" and
/// "up to" say which end a lone number is.
fn ends(tokens: &[Token<'_>], range: Range) -> (Option<f64>, Option<f64>) {
    let own = |amount: &Amount| amount.number.value * amount.scale.unwrap_or(1.0);
    let given = |value: f64| Some(value).filter(|value| *value > 0.0);
    let Some(high) = range.high else {
        let value = given(own(&range.low));
        return if is_upper(tokens, range.low.from) { (None, value) } else { (value, None) };
    };
    let shared = |amount: &Amount, other: &Amount| match (amount.scale, other.scale) {
        // "50k – 60": the second is no sixty; "900 – 1k": the first is no 900,000.
        (None, Some(scale)) if amount.number.value < 1_000.0 => {
            let value = amount.number.value * scale;
            let is_likely = value <= own(other).max(1.0) * 10.0 && value * 100.0 >= own(other);
            if is_likely && amount.from < other.from && value > own(other) {
                own(amount)
            } else {
                value
            }
        }
        // "40-50.000": nobody pays from forty to fifty thousand.
        (None, None) if amount.from < other.from && is_short(amount, other) => {
            amount.number.value * 1e3
        }
        _ => own(amount),
    };
    (given(shared(&range.low, &high)), given(shared(&high, &range.low)))
}

fn is_short(low: &Amount, high: &Amount) -> bool {
    let value = low.number.value;
    (10.0..1_000.0).contains(&value)
        && high.number.value >= 10_000.0
        && value * 1e3 <= high.number.value
}

/// Tells whether the word before an amount makes it the most that is paid.
fn is_upper(tokens: &[Token<'_>], from: usize) -> bool {
    let mut before = tokens[..from].iter().rev().filter(|token| {
        money(Some(token)).is_none() && !matches!(token.piece, Piece::Mark('.' | ':'))
    });
    match before.next().map(|token| token.piece) {
        Some(Piece::Word("to")) => word(before.next()) == Some("up"),
        Some(Piece::Word("zu")) => word(before.next()) == Some("bis"),
        Some(Piece::Word("a")) => matches!(word(before.next()), Some("fino" | "jusqu")),
        Some(Piece::Word("than")) => word(before.next()) == Some("less"),
        Some(Piece::Word(word)) => UP_TO.contains(&word),
        Some(Piece::Mark('≤' | '<')) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
