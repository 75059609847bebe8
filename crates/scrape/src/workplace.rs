//! How a posting is worked, from the words of sources: on site, hybrid or remote.

use crate::fold;

/// Words that say remote, in plain letters; `*` stands for any end.
const REMOTE: [&str; 34] = [
    "remote",
    "remotely",
    "remoto",
    "remota",
    "remotos",
    "remotas",
    "telecommut*",
    "telework*",
    "wfh",
    "work from home",
    "working from home",
    "work from anywhere",
    "homeoffice*",
    "homebased",
    "home based",
    "teletravail*",
    "a distance",
    "teletrabajo*",
    "teletrabalho",
    "a distancia",
    "telearbeit*",
    "telelavoro",
    "smart working",
    "zdaln*",
    "homeworking",
    "na dalku",
    "z domova",
    "thuiswerk*",
    "op afstand",
    "distansarbet*",
    "pa distans",
    "hemifran",
    "hjemmekontor",
    "fjernarbejd*",
];

/// As [`REMOTE`], for scripts without spaces.
const REMOTE_INSIDE: [&str; 7] = ["リモート", "在宅", "远程", "遠程", "遠端", "재택", "원격"];

const HYBRID: [&str; 11] = [
    "hybrid*",
    "hibrid*",
    "ibrid*",
    "hybryd*",
    "partially remote",
    "partly remote",
    "part remote",
    "semi remote",
    "ハイブリッド",
    "混合",
    "하이브리드",
];

const ONSITE: [&str; 20] = [
    "on site",
    "onsite",
    "in office",
    "inoffice",
    "in person",
    "inperson",
    "office based",
    "in the office",
    "vor ort",
    "presencial*",
    "presentiel*",
    "sur site",
    "sur place",
    "stacjonarn*",
    "na miejscu",
    "in sede",
    "op locatie",
    "pa plats",
    "出社",
    "출근",
];

/// What makes another thing of "remote", when it follows.
const OTHER_REMOTE: [&str; 17] = [
    "sensing",
    "sensor",
    "control",
    "controls",
    "controlled",
    "monitoring",
    "hands",
    "area",
    "areas",
    "site",
    "sites",
    "location",
    "locations",
    "region",
    "island",
    "community",
    "desktop",
];

/// What makes an offer or a part of "remote", when it follows within a few words.
const PERHAPS: &[&str] = &[
    "friendly",
    "possible",
    "optional",
    "considered",
    "negotiable",
    "flexible",
    "moglich",
    "possibile",
    "possibles",
    "posible",
    "ocasional",
    "occasionnel",
    "occasional",
    "occasionally",
    "temporarily",
    "option",
    "options",
];

/// What makes a part of "remote", before or behind it.
const PART: [&str; 15] = [
    "partiel",
    "partielle",
    "partially",
    "partly",
    "partial",
    "parcial",
    "parzial*",
    "parziale",
    "teilweise",
    "anteilig",
    "czesciowo",
    "castecne",
    "gedeeltelijk",
    "delvis",
    "some",
];

const NOT: [&str; 32] = [
    "no",
    "not",
    "non",
    "never",
    "cannot",
    "without",
    "isn",
    "nicht",
    "kein",
    "keine",
    "keinen",
    "keinerlei",
    "ohne",
    "sans",
    "pas",
    "aucun",
    "sin",
    "bez",
    "brak",
    "ne",
    "neni",
    "zadna",
    "zadny",
    "geen",
    "niet",
    "ikke",
    "inte",
    "ingen",
    "nao",
    "sem",
    "senza",
    "nessun",
];

/// Words between a negation and what it negates: `no fully remote`, `pas de télétravail`.
const BETWEEN: [&str; 11] =
    ["a", "an", "de", "d", "any", "work", "working", "trabajo", "praca", "arbeit", "possibilite"];

/// What a clause says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Remote,
    /// Partly, or on some days.
    PartlyRemote,
    /// As an offer, or not wholly: nothing is certain.
    PerhapsRemote,
    NotRemote,
    OnSite,
    Hybrid,
}

