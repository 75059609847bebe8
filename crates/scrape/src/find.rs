//! Which kind of source reads a careers page: told by its address, or by what stands in it.

use rhubarb_core::config::{PathSettings, SourceConfig, SourceKind};
use serde_json::Value;
use url::Url;

use crate::{
    budget::Budget,
    embedded, jsonld, record,
    source::{Context, ParseError},
};

/// A source that reads the page, and how that is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The source's configuration; other settings are at their defaults.
    pub config: SourceConfig,
    /// What tells so, as a clause: "its address is that of a Lever board".
    pub why: String,
}

impl Found {
    fn new(kind: SourceKind, why: impl Into<String>) -> Self {
        let config = SourceConfig::new(kind);
        Self { config, why: why.into() }
    }

    fn board(kind: SourceKind, board: &str, why: &str) -> Self {
        let mut found = Self::new(kind, why);
        found.config.name = format!("{}:{board}", kind.name());
        found.config.board = Some(board.to_owned());
        found
    }

    fn site(mut self, site: &str) -> Self {
        self.config.name = format!("{}:{site}", self.config.name);
        self.config.site = Some(site.to_owned());
        self
    }

    fn urls(kind: SourceKind, url: &Url, why: impl Into<String>) -> Self {
        let mut found = Self::new(kind, why);
        found.config.name = named(url);
        found.config.urls = vec![url.as_str().into()];
        found
    }

    /// Returns what to paste into the configuration.
    pub fn toml(&self) -> String {
        let mut lines = vec!["[[sources]]".to_owned()];
        let mut set = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                lines.push(format!("{name} = {}", quoted(value)));
            }
        };
        let config = &self.config;
        set("type", Some(config.kind.name()));
        let plain = config.board.as_ref().map(|board| format!("{}:{board}", config.kind.name()));
        let usual = config.name == config.kind.name() || plain.as_ref() == Some(&config.name);
        set("name", Some(config.name.as_str()).filter(|_| !usual));
        set("board", config.board.as_deref());
        set("site", config.site.as_deref());
        set("base_url", config.base_url.as_ref().map(|url| url.expose()));
        set("company", config.company.as_deref());
        set("script", config.script.as_deref());
        set("pattern", config.pattern.as_deref());
        if !config.urls.is_empty() {
            let urls: Vec<String> = config.urls.iter().map(|url| quoted(url.expose())).collect();
            lines.push(format!("urls = [{}]", urls.join(", ")));
        }
        let paths = &config.paths;
        if *paths != PathSettings::default() {
            lines.push(String::new());
            lines.push("[sources.paths]".to_owned());
            let fields = [
                ("items", Some(&paths.items)),
                ("id", paths.id.as_ref()),
                ("title", paths.title.as_ref()),
                ("link", paths.link.as_ref()),
                ("company", paths.company.as_ref()),
                ("location", paths.location.as_ref()),
                ("date", paths.date.as_ref()),
                ("description", paths.description.as_ref()),
            ];
            let given = fields.into_iter().filter_map(|(name, path)| Some((name, path?)));
            lines.extend(given.map(|(name, path)| format!("{name} = {}", quoted(path))));
        }
        lines.join("\n") + "\n"
    }
}

/// Returns a basic string of TOML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns the name of a source that has no board: its host without what all have.
fn named(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_start_matches("www.").to_owned()
}

/// Hosts of which the part before names the board.
const SUBDOMAINS: [(&str, SourceKind); 10] = [
    (".recruitee.com", SourceKind::Recruitee),
    (".na.teamtailor.com", SourceKind::Teamtailor),
    (".teamtailor.com", SourceKind::Teamtailor),
    (".jobs.personio.de", SourceKind::Personio),
    (".jobs.personio.com", SourceKind::Personio),
    (".breezy.hr", SourceKind::Breezy),
    (".bamboohr.com", SourceKind::BambooHr),
    (".pinpointhq.com", SourceKind::Pinpoint),
    (".icims.com", SourceKind::Icims),
    (".workable.com", SourceKind::Workable),
];

/// Sites of which there is one.
const SITES: [(&str, SourceKind); 6] = [
    ("remoteok.com", SourceKind::RemoteOk),
    ("weworkremotely.com", SourceKind::WeWorkRemotely),
    ("arbeitnow.com", SourceKind::Arbeitnow),
    ("remotive.com", SourceKind::Remotive),
    ("himalayas.app", SourceKind::Himalayas),
    ("jobicy.com", SourceKind::Jobicy),
];

