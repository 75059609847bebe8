//! Recorded payloads of real boards, where they stand beside the workspace: every fact that a
//! person read off a payload has to be in what the parser made of it.

use std::{collections::BTreeMap, fs, path::Path};

use rhubarb_scrape::{
    Context, Listing, ParseError, Parsed, charset,
    config::{Selectors, SourceConfig, SourceKind},
    dates::{self, DateOrder},
    sources::{
        arbeitnow, ashby, bamboohr, breezy, greenhouse, hackernews, himalayas, html, icims, jobicy,
        join, jsonld, lever, oracle, personio, pinpoint, recruitee, remoteok, remotive, rippling,
        rss, smartrecruiters, successfactors, teamtailor, weworkremotely, workable, workday,
    },
    text,
};
use url::Url;

/// Facts that no listing can have, and why.
const UNREACHABLE: [(&str, &str); 18] = [
    ("total", "what a list says of its length is the reader's own affair"),
    ("totalFound", "the same"),
    ("totalCount", "the same"),
    ("totalItems", "the same"),
    ("TotalJobsCount", "the same"),
    ("pageCount", "the same"),
    ("the outer count", "a number that says nothing"),
    ("rows shown", "the count of records is checked by the table's own column"),
    ("requisition", "a posting has one identifier"),
    ("more_locations", "a count of places that are not named"),
    ("idParam", "a part of the address, which is checked"),
    ("guid and link carry tracking parameters and feedId", "what is taken off the address"),
    ("rows", "the count of records is checked by the table's own column"),
    ("postings", "the same count, in words"),
    ("updated", "a listing knows when it was posted, not when it was changed"),
    ("validThrough", "a listing has no expiry; it lives as long as its source names it"),
    ("page title", "the window's title is not the posting's"),
    ("notes", "words between the facts for the person who reads them"),
];

type Parse = fn(&str, &Context) -> Result<Parsed, ParseError>;

/// The readers of board APIs, feeds and JSON-LD pages, by the beginning of the file's name.
const PARSERS: [(&str, Parse); 37] = [
    ("greenhouse_", greenhouse::parse),
    ("lever_", lever::parse),
    ("ashby_", ashby::parse),
    ("remoteok_", remoteok::parse),
    ("weworkremotely_2020", weworkremotely::parse),
    ("arbeitnow_", arbeitnow::parse),
    ("workable_", workable::parse),
    ("smartrecruiters_automationanywhere_page", smartrecruiters::parse),
    ("smartrecruiters_ubisoft", smartrecruiters::parse),
    ("recruitee_", recruitee::parse),
    ("teamtailor_", teamtailor::parse),
    ("personio_clark", personio::parse),
    ("personio_anonymised", personio::parse),
    ("rippling_v", rippling::parse),
    ("breezy_", breezy::parse),
    ("bamboohr_collectivemeasures_list", bamboohr::parse),
    ("pinpoint_", pinpoint::parse),
    ("join_", join::parse),
    ("workday_cxs", workday::parse),
    ("workday_nvidia_list", workday::parse),
    ("workday_pjm", workday::parse),
    ("oracle_southern", oracle::parse),
    ("icims_", icims::parse),
    ("successfactors_qorvo", successfactors::parse),
    ("successfactors_search", successfactors::parse),
    ("paycor_", rss::parse),
    ("neogov_", rss::parse),
    ("remotive_", remotive::parse),
    ("himalayas_", himalayas::parse),
    ("jobicy_", jobicy::parse),
    ("hn_whoishiring_item", hackernews::parse),
    ("stackoverflow_job.", jsonld::parse),
    ("stackoverflow_job_remote", jsonld::parse),
    ("weworkremotely_job", jsonld::parse),
    ("jsonld_", jsonld::parse),
    ("netempregos_detail", jsonld::parse),
    ("cvkeskus_", jsonld::parse),
];

type Detail = fn(&str, &Context, &mut Listing) -> Result<(), ParseError>;

/// The readers of single postings, with the identifier that their lists gave.
const DETAILS: [(&str, Detail, &str); 5] = [
    ("workday_nvidia_detail", workday::read_detail, "JR2021705"),
    ("smartrecruiters_automationanywhere_detail", smartrecruiters::read_detail, "1"),
    ("rippling_detail", rippling::read_detail, "1"),
    ("bamboohr_collectivemeasures_detail", bamboohr::read_detail, "214"),
    ("oracle_healthpartners_detail", oracle::read_detail, "122617"),
];

