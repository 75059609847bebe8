//! The pay of a schema.org `JobPosting`, in every form that the vocabulary and its users have.

use serde_json::Value;

use super::{Salary, amount, period};
use crate::{fold, locale::Locale, record};

/// Amounts read of one posting.
const MAX_AMOUNTS: usize = 20;

/// Returns the pay of a posting: `baseSalary`, or `estimatedSalary` where that says no number.
///
/// Each may be a number, a text, a `MonetaryAmount`, a `MonetaryAmountDistribution`, a
/// `QuantitativeValue`, or a list of them. What cannot be read keeps its text.
pub(crate) fn posting(posting: &Value, locale: &Locale) -> Option<Salary> {
    let named = record::line(posting, &["salaryCurrency"]);
    let mut found = ["baseSalary", "estimatedSalary", "salary"].iter().filter_map(|key| {
        let given = record::items(Some(record::at(posting, &[key])?)).iter().take(MAX_AMOUNTS);
        Salary::join(given.filter_map(|item| amount_of(item, named.as_deref(), locale)).collect())
    });
    let first = found.next()?;
    if first.min.or(first.max).is_some() {
        return Some(first);
    }
    let other = found.find(|salary| salary.min.or(salary.max).is_some());
    Some(other.unwrap_or(first)).filter(|salary| salary.display.is_some())
}

/// What is said of an amount in the objects around it.
#[derive(Clone, Debug, Default)]
struct Said {
    currency: Option<String>,
    period: Option<&'static str>,
}

fn amount_of(given: &Value, named: Option<&str>, locale: &Locale) -> Option<Salary> {
    read(given, &Said { currency: named.map(str::to_owned), period: None }, locale, 0)
}

/// Reads an amount; `depth` bounds how often a value stands inside another.
fn read(given: &Value, said: &Said, locale: &Locale, depth: usize) -> Option<Salary> {
    match given {
        Value::String(text) => of_text(text, said, locale),
        Value::Number(number) => {
            let salary = numbers(number.as_f64(), None, said, locale);
            Some(salary).filter(|salary| salary.display.is_some())
        }
        Value::Object(_) => object(given, said, locale, depth),
        Value::Array(items) => {
            let items = items.iter().take(MAX_AMOUNTS).filter(|_| depth < 3);
            Salary::join(items.filter_map(|item| read(item, said, locale, depth + 1)).collect())
        }
        _ => None,
    }
}

fn object(given: &Value, outside: &Said, locale: &Locale, depth: usize) -> Option<Salary> {
    let line = |key: &str| record::line(given, &[key]);
    let unit = ["unitText", "unitCode", "duration"].iter().find_map(|key| period(&line(key)?));
    let said = Said {
        currency: ["currency", "priceCurrency"]
            .iter()
            .find_map(|key| line(key))
            .or_else(|| outside.currency.clone())
            .or_else(|| beside_a_number(given, locale)),
        period: unit.or(outside.period),
    };
    let end = |keys: &[&str]| keys.iter().find_map(|key| number(record::at(given, &[key])?));
    let (min, max) = (end(&["minValue", "percentile10"]), end(&["maxValue", "percentile90"]));
    if min.or(max).is_some() {
        return Some(numbers(min, max, &said, locale)).filter(|salary| salary.display.is_some());
    }
    let inside = ["value", "@value", "median", "price", "amount", "percentile25", "percentile75"];
    let inside = inside.iter().find_map(|key| record::at(given, &[key])).filter(|_| depth < 3);
    inside.and_then(|value| read(value, &said, locale, depth + 1))
}

/// Returns the currency that stands beside a number which is written as text.
fn beside_a_number(given: &Value, locale: &Locale) -> Option<String> {
    let texts = ["minValue", "maxValue", "value"].iter().filter_map(|key| given.get(key)?.as_str());
    let mut read = texts.filter_map(|text| Salary::of_text(text, locale));
    read.find_map(|salary| salary.currency)
}

fn numbers(min: Option<f64>, max: Option<f64>, said: &Said, locale: &Locale) -> Salary {
    Salary::of_numbers(min, max, said.currency.as_deref(), said.period, locale)
}

/// Returns a number that is written as one, or as text: `"3.500,00"`, `"+90000"`, `"80 000 €"`.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let plain = fold::plain(crate::text::cut(text, 100));
            let from = plain.find(|c: char| c.is_ascii_digit())?;
            if plain[..from].contains('-') {
                return None;
            }
            let (number, length) = amount::read(&plain[from..]);
            let word = plain[from + length..].trim_start();
            let word = word.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
            let number = number?;
            let scale = amount::scale(word);
            let value = number.decimal.filter(|_| scale.is_some()).unwrap_or(number.value);
            Some(value * scale.unwrap_or(1.0))
        }
        Value::Object(_) => number(value.get("value").or_else(|| value.get("@value"))?),
        Value::Array(items) => items.iter().take(MAX_AMOUNTS).find_map(number),
        _ => None,
    }
}