/// Tells by the address alone.
pub fn by_address(url: &Url) -> Option<Found> {
    let host = url.host_str()?.to_ascii_lowercase();
    let bare = host.trim_start_matches("www.");
    let path: Vec<&str> = url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    if let Some((_, kind)) = SITES.iter().find(|(site, _)| *site == bare) {
        return Some(Found::new(*kind, format!("its address is that of {}", kind.label())));
    }
    on_path(&host, &path, url)
        .or_else(|| on_workday(&host, &path))
        .or_else(|| on_oracle(&host, &path))
        .or_else(|| on_subdomain(&host))
}

fn board(kind: SourceKind, board: &str) -> Option<Found> {
    let board = percent_decoded(board);
    let plain =
        !board.is_empty() && !matches!(&board[..], "www" | "api" | "apply" | "embed" | "static");
    let why = format!("its address is that of a {} board", kind.label());
    plain.then(|| Found::board(kind, &board, &why))
}

fn percent_decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Boards that are named in the path, or in a parameter of what is embedded.
fn on_path(host: &str, path: &[&str], url: &Url) -> Option<Found> {
    let after = |name: &str| {
        let at = path.iter().position(|part| *part == name)?;
        path.get(at + 1).copied()
    };
    let parameter = |name: &str| {
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let first = path.first().copied().filter(|part| *part != "embed" && *part != "api");
    let greenhouse = host.ends_with(".greenhouse.io");
    match host {
        _ if greenhouse => {
            let named = parameter("for").or_else(|| parameter("board"));
            let named = named.or_else(|| after("boards").or(first).map(str::to_owned))?;
            board(SourceKind::Greenhouse, &named)
        }
        "jobs.lever.co" | "api.lever.co" => board(SourceKind::Lever, after("postings").or(first)?),
        "jobs.eu.lever.co" | "api.eu.lever.co" => {
            let mut found = board(SourceKind::Lever, after("postings").or(first)?)?;
            found.config.base_url = Some("https://api.eu.lever.co".into());
            Some(found)
        }
        "jobs.ashbyhq.com" | "api.ashbyhq.com" => {
            board(SourceKind::Ashby, after("job-board").or(first)?)
        }
        "apply.workable.com" | "www.workable.com" => {
            let named = after("accounts").or(first).filter(|part| *part != "j");
            board(SourceKind::Workable, named?)
        }
        "jobs.smartrecruiters.com" | "careers.smartrecruiters.com" | "api.smartrecruiters.com" => {
            let named = after("companies").or(first).filter(|part| *part != "sr-jobs");
            board(SourceKind::SmartRecruiters, named?)
        }
        "ats.rippling.com" | "api.rippling.com" => {
            let language =
                first.filter(|part| part.len() == 2 || part.contains('-') && part.len() == 5);
            let named = match language {
                Some(_) if path.len() > 1 && path[1] != "jobs" => path.get(1).copied(),
                _ => first,
            };
            board(SourceKind::Rippling, after("board").or(named)?)
        }
        "join.com" | "www.join.com" => board(SourceKind::Join, after("companies")?),
        "news.ycombinator.com" | "hn.algolia.com" => {
            Some(Found::new(SourceKind::HackerNews, "its address is that of Hacker News"))
        }
        _ => None,
    }
}

fn on_workday(host: &str, path: &[&str]) -> Option<Found> {
    let rest = match path {
        ["wday", "cxs", _, rest @ ..] => rest,
        [language, rest @ ..] if is_language(language) => rest,
        rest => rest,
    };
    if let Some(board) = host.strip_suffix(".myworkdayjobs.com") {
        let site = rest.first()?;
        let why = "its address is that of a Workday site";
        return Some(Found::board(SourceKind::Workday, board, why).site(site));
    }
    host.strip_suffix(".myworkdaysite.com")?;
    let ["recruiting", tenant, site, ..] = rest else { return None };
    let why = "its address is that of a Workday site";
    let mut found = Found::board(SourceKind::Workday, tenant, why).site(site);
    found.config.base_url = Some(format!("https://{host}").as_str().into());
    Some(found)
}

/// `en-US`, `de`.
fn is_language(part: &str) -> bool {
    let mut parts = part.split('-');
    let letters = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_alphabetic());
    parts.next().is_some_and(letters) && parts.all(letters)
}

