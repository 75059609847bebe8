//! `sources check NAME` and `sources check ADDRESS`: one source, step by step.

use std::fmt::Write as _;

use rhubarb_scrape::{Listing, steps::Step};

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

/// Says what to change, where that is known.
fn advice(checked: &Checked, listings: &[Listing]) -> Option<String> {
    let reason = checked.reason.as_deref().unwrap_or_default();
    let has = |words: &[&str]| words.iter().any(|word| reason.contains(word));
    let text = if checked.state == rhubarb_scrape::SourceState::NotFound {
        "compare `board`, `site` and `base_url` with the address of the careers page in a browser; \
         `rhubarb sources find ADDRESS` reads them off it"
    } else if has(&["is HTML where", "in place of"]) {
        "open the address in a browser: a page for people stands where data was expected. \
         `rhubarb sources find ADDRESS` says which kind of source reads it"
    } else if has(&["robots.txt"]) {
        "the site does not want this to be fetched; look for a feed or an API of the same board"
    } else if has(&["401", "403", "blocked", "challenge"]) {
        "the site refuses programs; it is not asked again and again. Look for the board's own API"
    } else if has(&["paths.items"]) {
        "correct `paths.items`: open the address and follow the names down to the list"
    } else if has(&["is not a CSS selector", "selector"]) {
        "correct the selectors: open the page and look at one listing's element"
    } else if has(&["has no title"]) {
        "correct the path or selector of the title"
    } else if has(&["no http address", "overlong"]) {
        "correct the path or selector of the link"
    } else if has(&["invalid setting"]) {
        "correct the setting that is named"
    } else if !reason.is_empty() {
        return None;
    } else if checked.listings == 0 {
        "nothing was found. If the page shows postings in a browser, a script loads them: \
         `rhubarb sources find ADDRESS` looks for where from"
    } else if listings.is_empty() {
        "the source works; nothing matches the keyword"
    } else {
        return None;
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rhubarb_scrape::{Ending, SourceState};

    use super::*;

    fn checked(state: SourceState, listings: usize, reason: Option<&str>) -> Checked {
        Checked {
            source: "acme".into(),
            kind: "Lever",
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
        check(
            SourceState::Failed,
            Some("the answer is HTML where JSON is expected"),
            "a page for people",
        );
        check(
            SourceState::Failed,
            Some("the answer has no list at the path `paths.items`"),
            "follow the names",
        );
        check(SourceState::Ok, None, "a script loads them");
    }
}
