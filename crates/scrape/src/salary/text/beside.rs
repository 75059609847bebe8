//! Numbers that stand beside pay and are none: hours, days, people, phone numbers, and money that
//! is the company's.

use super::{
    tokens::{Piece, Token, money, word},
    words::{COUNTED, NOT_THE_JOBS, PAY},
};

/// As far as a label or a noun is looked for.
const REACH: usize = 6;

fn begins(token: &Token<'_>, words: &[&str]) -> bool {
    let Piece::Word(name) = token.piece else { return false };
    // Short ones are whole words: `am` is no `amount`.
    words.iter().any(|word| name == *word || word.len() > 3 && name.starts_with(word))
}

fn is_mark(token: &Token<'_>, marks: &[char]) -> bool {
    matches!(token.piece, Piece::Mark(mark) if marks.contains(&mark))
}

/// Returns the words of the label that a number stands behind: `expected hours` of `Expected hours:
/// 30 - 40 per week`.
fn label<'t>(tokens: &'t [Token<'t>], at: usize) -> &'t [Token<'t>] {
    let ends = |token: &Token<'_>| is_mark(token, &[';', '|', '•', '·', ',']);
    let before = &tokens[..at];
    let colon = before.iter().rposition(|token| is_mark(token, &[':']) || ends(token));
    let Some(colon) = colon.filter(|colon| is_mark(&before[*colon], &[':'])) else { return &[] };
    let is_word = |token: &&Token<'_>| matches!(token.piece, Piece::Word(_));
    let n = before[..colon].iter().rev().take(4).take_while(is_word).count();
    &before[colon - n..colon]
}

/// Tells whether the nearest word of a label that says what a number is says one of these.
fn is_labelled(tokens: &[Token<'_>], at: usize, words: &[&str]) -> bool {
    let mut label = label(tokens, at).iter().rev();
    let all = [PAY.as_slice(), COUNTED.as_slice(), NOT_THE_JOBS.as_slice()];
    let telling = label.find(|token| all.iter().any(|words| begins(token, words)));
    telling.is_some_and(|token| begins(token, words))
}

/// Tells whether a number without a sign of money counts something: `1,500 employees`, `a team of
/// 50`, `Expected hours: 40`, `9am`.
pub(super) fn is_counted(tokens: &[Token<'_>], at: usize, to: usize) -> bool {
    if is_labelled(tokens, at, &COUNTED) {
        return true;
    }
    let passes = |token: &&Token<'_>| {
        is_mark(token, &['+', '-', '–', '/']) || matches!(token.piece, Piece::Number(_))
    };
    let behind = tokens[to..].iter().find(|token| !passes(token));
    let second = tokens[to..].iter().skip_while(|token| passes(token)).nth(1);
    let is_share = behind.is_some_and(|token| is_mark(token, &['%']));
    let is_noun = |token: Option<&Token<'_>>| token.is_some_and(|t| begins(t, &COUNTED));
    // `1,200 happy customers`.
    let is_described =
        behind.is_some_and(|t| matches!(t.piece, Piece::Word(w) if !super::is_unit_or_filler(w)));
    let before: Vec<&str> =
        tokens[..at].iter().rev().take(2).map_while(|token| word(Some(token))).collect();
    let is_of_team =
        matches!(before[..], ["of" | "von" | "de", "team" | "staff" | "equipe" | "equipo"]);
    is_share || is_noun(behind) || is_described && is_noun(second) || is_of_team
}

/// Tells whether a number is a part of a phone number, of a date, of `24/7` or of a school year:
/// three numbers in a row, or two years, with nothing but marks between.
pub(super) fn is_phone(tokens: &[Token<'_>], at: usize) -> bool {
    let is_part = |token: &&Token<'_>| {
        matches!(token.piece, Piece::Number(_))
            || is_mark(token, &['-', '/', '(', ')', '+', '.', '–'])
    };
    let behind = tokens[at..].iter().take(REACH * 2).take_while(is_part);
    let before = tokens[..at].iter().rev().take(REACH * 2).take_while(is_part);
    let row: Vec<&Token<'_>> = before.chain(behind).collect();
    let numbers: Vec<f64> = row
        .iter()
        .filter_map(|token| match token.piece {
            Piece::Number(number) if number.is_bare => Some(number.value),
            _ => None,
        })
        .collect();
    let is_year = |value: &f64| (1_900.0..=2_100.0).contains(value);
    let are_years = numbers.len() == 2 && numbers.iter().all(is_year);
    let is_of_week = row.iter().any(|token| is_mark(token, &['/'])) && numbers.len() == 2;
    let is_dialled = row.iter().any(|token| is_mark(token, &['+']))
        && matches!(tokens.get(at.wrapping_sub(1)), Some(token) if is_mark(token, &['+']));
    numbers.len() > 2 || are_years || is_dialled || is_of_week && numbers.iter().all(|n| *n < 100.0)
}

/// Tells whether money is the company's, or is given beside pay: `raised $20M`, `$500 learning
/// budget`.
pub(super) fn is_beside_pay(tokens: &[Token<'_>], at: usize, to: usize) -> bool {
    if label(tokens, at).iter().any(|token| begins(token, &PAY)) {
        return false;
    }
    if is_labelled(tokens, at, &NOT_THE_JOBS) {
        return true;
    }
    const STOPS: [&str; 6] = ["plus", "and", "with", "incl", "including", "und"];
    let in_clause = |token: &&Token<'_>| match token.piece {
        Piece::Word(word) => !STOPS.contains(&word),
        Piece::Mark(mark) => matches!(mark, '(' | ')' | '+' | '.'),
        Piece::Money(_) | Piece::Scale(_) => true,
        Piece::Number(_) => false,
    };
    let is_others = |token: &Token<'_>| begins(token, &NOT_THE_JOBS);
    let mut after = tokens[to..].iter().take(4).take_while(in_clause);
    let from = at - usize::from(at > 0 && money(tokens.get(at - 1)).is_some());
    let mut before = tokens[..from].iter().rev().take(5).take_while(in_clause);
    after.any(is_others) || before.any(is_others)
}

/// Tells whether a unit of time says how often there are so many of something else: `week` of `40
/// per week`, where 40 is none of the pay.
pub(super) fn is_of_count(tokens: &[Token<'_>], unit: usize, pay: &[usize]) -> bool {
    let is_between = |token: &Token<'_>| match token.piece {
        Piece::Word(word) => super::words::PER.contains(&word),
        _ => is_mark(token, &['/']),
    };
    let before = tokens[..unit].iter().rposition(|token| !is_between(token));
    let Some(number) = before.filter(|at| matches!(tokens[*at].piece, Piece::Number(_))) else {
        return false;
    };
    !pay.contains(&number)
}