fn on_oracle(host: &str, path: &[&str]) -> Option<Found> {
    let board = host.strip_suffix(".oraclecloud.com")?;
    let at = path.iter().position(|part| *part == "sites")?;
    let why = "its address is that of an Oracle HCM site";
    Some(Found::board(SourceKind::Oracle, board, why).site(path.get(at + 1)?))
}

fn on_subdomain(host: &str) -> Option<Found> {
    let (suffix, kind) = SUBDOMAINS.iter().find(|(suffix, _)| host.ends_with(suffix))?;
    board(*kind, host.strip_suffix(suffix)?)
}

/// Tells by what stands in the page, the best first.
///
/// # Errors
/// The page takes too much to read.
pub fn in_page(body: &str, page: &Url, now: jiff::Timestamp) -> Result<Vec<Found>, ParseError> {
    let mut all = embedded_boards(body);
    if body.contains("/j2w/") || body.contains("successfactors.") || body.contains("jobs2web.com") {
        let mut found =
            Found::new(SourceKind::SuccessFactors, "the page is made by SuccessFactors");
        found.config.name = named(page);
        found.config.base_url = Some(page.origin().ascii_serialization().as_str().into());
        all.push(found);
    }
    let context = Context::new("find", "", page, now);
    let postings = jsonld::postings(body, &context)?.listings.len();
    if postings > 0 {
        let why = format!("the page has {postings} postings as JSON-LD");
        all.push(Found::urls(SourceKind::JsonLd, page, why));
    }
    all.extend(feeds(body, page));
    let data = embedded::next_data(body, &context.budget).ok();
    if let Some(paths) = data.and_then(|root| guess(&root, &context.budget)) {
        let why = format!("the page's data has a list of postings at `{}`", paths.items);
        let mut found = Found::urls(SourceKind::Json, page, why);
        found.config.script = Some("script#__NEXT_DATA__".to_owned());
        found.config.paths = paths;
        all.push(found);
    }
    let mut kept: Vec<Found> = Vec::new();
    for found in all {
        if !kept.iter().any(|known| known.config == found.config) {
            kept.push(found);
        }
    }
    Ok(kept)
}

/// Reads JSON that an address answers with: which list in it are postings.
pub fn in_json(body: &str, page: &Url) -> Option<Found> {
    let budget = Budget::unlimited();
    let paths = guess(&record::json(body, &budget).ok()?.value, &budget)?;
    let why = format!("it answers JSON with a list of postings at `{}`", paths.items);
    let mut found = Found::urls(SourceKind::Json, page, why);
    found.config.paths = paths;
    Some(found)
}

/// Tells a feed by what an address answers with.
pub fn in_feed(body: &str, page: &Url) -> Option<Found> {
    let start = body.trim_start_matches('\u{feff}').trim_start();
    let is_xml = ["<?xml", "<rss", "<feed", "<rdf"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let read = crate::sources::rss::parse(body, &Context::new("find", "", page, now));
    let n = read.ok().filter(|_| is_xml)?.listings.len();
    (n > 0).then(|| Found::urls(SourceKind::Rss, page, format!("it is a feed of {n} items")))
}

/// What a board's address in a page has in it.
const MARKS: [&str; 14] = [
    ".greenhouse.io/",
    ".lever.co/",
    ".ashbyhq.com/",
    "apply.workable.com/",
    ".smartrecruiters.com/",
    ".recruitee.com",
    ".teamtailor.com",
    ".jobs.personio.",
    ".breezy.hr",
    ".bamboohr.com",
    ".pinpointhq.com",
    "rippling.com/",
    "join.com/companies/",
    ".myworkdayjobs.com/",
];

/// Returns the boards whose addresses stand in links, frames and scripts of a page.
fn embedded_boards(body: &str) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for mark in MARKS {
        for (at, _) in body.match_indices(mark).take(50) {
            let Some(mut board) = address_around(body, at).and_then(|url| by_address(&url)) else {
                continue;
            };
            board.why = format!("a {} board stands in the page", board.config.kind.label());
            if !found.iter().any(|known| known.config == board.config) {
                found.push(board);
            }
        }
    }
    found
}

