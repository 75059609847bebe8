//! Currencies by sign, code and name.

use crate::locale::Locale;

/// Money that a text names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Money {
    /// The currency with this code of ISO 4217.
    Code(&'static str),
    /// A sign that several countries use.
    Sign(Sign),
}

/// Signs that mean another currency in another country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Dollar,
    /// The crown of the north: `kr`.
    Crown,
    Yen,
    Rupee,
}

/// Codes that stand for themselves, in small letters.
const CODES: [(&str, &str); 53] = [
    ("usd", "USD"),
    ("eur", "EUR"),
    ("gbp", "GBP"),
    ("chf", "CHF"),
    ("cad", "CAD"),
    ("aud", "AUD"),
    ("nzd", "NZD"),
    ("sgd", "SGD"),
    ("hkd", "HKD"),
    ("inr", "INR"),
    ("jpy", "JPY"),
    ("cny", "CNY"),
    ("rmb", "CNY"),
    ("pln", "PLN"),
    ("czk", "CZK"),
    ("sek", "SEK"),
    ("nok", "NOK"),
    ("dkk", "DKK"),
    ("isk", "ISK"),
    ("huf", "HUF"),
    ("ron", "RON"),
    ("bgn", "BGN"),
    ("rsd", "RSD"),
    ("brl", "BRL"),
    ("mxn", "MXN"),
    ("ars", "ARS"),
    ("clp", "CLP"),
    ("cop", "COP"),
    ("pen", "PEN"),
    ("uyu", "UYU"),
    ("zar", "ZAR"),
    ("ils", "ILS"),
    ("nis", "ILS"),
    ("aed", "AED"),
    ("sar", "SAR"),
    ("qar", "QAR"),
    ("krw", "KRW"),
    ("twd", "TWD"),
    ("thb", "THB"),
    ("php", "PHP"),
    ("idr", "IDR"),
    ("myr", "MYR"),
    ("vnd", "VND"),
    ("pkr", "PKR"),
    ("lkr", "LKR"),
    ("bdt", "BDT"),
    ("kes", "KES"),
    ("ngn", "NGN"),
    ("egp", "EGP"),
    ("rub", "RUB"),
    ("uah", "UAH"),
    ("kzt", "KZT"),
    ("try", "TRY"),
];

/// Names and abbreviations, in plain letters.
const NAMES: [(&str, &str); 46] = [
    ("euro", "EUR"),
    ("euros", "EUR"),
    ("eura", "EUR"),
    ("evro", "EUR"),
    ("pound", "GBP"),
    ("pounds", "GBP"),
    ("sterling", "GBP"),
    ("franken", "CHF"),
    ("sfr", "CHF"),
    ("fr", "CHF"),
    ("zl", "PLN"),
    ("zloty", "PLN"),
    ("zlotych", "PLN"),
    ("kc", "CZK"),
    ("korun", "CZK"),
    ("ft", "HUF"),
    ("forint", "HUF"),
    ("lei", "RON"),
    ("reais", "BRL"),
    ("rp", "IDR"),
    ("rupiah", "IDR"),
    ("rm", "MYR"),
    ("ringgit", "MYR"),
    ("baht", "THB"),
    ("won", "KRW"),
    ("円", "JPY"),
    ("yen", "JPY"),
    ("元", "CNY"),
    ("yuan", "CNY"),
    ("원", "KRW"),
    ("r", "ZAR"),
    ("rand", "ZAR"),
    ("shekel", "ILS"),
    ("shekels", "ILS"),
    ("dirham", "AED"),
    ("dirhams", "AED"),
    ("ksh", "KES"),
    ("naira", "NGN"),
    ("руб", "RUB"),
    ("рублеи", "RUB"),
    ("грн", "UAH"),
    ("hrn", "UAH"),
    ("lakhs", "INR"),
    ("lakh", "INR"),
    ("lpa", "INR"),
    ("lacs", "INR"),
];