/// Reads pay that is written as text where the currency and the period may be said elsewhere.
fn of_text(text: &str, said: &Said, locale: &Locale) -> Option<Salary> {
    let read = Salary::of_text(text, locale)?;
    let is_number = read.display.as_deref().is_some_and(|text| {
        text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | ' ' | '+' | '\''))
    });
    if is_number {
        let salary = numbers(number(&Value::String(text.to_owned())), None, said, locale);
        return Some(Salary { display: salary.display.clone().or(read.display), ..salary });
    }
    if read.min.or(read.max).is_none() {
        return Some(read);
    }
    let is_said = read.currency.is_none() && said.currency.is_some();
    let currency = read.currency.as_deref().or(said.currency.as_deref());
    let period = said.period.or(read.period);
    let again = Salary::of_numbers(read.min, read.max, currency, period, locale);
    // Numbers alone are no text that a person reads: the currency goes with them.
    let has_no_words = |text: &String| !text.chars().any(char::is_alphabetic);
    let bare = read.display.as_ref().is_some_and(has_no_words) && is_said;
    let display = if bare { again.display.clone() } else { read.display };
    Some(Salary { display, ..again })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Expect<'e> = (Option<f64>, Option<f64>, Option<&'e str>, Option<&'e str>);

    fn check(given: &Value, expect: Expect<'_>) {
        let salary = posting(given, &Locale::default()).unwrap_or_default();
        let got = (salary.min, salary.max, salary.currency.as_deref(), salary.period);
        assert_eq!(got, expect, "{given} {salary:?}");
    }

    #[test]
    fn every_form_of_base_salary_is_read() {
        let year = |min, max| (Some(min), Some(max), Some("EUR"), Some("year"));
        let base = |value: Value| json!({"salaryCurrency": "EUR", "baseSalary": value});
        check(&base(json!(60000)), (Some(60e3), None, Some("EUR"), None));
        check(&base(json!("60000-80000")), (Some(60e3), Some(80e3), Some("EUR"), None));
        check(&base(json!("€60k - €80k")), year(60e3, 80e3));
        let value = |value: Value| json!({"baseSalary": {"currency": "EUR", "value": value}});
        let range = json!({"minValue": 60000, "maxValue": "80.000,00", "unitText": "YEAR"});
        check(&value(range), year(60e3, 80e3));
        check(&value(json!("60,000 - 80,000 per year")), year(60e3, 80e3));
        let inner = json!({"value": "60000 to 80000", "unitText": "year"});
        check(&value(inner), year(60e3, 80e3));
        let least = json!({"minValue": "3.500,00", "unitText": "monatlich"});
        check(&value(least), (Some(3500.0), None, Some("EUR"), Some("month")));
        let list =
            json!([{"value": 60000, "unitText": "YEAR"}, {"value": 80000, "unitText": "YEAR"}]);
        check(&value(list), year(60e3, 80e3));
        let numbers = json!([{"minValue": " 80,000 ", "maxValue": "+90000", "unitCode": "ANN"}]);
        check(&value(numbers), year(80e3, 90e3));
        let lone = json!({"value": "45,50", "unitText": "HOUR"});
        check(&value(lone), (Some(45.5), None, Some("EUR"), Some("hour")));
    }

    #[test]
    fn an_estimate_counts_where_nothing_is_said_for_sure() {
        let estimate = json!({"estimatedSalary": [{"@type": "MonetaryAmountDistribution",
            "currency": "USD", "duration": "P1Y", "percentile10": 100000, "median": 120000,
            "percentile90": 140000}]});
        check(&estimate, (Some(100e3), Some(140e3), Some("USD"), Some("year")));
        let both = json!({"baseSalary": "competitive", "estimatedSalary": "$100k"});
        check(&both, (Some(100e3), None, Some("USD"), Some("year")));
    }

    #[test]
    fn what_cannot_be_read_keeps_its_text() {
        let salary = posting(&json!({"baseSalary": "nach Tarif"}), &Locale::default()).unwrap();
        assert_eq!((salary.min, salary.display.as_deref()), (None, Some("nach Tarif")));
        assert_eq!(posting(&json!({"baseSalary": {}}), &Locale::default()), None);
        let wrong = json!({"baseSalary": {"currency": "EUR", "value": {"minValue": 3.5,
            "unitText": "MONTH"}}});
        check(&wrong, (None, None, None, None));
    }
}