/// Returns `remote`, `hybrid` or `onsite` when the text says so.
///
/// Hybrid wins over remote: "Hybrid (2 days remote)" is not a remote posting. A negated word says
/// the opposite ("no remote" is on site), and one that only offers ("remote-friendly") says nothing.
pub(crate) fn workplace(text: &str) -> Option<&'static str> {
    let clauses = crate::text::cut(text, 300).split([',', ';', '(', ')', '|', '/', '.', '[', ']']);
    let mut said = Vec::new();
    let is_headquarters = fold::spaced(text).split(' ').any(|w| matches!(w, "hq" | "headquarters"));
    for clause in clauses {
        says(&fold::spaced(clause), is_headquarters, &mut said);
    }
    let has = |wanted: Says| said.contains(&wanted);
    if has(Says::Hybrid) || has(Says::PartlyRemote) {
        Some("hybrid")
    } else if has(Says::Remote) {
        Some("remote")
    } else if has(Says::NotRemote) || has(Says::OnSite) {
        Some("onsite")
    } else {
        None
    }
}

fn says(clause: &str, is_headquarters: bool, said: &mut Vec<Says>) {
    let all: Vec<&str> = clause.split_whitespace().collect();
    if find(clause, &HYBRID).any(|(before, _)| !is_negated(&words(before))) {
        said.push(Says::Hybrid);
    }
    for (before, after) in find(clause, &ONSITE) {
        let (before, after) = (words(before), words(after));
        // Who is in the office on some days is not there on the others.
        if has_days(&before) || has_days(&after) {
            said.push(Says::PartlyRemote);
        } else if !is_negated(&before) {
            said.push(Says::OnSite);
        }
    }
    // "Home office" is work at home where it stands alone, and the company's seat beside a place.
    if matches!(all[..], ["home", "office"] | ["100", "home", "office"]) && !is_headquarters {
        said.push(Says::Remote);
    }
    for (before, after) in find(clause, &REMOTE) {
        said.extend(remote(&words(before), &words(after)));
    }
    if REMOTE_INSIDE.iter().any(|word| clause.contains(word)) {
        let is_part = ["一部", "可", "部分", "不可", "없음"].iter().any(|w| clause.contains(w));
        said.push(if is_part { Says::PerhapsRemote } else { Says::Remote });
    }
}

/// Tells what the word for remote says between what is before and behind it in its clause.
fn remote(before: &[&str], after: &[&str]) -> Option<Says> {
    let near = &after[..after.len().min(3)];
    let is_other = near.first().is_some_and(|next| OTHER_REMOTE.contains(next));
    if is_other {
        return None;
    }
    let last = &before[before.len().saturating_sub(2)..];
    if last.iter().any(|word| matches!(*word, "fully" | "100" | "completely" | "entirely"))
        && before.iter().rev().take(3).any(|word| NOT.contains(word))
    {
        return Some(Says::PerhapsRemote);
    }
    if is_negated(before) || is_refused(after) {
        return Some(Says::NotRemote);
    }
    let is_part = |words: &[&str]| words.iter().any(|word| PART.contains(word));
    if is_part(near) || is_part(last) || has_days(before) || has_days(after) {
        return Some(Says::PartlyRemote);
    }
    let is_perhaps = near.iter().any(|word| PERHAPS.contains(word))
        || last.iter().any(|word| PERHAPS.contains(word));
    Some(if is_perhaps { Says::PerhapsRemote } else { Says::Remote })
}

/// Tells whether what follows refuses it: `remote: no`, `remote work is not possible`. No more than
/// that: `remote, no travel` refuses something else.
fn is_refused(after: &[&str]) -> bool {
    const ALLOWED: &[&str] = &[
        "possible",
        "allowed",
        "available",
        "offered",
        "permitted",
        "eligible",
        "option",
        "moglich",
        "posible",
        "mozliwa",
        "supported",
        "considered",
        "accepted",
    ];
    let at = after
        .iter()
        .take(3)
        .position(|word| NOT.contains(word) || matches!(*word, "none" | "false"));
    at.is_some_and(|at| {
        let rest = &after[at + 1..];
        rest.is_empty() || rest.iter().take(2).any(|word| ALLOWED.contains(word))
    })
}

