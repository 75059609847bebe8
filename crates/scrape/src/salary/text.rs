//! Salaries in text: which of its numbers are pay, and what the words around them make of it.

use super::{
    Salary,
    amount::{self, Number},
    currency::{self, Money},
    period,
};
use crate::{fold, locale::Locale};

/// A piece of a text as far as pay is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Piece<'t> {
    Number(Number),
    Money(Money),
    /// What multiplies the number before it.
    Scale(f64),
    Word(&'t str),
    Mark(char),
}

/// A piece, and whether nothing stands between it and the one before.
#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    piece: Piece<'t>,
    is_glued: bool,
}

/// An amount of pay: its place among the tokens, what it is, and what stands around it.
#[derive(Clone, Copy, Debug)]
struct Amount {
    from: usize,
    /// Behind it, its scale and its currency.
    to: usize,
    number: Number,
    scale: Option<f64>,
    money: Option<Money>,
}

/// One or two amounts that belong together.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: Amount,
    high: Option<Amount>,
}

/// Words between a number and its unit of time.
const PER: [&str; 26] = [
    "per", "a", "an", "the", "each", "every", "pro", "je", "par", "por", "al", "na", "za", "i",
    "om", "pr", "l", "de", "all", "im", "la", "el", "w", "op", "od", "kazdy",
];

/// Words that say nothing of the amount.
const FILLERS: [&str; 28] = [
    "brutto",
    "netto",
    "gross",
    "net",
    "brut",
    "bruts",
    "bruto",
    "brutos",
    "bruttolohn",
    "lordi",
    "cca",
    "ca",
    "approx",
    "about",
    "around",
    "circa",
    "env",
    "environ",
    "usd",
    "hrube",
    "hruba",
    "ct",
    "tc",
    "ctc",
    "base",
    "salary",
    "pay",
    "of",
];

const UP_TO: [&str; 20] = [
    "upto",
    "max",
    "maximum",
    "maximal",
    "bis",
    "ate",
    "jusqu",
    "jusque",
    "hasta",
    "do",
    "az",
    "tot",
    "fino",
    "under",
    "below",
    "hochstens",
    "opptil",
    "until",
    "till",
    "maks",
];

const JOINS: [&str; 20] = [
    "to", "bis", "az", "do", "a", "to", "tot", "til", "till", "until", "through", "thru", "ate",
    "hasta", "al", "до", "et", "upto", "jusqu", "zu",
];

const ANDS: [&str; 10] = ["and", "und", "et", "y", "e", "a", "i", "og", "och", "en"];

const BETWEEN: [&str; 10] = [
    "between", "zwischen", "entre", "pomiedzy", "miedzy", "mezi", "tra", "tussen", "mellan",
    "mellom",
];

/// Words of what is paid beside a salary.
const BESIDE: [&str; 20] = [
    "bonus",
    "bonuses",
    "bonusy",
    "pramie",
    "prime",
    "equity",
    "stock",
    "options",
    "rsu",
    "rsus",
    "signing",
    "relocation",
    "stipend",
    "commission",
    "provision",
    "allowance",
    "referral",
    "ボーナス",
    "prowizja",
    "premia",
];

/// Words before a number that only names something.
const NAMES: [&str; 22] = [
    "id",
    "ref",
    "reference",
    "job",
    "req",
    "nr",
    "no",
    "number",
    "grade",
    "band",
    "level",
    "step",
    "tier",
    "entgeltgruppe",
    "eg",
    "tvod",
    "tv",
    "class",
    "zip",
    "posted",
    "since",
    "page",
];

/// Reads a salary out of one clean line.
pub(super) fn read(line: &str, locale: &Locale) -> Salary {
    let plain = fold::plain(line).replace("p.a", " pa ").replace("p.m.", " pm ");
    let plain = plain.replace("p.h.", " ph ").replace("c.a.", "ca");
    let tokens = tokens(&plain);
    let amounts = amounts(&tokens);
    let Some(range) = chosen(&tokens, &amounts) else { return Salary::default() };
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

fn tokens(plain: &str) -> Vec<Token<'_>> {
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

fn piece<'t>(
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

fn is_wide(c: char) -> bool {
    c as u32 >= 0x2e80
}

fn is_before_money(rest: &str) -> bool {
    let rest = rest.trim_start();
    let word = rest.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    rest.chars().next().and_then(currency::of_mark).is_some()
        || word.len() > 1 && currency::of_word(word).is_some()
}

fn word<'t>(token: Option<&Token<'t>>) -> Option<&'t str> {
    match token?.piece {
        Piece::Word(word) => Some(word),
        _ => None,
    }
}

