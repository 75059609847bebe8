//! Employment types, from the words of sources in the languages of job pages.

use crate::fold;

/// What words say of an employment; of several the first in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Internship,
    Volunteer,
    PerDiem,
    PartTime,
    FullTime,
    /// Without an end: nearly always full time, but weaker than any other word.
    Permanent,
    Contract,
    Temporary,
}

/// Words and phrases of one meaning, in plain letters; `*` stands for any end of the last word.
const WORDS: [(Says, &[&str]); 8] = [
    (
        Says::Internship,
        &[
            "intern",
            "interns",
            "internship*",
            "trainee*",
            "praktik*",
            "pflichtpraktik*",
            "stagiaire*",
            "stagist*",
            "tirocin*",
            "pasant*",
            "practicas",
            "practicante*",
            "becari*",
            "estagi*",
            "staz",
            "stazyst*",
            "praktyk*",
            "stage",
            "harjoittelu*",
        ],
    ),
    (
        Says::Volunteer,
        &[
            "volunteer*",
            "ehrenamt*",
            "benevol*",
            "voluntari*",
            "volontari*",
            "wolontari*",
            "dobrovoln*",
            "frivillig*",
            "vrijwillig*",
        ],
    ),
    (Says::PerDiem, &["per diem", "perdiem"]),
    (
        Says::PartTime,
        &[
            "part time",
            "parttime",
            "parttimer",
            "teilzeit*",
            "teil zeit",
            "minijob*",
            "mini job",
            "temps partiel",
            "mi temps",
            "tempspartiel",
            "medio tiempo",
            "media jornada",
            "jornada parcial",
            "tiempo parcial",
            "tempo parcial",
            "meio periodo",
            "meio expediente",
            "tempo parziale",
            "niepelny etat",
            "niepelny wymiar",
            "niepelnym wymiarze",
            "czesc etatu",
            "pol etatu",
            "1 2 etatu",
            "castecny uvazek",
            "zkraceny uvazek",
            "polovicni uvazek",
            "castecny pracovni uvazek",
            "deeltijd*",
            "deltid*",
            "osa aikainen",
            "werkstudent*",
            "working student*",
            "studiejob*",
            "studenterjob*",
            "アルバイト",
            "パートタイム",
            "兼职",
            "시간제",
        ],
    ),
    (
        Says::FullTime,
        &[
            "full time",
            "fulltime",
            "fulltimer",
            "vollzeit*",
            "voll zeit",
            "temps plein",
            "tempsplein",
            "temps complet",
            "plein temps",
            "tiempo completo",
            "jornada completa",
            "tempo completo",
            "tempo integral",
            "periodo integral",
            "tempo inteiro",
            "tempo pieno",
            "pelny etat",
            "pelen etat",
            "pelny wymiar",
            "pelnym wymiarze",
            "plny uvazek",
            "plny pracovni uvazek",
            "hlavni pracovni pomer",
            "hpp",
            "voltijd*",
            "fulltid*",
            "fuldtid*",
            "heltid*",
            "kokoaikainen",
            "正社員",
            "全职",
            "정규직",
        ],
    ),
    (
        Says::Permanent,
        &[
            "permanent*",
            "perm",
            "unbefristet*",
            "festanstellung*",
            "cdi",
            "duree indeterminee",
            "indefinid*",
            "indeterminad*",
            "tempo indeterminato",
            "umowa o prace",
            "nieokreslony",
            "doba neurcita",
            "dobu neurcitou",
            "vaste baan",
            "vast contract",
            "fast anställning",
            "fast anstallning",
            "tillsvidare*",
            "fast stilling",
            "fastansat*",
            "fastansaet*",
            "fast ansaet*",
            "fast ansatt*",
            "fast ansett*",
            "vakituinen",
            "toistaiseksi",
        ],
    ),
    (
        Says::Contract,
        &[
            "contract",
            "contracts",
            "contractor*",
            "c2c",
            "w2",
            "freelanc*",
            "freie mitarbeit*",
            "freiberuf*",
            "independant*",
            "autonomo*",
            "b2b",
            "umowa zlecenie",
            "umowa o dzielo",
            "kontrakt*",
            "ico",
            "osvc",
            "zivnost*",
            "zzp*",
            "業務委託",
        ],
    ),
    (
        Says::Temporary,
        &[
            "temp",
            "temps",
            "temporary",
            "temporar*",
            "temporair*",
            "temporal*",
            "fixed term",
            "fixedterm",
            "befristet*",
            "zeitarbeit*",
            "seasonal*",
            "saison*",
            "cdd",
            "duree determinee",
            "interim*",
            "determinato",
            "okreslony",
            "docasn*",
            "doba urcita",
            "dobu urcitou",
            "tijdelijk*",
            "visstid*",
            "vikariat*",
            "midlertidig*",
            "tidsbegrans*",
            "tidsbegraens*",
            "engasjement",
            "maaraaikainen",
            "sommarjobb*",
            "kesatyo*",
            "契約社員",
            "계약직",
        ],
    ),
];

