//! Salaries: from a source's numbers or from its text to minimum, maximum, currency and period.
//!
//! Numbers that cannot be a salary are dropped, never the text that a person reads.

mod amount;
mod currency;
mod period;
mod posting;
mod text;

pub use period::period;
pub(crate) use posting::posting;

use crate::{listing::Listing, locale::Locale};

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

impl Salary {
    /// Returns a salary from a source's own numbers; zero means none.
    ///
    /// The currency may be a code, a sign or a name. A period that is none of the listing's own
    /// (every two weeks, see [`period`]) is reckoned to a year; the text says what the source said.
    pub fn from_numbers(
        min: Option<f64>,
        max: Option<f64>,
        currency: Option<&str>,
        period: Option<&'static str>,
    ) -> Self {
        Self::of_numbers(min, max, currency, period, &Locale::default())
    }

    pub(crate) fn of_numbers(
        min: Option<f64>,
        max: Option<f64>,
        currency: Option<&str>,
        period: Option<&'static str>,
        locale: &Locale,
    ) -> Self {
        let code = |name: &str| {
            let known = currency::of_source(name, locale).map(str::to_owned);
            let is_code = name.trim().len() == 3 && name.trim().chars().all(char::is_alphabetic);
            known.or_else(|| is_code.then(|| name.trim().to_uppercase()))
        };
        let currency = currency.and_then(code);
        let given = |value: Option<f64>| value.filter(|value| value.is_finite() && *value > 0.0);
        let salary = Self { display: None, min: given(min), max: given(max), currency, period };
        Self { display: salary.written(), ..salary }.reckoned().sane()
    }

    /// Reads a salary from text (`$120K – $150K`, `60 - 75 USD/hour`, `€50.000-70.000 p.a.`,
    /// `₹12-18 LPA`).
    ///
    /// The text is kept as the display whatever it says.
    pub fn from_text(text: &str) -> Option<Self> {
        Self::of_text(text, &Locale::default())
    }

    /// As [`Salary::from_text`], where the page's country tells whose dollars or crowns are meant.
    pub(crate) fn of_text(text: &str, locale: &Locale) -> Option<Self> {
        let display = crate::text::some_line(text)?;
        let read = text::read(&display, locale);
        Some(Self { display: Some(display), ..read }.reckoned().sane())
    }

    /// Writes the salary into the listing.
    pub fn set(self, listing: &mut Listing) {
        listing.salary_display = self.display;
        listing.salary_min = self.min;
        listing.salary_max = self.max;
        listing.salary_currency = self.currency;
        listing.salary_period = self.period.map(str::to_owned);
    }

    /// Reckons a period that is none of the listing's own to a year.
    fn reckoned(self) -> Self {
        let Some((times, _)) = self.period.and_then(period::in_a_year) else { return self };
        let yearly = |value: Option<f64>| value.map(|value| value * times);
        Self { min: yearly(self.min), max: yearly(self.max), period: Some("year"), ..self }
    }

    /// Joins the pay of several tiers: the lowest and the highest of those in the first one's
    /// currency and period. The text names all.
    pub(crate) fn join(tiers: Vec<Self>) -> Option<Self> {
        let has_numbers = |tier: &&Self| tier.min.or(tier.max).is_some();
        let first = tiers.iter().find(has_numbers).or(tiers.first())?.clone();
        let is_like =
            |tier: &&Self| (&tier.currency, tier.period) == (&first.currency, first.period);
        let alike: Vec<&Self> = tiers.iter().filter(has_numbers).filter(is_like).collect();
        let least = |ends: &mut dyn Iterator<Item = f64>| ends.reduce(f64::min);
        let most = |ends: &mut dyn Iterator<Item = f64>| ends.reduce(f64::max);
        let is_open_below = alike.iter().any(|tier| tier.min.is_none());
        let mut joined = first.clone();
        joined.min = least(&mut alike.iter().filter_map(|t| t.min)).filter(|_| !is_open_below);
        joined.max = most(&mut alike.iter().filter_map(|t| t.max.or(t.min)))
            .filter(|max| alike.len() > 1 || first.max == Some(*max));
        if alike.len() == tiers.len() && alike.len() > 1 && joined.written().is_some() {
            joined.display = joined.written();
            return Some(joined);
        }
        let mut texts: Vec<String> = Vec::new();
        for text in tiers.into_iter().filter_map(|tier| tier.display) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        joined.display = crate::text::some_line(&texts.join("; "));
        Some(joined)
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
        let period = self.period.map(|period| match period::in_a_year(period) {
            Some((_, said)) => format!(" {said}"),
            None => format!(" per {period}"),
        });
        let period = period.unwrap_or_default();
        Some(format!("{currency}{amounts}{period}"))
    }
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
    fn pay_every_two_weeks_is_reckoned_to_a_year() {
        let salary = Salary::from_numbers(Some(2e3), Some(2.5e3), Some("USD"), period("BI_WEEKLY"));
        assert_eq!((salary.min, salary.max), (Some(52e3), Some(65e3)));
        assert_eq!(salary.period, Some("year"));
        assert_eq!(salary.display.as_deref(), Some("USD 2,000–2,500 every two weeks"));
    }

    #[test]
    fn a_currency_may_be_a_sign_or_a_name() {
        let check = |currency: &str, expect: Option<&str>| {
            let salary = Salary::from_numbers(Some(90e3), None, Some(currency), Some("year"));
            assert_eq!(salary.currency.as_deref(), expect, "{currency}");
        };
        check("€", Some("EUR"));
        check("usd ", Some("USD"));
        check("Euros", Some("EUR"));
        check("CA$", Some("CAD"));
        check("XAF", Some("XAF"));
        check("zł", Some("PLN"));
        check("much", None);
    }

    #[test]
    fn tiers_of_one_currency_are_joined_and_others_named() {
        let tier = |min, max, currency| {
            Salary::from_numbers(Some(min), Some(max), Some(currency), Some("year"))
        };
        let joined = Salary::join(vec![tier(100e3, 130e3, "USD"), tier(160e3, 200e3, "USD")]);
        let joined = joined.unwrap();
        assert_eq!((joined.min, joined.max), (Some(100e3), Some(200e3)));
        assert_eq!(joined.display.as_deref(), Some("USD 100,000–200,000 per year"));
        let both = vec![tier(100e3, 130e3, "USD"), tier(80e3, 90e3, "EUR")];
        let joined = Salary::join(both).unwrap();
        assert_eq!((joined.min, joined.max), (Some(100e3), Some(130e3)));
        let display = "USD 100,000–130,000 per year; EUR 80,000–90,000 per year";
        assert_eq!(joined.display.as_deref(), Some(display));
        assert_eq!(Salary::join(Vec::new()), None);
        let lone = tier(1e5, 2e5, "USD");
        assert_eq!(Salary::join(vec![lone.clone()]), Some(lone));
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