/// Returns the address that has this place in it.
fn address_around(body: &str, at: usize) -> Option<Url> {
    let ends =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | '\\' | '`');
    let start = body[..at].rfind(ends).map_or(0, |start| start + 1);
    let start = body.floor_char_boundary(start.max(at.saturating_sub(200)));
    let end = body[at..].find(ends).map_or(body.len(), |end| at + end);
    let text = body.get(start..end.min(start + 1_000))?.replace("&amp;", "&");
    let text = text.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let text = text.rsplit_once("//").map_or(text, |(_, rest)| rest);
    Url::parse(&format!("https://{text}")).ok()
}

/// Returns the feeds that a page names for readers.
fn feeds(body: &str, page: &Url) -> Vec<Found> {
    let mut found = Vec::new();
    for kind in ["application/rss+xml", "application/atom+xml"] {
        for (at, _) in body.match_indices(kind).take(10) {
            let start = body[..at].rfind('<').unwrap_or(at);
            let end = body[at..].find('>').map_or(body.len(), |end| at + end);
            let tag = &body[start..end];
            let href = tag.split("href=").nth(1).map(|rest| rest.trim_start_matches(['"', '\'']));
            let href = href.and_then(|rest| rest.split(['"', '\'', ' ', '>']).next());
            let url = href.and_then(|href| page.join(&href.replace("&amp;", "&")).ok());
            let jobs = |url: &Url| {
                let text = format!("{tag} {url}").to_lowercase();
                ["job", "career", "vacan", "stellen", "emploi", "position", "opening"]
                    .iter()
                    .any(|word| text.contains(word))
            };
            // A feed of news is none of postings.
            if let Some(url) = url.filter(jobs) {
                found.push(Found::urls(SourceKind::Rss, &url, "the page names a feed of postings"));
            }
        }
    }
    found
}

/// What fields of a posting are called, the most certain names first.
const TITLES: [&str; 7] =
    ["title", "jobTitle", "job_title", "name", "position", "text", "postingTitle"];
const LINKS: [&str; 10] = [
    "url",
    "absolute_url",
    "link",
    "href",
    "jobUrl",
    "job_url",
    "applyUrl",
    "apply_url",
    "path",
    "slug",
];
const IDS: [&str; 6] = ["id", "jobId", "job_id", "uuid", "reqId", "slug"];
const PLACES: [&str; 7] =
    ["location", "locationName", "location_name", "city", "locations", "office", "place"];
const DATES: [&str; 8] = [
    "datePosted",
    "publishedAt",
    "published_at",
    "postedAt",
    "posted_at",
    "createdAt",
    "created_at",
    "date",
];
const TEXTS: [&str; 3] = ["description", "descriptionHtml", "content"];

/// Returns the paths of the list that looks most like postings.
fn guess(root: &Value, budget: &Budget) -> Option<PathSettings> {
    let mut best: Option<(usize, PathSettings)> = None;
    let mut open = vec![(String::new(), root, 0)];
    while let Some((path, value, depth)) = open.pop() {
        budget.step().ok()?;
        if depth > 12 {
            continue;
        }
        let under =
            |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::Array(items) => {
                let known = best.as_ref().map_or(0, |(score, _)| *score);
                let better = scored(items, &path).filter(|(score, _)| *score > known);
                best = better.or(best);
                let first = items.first().into_iter();
                open.extend(first.map(|item| (under("0"), item, depth + 1)));
            }
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(name, value)| (under(name), value, depth + 1)));
            }
            _ => {}
        }
    }
    best.map(|(_, paths)| paths)
}