/// The beginning of a file's name, the item, then field and selector.
type Selected = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Pages read by selectors.
const PAGES: [Selected; 9] = [
    (
        "jobscz_listing",
        "article.SearchResultCard",
        &[
            ("title", "h2"),
            ("link", "h2 a"),
            ("company", "footer span[translate=no]"),
            ("location", "[data-test=serp-locality]"),
            ("salary", ".Tag--success"),
            ("next_page", ".Pagination__button--next"),
        ],
    ),
    (
        "jobscz_job_company",
        "html",
        &[("title", "h1"), ("link", "link[rel=canonical]"), ("company", "title")],
    ),
    (
        "stackoverflow_jobs",
        ".js-result",
        &[
            ("title", "h2 a"),
            ("link", "h2 a"),
            ("company", "h3 span:first-child"),
            ("location", "h3 span.fc-black-500"),
            ("date", ".fs-caption .fc-orange-400, .fs-caption .grid--cell:first-child"),
            ("salary", ".fs-caption .grid--cell[title*='€']"),
            ("tags", ".post-tag"),
        ],
    ),
    (
        "afpy_jobs_list",
        ".jobitem",
        &[
            ("title", "h2"),
            ("link", "a"),
            ("company", ".discreet span, .discreet a"),
            ("date", ".discreet"),
        ],
    ),
    (
        "afpy_",
        "html",
        &[
            ("title", "h1"),
            ("link", "a[href]"),
            ("company", "h4"),
            ("location", "h4 + .row"),
            ("date", ".discreet"),
        ],
    ),
    (
        "netempregos_search",
        ".job-item",
        &[
            ("title", "h2 a"),
            ("link", "h2 a"),
            ("company", "li:has(.flaticon-work)"),
            ("location", "li:has(.flaticon-pin)"),
            ("date", "li:has(.flaticon-calendar)"),
        ],
    ),
    (
        "linkedin_guest_more",
        "li.result-card",
        &[
            ("title", "h3"),
            ("link", "a"),
            ("company", "h4"),
            ("location", ".job-result-card__location"),
            ("date", "time@datetime"),
        ],
    ),
    (
        "linkedin_guest_job",
        ".topcard",
        &[
            ("title", "h2"),
            ("link", "a:has(h2)"),
            ("company", ".topcard__org-name-link"),
            ("location", ".topcard__flavor--bullet"),
            ("date", ".posted-time-ago__text"),
        ],
    ),
    (
        "talentclue_",
        "html",
        &[
            ("title", "h1"),
            ("link", "link[rel=canonical]"),
            ("location", ".job-summary__row:has([src*=ic-location])"),
        ],
    ),
];

/// Recorded payloads that hold no posting for any of our readers, and why.
const LEFT: [(&str, &str); 4] = [
    ("jobscz_job_widget", "the posting is not in the page, a script loads it"),
    ("jobscz_widget_api", "the answer of that script's own API, for which there is no source"),
    ("peoplestrong_", "the page of an application; only its description tags say anything"),
    ("MANIFEST", "the table itself"),
];

/// What was checked over all payloads.
#[derive(Default)]
struct Tally {
    payloads: usize,
    checked: usize,
    unreachable: BTreeMap<&'static str, usize>,
    missed: Vec<String>,
    sources: BTreeMap<&'static str, usize>,
}

#[test]
fn every_recorded_payload_yields_its_facts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata");
    if !folder.is_dir() {
        println!("LEFT OUT: recorded sources: no ../shared/realdata beside the workspace");
        return;
    }
    let mut tally = Tally::default();
    for kind in ["ats", "boards", "html"] {
        let manifest = fs::read_to_string(folder.join(kind).join("MANIFEST.tsv"));
        let manifest = manifest.expect("a folder of recorded payloads has a manifest");
        for row in manifest.lines().skip(1) {
            let row: Vec<&str> = row.split('\t').collect();
            check_payload(&folder.join(kind).join(row[0]), &row, &mut tally);
        }
    }
    println!("recorded sources: {:?}", tally.sources);
    for (fact, reason) in UNREACHABLE {
        let count = tally.unreachable.get(fact).unwrap_or(&0);
        println!("recorded facts without a place: {count} `{fact}`: {reason}");
    }
    println!(
        "recorded sources: {} kinds, {} payloads, {} facts checked, {} facts missed",
        tally.sources.len(),
        tally.payloads,
        tally.checked,
        tally.missed.len()
    );
    assert!(tally.missed.is_empty(), "{}", tally.missed.join("\n"));
    assert!(tally.checked > 100, "only {} facts were checked", tally.checked);
}

