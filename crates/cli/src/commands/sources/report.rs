//! `sources check NAME` and `sources check ADDRESS`: one source, step by step.

use std::fmt::Write as _;

use rhubarb_scrape::{Ending, Listing, config::SourceKind, steps::Step};

use super::Checked;

/// Listings that are shown whole.
const SHOWN: usize = 3;

/// Fields that are counted: without them a listing says little.
type Field = (&'static str, fn(&Listing) -> bool);

const FIELDS: [Field; 7] = [
    ("company", |listing| !listing.company.is_empty()),
    ("location", |listing| listing.location.is_some()),
    ("posted_at", |listing| listing.posted_at.is_some()),
    ("employment_type", |listing| listing.employment_type.is_some()),
    ("salary", |listing| listing.salary_display.is_some()),
    ("workplace", |listing| listing.workplace.is_some()),
    ("description", |listing| !listing.description.is_empty()),
];

/// Returns the steps, the first records and what to change.
pub(super) fn report(checked: &Checked, steps: &[Step], listings: &[Listing]) -> String {
    let mut out = format!("{} ({})\n\n", checked.source, checked.kind);
    for (idx, step) in steps.iter().enumerate() {
        let _ = writeln!(out, "{:>3}. {}", idx + 1, told(step));
    }
    let Checked { state, listings: n, matching, .. } = checked;
    let fine = match checked.outcome.to_string() {
        fine if checked.outcome.is_silent() && fine != state.to_string() => format!(" ({fine})"),
        _ => String::new(),
    };
    let _ = writeln!(out, "\n{state}{fine}: {n} listings, {matching} match");
    if !listings.is_empty() {
        out.push_str(&coverage(listings));
    }
    for listing in listings.iter().take(SHOWN) {
        out.push_str(&shown(listing));
    }
    if let Some(reason) = &checked.reason {
        let _ = writeln!(out, "\nWhat is wrong: {reason}");
    }
    if let Some(advice) = advice(checked, listings) {
        let _ = writeln!(out, "What to do: {advice}");
    }
    out.trim_end().to_owned()
}

fn told(step: &Step) -> String {
    match step {
        Step::Fetched { address, end: Ok(bytes), elapsed } => {
            format!("fetched {address}: {bytes} bytes in {} ms", elapsed.as_millis())
        }
        Step::Fetched { address, end: Err(problem), elapsed } => {
            format!("asked {address}: {problem} ({} ms)", elapsed.as_millis())
        }
        Step::Read { records, skipped: 0, .. } => format!("read {records} records"),
        Step::Read { records, skipped, first } => {
            let first = first.as_deref().unwrap_or("no reason");
            format!("read {records} records, could not read {skipped}; the first: {first}")
        }
    }
}

/// Says of how many listings each field is known.
fn coverage(listings: &[Listing]) -> String {
    let n = listings.len();
    let counts = FIELDS.iter().map(|(name, has)| {
        let known = listings.iter().filter(|listing| has(listing)).count();
        format!("{name} {known}")
    });
    format!("of {n} that match: {}\n", counts.collect::<Vec<_>>().join(", "))
}

fn shown(listing: &Listing) -> String {
    let mut out = format!("\n  {}\n", listing.title);
    let mut line = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = writeln!(out, "    {name:<16}{value}");
        }
    };
    line("company", Some(&listing.company));
    line("location", listing.location.as_deref());
    line("workplace", listing.workplace.as_deref());
    line("employment type", listing.employment_type.as_deref());
    line("salary", listing.salary_display.as_deref());
    line("posted", listing.posted_at.as_deref());
    line("identifier", Some(&listing.external_id));
    line("address", Some(&listing.url));
    let text: String = listing.description.chars().take(80).collect();
    line("description", Some(&text.replace('\n', " ")));
    out
}

/// Says what to change, where the reason does not say so itself.
fn advice(checked: &Checked, listings: &[Listing]) -> Option<String> {
    let Some(reason) = checked.reason.as_deref() else {
        return match (checked.listings, listings.is_empty()) {
            (0, _) => Some(
                "nothing, if the careers page has no posting either. If it shows some in a \
                 browser, `rhubarb sources find ADDRESS` looks for where they come from"
                    .to_owned(),
            ),
            (_, true) => Some("nothing: the source works, and no title has the keyword".to_owned()),
            _ => None,
        };
    };
    match checked.outcome {
        Ending::NotFound | Ending::Gone => Some(elsewhere(checked.of)),
        _ => of_reason(reason, checked.of),
    }
}

/// Says what to do about an address that is wrong now.
fn elsewhere(kind: SourceKind) -> String {
    match kind.place() {
        Some(settings) => format!(
            "compare {settings} with the address of the careers page in a browser; `rhubarb \
             sources find ADDRESS` reads the right one off it"
        ),
        None => MOVED.to_owned(),
    }
}

/// What is said of a service that is at one place, and answers otherwise there.
const MOVED: &str = "take out `base_url` if it is set. Otherwise the service has changed, or is \
                     down: try again later; if it stays so, set `enabled = false` until a new \
                     version of rhubarb reads it";

