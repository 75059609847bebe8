//! Salaries: from a source's numbers or from its text to minimum, maximum, currency and period.
//!
//! Numbers that cannot be a salary are dropped, never the text that a person reads.

use crate::listing::Listing;

use crate::text;

/// A salary as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Salary {
    /// As a person reads it.
    pub display: Option<String>,
    /// The lower end.
    pub min: Option<f64>,
    /// The upper end.
    pub max: Option<f64>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// `hour`, `day`, `week`, `month` or `year`.
    pub period: Option<&'static str>,
}

/// The symbols and names of currencies, longer ones first where one is part of another.
const CURRENCIES: [(&str, &str); 45] = [
    ("ca$", "CAD"),
    ("c$", "CAD"),
    ("au$", "AUD"),
    ("a$", "AUD"),
    ("us$", "USD"),
    ("nz$", "NZD"),
    ("hk$", "HKD"),
    ("s$", "SGD"),
    ("r$", "BRL"),
    ("mx$", "MXN"),
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
    ("pln", "PLN"),
    ("czk", "CZK"),
    ("sek", "SEK"),
    ("nok", "NOK"),
    ("dkk", "DKK"),
    ("huf", "HUF"),
    ("brl", "BRL"),
    ("mxn", "MXN"),
    ("zar", "ZAR"),
    ("ils", "ILS"),
    ("aed", "AED"),
    ("€", "EUR"),
    ("£", "GBP"),
    ("₹", "INR"),
    ("¥", "JPY"),
    ("kč", "CZK"),
    ("zł", "PLN"),
    ("₽", "RUB"),
    ("₩", "KRW"),
    ("₴", "UAH"),
    ("₪", "ILS"),
    ("rs.", "INR"),
    ("$", "USD"),
];

/// Words that name a period, the longer and more telling ones first.
const PERIODS: [(&str, &[&str]); 5] = [
    ("hour", &["hour", "/hr", "/h", "stunde", "heure", "hora", "hodin"]),
    ("day", &["day", "daily", "/d", "tag", "jour"]),
    ("week", &["week", "/wk", "woche", "semaine", "semana"]),
    ("month", &["month", "/mo", "p.m.", "pcm", "monat", "mois", "mensuel", "mês", "mes", "měsíc"]),
    (
        "year",
        &[
            "year", "/yr", "/y", "annu", "annum", "p.a.", "lpa", "jahr", "/an", "año", "ano",
            "rok", "ročně",
        ],
    ),
];

/// A number in a text, with the multiplier written behind it.
#[derive(Clone, Copy, Debug)]
struct Amount {
    value: f64,
    factor: f64,
    start: usize,
    end: usize,
}

impl Salary {
    /// Returns a salary from a source's own numbers; zero means none.
    pub fn from_numbers(
        min: Option<f64>,
        max: Option<f64>,
        currency: Option<&str>,
        period: Option<&'static str>,
    ) -> Self {
        let currency = currency.map(|code| code.trim().to_uppercase());
        let currency = currency.filter(|code| code.len() == 3);
        let given = |value: Option<f64>| value.filter(|value| value.is_finite() && *value > 0.0);
        let salary = Self { display: None, min: given(min), max: given(max), currency, period };
        let display = salary.written();
        Self { display, ..salary }.sane()
    }

    /// Reads a salary from text (`$120K – $150K`, `60 - 75 USD/hour`, `€50.000-70.000 p.a.`,
    /// `₹12-18 LPA`).
    ///
    /// The text is kept as the display whatever it says.
    pub fn from_text(text: &str) -> Option<Self> {
        let display = text::some_line(text)?;
        let lower = display.to_lowercase();
        let amounts = amounts(&lower);
        let Some(first) = amounts.first().copied() else {
            return Some(Self { display: Some(display), ..Self::default() });
        };
        let second =
            amounts.get(1).copied().filter(|second| is_range(&lower[first.end..second.start]));
        let currency = currency(&lower);
        let last = second.map_or(first.factor, |second| second.factor);
        let min = Some(first.value * if first.factor > 1.0 { first.factor } else { last });
        let max = second.map(|second| second.value * second.factor);
        let largest = max.or(min).unwrap_or_default();
        let period = period(&lower).or_else(|| implied(largest, last, currency));
        let upto = ["up to", "bis zu", "max", "até", "jusqu"]
            .iter()
            .any(|w| lower[..first.start].contains(w));
        let (min, max) = if second.is_none() && upto { (None, min) } else { (min, max) };
        let currency = currency.map(str::to_owned);
        Some(Self { display: Some(display), min, max, currency, period }.sane())
    }