/// Words that turn the next ones round.
const NOT: [&str; 18] = [
    "no", "not", "non", "without", "nicht", "kein", "keine", "keinen", "sans", "pas", "sin", "bez",
    "nie", "ikke", "inte", "niet", "geen", "senza",
];

/// Returns the employment type in the listing's own words, or nothing when it is none of them.
pub(crate) fn employment_type(text: &str) -> Option<&'static str> {
    let text = fold::spaced(crate::text::cut(text, 300));
    if text == " other " {
        return Some("other");
    }
    let to_permanent = [" to perm ", " to permanent ", " to hire "];
    if to_permanent.iter().any(|phrase| text.contains(phrase)) {
        return Some("contract");
    }
    let mut is_not_permanent = false;
    for (says, words) in WORDS {
        let found = words.iter().find_map(|word| find(&text, word));
        match found {
            // Both are offered: part time is no more than a possibility.
            Some(Mention::Said) if says == Says::PartTime && is_said(&text, Says::FullTime) => {}
            Some(Mention::Said) => return Some(name(says)),
            Some(Mention::Negated) => is_not_permanent |= says == Says::Permanent,
            None => {}
        }
    }
    is_not_permanent.then_some("temporary")
}

fn is_said(text: &str, says: Says) -> bool {
    let words = WORDS.iter().filter(|(of, _)| *of == says).flat_map(|(_, words)| words.iter());
    words.filter_map(|word| find(text, word)).any(|found| matches!(found, Mention::Said))
}

fn name(says: Says) -> &'static str {
    match says {
        Says::Internship => "internship",
        Says::Volunteer => "volunteer",
        Says::PerDiem => "per_diem",
        Says::PartTime => "part_time",
        Says::FullTime | Says::Permanent => "full_time",
        Says::Contract => "contract",
        Says::Temporary => "temporary",
    }
}

enum Mention {
    Said,
    Negated,
}

/// Looks for a phrase as whole words of a spaced text; one that is only said to be absent counts as
/// negated.
fn find(text: &str, phrase: &str) -> Option<Mention> {
    let (words, has_any_end) = match phrase.strip_suffix('*') {
        Some(stem) => (stem, true),
        None => (phrase, false),
    };
    let unspaced = words.chars().next().is_some_and(|c| c as u32 >= 0x3040);
    let mut found = None;
    for (at, _) in text.match_indices(words) {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        let is_whole = before.ends_with(' ') && (has_any_end || after.starts_with(' '));
        if !is_whole && !unspaced {
            continue;
        }
        if !is_negated(before) {
            return Some(Mention::Said);
        }
        found = Some(Mention::Negated);
    }
    found
}

