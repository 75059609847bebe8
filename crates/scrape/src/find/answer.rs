//! Which kind of source reads what an address answers with.

use url::Url;

use super::{Candidate, by_address, guess::guess, named, widgets};
use crate::{
    budget::Budget, config::SourceKind, context::Context, embedded, jsonld,
    parse_error::ParseError, record,
};

/// Tells by what stands in the page, the best first.
///
/// # Errors
/// The page takes too much to read.
pub fn in_page(body: &str, page: &Url, now: jiff::Timestamp) -> Result<Vec<Candidate>, ParseError> {
    // Addresses in scripts' strings have their slashes escaped.
    let plain = body.replace("\\/", "/").replace("\\u002F", "/");
    let mut all = embedded_boards(&plain);
    all.extend(widgets::named(&plain));
    all.extend(widgets::made_by(&plain, page));
    if body.contains("/j2w/") || body.contains("successfactors.") || body.contains("jobs2web.com") {
        let mut found =
            Candidate::new(SourceKind::SuccessFactors, "the page is made by SuccessFactors");
        found.config.name = named(page);
        found.config.base_url = Some(page.origin().ascii_serialization().as_str().into());
        all.push(found);
    }
    let context = Context::new("find", "", page, now);
    let postings = jsonld::postings(body, &context)?.listings.len();
    if postings > 0 {
        let why = format!("the page has {postings} postings as JSON-LD");
        all.push(Candidate::urls(SourceKind::JsonLd, page, why));
    }
    all.extend(feeds(body, page));
    let data = embedded::next_data(body, &context.budget).ok();
    if let Some(paths) = data.and_then(|root| guess(&root, &context.budget)) {
        let why = format!("the page's data has a list of postings at `{}`", paths.items);
        let mut found = Candidate::urls(SourceKind::Json, page, why);
        found.config.script = Some("script#__NEXT_DATA__".to_owned());
        found.config.paths = paths;
        all.push(found);
    }
    let mut kept: Vec<Candidate> = Vec::new();
    for found in all {
        if !kept.iter().any(|known| known.config == found.config) {
            kept.push(found);
        }
    }
    Ok(kept)
}

/// Reads JSON that an address answers with: which list in it are postings.
pub fn in_json(body: &str, page: &Url) -> Option<Candidate> {
    let budget = Budget::unlimited();
    let paths = guess(&record::json(body, &budget).ok()?.value, &budget)?;
    let why = format!("it answers JSON with a list of postings at `{}`", paths.items);
    let mut found = Candidate::urls(SourceKind::Json, page, why);
    found.config.paths = paths;
    Some(found)
}

/// Tells a feed by what an address answers with.
pub fn in_feed(body: &str, page: &Url) -> Option<Candidate> {
    let start = body.trim_start_matches('\u{feff}').trim_start();
    let is_xml = ["<?xml", "<rss", "<feed", "<rdf"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag)));
    let now = jiff::Timestamp::UNIX_EPOCH;
    let read = crate::sources::rss::parse(body, &Context::new("find", "", page, now));
    let n = read.ok().filter(|_| is_xml)?.listings.len();
    (n > 0).then(|| Candidate::urls(SourceKind::Rss, page, format!("it is a feed of {n} items")))
}

/// What a board's address in a page has in it.
const MARKS: [&str; 18] = [
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
    ".workable.com/",
    ".icims.com/",
    ".oraclecloud.com/hcmUI/",
    ".myworkdaysite.com/",
];

/// Returns the boards whose addresses stand in links, frames and scripts of a page.
fn embedded_boards(body: &str) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
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
fn feeds(body: &str, page: &Url) -> Vec<Candidate> {
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
                found.push(Candidate::urls(
                    SourceKind::Rss,
                    &url,
                    "the page names a feed of postings",
                ));
            }
        }
    }
    found
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
pub fn in_sitemap(body: &str, sitemap: &Url) -> Option<Candidate> {
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
    let mut found = Candidate::urls(SourceKind::Sitemap, sitemap, why);
    found.config.pattern = Some(mark.to_owned());
    Some(found)
}