    /// Writes the salary into the listing.
    pub fn set(self, listing: &mut Listing) {
        listing.salary_display = self.display;
        listing.salary_min = self.min;
        listing.salary_max = self.max;
        listing.salary_currency = self.currency;
        listing.salary_period = self.period.map(str::to_owned);
    }

    /// Puts the ends in order, and drops numbers that no job pays for that period.
    fn sane(mut self) -> Self {
        if let (Some(min), Some(max)) = (self.min, self.max)
            && min > max
        {
            (self.min, self.max) = (Some(max), Some(min));
        }
        let (low, high) = bounds(self.period);
        let high = high * weight(self.currency.as_deref());
        let fits = |value: Option<f64>| value.is_none_or(|value| (low..=high).contains(&value));
        if fits(self.min) && fits(self.max) && (self.min.is_some() || self.max.is_some()) {
            return self;
        }
        Self { display: self.display, ..Self::default() }
    }

    /// Writes numbers as a person reads them: `EUR 70,000–90,000 per year`.
    fn written(&self) -> Option<String> {
        let amounts = match (self.min, self.max) {
            (Some(min), Some(max)) if min != max => format!("{}–{}", grouped(min), grouped(max)),
            (Some(one), _) | (None, Some(one)) => grouped(one),
            (None, None) => return None,
        };
        let currency = self.currency.as_deref().map(|code| format!("{code} ")).unwrap_or_default();
        let period = self.period.map(|period| format!(" per {period}")).unwrap_or_default();
        Some(format!("{currency}{amounts}{period}"))
    }
}

/// Returns the period that a source's own word means (`HOUR`, `per-year-salary`, `1 MONTH`, `/yr`).
///
/// Other intervals (`bi-week-salary`, `2 WEEK`, `one-time`) are none of ours: their numbers would
/// mislead.
pub fn period(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let other = ["bi-", "semi-", "one-time", "2 week", "2 month"];
    if other.iter().any(|word| text.contains(word)) {
        return None;
    }
    let names = |words: &[&str]| words.iter().any(|word| names(&text, word));
    PERIODS.iter().find(|(_, words)| names(words)).map(|(period, _)| *period)
}

/// Tells whether the word begins a word of the text, so that `an` is not found in `finance`.
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        word.starts_with('/') || !before.is_some_and(char::is_alphabetic)
    })
}

fn currency(lower: &str) -> Option<&'static str> {
    let of = |(symbol, _): &&(&str, &str)| {
        if symbol.chars().all(char::is_alphabetic) {
            names(lower, symbol) || follows_digit(lower, symbol)
        } else {
            lower.contains(symbol)
        }
    };
    CURRENCIES.iter().find(of).map(|(_, code)| *code)
}

fn follows_digit(text: &str, word: &str) -> bool {
    text.match_indices(word)
        .any(|(at, _)| text[..at].ends_with(|c: char| c.is_ascii_digit() || c == 'k'))
}

/// Finds up to two numbers, their separators resolved.
fn amounts(lower: &str) -> Vec<Amount> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = lower[at..].find(|c: char| c.is_ascii_digit()).map(|from| at + from) {
        let end = number_end(&lower[start..]) + start;
        at = end;
        if let Some(value) = number(&lower[start..end]) {
            let (factor, length) = factor(&lower[end..]);
            found.push(Amount { value, factor, start, end: end + length });
            if found.len() == 2 {
                break;
            }
        }
    }
    found
}

