//! The words around pay, folded: lower case, without accents.

/// Words between a number and its unit of time.
pub(super) const PER: [&str; 26] = [
    "per", "a", "an", "the", "each", "every", "pro", "je", "par", "por", "al", "na", "za", "i",
    "om", "pr", "l", "de", "all", "im", "la", "el", "w", "op", "od", "kazdy",
];

/// Words that say nothing of the amount.
pub(super) const FILLERS: [&str; 28] = [
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

pub(super) const UP_TO: [&str; 20] = [
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

pub(super) const JOINS: [&str; 20] = [
    "to", "bis", "az", "do", "a", "to", "tot", "til", "till", "until", "through", "thru", "ate",
    "hasta", "al", "до", "et", "upto", "jusqu", "zu",
];

pub(super) const ANDS: [&str; 10] = ["and", "und", "et", "y", "e", "a", "i", "og", "och", "en"];

pub(super) const BETWEEN: [&str; 10] = [
    "between", "zwischen", "entre", "pomiedzy", "miedzy", "mezi", "tra", "tussen", "mellan",
    "mellom",
];

/// Words of what is paid beside a salary.
pub(super) const BESIDE: [&str; 20] = [
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
pub(super) const NAMES: [&str; 22] = [
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
