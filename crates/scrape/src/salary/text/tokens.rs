//! A line about pay as numbers, currencies, scales, words and marks.

use crate::salary::{
    amount::{self, Number},
    currency::{self, Money},
};

/// A piece of a text as far as pay is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Piece<'t> {
    Number(Number),
    Money(Money),
    /// What multiplies the number before it.
    Scale(f64),
    Word(&'t str),
    Mark(char),
}

/// A piece, and whether nothing stands between it and the one before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'t> {
    pub(super) piece: Piece<'t>,
    pub(super) is_glued: bool,
}

pub(super) fn tokens(plain: &str) -> Vec<Token<'_>> {
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let (mut at, mut is_glued) = (0, false);
    while let Some(c) = plain[at..].chars().next() {
        let rest = &plain[at..];
        if c.is_whitespace() || matches!(c, '\'' | '’') {
            (at, is_glued) = (at + c.len_utf8(), false);
            continue;
        }
        // The dot of an abbreviation says nothing: `kr. pr. mnd.`.
        let is_of_word = |t: &Token<'_>| matches!(t.piece, Piece::Word(_) | Piece::Scale(_));
        if c == '.' && is_glued && tokens.last().is_some_and(is_of_word) {
            (at, is_glued) = (at + 1, false);
            continue;
        }
        let (piece, length) = piece(rest, c, tokens.last(), is_glued);
        match (piece, tokens.last_mut()) {
            // Letters before a dollar sign are part of it.
            (Piece::Money(money), Some(Token { piece: before @ Piece::Word(_), .. }))
                if c == '$' && is_glued =>
            {
                let Piece::Word(letters) = *before else { unreachable!("it was matched") };
                *before = Piece::Money(currency::of_dollar(letters).unwrap_or(money));
            }
            _ => tokens.push(Token { piece, is_glued }),
        }
        (at, is_glued) = (at + length, true);
    }
    tokens
}

pub(super) fn piece<'t>(
    rest: &'t str,
    c: char,
    before: Option<&Token<'_>>,
    is_glued: bool,
) -> (Piece<'t>, usize) {
    if c.is_ascii_digit() {
        let (number, length) = amount::read(rest);
        return (number.map_or(Piece::Mark('?'), Piece::Number), length);
    }
    if let Some(money) = currency::of_mark(c) {
        return (Piece::Money(money), c.len_utf8());
    }
    if !c.is_alphabetic() {
        return (Piece::Mark(c), c.len_utf8());
    }
    // Scripts without spaces have units of one sign.
    let end = if is_wide(c) {
        c.len_utf8()
    } else {
        rest.find(|c: char| !c.is_alphabetic() || is_wide(c)).unwrap_or(rest.len())
    };
    let word = &rest[..end];
    let after_number = matches!(before, Some(Token { piece: Piece::Number(_), .. }));
    if after_number && (is_glued || word.len() > 1 || is_before_money(&rest[end..])) {
        // The unit of Indian pay names its period too, and is looked for again.
        if let Some(scale) = amount::scale(word) {
            return (Piece::Scale(scale), end);
        }
        // `50k€`, `50keur`, `12lpa`.
        let glued = word.strip_prefix('k').filter(|rest| currency::of_word(rest).is_some());
        if glued.is_some_and(|rest| rest.len() == 3) {
            return (Piece::Scale(1e3), 1);
        }
    }
    (Piece::Word(word), end)
}

pub(super) fn is_wide(c: char) -> bool {
    c as u32 >= 0x2e80
}

pub(super) fn is_before_money(rest: &str) -> bool {
    let rest = rest.trim_start();
    let word = rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    rest.chars().next().and_then(currency::of_mark).is_some()
        || word.len() > 1 && currency::of_word(word).is_some()
}

pub(super) fn word<'t>(token: Option<&Token<'t>>) -> Option<&'t str> {
    match token?.piece {
        Piece::Word(word) => Some(word),
        _ => None,
    }
}

pub(super) fn money(token: Option<&Token<'_>>) -> Option<Money> {
    match token?.piece {
        Piece::Money(money) => Some(money),
        Piece::Word(word) => currency::of_word(word),
        _ => None,
    }
}