/// What is said for reasons that have these words; the first counts.
const REASONS: [(&[&str], &str); 13] = [
    (
        &["refuses access"],
        "the site refuses programs, and is not asked again and again; look for the board's own \
         API or feed",
    ),
    (
        &["asks to be left alone", "asks to be left"],
        "wait, and raise `scrape.min_interval` if it happens often",
    ),
    (&["`max_pages` allows"], "raise `max_pages` of the source, if you want the rest"),
    (&["`max_details`"], "raise `max_details` of the source, if you want the rest"),
    (
        &["names at", "a list of postings is at", "is a list itself", "holds no list"],
        "correct `paths.items`: the names from the top of the answer down to the list, with dots \
         between; leave it empty where the answer is the list",
    ),
    (
        &["finds nothing in an item"],
        "open the page, look at the element of one posting, and correct the selector that is named",
    ),
    (
        &["has nothing at `paths."],
        "look at one record of the answer, and correct the path that is named",
    ),
    (&["has no title"], "correct the path or selector of the title"),
    (&["no http address", "overlong"], "correct the path or selector of the link"),
    (
        &["robots.txt"],
        "the site does not want this to be fetched; look for a feed or an API of the same board",
    ),
    (
        &["cut off"],
        "try again: the answer ended early. If it does each time, tell the owner of the site",
    ),
    (
        &["answered 5", "not done within", "took too long", "timed out", "failed to connect"],
        "try again later, and open the address in a browser; if it fails there too, the site is \
         down or the host's name is wrong",
    ),
    (&["cannot be used:"], "correct the setting that is named"),
];

fn of_reason(reason: &str, kind: SourceKind) -> Option<String> {
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    // These end in what to do.
    if has(&[
        "; check ",
        "; read it as",
        "in place of what was asked for",
        "; look for the address",
    ]) {
        return None;
    }
    if has(&["has no such page"]) {
        return Some(elsewhere(kind));
    }
    let known = REASONS.iter().find(|(words, _)| has(words)).map(|(_, text)| (*text).to_owned());
    let is_other = has(&["the answer has no", "in place of", "is HTML where", "is not valid"]);
    known.or_else(|| {
        is_other.then(|| {
            let label = kind.label();
            let Some(settings) = kind.place() else { return MOVED.to_owned() };
            format!(
                "this is not what a source of kind `{label}` answers: compare {settings} with the \
                 address of the careers page in a browser; `rhubarb sources find ADDRESS` says \
                 which kind reads it"
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rhubarb_scrape::SourceState;

    use super::*;

    fn checked(state: SourceState, listings: usize, reason: Option<&str>) -> Checked {
        Checked {
            source: "acme".into(),
            kind: "Lever",
            of: SourceKind::Lever,
            outcome: match state {
                SourceState::Ok => Ending::Found,
                SourceState::NotFound => Ending::NotFound,
                _ => Ending::Failed,
            },
            state,
            listings,
            matching: listings,
            elapsed_ms: 1,
            reason: reason.map(str::to_owned),
        }
    }

    #[test]
    fn a_good_source_shows_its_steps_and_records() {
        let steps = [
            Step::Fetched {
                address: "acme.example/jobs".into(),
                end: Ok(512),
                elapsed: Duration::from_millis(40),
            },
            Step::Read { records: 2, skipped: 1, first: Some("record `x` has no title".into()) },
        ];
        let listing = Listing {
            title: "Cook".into(),
            location: Some("Bonn".into()),
            url: "https://acme.example/1".into(),
            ..Listing::default()
        };
        let report = report(&checked(SourceState::Ok, 2, None), &steps, &[listing]);
        for part in [
            "1. fetched acme.example/jobs: 512 bytes in 40 ms",
            "2. read 2 records, could not read 1; the first: record `x` has no title",
            "ok: 2 listings, 2 match",
            "of 1 that match: company 0, location 1",
            "location        Bonn",
        ] {
            assert!(report.contains(part), "{part} in:\n{report}");
        }
    }

    #[test]
    fn what_is_wrong_comes_with_what_to_do() {
        let check = |state, reason: Option<&str>, expect: &str| {
            let report = report(&checked(state, 0, reason), &[], &[]);
            assert!(report.contains(expect), "{expect} in:\n{report}");
        };
        check(SourceState::NotFound, Some("`x` has no such page"), "compare `board`");
        let failed = |reason, expect| check(SourceState::Failed, Some(reason), expect);
        failed("the answer is HTML where JSON is expected", "sources find ADDRESS");
        failed("`x` answered with text/html in place of JSON", "not what a source of kind `Lever`");
        failed("the answer has no array of postings", "compare `board` with");
        failed("`x` refuses access (403)", "refuses programs");
        failed("not all was read: `x` has no such page (404)", "compare `board` with");
        failed(
            "the answer has no list at `paths.items`; the names at the top are `a`",
            "with dots",
        );
        failed(
            "none of 2 records could be read; first: `selectors.title` finds nothing in an item",
            "correct the selector",
        );
        failed("`x` answered 500", "try again later");
        failed("the answer is cut off: JSON ends too early", "try again");
        check(SourceState::Ok, None, "if the careers page has no posting either");
        let own = report(
            &checked(SourceState::Failed, 0, Some("it is odd; check `selectors.item`")),
            &[],
            &[],
        );
        assert!(!own.contains("What to do"), "{own}");
    }
}
