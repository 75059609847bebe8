//! Which kind of source an address tells of.

use url::Url;

use super::Candidate;
use crate::config::SourceKind;

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

/// Greenhouse's two regions.
const GREENHOUSE: [&str; 2] = [".greenhouse.io", ".eu.greenhouse.io"];

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
pub fn by_address(url: &Url) -> Option<Candidate> {
    let host = url.host_str()?.to_ascii_lowercase();
    let bare = host.trim_start_matches("www.");
    let path: Vec<&str> = url.path_segments()?.filter(|segment| !segment.is_empty()).collect();
    if let Some((_, kind)) = SITES.iter().find(|(site, _)| *site == bare) {
        return Some(Candidate::new(*kind, format!("its address is that of {}", kind.label())));
    }
    on_path(&host, &path, url)
        .or_else(|| on_workday(&host, &path))
        .or_else(|| on_oracle(&host, &path))
        .or_else(|| on_subdomain(&host))
}

fn board(kind: SourceKind, board: &str) -> Option<Candidate> {
    let board = percent_decoded(board);
    let plain = !board.is_empty() && !is_the_services_own(&board);
    let why = format!("its address is that of a {} board", kind.label());
    plain.then(|| Candidate::board(kind, &board, &why))
}

/// Tells whether a part of a service's addresses is its own and no customer's.
fn is_the_services_own(part: &str) -> bool {
    let part = part.to_ascii_lowercase();
    part.starts_with(['_', '.'])
        || OWN.contains(&&part[..])
        || ["assets", "cdn", "static", "attachments"]
            .iter()
            .any(|of| part.split(['-', '.']).any(|word| word == *of) && part.contains(['-', '.']))
}

/// What services have under their own names, in hosts and paths.
const OWN: [&str; 42] = [
    "www",
    "api",
    "app",
    "apply",
    "assets",
    "auth",
    "blog",
    "cdn",
    "community",
    "dashboard",
    "developer",
    "developers",
    "docs",
    "embed",
    "favicon.ico",
    "go",
    "help",
    "hello",
    "images",
    "img",
    "info",
    "js",
    "legal",
    "login",
    "marketing",
    "marketplace",
    "media",
    "oneclick-ui",
    "pages",
    "partners",
    "privacy",
    "resources",
    "robots.txt",
    "scripts",
    "secure",
    "signup",
    "sso",
    "static",
    "status",
    "support",
    "widget",
    "widgets",
];

fn percent_decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Boards that are named in the path, or in a parameter of what is embedded.
fn on_path(host: &str, path: &[&str], url: &Url) -> Option<Candidate> {
    let after = |name: &str| {
        let at = path.iter().position(|part| *part == name)?;
        path.get(at + 1).copied()
    };
    let parameter = |name: &str| {
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let first = path.first().copied().filter(|part| *part != "embed" && *part != "api");
    let greenhouse = ["boards", "job-boards", "boards-api", "api"]
        .iter()
        .any(|of| host.strip_prefix(of).is_some_and(|rest| GREENHOUSE.contains(&rest)));
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
            let site = first.filter(|part| host.starts_with("apply") && *part != "j");
            board(SourceKind::Workable, after("accounts").or(site)?)
        }
        "jobs.smartrecruiters.com" | "careers.smartrecruiters.com" | "api.smartrecruiters.com" => {
            let named = after("companies").or_else(|| after("company")).or(first);
            let named = named.filter(|part| *part != "sr-jobs");
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
            Some(Candidate::new(SourceKind::HackerNews, "its address is that of Hacker News"))
        }
        _ => None,
    }
}

fn on_workday(host: &str, path: &[&str]) -> Option<Candidate> {
    let rest = match path {
        ["wday", "cxs", _, rest @ ..] => rest,
        [language, rest @ ..] if is_language(language) => rest,
        rest => rest,
    };
    if let Some(board) = host.strip_suffix(".myworkdayjobs.com") {
        let site = rest.first()?;
        let why = "its address is that of a Workday site";
        return Some(Candidate::board(SourceKind::Workday, board, why).site(site));
    }
    host.strip_suffix(".myworkdaysite.com")?;
    let ["recruiting", tenant, site, ..] = rest else { return None };
    let why = "its address is that of a Workday site";
    let mut found = Candidate::board(SourceKind::Workday, tenant, why).site(site);
    found.config.base_url = Some(format!("https://{host}").as_str().into());
    Some(found)
}

/// `en-US`, `de`.
fn is_language(part: &str) -> bool {
    let mut parts = part.split('-');
    let letters = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_alphabetic());
    parts.next().is_some_and(letters) && parts.all(letters)
}

fn on_oracle(host: &str, path: &[&str]) -> Option<Candidate> {
    let board = host.strip_suffix(".oraclecloud.com")?;
    let at = path.iter().position(|part| *part == "sites")?;
    let why = "its address is that of an Oracle HCM site";
    Some(Candidate::board(SourceKind::Oracle, board, why).site(path.get(at + 1)?))
}

fn on_subdomain(host: &str) -> Option<Candidate> {
    let (suffix, kind) = SUBDOMAINS.iter().find(|(suffix, _)| host.ends_with(suffix))?;
    board(*kind, host.strip_suffix(suffix)?)
}