/// What the table of career boards calls kinds of ours.
const SYSTEMS: [(&str, SourceKind); 13] = [
    ("workday", SourceKind::Workday),
    ("workable", SourceKind::Workable),
    ("smartrecruiters", SourceKind::SmartRecruiters),
    ("recruitee", SourceKind::Recruitee),
    ("pinpoint", SourceKind::Pinpoint),
    ("personio", SourceKind::Personio),
    ("oracle_hcm", SourceKind::Oracle),
    ("lever", SourceKind::Lever),
    ("join", SourceKind::Join),
    ("greenhouse", SourceKind::Greenhouse),
    ("ashby", SourceKind::Ashby),
    ("rippling", SourceKind::Rippling),
    ("breezy", SourceKind::Breezy),
];

#[test]
fn the_address_of_a_recorded_board_tells_its_system() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/realdata/listings");
    let Ok(table) = fs::read_to_string(folder.join("career_boards_url_kind.csv")) else {
        println!("LEFT OUT: recorded boards: no ../shared/realdata beside the workspace");
        return;
    };
    let (mut told, mut silent, mut wrong) = (0, Vec::new(), Vec::new());
    for row in table.lines().skip(1) {
        let mut columns = row.split(',').skip(2);
        let (Some(address), Some(system)) = (columns.next(), columns.next()) else { continue };
        let Some((_, kind)) = SYSTEMS.iter().find(|(name, _)| *name == system) else { continue };
        let Ok(url) = Url::parse(address) else { continue };
        match rhubarb_scrape::find::by_address(&url) {
            Some(found) if found.config.kind == *kind => told += 1,
            Some(found) => wrong.push(format!("{address}: {} for {system}", found.why)),
            None => silent.push(address),
        }
    }
    println!("recorded boards: {told} told by their address, {} not: {silent:?}", silent.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(told > 100, "only {told} boards were told");
}

fn check_payload(file: &Path, row: &[&str], tally: &mut Tally) {
    let Some((kind, parsed)) = read(file, row) else { return };
    *tally.sources.entry(kind).or_default() += 1;
    tally.payloads += 1;
    let mut expect = |right: bool, fact: String| {
        tally.checked += 1;
        if !right {
            tally.missed.push(format!("{}: {fact}", row[0]));
        }
    };
    expect(parsed.skipped.is_empty(), format!("nothing is skipped, not {:?}", parsed.skipped));
    if let Some(count) = count(row) {
        let got = parsed.listings.len();
        expect(got == count, format!("{count} records, not {got}"));
    }
    let mut listing = parsed.listings.first();
    for record in row[9].split(" || ") {
        let facts = facts(record);
        let title = facts.iter().find(|(key, _)| *key == "title").map(|(_, title)| title);
        if title.is_some() || facts.iter().any(|(key, _)| *key == "id") {
            // Postings with one title are told apart by the other facts.
            let right =
                |one: &&Listing| facts.iter().filter(|(key, value)| has(one, key, value)).count();
            let of_title = |one: &&Listing| title.is_none_or(|title| titled(one, title));
            listing = parsed.listings.iter().filter(of_title).max_by_key(right);
        }
        for (key, value) in facts {
            if let Some((name, _)) = UNREACHABLE.iter().find(|(name, _)| *name == key) {
                *tally.unreachable.entry(name).or_default() += 1;
                continue;
            }
            tally.checked += 1;
            if !listing.is_some_and(|listing| has(listing, key, &value)) {
                tally.missed.push(format!("{}: {key}={value}, in {listing:?}", row[0]));
            }
        }
    }
}

/// Returns what our reader for this file makes of it; nothing for kinds that are not read yet.
fn read(file: &Path, row: &[&str]) -> Option<(&'static str, Parsed)> {
    let name = row[0];
    if LEFT.iter().any(|(start, _)| name.starts_with(start)) {
        return None;
    }
    let bytes = fs::read(file).expect("a payload in the manifest exists");
    let body = charset::decode(&bytes, None, None);
    let parser = PARSERS.iter().find(|(start, _)| name.starts_with(start));
    let of_board = ["join_", "workday_nvidia_list"].iter().any(|start| name.starts_with(start));
    let recorded = row[4].find("https://").and_then(|at| row[4][at..].split(' ').next());
    let recorded = recorded.filter(|_| of_board).and_then(|url| Url::parse(url).ok());
    let context = Context { page: recorded.unwrap_or_else(|| address(row[9])), ..context() };
    if let Some((start, parse)) = parser {
        return Some((start, parse(&body, &context).expect("a recorded payload is read")));
    }
    if let Some((start, read, id)) = DETAILS.iter().find(|(start, ..)| name.starts_with(start)) {
        let mut listing = Listing { external_id: (*id).to_owned(), ..Listing::default() };
        read(&body, &context, &mut listing).expect("a recorded posting is read");
        return Some((start, Parsed { listings: vec![listing], ..Parsed::default() }));
    }
    let (start, item, fields) = PAGES.iter().find(|(start, ..)| name.starts_with(start))?;
    let picks = html::Picks::new(&selected(item, fields)).expect("the selectors are valid");
    let parsed = html::parse_list(&body, &picks, &context).expect("a recorded page is read");
    Some((start, parsed))
}

