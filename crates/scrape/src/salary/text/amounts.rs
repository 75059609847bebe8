//! Which numbers of a text are pay.

use super::{
    beside::{is_beside_pay, is_counted, is_phone},
    tokens::{Piece, Token, is_wide, money, word},
    words::{BESIDE, NAMES},
};
use crate::salary::currency::Money;
use crate::salary::{amount::Number, period};

/// An amount of pay: its place among the tokens, what it is, and what stands around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Amount {
    pub(super) from: usize,
    /// Behind it, its scale and its currency.
    pub(super) to: usize,
    pub(super) number: Number,
    pub(super) scale: Option<f64>,
    pub(super) money: Option<Money>,
}

/// Returns the numbers that may be pay, in their order.
pub(super) fn amounts(tokens: &[Token<'_>]) -> Vec<Amount> {
    let mut amounts = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if let Piece::Number(number) = token.piece
            && let Some(amount) = amount(tokens, at, number)
        {
            amounts.push(amount);
        }
    }
    amounts
}

pub(super) fn amount(tokens: &[Token<'_>], at: usize, number: Number) -> Option<Amount> {
    let token = &tokens[at];
    let before = at.checked_sub(1).map(|at| &tokens[at]);
    let money_before = money_before(tokens, at);
    // The letter of a grade (`L4`, `E13`) makes a name of a number.
    let is_letter = word(before).is_some_and(|word| !word.starts_with(is_wide));
    if token.is_glued && is_letter && money_before.is_none() {
        return None;
    }
    let mut to = at + 1;
    let scale = match tokens.get(to).map(|token| token.piece) {
        Some(Piece::Scale(scale)) => {
            to += 1;
            Some(scale)
        }
        _ => None,
    };
    let money_after = money_after(tokens, to);
    if money_after.is_some() {
        to += 1;
    }
    let has_sign = money_before.or(money_after).is_some() || scale.is_some();
    if is_no_pay(tokens, at, to, number, has_sign) {
        return None;
    }
    let number = match (scale, number.decimal) {
        (Some(_), Some(value)) => Number { value, decimal: None, ..number },
        _ => number,
    };
    let money = sure(money_before, money_after).or(lakhs(tokens, at + 1));
    Some(Amount { from: at, to, number, scale, money })
}

/// A code is surer than a sign: `$80,000 CAD`.
pub(super) fn sure(before: Option<Money>, after: Option<Money>) -> Option<Money> {
    match (before, after) {
        (Some(Money::Sign(_)), Some(code @ Money::Code(_))) => Some(code),
        (before, after) => before.or(after),
    }
}

pub(super) fn lakhs(tokens: &[Token<'_>], at: usize) -> Option<Money> {
    matches!(tokens.get(at)?.piece, Piece::Scale(1e5)).then_some(Money::Code("INR"))
}

/// The currency before a number: `$5`, `usd 5`, `rs. 5`, `r5`.
pub(super) fn money_before(tokens: &[Token<'_>], at: usize) -> Option<Money> {
    let mut before = at.checked_sub(1)?;
    if matches!(tokens[before].piece, Piece::Mark('.' | ':' | '+' | '~' | '≈')) {
        before = before.checked_sub(1)?;
    }
    let found = money(tokens.get(before))?;
    // One letter is money only where it touches the number.
    let is_letter = word(tokens.get(before)).is_some_and(|word| word.len() == 1);
    let is_touching = tokens[at].is_glued && !tokens[before].is_glued;
    if is_letter && !is_touching {
        return None;
    }
    let code = before.checked_sub(1).and_then(|at| money(tokens.get(at)));
    Some(match (found, code) {
        (Money::Sign(_), Some(code @ Money::Code(_))) => code,
        (found, _) => found,
    })
}

/// The currency behind a number and its scale, whether gross or net: `5 €`, `5 k eur`.
pub(super) fn money_after(tokens: &[Token<'_>], to: usize) -> Option<Money> {
    let found = money(tokens.get(to))?;
    let is_letter = word(tokens.get(to)).is_some_and(|word| word.len() == 1 && word.is_ascii());
    // What touches the next number belongs to it.
    let is_of_next =
        matches!(tokens.get(to + 1), Some(Token { piece: Piece::Number(_), is_glued: true }))
            && !tokens[to].is_glued;
    (!is_letter && !is_of_next).then_some(found)
}

/// Tells whether a number is something else beside pay: a share, hours of work, a year, a bonus, a
/// name.
pub(super) fn is_no_pay(
    tokens: &[Token<'_>],
    at: usize,
    to: usize,
    number: Number,
    has_sign: bool,
) -> bool {
    let next = tokens.get(to);
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    let is_share = matches!(next.map(|token| token.piece), Some(Piece::Mark('%' | '‰')));
    let is_ordinal = !has_sign
        && next.is_some_and(|next| next.is_glued)
        && matches!(word(next), Some("st" | "nd" | "rd" | "th" | "eme" | "e"));
    let is_plan = matches!(number.value, 401.0 | 403.0 | 457.0)
        && number.is_bare
        && (matches!(next.map(|t| t.piece), Some(Piece::Mark('(')))
            && word(tokens.get(to + 1)).is_some_and(|w| w.len() == 1)
            || matches!(
                tokens.get(at + 1),
                Some(Token { piece: Piece::Scale(_), is_glued: true })
            ));
    let is_others = is_bonus(tokens, at, to) || is_beside_pay(tokens, at, to);
    if is_share || is_ordinal || is_plan || is_others {
        return true;
    }
    if has_sign {
        return false;
    }
    let is_clock = matches!(next, Some(Token { piece: Piece::Mark(':'), .. }))
        && matches!(tokens.get(to + 1), Some(Token { piece: Piece::Number(_), is_glued: true }));
    let is_named = word(before).is_some_and(|word| NAMES.contains(&word))
        || matches!(before, Some(Token { piece: Piece::Mark('#' | '№' | '×'), .. }))
        || word(before) == Some("x");
    let is_pays = matches!(word(next), Some("薪" | "pagas" | "mensualites" | "mensilita" | "x"));
    let is_else = is_counted(tokens, at, to) || is_phone(tokens, at);
    is_clock || is_named || is_pays || is_else || is_span(tokens, to)
}

/// Tells whether a unit of time is right behind a number: `40 hours`, `3 years`.
pub(super) fn is_span(tokens: &[Token<'_>], to: usize) -> bool {
    let skips = matches!(tokens.get(to).map(|t| t.piece), Some(Piece::Mark('+' | '-')));
    let next = tokens.get(to + usize::from(skips));
    word(next).is_some_and(|word| period::unit(word, word == "h").is_some())
}

/// Tells whether what is paid beside a salary is named right behind or before an amount.
pub(super) fn is_bonus(tokens: &[Token<'_>], at: usize, to: usize) -> bool {
    const STOPS: [&str; 7] = ["plus", "and", "with", "incl", "including", "und", "et"];
    let clause = |token: &&Token<'_>| match token.piece {
        Piece::Word(word) => !STOPS.contains(&word),
        Piece::Mark(mark) => matches!(mark, '-' | ':' | '.'),
        Piece::Money(_) | Piece::Scale(_) => true,
        Piece::Number(_) => false,
    };
    let is_beside = |token: &Token<'_>| word(Some(token)).is_some_and(|w| BESIDE.contains(&w));
    let mut after = tokens[to..].iter().take(4).take_while(clause);
    let mut before = tokens[..at].iter().rev().take(5).take_while(clause);
    after.any(is_beside) || before.any(is_beside)
}