/// Rates a list: more fields that postings have, then more records.
fn scored(items: &[Value], path: &str) -> Option<(usize, PathSettings)> {
    let record = items.first()?.as_object()?;
    let key = |names: &'static [&'static str]| {
        names.iter().find(|name| record.get(**name).is_some_and(|v| !v.is_null())).copied()
    };
    let title = key(&TITLES).filter(|name| record[*name].is_string())?;
    let link = key(&LINKS).filter(|name| record[*name].is_string())?;
    let place = key(&PLACES);
    let (id, date, text) = (key(&IDS), key(&DATES), key(&TEXTS));
    let inner = |name: &str| match &record[name] {
        Value::Object(fields) => {
            let named = ["name", "label", "city", "text", "title"];
            named.iter().find(|n| fields.contains_key(**n)).map(|n| format!("{name}.{n}"))
        }
        Value::Array(list) if list.first().is_some_and(Value::is_object) => {
            Some(format!("{name}.*.name"))
        }
        _ => Some(name.to_owned()),
    };
    let fields = [place, date, text, id].iter().flatten().count();
    // Menus and footers are lists of titles and links too.
    let like_jobs = path.to_lowercase();
    let told = ["job", "posting", "position", "vacanc", "opening", "offer", "result"];
    let told = told.iter().any(|word| like_jobs.contains(word));
    if place.is_none() && date.is_none() && !told {
        return None;
    }
    let score = (fields + 2 * usize::from(told)) * 1_000 + items.len().min(999);
    let paths = PathSettings {
        items: path.to_owned(),
        id: id.map(str::to_owned),
        title: Some(title.to_owned()),
        link: Some(link.to_owned()),
        location: place.and_then(inner),
        date: date.map(str::to_owned),
        description: text.map(str::to_owned),
        ..PathSettings::default()
    };
    Some((score, paths))
}

/// Returns the sitemaps that a robots.txt names.
pub fn sitemaps(robots: &str) -> Vec<Url> {
    let named = robots.lines().take(5_000).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("sitemap").then(|| Url::parse(value.trim()).ok())?
    });
    named.take(20).collect()
}