/// Returns an address on the host of the facts' first one, but never that one: it has to be in the
/// payload.
fn address(facts: &str) -> Url {
    let url = facts.split("url=").nth(1).and_then(|rest| rest.split([' ', ';']).next());
    let url = url.and_then(|url| Url::parse(url).ok()).and_then(|url| url.join("/page").ok());
    url.unwrap_or_else(|| context().page)
}

fn context() -> Context {
    let page = Url::parse("http://host.invalid/page").expect("a fixed address");
    Context::new("recorded", "", &page, "2026-11-23T12:00:00Z".parse().expect("a fixed time"))
}

fn selected(item: &str, fields: &[(&str, &str)]) -> SourceConfig {
    let field = |name| {
        let of = |(field, css): &&(&str, &str)| (*field == name).then(|| (*css).to_owned());
        fields.iter().find_map(|pair| of(&pair))
    };
    SourceConfig {
        name: "recorded".into(),
        selectors: Selectors {
            item: item.to_owned(),
            title: field("title"),
            link: field("link"),
            company: field("company"),
            location: field("location"),
            salary: field("salary"),
            date: field("date"),
            tags: field("tags"),
            next_page: field("next_page"),
            empty: None,
            detail: BTreeMap::new(),
        },
        ..SourceConfig::new(SourceKind::Html)
    }
}

/// The manifest counts RemoteOK's legal notice as a record.
fn count(row: &[&str]) -> Option<usize> {
    let count: usize = row[5].parse().ok()?;
    Some(if row[0].starts_with("remoteok_") { count - 1 } else { count })
}

/// Splits `title=A; company=B (how it was read); words`.
fn facts(record: &str) -> Vec<(&str, String)> {
    let record = record.split_once("JSON-LD: ").map_or(record, |(_, rest)| rest);
    let record = record.split_once("@graph: ").map_or(record, |(_, rest)| rest);
    let fact = |part: &'_ str| -> Option<(usize, String)> {
        let (key, value) = part.split_once('=')?;
        let notes = [
            " (only",
            " (href",
            " (Créé le",
            " (parameter",
            " (min_cents",
            " (the single",
            " (legal entity",
            " (a count",
            " (copy suffix",
            " (trailing",
            " (relative to",
            " (text ",
            " (flex field",
            " (hour without",
            " (strings in",
            " (both in",
            " (the amount",
            " (same title",
            " (two places",
            " (generator",
            " (the number in",
            " (fields missing",
            " (empty",
            " (locationType",
            " (isRemote",
            " (is_remote",
            " (tags6",
            " (the company",
            " (a frequency",
            " (worldwide",
            " (after the label",
            " (through",
            " (inferred",
            " (each row",
            " is filled although",
        ];
        let value = notes
            .iter()
            .fold(value, |value, note| value.split_once(note).map_or(value, |(value, _)| value));
        Some((key.len(), value.trim().to_owned()))
    };
    record
        .split("; ")
        .map(|part| {
            let known = fact(part).map(|(end, value)| (&part[..end], value));
            let known = known.map(|(key, value)| match key.split_once(' ') {
                Some(("postings", _)) => ("postings", value),
                _ => (key, value),
            });
            known.unwrap_or(("notes", part.to_owned()))
        })
        .collect()
}

fn titled(listing: &Listing, title: &str) -> bool {
    let title = text::line(title);
    listing.title == title || format!("{}: {}", listing.company, listing.title) == title
}

