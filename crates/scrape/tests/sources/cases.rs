//! Small answers of job sites with the right values, where they stand beside the workspace: each is
//! asked for over a socket, byte for byte, and read by the source that the case names.
//!
//! `RHUBARB_TEST_CASE=h1` prints what became of the cases whose name begins so.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Instant};

use jiff::{Timestamp, ToSpan, Unit, civil::Date, tz::TimeZone};
use rhubarb_scrape::{
    Query,
    config::ScrapeSettings,
    run::{ScrapeReport, Scraper},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// Cases that do not come out right yet, and nothing else: one that does has to leave this list.
const OPEN: &[&str] = &[];

/// One row of `cases.tsv`.
struct Case {
    name: String,
    kind: String,
    answer: Answer,
    settings: String,
    expected: String,
}

/// What a path of the site answers, from `cases.tsv` or `answers.tsv`.
struct Answer {
    path: String,
    /// Text that the request has to hold, a cookie for instance.
    when: Option<String>,
    /// The status; none for a file that is a whole answer.
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// The site that plays all cases at once.
struct Site {
    answers: Vec<Answer>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_case_of_the_job_sites_comes_out_as_a_person_needs_it() {
    let Some(folder) = folder() else {
        println!("LEFT OUT: scrape cases: no ../shared/cases/scrape beside the workspace");
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let cases: Vec<Case> =
        rows(&folder, "cases.tsv").iter().map(|row| Case::read(&folder, row, port)).collect();
    let asked: Vec<[String; 4]> = cases
        .iter()
        .map(|c| [&c.name, &c.kind, &c.settings, &c.expected].map(Clone::clone))
        .collect();
    let second = rows(&folder, "answers.tsv").into_iter().map(|row| second(&folder, &row, port));
    let answers = second.chain(cases.into_iter().map(|case| case.answer)).collect();
    let playing = tokio::spawn(play(listener, Arc::new(Site { answers })));

    #[expect(clippy::disallowed_methods, reason = "which cases to show is the test's own setting")]
    let shown = std::env::var("RHUBARB_TEST_CASE").ok();
    let (mut wrong, mut right) = (Vec::new(), Vec::new());
    for [name, kind, settings, expected] in &asked {
        let is_shown = shown.as_ref().is_some_and(|prefix| name.starts_with(prefix.as_str()));
        if shown.is_some() && !is_shown {
            continue;
        }
        let expected: Value = serde_json::from_str(expected).unwrap();
        let begun = Instant::now();
        let report = scrape(name, kind, settings).await;
        let problem = judge(&expected, &report, begun);
        if is_shown {
            println!("{name}: {}\n  {report:#?}", problem.as_deref().unwrap_or("right"));
        }
        match problem {
            Some(problem) => {
                wrong.push((name.as_str(), format!("{problem}: {}", expected["text"])))
            }
            None => right.push(name.as_str()),
        }
    }
    playing.abort();
    println!("{} cases right, {} open", right.len(), wrong.len());
    let new: Vec<_> = wrong.iter().filter(|(name, _)| !OPEN.contains(name)).collect();
    assert!(new.is_empty(), "{} cases came out wrong: {new:#?}", new.len());
    let mended: Vec<_> = right.iter().filter(|name| OPEN.contains(name)).collect();
    assert!(mended.is_empty(), "these come out right now; take them from OPEN: {mended:?}");
}

fn folder() -> Option<PathBuf> {
    let folder =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/cases/scrape"));
    folder.is_dir().then_some(folder)
}

fn rows(folder: &std::path::Path, file: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn filled(text: &str, port: u16) -> String {
    text.replace("{base}", &format!("http://127.0.0.1:{port}"))
        .replace("{base-localhost}", &format!("http://localhost:{port}"))
}

impl Case {
    fn read(folder: &std::path::Path, row: &[String], port: u16) -> Self {
        Self {
            name: row[0].clone(),
            kind: row[1].clone(),
            answer: answer(folder, &row[2], None, &row[3..6], port),
            settings: filled(&row[6], port),
            expected: filled(&row[7], port),
        }
    }
}

fn second(folder: &std::path::Path, row: &[String], port: u16) -> Answer {
    let when = row[2].strip_prefix("the request carries the cookie ").map(str::to_owned);
    answer(folder, &row[3], when, &row[4..7], port)
}

/// Makes an answer of the columns status, headers and file.
fn answer(
    folder: &std::path::Path,
    path: &str,
    when: Option<String>,
    columns: &[String],
    port: u16,
) -> Answer {
    let [status, headers, file] = columns else { panic!("three columns, not {columns:?}") };
    let mut body = match file.as_str() {
        "-" => Vec::new(),
        file => fs::read(folder.join("inputs").join(file)).unwrap(),
    };
    // Compressed bodies and other character sets stay as they are.
    if let Ok(text) = std::str::from_utf8(&body) {
        body = filled(text, port).into_bytes();
    }
    Answer {
        path: path.to_owned(),
        when,
        status: status.parse().ok(),
        headers: serde_json::from_str(&filled(headers, port)).unwrap(),
        body,
    }
}

async fn play(listener: TcpListener, site: Arc<Site>) {
    while let Ok((stream, _)) = listener.accept().await {
        let site = site.clone();
        tokio::spawn(async move { site.serve(stream).await });
    }
}

impl Site {
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            stream.read_buf(&mut head).await.ok().filter(|read| *read > 0)?;
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let target = head.split(' ').nth(1)?;
        let bytes = self.find(target, &head).map_or_else(not_found, Answer::bytes);
        stream.write_all(&bytes).await.ok()?;
        stream.shutdown().await.ok()
    }

    /// The answer with the target's own query first, then that of its path.
    fn find(&self, target: &str, head: &str) -> Option<&Answer> {
        let path = target.split('?').next()?;
        let fits = |answer: &&Answer, target: &str| {
            let is_open = answer.when.as_ref().is_none_or(|when| head.contains(when.as_str()));
            answer.path == target && is_open
        };
        let exact = self.answers.iter().find(|answer| fits(answer, target));
        exact.or_else(|| self.answers.iter().find(|answer| fits(answer, path)))
    }
}

impl Answer {
    fn bytes(&self) -> Vec<u8> {
        let Some(status) = self.status else { return self.body.clone() };
        let mut head = format!("HTTP/1.1 {status} OK\r\n");
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\nConnection: close\r\n\r\n", self.body.len()));
        [head.into_bytes(), self.body.clone()].concat()
    }
}

fn not_found() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
}

/// Scrapes the one source of a case as the worker would.
async fn scrape(name: &str, kind: &str, settings: &str) -> ScrapeReport {
    let settings: Value = serde_json::from_str(settings).unwrap();
    let mut source = format!("[[sources]]\ntype = {}\nname = {}\n", json!(kind), json!(name));
    for (key, value) in settings.as_object().unwrap() {
        source.push_str(&format!("{key} = {}\n", toml(value)));
    }
    let text = format!(
        "[scrape]\nmin_interval = \"0s\"\nobey_robots = false\nallow_private = [\"*\"]\n{source}"
    );
    let config =
        ScrapeSettings::from_toml(&text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
    let scraper = Scraper::new(&config.scrape, &config.sources).unwrap();
    let now = Timestamp::now();
    let query = Query::new(".", now);
    scraper.scrape(&query, &|_| {}).await
}

/// Writes a JSON value as TOML's inline form.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let field =
                |(key, value): (&String, &Value)| format!("{} = {}", json!(key), toml(value));
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        plain => plain.to_string(),
    }
}

/// Returns what is wrong, if anything: the expected outcome and its alternative `or` were compared.
fn judge(expected: &Value, report: &ScrapeReport, begun: Instant) -> Option<String> {
    let problem = compare(expected, report, begun)?;
    match expected.get("or") {
        Some(other) => compare(other, report, begun).map(|or| format!("{problem}, or {or}")),
        None => Some(problem),
    }
}

fn compare(expected: &Value, report: &ScrapeReport, begun: Instant) -> Option<String> {
    let source = report.sources[0].status();
    let state = source.status.to_string();
    if let Some(limit) = expected["within_ms"].as_u64()
        && begun.elapsed().as_millis() > u128::from(limit)
    {
        return Some(format!("not within {limit} ms"));
    }
    let told = format!("({state}: {})", source.error.unwrap_or_default());
    if !expected["state"].is_null() && !fits(&expected["state"], &json!(state)) {
        return Some(format!("state is not {}, it is {told}", expected["state"]));
    }
    let found: Vec<Value> =
        report.listings.iter().map(|l| serde_json::to_value(l).unwrap()).collect();
    if expected["n"].as_u64().is_some_and(|n| n != found.len() as u64) {
        return Some(format!("{} listings, not {} {told}", found.len(), expected["n"]));
    }
    let wanted = expected["fields"].as_array()?;
    let mut left: Vec<&Value> = found.iter().collect();
    for fields in wanted {
        let fits = |listing: &&Value| mismatch(fields, listing).is_none();
        match left.iter().position(fits) {
            Some(at) => drop(left.remove(at)),
            None => {
                let why = left.first().and_then(|listing| mismatch(fields, listing));
                return Some(why.unwrap_or_else(|| format!("no listing has {fields}")));
            }
        }
    }
    None
}

fn mismatch(fields: &Value, listing: &Value) -> Option<String> {
    fields.as_object().unwrap().iter().find_map(|(name, rule)| {
        let got = &listing[name];
        (!fits(rule, got)).then(|| format!("{name} is {got}, not {rule}"))
    })
}

/// Tells whether a value is as a rule of the README beside the cases says.
fn fits(rule: &Value, got: &Value) -> bool {
    let Some(rules) = rule.as_object() else { return is_equal(rule, got) };
    let text = got.as_str().unwrap_or_default();
    let holds = |part: &Value| text.contains(part.as_str().unwrap());
    rules.iter().all(|(name, rule)| {
        let all = || rule.as_array().unwrap().iter();
        match name.as_str() {
            "starts" => text.starts_with(rule.as_str().unwrap()),
            "has" => all().all(holds),
            "lacks" => !all().any(holds),
            "in" => all().any(|rule| fits(rule, got)),
            "not" => !all().any(|rule| fits(rule, got)),
            "days_ago" => is_days_ago(rule.as_i64().unwrap(), text),
            "latest" => text.starts_with(&latest(rule.as_str().unwrap()).to_string()),
            other => panic!("a rule that is not known: {other}"),
        }
    })
}

fn is_equal(expected: &Value, got: &Value) -> bool {
    let is_empty = |value: &Value| {
        value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty)
    };
    match (expected.as_f64(), got.as_f64()) {
        (Some(expected), Some(got)) => (expected - got).abs() < 1e-6,
        _ => expected == got || expected.is_null() && is_empty(got),
    }
}

fn today() -> Date {
    TimeZone::UTC.to_datetime(Timestamp::now()).date()
}

fn is_days_ago(days: i64, text: &str) -> bool {
    let Some(date) = text.get(..10).and_then(|day| day.parse::<Date>().ok()) else { return false };
    let apart = date.until((Unit::Day, today())).unwrap().get_days();
    (i64::from(apart) - days).abs() <= 1
}

/// Returns the last such day of a year (`11-05`) up to today.
fn latest(month_day: &str) -> Date {
    let this_year: Date = format!("{}-{month_day}", today().year()).parse().unwrap();
    if this_year <= today() { this_year } else { this_year - 1.year() }
}
