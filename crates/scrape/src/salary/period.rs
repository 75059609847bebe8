//! Periods of pay, from the words of sources in the languages of job pages.

use crate::fold;

/// A period that is none of the listing's own: its name, how often a year has it, and how a person
/// says it.
const OTHERS: [(&str, f64, &str); 5] = [
    ("2 weeks", 26.0, "every two weeks"),
    ("4 weeks", 13.0, "every four weeks"),
    ("half month", 24.0, "twice a month"),
    ("quarter", 4.0, "per quarter"),
    ("half year", 2.0, "twice a year"),
];

/// Phrases that name another period, in plain letters, as words of their own.
const PHRASES: [(&str, &[&str]); 5] = [
    (
        "2 weeks",
        &[
            "bi week",
            "bi weekly",
            "biweekly",
            "fortnight",
            "fortnightly",
            "2 week",
            "2 weeks",
            "two weeks",
            "every other week",
            "two weekly",
            "zweiwochentlich",
            "zwei wochen",
            "2 wochen",
            "deux semaines",
            "2 semaines",
            "dos semanas",
            "2 semanas",
            "2 tygodnie",
            "dwa tygodnie",
            "dva tydny",
            "2 tydny",
            "due settimane",
        ],
    ),
    ("4 weeks", &["4 week", "4 weeks", "four weeks"]),
    (
        "half month",
        &["half month", "semi month", "semi monthly", "semimonthly", "twice a month", "quincenal"],
    ),
    ("quarter", &["quarter", "quarterly", "quartal", "trimestre", "trimestriel"]),
    ("half year", &["half year", "semi annual", "semiannual", "semi annually"]),
];

/// Words that name a unit of time, in plain letters.
const UNITS: [(&str, &[&str]); 5] = [
    (
        "hour",
        &[
            "hour", "hours", "hr", "hrs", "std", "stunde", "stunden", "heure", "heures", "hora",
            "horas", "godzina", "godzine", "godziny", "godzin", "godz", "hodina", "hodinu",
            "hodiny", "hodin", "hod", "uur", "timme", "timmar", "timmen", "timen", "saat", "час",
            "時", "时", "시",
        ],
    ),
    (
        "day",
        &[
            "day", "days", "tag", "tage", "jour", "jours", "dia", "dias", "dzien", "dni", "dny",
            "giorno", "giorni", "dag", "dagen", "dagar", "день", "日", "天",
        ],
    ),
    (
        "week",
        &[
            "week",
            "weeks",
            "wk",
            "wks",
            "woche",
            "wochen",
            "semaine",
            "semaines",
            "semana",
            "semanas",
            "tydzien",
            "tygodnie",
            "tygodni",
            "tyden",
            "tydny",
            "settimana",
            "settimane",
            "vecka",
            "veckor",
            "uke",
            "uge",
            "неделю",
            "週",
            "周",
            "주",
        ],
    ),
    (
        "month",
        &[
            "month",
            "months",
            "mo",
            "mth",
            "monat",
            "monate",
            "monats",
            "mois",
            "mes",
            "meses",
            "miesiac",
            "miesiace",
            "miesiecy",
            "mies",
            "mc",
            "msc",
            "mesic",
            "mesicu",
            "mesice",
            "mese",
            "mesi",
            "maand",
            "maanden",
            "manad",
            "maned",
            "mnd",
            "месяц",
            "月",
            "월",
        ],
    ),
    (
        "year",
        &[
            "year", "years", "yr", "yrs", "jahr", "jahre", "annee", "annees", "annum", "ano",
            "anos", "rok", "roku", "anno", "anni", "jaar", "год", "年", "년", "연",
        ],
    ),
];

/// What is a unit of time only behind a slash or a word like "per", or alone.
const SHORT: [(&str, &str); 23] = [
    ("h", "hour"),
    ("t", "hour"),
    ("tim", "hour"),
    ("time", "hour"),
    ("timer", "hour"),
    ("ora", "hour"),
    ("ore", "hour"),
    ("hur", "hour"),
    ("d", "day"),
    ("j", "day"),
    ("den", "day"),
    ("w", "week"),
    ("wee", "week"),
    ("m", "month"),
    ("mon", "month"),
    ("man", "month"),
    ("md", "month"),
    ("y", "year"),
    ("a", "year"),
    ("an", "year"),
    ("r", "year"),
    ("ar", "year"),
    ("ann", "year"),
];