/// Returns where a number ends: digits, and separators with digits behind them; a space only before
/// three.
fn number_end(text: &str) -> usize {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let digits = rest.chars().take_while(char::is_ascii_digit).count();
        let inside = match c {
            '.' | ',' => digits > 0,
            ' ' | '\u{a0}' | '\u{202f}' | '\'' | '’' => digits == 3,
            c => c.is_ascii_digit(),
        };
        if !inside {
            break;
        }
        end = at + c.len_utf8();
    }
    end
}

/// Reads `120,000`, `50.000`, `42 000`, `1.5`, `12,00,000`: a last group of other than three digits
/// is a fraction.
fn number(text: &str) -> Option<f64> {
    let last = text.rfind(['.', ',']).filter(|at| text.len() - at - 1 != 3);
    let digits = |part: &str| part.chars().filter(char::is_ascii_digit).collect::<String>();
    let (whole, fraction) = last.map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
    format!("{}.{}", digits(whole), digits(fraction)).parse().ok()
}

fn factor(after: &str) -> (f64, usize) {
    const FACTORS: [(&str, f64); 9] = [
        ("k", 1e3),
        ("tsd", 1e3),
        ("lakhs", 1e5),
        ("lakh", 1e5),
        ("lacs", 1e5),
        ("lpa", 1e5),
        ("million", 1e6),
        ("mio", 1e6),
        ("m", 1e6),
    ];
    let trimmed = after.trim_start();
    let spaces = after.len() - trimmed.len();
    let of = |(word, _): &&(&str, f64)| {
        let rest = trimmed.strip_prefix(word);
        // "k" and "m" stand alone: "42 000 Kč" and "60 monthly" are not thousands and millions.
        rest.is_some_and(|rest| {
            !rest.starts_with(char::is_alphabetic) && (spaces == 0 || word.len() > 1)
        })
    };
    FACTORS.iter().find(of).map_or((1.0, 0), |(word, factor)| {
        // The unit's word stays for the period when it names one.
        (*factor, spaces + word.len())
    })
}

/// Tells whether what stands between two numbers makes them a range.
fn is_range(between: &str) -> bool {
    let mut rest = between.to_owned();
    for (symbol, _) in CURRENCIES {
        rest = rest.replace(symbol, " ");
    }
    let joins = ["-", "–", "—", "−", "to", "bis", "až", "à", "a", "do", "~"];
    joins.contains(&rest.trim())
}

/// A salary without a period is a yearly one when it is written in thousands or as large as only
/// those are.
fn implied(amount: f64, factor: f64, currency: Option<&str>) -> Option<&'static str> {
    let yearly = factor >= 1e3 || amount >= 15_000.0;
    (yearly && matches!(currency, Some("USD" | "EUR" | "GBP" | "CHF" | "CAD" | "AUD"))
        || factor == 1e5)
        .then_some("year")
}

/// The least and the most that a job pays, in a strong currency.
fn bounds(period: Option<&str>) -> (f64, f64) {
    match period {
        Some("hour") => (1.0, 2_000.0),
        Some("day") => (5.0, 15_000.0),
        Some("week") => (20.0, 50_000.0),
        Some("month") => (50.0, 200_000.0),
        Some("year") => (500.0, 3_000_000.0),
        _ => (1.0, 3_000_000.0),
    }
}

/// How many units of a currency stand, roughly, for one of a strong one.
fn weight(currency: Option<&str>) -> f64 {
    match currency {
        Some("IDR" | "VND" | "LAK" | "IRR" | "UZS") => 20_000.0,
        Some("KRW" | "COP" | "CLP" | "PYG" | "TZS" | "UGX" | "IQD" | "ARS" | "NGN") => 1_500.0,
        Some(
            "JPY" | "INR" | "HUF" | "ISK" | "PKR" | "LKR" | "BDT" | "KES" | "RUB" | "RSD" | "KZT"
            | "CRC",
        ) => 150.0,
        Some(
            "CZK" | "PHP" | "THB" | "TWD" | "UAH" | "TRY" | "MXN" | "ZAR" | "SEK" | "NOK" | "DKK"
            | "EGP" | "UYU",
        ) => 40.0,
        _ => 1.0,
    }
}