fn has(listing: &Listing, key: &str, value: &str) -> bool {
    let same = |field: &Option<String>| field.as_deref().unwrap_or_default() == text::line(value);
    let date = |value: &str| dates::text(value, DateOrder::DayFirst, context().now);
    let day = |date: Option<String>| date.map(|date| date[..19].to_owned());
    match key {
        "title" | "h1" => titled(listing, value),
        "company" if value == "(empty)" => listing.company.is_empty(),
        "company" => {
            let company = text::line(value);
            listing.company == company || listing.company.ends_with(&format!("– {company}"))
        }
        "location" if value == "(empty)" => listing.location.is_none(),
        "location" if value.ends_with(" Locations") => listing.location.is_none(),
        "location" | "address" => placed(listing, value),
        "url" => listing.url == value || value.starts_with('/') && listing.url.ends_with(value),
        "date" => {
            let value = value.rsplit_once(" = ").map_or(value, |(_, iso)| iso);
            let value = value.trim_start_matches("Posted ");
            day(listing.posted_at.clone()) == day(date(value)) && listing.posted_at.is_some()
        }
        "age" => listing.posted_at.is_some() && listing.posted_at == date(value),
        "workplace" if value == "not stated" => listing.workplace.is_none(),
        "workplace" => {
            let bare = |word: &str| word.to_lowercase().replace(['-', '_'], "");
            listing.workplace.as_deref().map(bare) == Some(bare(value))
        }
        "locationType" => value == "TELECOMMUTE" && listing.is_remote == Some(true),
        "id" => listing.external_id == value,
        "location starts with" => {
            listing.location.as_deref().is_some_and(|place| place.starts_with(value))
        }
        "salary" | "salary text" => pays(listing, value),
        "employment_type" => kinds(value).contains(&listing.employment_type.as_deref()),
        "remote" if value == "True" => listing.is_remote == Some(true),
        "remote" if value == "False" => listing.is_remote == Some(false),
        "remote" => listing.is_remote.is_none() || value == "ONSITE/REMOTE",
        "department" => same(&listing.job_function) || listing.company == value,
        "language" => {
            let language = listing.language.as_deref().unwrap_or_default();
            language.eq_ignore_ascii_case(value)
        }
        "region" => same(&listing.state),
        "locations" => value.split(" + ").all(|place| placed(listing, place)),
        "path" => listing.url.ends_with(value),
        "ref" => listing.external_id == value.rsplit('/').next().unwrap_or_default(),
        "apply_url" => listing.apply_url.as_deref() == Some(value),
        "description" => true,
        "city" => same(&listing.city),
        "country" => same(&listing.country),
        _ => false,
    }
}

/// Tells whether the listing's pay is what a fact says.
fn pays(listing: &Listing, value: &str) -> bool {
    let text = listing.salary_display.as_deref().unwrap_or_default();
    let ours = [listing.salary_min, listing.salary_max].into_iter().flatten();
    if value.starts_with("none") {
        return if value == "none" { listing.salary_min.is_none() } else { text.is_empty() };
    }
    if let (false, Some((amounts, period))) = (text == value, value.split_once(" per ")) {
        let numbers: Vec<f64> =
            amounts.split(' ').filter_map(|number| number.parse().ok()).collect();
        // What cannot be a salary is dropped, never its text.
        let said = numbers.iter().all(|number| text.contains(&number.to_string()));
        let dropped = listing.salary_min.is_none() && said;
        return ours.eq(numbers) && listing.salary_period.as_deref() == Some(period) || dropped;
    }
    if value.contains(" to ") {
        let of = |bound: Option<f64>| bound.unwrap_or_default().to_string();
        let currency = listing.salary_currency.as_deref().unwrap_or_default();
        return value
            == format!("{} to {} {currency}", of(listing.salary_min), of(listing.salary_max));
    }
    bare(text) == bare(value)
}

/// The employment types that a fact's words may mean.
fn kinds(value: &str) -> Vec<Option<&'static str>> {
    let value = value.to_lowercase().replace(['-', '_', ' '], "");
    let known = [
        ("full", "full_time"),
        ("part", "part_time"),
        ("contract", "contract"),
        ("intern", "internship"),
        ("other", "other"),
        ("permanent", "full_time"),
    ];
    let mut kinds: Vec<_> = known
        .iter()
        .filter(|(word, _)| value.contains(word))
        .map(|(_, kind)| Some(*kind))
        .collect();
    // A word such as "employee" says nothing.
    if kinds.is_empty() {
        kinds.push(None);
    }
    kinds
}

/// Every part of the place has to be there; a part without a letter (`-`) says nothing.
fn placed(listing: &Listing, value: &str) -> bool {
    let fields = [&listing.location, &listing.city, &listing.state, &listing.country];
    let known: Vec<String> = fields.iter().filter_map(|f| f.as_deref()).map(bare).collect();
    let parts = value.split(", ").map(|part| part.trim_matches(['[', ']', '\'', ' ']));
    let mut parts = parts.filter(|part| part.chars().any(char::is_alphabetic));
    parts.all(|part| known.iter().any(|known| known.contains(&bare(part))))
}

fn bare(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