/// Words that name a period by themselves, in plain letters; `*` stands for any end.
const ALONE: [(&str, &[&str]); 5] = [
    (
        "hour",
        &[
            "hourly",
            "stundlich",
            "stundenlohn*",
            "stundensatz*",
            "horaire*",
            "godzinowo",
            "godzinow*",
            "hodinove",
            "hodinov*",
            "ph",
            "uurloon",
            "timlon",
            "timelonn",
        ],
    ),
    (
        "day",
        &[
            "daily",
            "taglich",
            "tagessatz*",
            "journalier*",
            "quotidien*",
            "diario",
            "diaria",
            "dziennie",
            "denne",
            "tjm",
            "dagelijks",
        ],
    ),
    (
        "week",
        &[
            "weekly",
            "wochentlich",
            "wochenlohn*",
            "hebdomadaire*",
            "semanal*",
            "tygodniowo",
            "tydne",
            "wekelijks",
        ],
    ),
    (
        "month",
        &[
            "monthly",
            "monatlich*",
            "monatsgehalt*",
            "monatslohn*",
            "bruttomonats*",
            "mensuel*",
            "mensual*",
            "mensal*",
            "mensil*",
            "miesieczn*",
            "mesicn*",
            "maandelijks",
            "pcm",
            "mtl",
            "pm",
            "manadslon",
        ],
    ),
    (
        "year",
        &[
            "yearly",
            "annual*",
            "jahrlich*",
            "jahresgehalt*",
            "jahresbrutto*",
            "bruttojahres*",
            "annuel*",
            "anual*",
            "roczn*",
            "rocne",
            "annuo",
            "annua",
            "annui",
            "jaarlijks",
            "arslon",
            "pa",
            "lpa",
            "p1y",
        ],
    ),
];

/// Returns the unit of time that a word names; `is_after_per` says that "per" or a slash is before
/// it.
pub(super) fn unit(word: &str, is_after_per: bool) -> Option<&'static str> {
    let short = || SHORT.iter().find(|(name, _)| *name == word).map(|(_, period)| *period);
    let long = UNITS.iter().find(|(_, words)| words.contains(&word)).map(|(period, _)| *period);
    long.or_else(|| is_after_per.then(short).flatten())
}

/// Returns the period that a word names by itself: `monthly`, `stündlich`.
pub(super) fn alone(word: &str) -> Option<&'static str> {
    let names = |name: &str| match name.strip_suffix('*') {
        Some(stem) => word.starts_with(stem),
        None => name == word,
    };
    ALONE.iter().find(|(_, words)| words.iter().any(|name| names(name))).map(|(period, _)| *period)
}

/// Returns another period that the text names: `every two weeks`.
pub(super) fn other(spaced: &str) -> Option<&'static str> {
    let says = |phrase: &&str| spaced.contains(&format!(" {phrase} "));
    PHRASES.iter().find(|(_, phrases)| phrases.iter().any(says)).map(|(name, _)| *name)
}

/// Returns how often a year has another period, and how a person says it.
pub(super) fn in_a_year(period: &str) -> Option<(f64, &'static str)> {
    OTHERS.iter().find(|(name, ..)| *name == period).map(|(_, times, said)| (*times, *said))
}

/// Returns the period that a source's own word means (`HOUR`, `per-year-salary`, `1 MONTH`, `/yr`,
/// `MON`, `BI_WEEKLY`).
///
/// Beside the listing's own periods there are `2 weeks`, `4 weeks`, `half month`, `quarter` and
/// `half year`: [`Salary::from_numbers`](super::Salary::from_numbers) reckons them to a year. What
/// has no period (`one-time`, `NONE`) gives none.
pub fn period(text: &str) -> Option<&'static str> {
    let spaced = fold::spaced(crate::text::cut(text, 100));
    if spaced.contains(" one time ") || spaced.contains(" once ") {
        return None;
    }
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let has_sign = text.contains('/') || words.len() == 1;
    let named = |word: &&str| alone(word).or_else(|| unit(word, has_sign));
    let duration = match words[..] {
        ["p1y"] => Some("year"),
        ["p1m"] => Some("month"),
        ["p1w"] => Some("week"),
        ["p1d"] => Some("day"),
        ["pt1h"] => Some("hour"),
        _ => None,
    };
    other(&spaced).or(duration).or_else(|| words.iter().find_map(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_of_sources_are_one_set() {
        let check = |input, expect| assert_eq!(period(input), expect, "{input}");
        check("HOUR", Some("hour"));
        check("per-year-salary", Some("year"));
        check("per-hour-wage", Some("hour"));
        check("1 MONTH", Some("month"));
        check("/yr", Some("year"));
        check("http://schema.org/YEAR", Some("year"));
        check("per hour", Some("hour"));
        check("Yearly", Some("year"));
        check("monatlich", Some("month"));
        check("HUR", Some("hour"));
        check("ANN", Some("year"));
        check("P1Y", Some("year"));
        check("NONE", None);
        check("one-time", None);
        check("finance", None);
    }

    #[test]
    fn every_two_weeks_is_no_week() {
        for text in ["bi-week-salary", "BI_WEEKLY", "Biweekly", "2 WEEK", "fortnightly"] {
            assert_eq!(period(text), Some("2 weeks"), "{text}");
        }
        assert_eq!(period("semi-month-salary"), Some("half month"));
        assert_eq!(period("QUARTER"), Some("quarter"));
    }
}