fn grouped(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    let whole = format!("{}", rounded.trunc());
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if rounded.fract() == 0.0 {
        out
    } else {
        format!("{out}{}", format!("{:.2}", rounded.fract()).trim_start_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Numbers = (Option<f64>, Option<f64>, Option<&'static str>, Option<&'static str>);

    #[test]
    fn a_salary_is_read_from_text() {
        let check = |input: &str, expect: Numbers| {
            let salary = Salary::from_text(input).unwrap();
            let got = (salary.min, salary.max, salary.currency.as_deref(), salary.period);
            assert_eq!(got, expect, "{input:?}");
            assert_eq!(salary.display.as_deref(), Some(text::line(input).as_str()));
        };
        let range =
            |min, max, currency, period| (Some(min), Some(max), Some(currency), Some(period));
        check("$120K – $150K", range(120e3, 150e3, "USD", "year"));
        check("CA$120K – CA$150K • Offers Equity", range(120e3, 150e3, "CAD", "year"));
        check("60 - 75 USD/hour", range(60.0, 75.0, "USD", "hour"));
        check("€50.000-70.000 p.a.", range(50e3, 70e3, "EUR", "year"));
        check("€50k–60k", range(50e3, 60e3, "EUR", "year"));
        check("50-70k EUR", range(50e3, 70e3, "EUR", "year"));
        check("£45,000 to £55,000 per annum", range(45e3, 55e3, "GBP", "year"));
        check("₹12-18 LPA", range(12e5, 18e5, "INR", "year"));
        check("₹12,00,000 - ₹15,00,000 a year", range(12e5, 15e5, "INR", "year"));
        check("10 lakh INR", (Some(10e5), None, Some("INR"), Some("year")));
        check("42 000 &zwj;–&zwj; 45 000 Kč", (Some(42e3), Some(45e3), Some("CZK"), None));
        check("$18.50 an hour", (Some(18.5), None, Some("USD"), Some("hour")));
        check("Up to $100,000", (None, Some(100e3), Some("USD"), Some("year")));
        check("150K - 120K USD", range(120e3, 150e3, "USD", "year"));
        check("4.000,50 € monatlich", (Some(4000.5), None, Some("EUR"), Some("month")));
        check("$90,000 and 401k", (Some(90e3), None, Some("USD"), Some("year")));
        check("competitive", (None, None, None, None));
        check("$9,999,999,999 per hour", (None, None, None, None));
        assert_eq!(Salary::from_text("  "), None);
    }

    #[test]
    fn numbers_outside_any_pay_are_dropped_and_the_text_stays() {
        let salary = Salary::from_numbers(Some(75.0), Some(125.0), Some("USD"), Some("year"));
        assert_eq!((salary.min, salary.max, salary.period), (None, None, None));
        assert_eq!(salary.display.as_deref(), Some("USD 75–125 per year"));
    }

    #[test]
    fn a_source_that_names_zero_names_none() {
        assert_eq!(Salary::from_numbers(Some(0.0), Some(0.0), None, None), Salary::default());
        let salary = Salary::from_numbers(Some(90e3), Some(0.0), Some("usd"), Some("year"));
        assert_eq!((salary.min, salary.max), (Some(90e3), None));
        assert_eq!(salary.display.as_deref(), Some("USD 90,000 per year"));
    }

    #[test]
    fn periods_of_sources_are_one_set() {
        let check = |input, expect| assert_eq!(period(input), expect, "{input}");
        check("HOUR", Some("hour"));
        check("per-year-salary", Some("year"));
        check("per-hour-wage", Some("hour"));
        check("1 MONTH", Some("month"));
        check("bi-week-salary", None);
        check("NONE", None);
        check("finance", None);
    }

    proptest! {
        #[test]
        fn any_text_gives_ordered_finite_numbers(input in "(?s).{0,60}|[$€₹0-9.,k \u{a0}–-]{0,40}") {
            if let Some(salary) = Salary::from_text(&input) {
                prop_assert!(salary.min.is_none_or(f64::is_finite));
                prop_assert!(salary.min.zip(salary.max).is_none_or(|(min, max)| min <= max));
            }
        }
    }
}