fn money(token: Option<&Token<'_>>) -> Option<Money> {
    match token?.piece {
        Piece::Money(money) => Some(money),
        Piece::Word(word) => currency::of_word(word),
        _ => None,
    }
}

/// Returns the numbers that may be pay, in their order.
fn amounts(tokens: &[Token<'_>]) -> Vec<Amount> {
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

fn amount(tokens: &[Token<'_>], at: usize, number: Number) -> Option<Amount> {
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
fn sure(before: Option<Money>, after: Option<Money>) -> Option<Money> {
    match (before, after) {
        (Some(Money::Sign(_)), Some(code @ Money::Code(_))) => Some(code),
        (before, after) => before.or(after),
    }
}

fn lakhs(tokens: &[Token<'_>], at: usize) -> Option<Money> {
    matches!(tokens.get(at)?.piece, Piece::Scale(1e5)).then_some(Money::Code("INR"))
}

/// The currency before a number: `$5`, `usd 5`, `rs. 5`, `r5`.
fn money_before(tokens: &[Token<'_>], at: usize) -> Option<Money> {
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
fn money_after(tokens: &[Token<'_>], to: usize) -> Option<Money> {
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
fn is_no_pay(tokens: &[Token<'_>], at: usize, to: usize, number: Number, has_sign: bool) -> bool {
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
    if is_share || is_ordinal || is_plan || is_bonus(tokens, at, to) {
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
    is_clock || is_named || is_pays || is_span(tokens, to)
}

/// Tells whether a unit of time is right behind a number: `40 hours`, `3 years`.
fn is_span(tokens: &[Token<'_>], to: usize) -> bool {
    let skips = matches!(tokens.get(to).map(|t| t.piece), Some(Piece::Mark('+' | '-')));
    let next = tokens.get(to + usize::from(skips));
    word(next).is_some_and(|word| period::unit(word, word == "h").is_some())
}

/// Tells whether what is paid beside a salary is named right behind or before an amount.
fn is_bonus(tokens: &[Token<'_>], at: usize, to: usize) -> bool {
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

/// Returns the amounts that are the pay: the first with a currency, else the first range, else the
/// first number that can be one.
fn chosen(tokens: &[Token<'_>], amounts: &[Amount]) -> Option<Range> {
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
    let is_sure = best > 0 || found.low.scale.is_some() || !is_doubtful(&found.low.number);
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

/// Returns the period that is named nearest behind the pay, else before it.
fn period_of(tokens: &[Token<'_>], amounts: &[Amount], range: Range) -> Option<&'static str> {
    if range.low.scale == Some(1e5) && word(tokens.get(range.low.to)).is_none() {
        // Pay in lakhs is yearly unless another period is named.
        return named_period(tokens, amounts, range).or(Some("year"));
    }
    named_period(tokens, amounts, range)
}

fn named_period(tokens: &[Token<'_>], amounts: &[Amount], range: Range) -> Option<&'static str> {
    let from = range.low.to;
    let last = range.high.map_or(range.low.from, |high| high.from);
    let other = amounts.iter().find(|amount| amount.from > last);
    let until = other.map_or(tokens.len(), |amount| amount.from);
    let after = (from..until).find_map(|at| period_at(tokens, at));
    // What stands before another number belongs to that.
    let is_number = |at: &usize| matches!(tokens[*at].piece, Piece::Number(_));
    let mut before = (0..range.low.from).rev().take_while(|at| !is_number(at));
    after.or_else(|| before.find_map(|at| period_at(tokens, at)))
}

/// Returns the period that the token names, unless it is that of something else: working hours, paid
/// leave.
fn period_at(tokens: &[Token<'_>], at: usize) -> Option<&'static str> {
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
fn is_of_span(tokens: &[Token<'_>], at: usize) -> bool {
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
fn implied(amount: f64, scale: f64, currency: Option<&str>) -> Option<&'static str> {
    let yearly = scale >= 1e3 && amount >= 10_000.0 || amount >= 15_000.0;
    let is_strong = matches!(currency, Some("USD" | "EUR" | "GBP" | "CHF" | "CAD" | "AUD"));
    (yearly && is_strong || scale == 1e5).then_some("year")
}

#[cfg(test)]
mod tests;