/// Returns a source for a sitemap, where its addresses are mostly those of postings.
pub fn in_sitemap(body: &str, sitemap: &Url) -> Option<Found> {
    let read = crate::sources::sitemap::parse(body, &Budget::unlimited()).ok()?;
    let marks = [
        "/job/",
        "/jobs/",
        "/job-",
        "/careers/job",
        "/vacanc",
        "/position",
        "/stellen",
        "/offre",
        "/opening",
        "/karriere/",
    ];
    let count =
        |mark: &str| read.pages.iter().filter(|(address, _)| address.contains(mark)).count();
    let (n, mark) = marks.iter().map(|mark| (count(mark), *mark)).max_by_key(|(n, _)| *n)?;
    if n < 2 {
        return None;
    }
    let why = format!("its sitemap names {n} pages with `{mark}` in their addresses");
    let mut found = Found::urls(SourceKind::Sitemap, sitemap, why);
    found.config.pattern = Some(mark.to_owned());
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(address: &str) -> String {
        let found = by_address(&Url::parse(address).unwrap());
        found.map_or("nothing".to_owned(), |found| {
            let config = found.config;
            let site = config.site.map(|site| format!(" {site}")).unwrap_or_default();
            format!("{} {}{site}", config.kind.name(), config.board.unwrap_or_default())
        })
    }

    #[test]
    fn an_address_tells_its_kind_and_board() {
        let check = |address: &str, expect: &str| assert_eq!(told(address), expect, "{address}");
        check("https://boards.greenhouse.io/acme/jobs/1", "greenhouse acme");
        check("https://job-boards.eu.greenhouse.io/acme", "greenhouse acme");
        check("https://boards.greenhouse.io/embed/job_board?for=acme&b=x", "greenhouse acme");
        check("https://boards-api.greenhouse.io/v1/boards/acme/jobs", "greenhouse acme");
        check("https://jobs.lever.co/Acme%20Co/0f0e", "lever Acme Co");
        check("https://jobs.eu.lever.co/acme", "lever acme");
        check("https://jobs.ashbyhq.com/acme?utm=1", "ashby acme");
        check("https://apply.workable.com/acme/j/AB12/", "workable acme");
        check("https://apply.workable.com/j/AB12", "nothing");
        check("https://careers.smartrecruiters.com/Acme1", "smartrecruiters Acme1");
        check("https://acme.recruitee.com/o/cook", "recruitee acme");
        check("https://acme.na.teamtailor.com/jobs", "teamtailor acme");
        check("https://acme.jobs.personio.com/job/1?language=en", "personio acme");
        check("https://acme.breezy.hr/", "breezy acme");
        check("https://acme.bamboohr.com/careers", "bamboohr acme");
        check("https://acme.pinpointhq.com/", "pinpoint acme");
        check("https://ats.rippling.com/acme/jobs", "rippling acme");
        check("https://ats.rippling.com/en-GB/acme/jobs", "rippling acme");
        check("https://join.com/companies/acme/1-cook", "join acme");
        check(
            "https://acme.wd5.myworkdayjobs.com/en-US/External/job/x",
            "workday acme.wd5 External",
        );
        check("https://wd3.myworkdaysite.com/en-US/recruiting/acme/Jobs", "workday acme Jobs");
        check(
            "https://ab.fa.us6.oraclecloud.com/hcmUI/CandidateExperience/en/sites/CX_1/jobs",
            "oracle ab.fa.us6 CX_1",
        );
        check("https://careers-acme.icims.com/jobs/search", "icims careers-acme");
        check("https://remotive.com/remote-jobs", "remotive ");
        check("https://acme.example/careers", "nothing");
        check("https://www.recruitee.com/", "nothing");
    }

    #[test]
    fn a_page_tells_by_what_stands_in_it() {
        let page = Url::parse("https://acme.example/careers").unwrap();
        let kinds = |body: &str| -> Vec<String> {
            let found = in_page(body, &page, "2026-11-23T12:00:00Z".parse().unwrap()).unwrap();
            let told = found.into_iter().map(|f| {
                format!("{} {}", f.config.kind.name(), f.config.board.unwrap_or_default())
            });
            told.collect()
        };
        let check = |body: &str, expect: &[&str]| assert_eq!(kinds(body), expect, "{body}");
        check(
            "<script src='https://boards.greenhouse.io/embed/job_board/js?for=acme'></script>",
            &["greenhouse acme"],
        );
        check(
            "<a href=\"//jobs.lever.co/acme\">Jobs</a> <a href='https://jobs.lever.co/acme'>",
            &["lever acme"],
        );
        check(
            "var u=\"https:\\/\\/jobs.ashbyhq.com\\/acme\"; x('jobs.ashbyhq.com/acme/embed')",
            &["ashby acme"],
        );
        check("<link rel=alternate type=\"application/rss+xml\" href=\"/jobs.rss\">", &["rss "]);
        check(
            "<link rel=alternate type=\"application/rss+xml\" title=News href=\"/blog.rss\">",
            &[],
        );
        check("<script src=/platform/js/j2w/min/j2w.core.min.js></script>", &["successfactors "]);
        check("<p>We are hiring! Mail us.", &[]);
        let data = r#"{"props":{"pageProps":{"menu":[{"title":"Home","url":"/"}],"jobs":[{"id":1,"title":"Cook","slug":"cook","location":{"name":"Bonn"}}]}}}"#;
        let next =
            format!("<script id=\"__NEXT_DATA__\" type=\"application/json\">{data}</script>");
        check(&next, &["json "]);
    }

    #[test]
    fn what_was_found_is_toml_that_the_configuration_reads() {
        let page = Url::parse("https://acme.example/api/jobs").unwrap();
        let body = r#"{"data":{"jobs":[{"id":1,"name":"Co\"ok","url":"/1","location":{"city":"Bonn"},"createdAt":"2026-11-01"}]}}"#;
        let found = in_json(body, &page).unwrap();
        let config = rhubarb_core::config::Config::from_toml(&found.toml()).unwrap();
        assert_eq!(config.sources[0].paths.items, "data.jobs");
        assert_eq!(config.sources[0].paths.location.as_deref(), Some("location.city"));
        assert_eq!(config.sources[0].kind, SourceKind::Json);
        for address in
            ["https://acme.wd5.myworkdayjobs.com/External", "https://jobs.eu.lever.co/acme"]
        {
            let found = by_address(&Url::parse(address).unwrap()).unwrap();
            let config = rhubarb_core::config::Config::from_toml(&found.toml()).unwrap();
            assert_eq!(config.sources[0].board, found.config.board);
        }
    }

    #[test]
    fn sitemaps_are_found_in_robots_txt_and_judged_by_their_addresses() {
        let robots = "User-agent: *\nSITEMAP: https://acme.example/map.xml\nSitemap: nonsense";
        assert_eq!(sitemaps(robots)[0].as_str(), "https://acme.example/map.xml");
        let url = &sitemaps(robots)[0];
        let body = "<urlset><url><loc>https://a.test/job/1</loc></url><url><loc>https://a.test/job/2</loc></url></urlset>";
        assert_eq!(in_sitemap(body, url).unwrap().config.pattern.as_deref(), Some("/job/"));
        assert_eq!(in_sitemap("<urlset></urlset>", url), None);
    }
}
