//! The period that a text names for its pay.

use super::{
    Range,
    amounts::{Amount, is_span, money_before},
    beside::is_of_count,
    tokens::{Piece, Token, is_wide, money, word},
    words::{FILLERS, PER},
};
use crate::salary::period;

/// Returns the period that is named nearest behind the pay, else before it.
pub(super) fn period_of(
    tokens: &[Token<'_>],
    amounts: &[Amount],
    range: Range,
) -> Option<&'static str> {
    if range.low.scale == Some(1e5) && word(tokens.get(range.low.to)).is_none() {
        // Pay in lakhs is yearly unless another period is named.
        return named_period(tokens, amounts, range).or(Some("year"));
    }
    named_period(tokens, amounts, range)
}

pub(super) fn named_period(
    tokens: &[Token<'_>],
    amounts: &[Amount],
    range: Range,
) -> Option<&'static str> {
    let from = range.low.to;
    let last = range.high.map_or(range.low.from, |high| high.from);
    let other = amounts.iter().find(|amount| amount.from > last);
    let until = other.map_or(tokens.len(), |amount| amount.from);
    let ends = [range.low.from, last];
    let period = |at: usize| period_at(tokens, at).filter(|_| !is_of_count(tokens, at, &ends));
    let after = (from..until).find_map(period);
    // What stands before another number belongs to that.
    let is_number = |at: &usize| matches!(tokens[*at].piece, Piece::Number(_));
    let mut before = (0..range.low.from).rev().take_while(|at| !is_number(at));
    after.or_else(|| before.find_map(period))
}

/// Returns the period that the token names, unless it is that of something else: working hours,
/// paid leave.
pub(super) fn period_at(tokens: &[Token<'_>], at: usize) -> Option<&'static str> {
    const ELSE: [&str; 8] =
        ["leave", "bonus", "holiday", "holidays", "hours", "review", "paid", "vacation"];
    let name = word(tokens.get(at))?;
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    let is_else = |token: Option<&Token<'_>>| word(token).is_some_and(|w| ELSE.contains(&w));
    if is_else(tokens.get(at + 1)) || is_else(before) || is_of_span(tokens, at) {
        return None;
    }
    let is_slash = matches!(before, Some(Token { piece: Piece::Mark('/' | '\\'), .. }));
    let is_per = word(before).is_some_and(|word| PER.contains(&word) || FILLERS.contains(&word));
    let is_after_pay = money(before).is_some()
        || matches!(before, Some(Token { piece: Piece::Scale(_) | Piece::Number(_), .. }));
    let is_wide = name.starts_with(is_wide);
    let is_short_per =
        is_slash || word(before).is_some_and(|word| PER.contains(&word) && word != "de");
    period::alone(name).or_else(|| {
        let named = period::unit(name, is_short_per);
        named.filter(|_| is_slash || is_per || is_after_pay || is_wide)
    })
}

/// Tells whether a unit of time belongs to a number of such units, or says how often there are so
/// many: `40 hours`, `40 hours a week`, `37.5h/week`.
pub(super) fn is_of_span(tokens: &[Token<'_>], at: usize) -> bool {
    let is_number = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| tokens.get(before));
        let skips = matches!(before, Some(Token { piece: Piece::Mark('+' | '-'), .. }));
        let Some(number) = at.checked_sub(1 + usize::from(skips)) else { return false };
        let Piece::Number(_) = tokens[number].piece else { return false };
        money_before(tokens, number).is_none() && is_span(tokens, number + 1)
    };
    if is_number(at) {
        return true;
    }
    let first = at.saturating_sub(3);
    (first..at).any(|unit| {
        let is_unit = word(tokens.get(unit)).is_some_and(|word| period::unit(word, true).is_some());
        let is_per = tokens[unit + 1..at].iter().all(|token| match token.piece {
            Piece::Word(word) => PER.contains(&word),
            Piece::Mark(mark) => matches!(mark, '/' | '.'),
            _ => false,
        });
        is_unit && is_per && is_number(unit)
    })
}

/// A salary without a period is a yearly one when it is written in thousands or as large as only
/// those are.
pub(super) fn implied(amount: f64, scale: f64, currency: Option<&str>) -> Option<&'static str> {
    let yearly = scale >= 1e3 && amount >= 10_000.0 || amount >= 15_000.0;
    let is_strong = matches!(currency, Some("USD" | "EUR" | "GBP" | "CHF" | "CAD" | "AUD"));
    (yearly && is_strong || scale == 1e5).then_some("year")
}