/// Tells whether the text ends in a word that turns the next one round, an article between them or
/// not.
fn is_negated(before: &str) -> bool {
    let mut words = before.split_whitespace().rev();
    let last = words.next();
    let last = match last {
        Some("a" | "an" | "de" | "un" | "une" | "una") => words.next(),
        last => last,
    };
    last.is_some_and(|word| NOT.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expect: Option<&str>) {
        assert_eq!(employment_type(input), expect, "{input}");
    }

    #[test]
    fn employment_types_are_one_set() {
        check("Full-Time", Some("full_time"));
        check("FullTime", Some("full_time"));
        check("FULL_TIME", Some("full_time"));
        check("CONTRACTOR", Some("contract"));
        check("INTERN", Some("internship"));
        check("Internship", Some("internship"));
        check("TEMPORARY", Some("temporary"));
        check("PER_DIEM", Some("per_diem"));
        check("OTHER", Some("other"));
        check("Regular", None);
        check("International", None);
        check("Internal", None);
        check("", None);
    }

    #[test]
    fn words_are_known_in_the_languages_of_job_pages() {
        for text in ["Vollzeit", "Temps plein", "Tiempo completo", "Jornada completa"] {
            check(text, Some("full_time"));
        }
        for text in ["Fuldtid", "Fulltid", "Fast ansættelse", "Vakituinen"] {
            check(text, Some("full_time"));
        }
        for text in ["Werkstudent (m/w/d)", "Studiejob"] {
            check(text, Some("part_time"));
        }
        for text in ["Pełny etat", "Plný úvazek", "Voltijds", "Tempo pieno", "Tempo integral"] {
            check(text, Some("full_time"));
        }
        for text in ["Heltid", "heltidsansatt", "Fulltime", "CDI", "Festanstellung", "正社員"] {
            check(text, Some("full_time"));
        }
        for text in ["Teilzeit (20 Std.)", "Temps partiel", "Media jornada", "Niepełny etat"] {
            check(text, Some("part_time"));
        }
        for text in ["Částečný úvazek", "Deeltijd", "Part-time", "Deltid", "Meio período"] {
            check(text, Some("part_time"));
        }
        for text in ["befristet", "CDD", "Contrato temporal", "Czas określony", "Tijdelijk"] {
            check(text, Some("temporary"));
        }
        for text in ["Praktikum", "Stage", "Prácticas", "Staż", "Tirocinio", "Estágio", "Praktik"]
        {
            check(text, Some("internship"));
        }
        for text in ["Freelance", "B2B", "Freie Mitarbeit", "Autónomo", "Umowa zlecenie", "OSVČ"]
        {
            check(text, Some("contract"));
        }
    }

    #[test]
    fn a_word_is_not_found_in_its_opposite() {
        check("unbefristet", Some("full_time"));
        check("Unbefristete Teilzeit", Some("part_time"));
        check("Umowa na czas nieokreślony", Some("full_time"));
        check("Na dobu neurčitou", Some("full_time"));
        check("Contrato indefinido", Some("full_time"));
        check("CDI - contrat à durée indéterminée", Some("full_time"));
        check("Non-permanent", Some("temporary"));
        check("Not permanent, contract", Some("contract"));
        check("No internship", None);
        check("Kein Praktikum, Vollzeit", Some("full_time"));
        check("non-contract", None);
        check("Contract to permanent", Some("contract"));
        check("Contract-to-hire", Some("contract"));
    }

    #[test]
    fn the_more_telling_of_several_words_counts() {
        check("Permanent, Part-Time", Some("part_time"));
        check("Permanent Contract", Some("full_time"));
        check("Internship (full-time)", Some("internship"));
        check("Full-time contract", Some("full_time"));
        check("Regular Full Time (Salary)", Some("full_time"));
        check("Summer Intern", Some("internship"));
        check("Full-time or Part-time", Some("full_time"));
        check("PART_TIME, FULL_TIME", Some("full_time"));
        check("Part-time, not full-time", Some("part_time"));
        check("Nicht befristet", None);
        check("Tempo indeterminato", Some("full_time"));
    }
}