/// Letters before a dollar sign.
const DOLLARS: [(&str, &str); 16] = [
    ("us", "USD"),
    ("usd", "USD"),
    ("ca", "CAD"),
    ("c", "CAD"),
    ("cad", "CAD"),
    ("au", "AUD"),
    ("a", "AUD"),
    ("nz", "NZD"),
    ("hk", "HKD"),
    ("s", "SGD"),
    ("sg", "SGD"),
    ("r", "BRL"),
    ("mx", "MXN"),
    ("nt", "TWD"),
    ("ar", "ARS"),
    ("clp", "CLP"),
];

/// Returns the money that a sign stands for.
pub(super) fn of_mark(mark: char) -> Option<Money> {
    Some(match mark {
        '$' => Money::Sign(Sign::Dollar),
        '¥' => Money::Sign(Sign::Yen),
        '₹' => Money::Code("INR"),
        '€' => Money::Code("EUR"),
        '£' => Money::Code("GBP"),
        '₽' => Money::Code("RUB"),
        '₩' => Money::Code("KRW"),
        '₴' => Money::Code("UAH"),
        '₪' => Money::Code("ILS"),
        '₺' => Money::Code("TRY"),
        '₫' => Money::Code("VND"),
        '฿' => Money::Code("THB"),
        '₱' => Money::Code("PHP"),
        '₦' => Money::Code("NGN"),
        '₸' => Money::Code("KZT"),
        _ => return None,
    })
}

/// Returns the money that letters before a dollar sign make of it.
pub(super) fn of_dollar(letters: &str) -> Option<Money> {
    lookup(&DOLLARS, letters)
}

/// Returns the money that a word means, in plain letters.
pub(super) fn of_word(word: &str) -> Option<Money> {
    match word {
        "kr" | "kroner" | "kronor" => Some(Money::Sign(Sign::Crown)),
        "rs" | "rupees" | "₨" => Some(Money::Sign(Sign::Rupee)),
        "dollar" | "dollars" | "dolares" => Some(Money::Sign(Sign::Dollar)),
        word => lookup(&CODES, word).or_else(|| lookup(&NAMES, word)),
    }
}

fn lookup(table: &[(&str, &'static str)], word: &str) -> Option<Money> {
    table.iter().find(|(name, _)| *name == word).map(|(_, code)| Money::Code(code))
}

/// Returns the code of what a source calls a currency: `EUR`, `€`, `Euros`, `US$`.
pub(super) fn of_source(text: &str, locale: &Locale) -> Option<&'static str> {
    let plain = crate::fold::plain(text.trim());
    let letters = plain.strip_suffix('$').map(str::trim);
    let mut marks = plain.chars();
    let mark = marks.next().filter(|_| marks.next().is_none()).and_then(of_mark);
    mark.or_else(|| letters.and_then(of_dollar)).or_else(|| of_word(&plain))?.code(locale)
}

impl Money {
    /// Returns the currency's code, where the page is known to be of a country that has it.
    pub(super) fn code(self, locale: &Locale) -> Option<&'static str> {
        let (country, language) = (locale.country(), locale.language());
        match self {
            Self::Code(code) => Some(code),
            Self::Sign(Sign::Dollar) => Some(match country {
                Some("CA") => "CAD",
                Some("AU") => "AUD",
                Some("NZ") => "NZD",
                Some("SG") => "SGD",
                Some("HK") => "HKD",
                Some("TW") => "TWD",
                Some("MX") => "MXN",
                Some("AR") => "ARS",
                Some("CL") => "CLP",
                Some("CO") => "COP",
                _ => "USD",
            }),
            Self::Sign(Sign::Crown) => match (country, language) {
                (Some("SE"), _) | (None, Some("sv")) => Some("SEK"),
                (Some("NO"), _) | (None, Some("no" | "nb" | "nn")) => Some("NOK"),
                (Some("DK"), _) | (None, Some("da")) => Some("DKK"),
                (Some("IS"), _) | (None, Some("is")) => Some("ISK"),
                _ => None,
            },
            Self::Sign(Sign::Yen) => match (country, language) {
                (Some("CN"), _) | (None, Some("zh")) => Some("CNY"),
                _ => Some("JPY"),
            },
            Self::Sign(Sign::Rupee) => match country {
                Some("PK") => Some("PKR"),
                Some("LK") => Some("LKR"),
                Some("NP") => Some("NPR"),
                _ => Some("INR"),
            },
        }
    }
}