/// Tells whether some days of a week are named: `2 days remote`, `télétravail 3 jours`.
fn has_days(words: &[&str]) -> bool {
    const DAYS: [&str; 18] = [
        "day", "days", "tag", "tage", "tagen", "jour", "jours", "dia", "dias", "dni", "dzien",
        "dny", "den", "giorni", "giorno", "dagen", "dagar", "dage",
    ];
    words.windows(2).any(|pair| {
        let number = pair[0].parse::<u8>().ok();
        DAYS.contains(&pair[1]) && number.is_some_and(|days| days < 5)
            || number.is_some_and(|days| days < 5) && pair[1].starts_with("x")
    })
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn is_negated(before: &[&str]) -> bool {
    let last = before.iter().rev().find(|word| !BETWEEN.contains(*word));
    last.is_some_and(|word| NOT.contains(word))
}

/// Returns what is before and behind each of the phrases in a spaced text.
fn find<'a>(
    text: &'a str,
    phrases: &'static [&'static str],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    phrases.iter().flat_map(move |phrase| {
        let stem = phrase.trim_end_matches('*');
        let is_inside = stem.chars().next().is_some_and(|c| c as u32 >= 0x3040);
        let has_any_end = phrase.ends_with('*');
        text.match_indices(stem).filter_map(move |(at, _)| {
            let (before, rest) = (&text[..at], &text[at + stem.len()..]);
            let end = if has_any_end { rest.find(' ').unwrap_or(rest.len()) } else { 0 };
            let is_whole = before.ends_with(' ') && rest[end..].starts_with(' ');
            (is_whole || is_inside).then_some((before, &rest[end..]))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &str, expect: Option<&str>) {
        assert_eq!(workplace(input), expect, "{input}");
    }

    #[test]
    fn the_workplace_is_read_from_the_sources_words() {
        check("TELECOMMUTE", Some("remote"));
        check("On-site", Some("onsite"));
        check("ON_SITE", Some("onsite"));
        check("Hybrid - 2 days remote", Some("hybrid"));
        check("Lisbon or Remote (EU)", Some("remote"));
        check("Fully Remote", Some("remote"));
        check("Remote - US", Some("remote"));
        check("Remote (no onsite)", Some("remote"));
        check("Remote, no travel", Some("remote"));
        check("Remote - no travel required", Some("remote"));
        check("Lisbon", None);
    }

    #[test]
    fn words_are_known_in_the_languages_of_job_pages() {
        for text in ["100% télétravail", "Teletrabajo", "Praca zdalna", "Homeoffice", "Home Office"]
        {
            check(text, Some("remote"));
        }
        for text in ["Berlin (Home Office)", "Práce z domova", "Lavoro da remoto", "Hjemmekontor"]
        {
            check(text, Some("remote"));
        }
        for text in ["Télétravail partiel, Paris", "Hybride", "Híbrido", "Praca hybrydowa"] {
            check(text, Some("hybrid"));
        }
        for text in ["2 jours de télétravail", "Teletrabajo parcial", "Teilweise Homeoffice"] {
            check(text, Some("hybrid"));
        }
        for text in ["Sin teletrabajo", "Pas de télétravail", "Kein Homeoffice", "Presencial"] {
            check(text, Some("onsite"));
        }
        for text in ["フルリモート", "远程办公"] {
            check(text, Some("remote"));
        }
    }

    #[test]
    fn negated_partial_and_unrelated_wordings_are_not_remote() {
        check("Not remote - London", Some("onsite"));
        check("London (no remote)", Some("onsite"));
        check("Fully on-site, no remote work", Some("onsite"));
        check("Non-remote", Some("onsite"));
        check("Remote not possible", Some("onsite"));
        check("Remote: no", Some("onsite"));
        check("This is not a remote position", Some("onsite"));
        check("not fully remote", None);
        check("2 days remote per week", Some("hybrid"));
        check("Partially remote", Some("hybrid"));
        check("3 days in office", Some("hybrid"));
        check("Remote: false", Some("onsite"));
        check("Onsite; remote not considered", Some("onsite"));
        check("Remote option", None);
        check("San Francisco | Remote-Friendly (Travel-Required)", None);
        check("Homeoffice möglich", None);
        check("Home Office Berlin HQ", None);
        check("Home Office (HQ)", None);
        check("Remote Sensing Centre, Oslo", None);
        check("Remote Area Clinic", None);
    }
}
