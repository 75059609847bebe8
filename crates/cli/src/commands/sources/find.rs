//! `sources find`: which kind of source reads a careers page.

use rhubarb_core::clock;
use rhubarb_scrape::{
    error::FetchError,
    fetch::Fetcher,
    find::{self, Candidate},
    page::{Content, Page, Request},
};
use rhubarb_settings::Settings;
use serde::Serialize;
use url::Url;

use crate::{cli::FindArgs, error::Error, output::Format, progress::Progress};

/// What was found, for programs.
#[derive(Serialize)]
struct Told<'a> {
    kind: &'static str,
    why: &'a str,
    toml: String,
}

pub(super) async fn run(config: &Settings, args: FindArgs) -> Result<(), Error> {
    let url = address(&args.url)?;
    let progress = Progress::start("looking at the page");
    let found = sources_of(config, &url).await;
    progress.end();
    let found = found?;
    if found.is_empty() {
        return Err(Error::Failed(format!(
            "no kind of source is known for `{}`: it has no board, JSON-LD, feed, sitemap of \
             postings or data that is known here. Use `type = \"html\"` with selectors, or \
             `type = \"json\"` with the address that the page's scripts ask (see docs/sources.md)",
            args.url
        )));
    }
    let told: Vec<Told<'_>> = found
        .iter()
        .map(|found| Told { kind: found.config.kind.name(), why: &found.why, toml: found.toml() })
        .collect();
    Ok(Format::of(args.shown.json).show(&told, |told| text(told))?)
}

/// The first is to be pasted; the others stand behind as comments.
fn text(told: &[Told<'_>]) -> String {
    let mut out = String::new();
    for (idx, found) in told.iter().enumerate() {
        let heading = if idx == 0 { "" } else { "or else, " };
        out.push_str(&format!("# {heading}{}\n", found.why));
        for line in found.toml.lines() {
            let comment = if idx == 0 { "" } else { "# " };
            out.push_str(&format!("{comment}{line}\n"));
        }
        out.push('\n');
    }
    out.trim_end().to_owned()
}

/// Reads an address as a person writes it.
pub(super) fn address(text: &str) -> Result<Url, Error> {
    let text = text.trim();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.filter(|url| url.host_str().is_some_and(|host| !host.is_empty()));
    url.ok_or_else(|| Error::Usage(format!("`{text}` is no address of a page")))
}

/// Returns the sources that read a page, the best first; by its address, else by what is there.
pub(super) async fn sources_of(config: &Settings, url: &Url) -> Result<Vec<Candidate>, Error> {
    if let Some(found) = find::by_address(url) {
        return Ok(vec![found]);
    }
    let fetcher = Fetcher::new(&config.scraping.scrape)?;
    let page = fetcher.get(&Request::get(url.clone())).await;
    let page = page.map_err(|error| Error::Failed(told(&error)))?;
    let mut found = in_answer(&page)?;
    if found.is_empty() {
        found.extend(in_sitemaps(&fetcher, &page.url).await);
    }
    Ok(found)
}

/// Says why a page did not come, and what to do.
fn told(error: &FetchError) -> String {
    let todo = match error {
        FetchError::NotFound { .. } => {
            "open the address in a browser, and give the one of the page that shows the postings"
        }
        FetchError::Blocked { .. } => {
            "the site refuses programs; in a browser, follow a posting to the board that it is on, \
             and give that address"
        }
        FetchError::RateLimited { .. } => "wait that long, and try again",
        FetchError::RobotsDisallow { .. } => {
            "the site does not want it to be read by programs; look for a feed or a board that it \
             links to"
        }
        // It says itself what to do.
        FetchError::Challenge { .. } => return error.to_string(),
        _ => "open it in a browser: if it fails there too, correct the address or try again later",
    };
    format!("{error}; {todo}")
}

fn in_answer(page: &Page) -> Result<Vec<Candidate>, Error> {
    // The page may have led elsewhere.
    if let Some(found) = find::by_address(&page.url) {
        return Ok(vec![found]);
    }
    let body = page.text();
    let start = body.trim_start();
    if start.starts_with(['{', '[']) {
        return Ok(find::in_json(&body, &page.url).into_iter().collect());
    }
    if let Some(found) = find::in_feed(&body, &page.url) {
        return Ok(vec![found]);
    }
    if let Some(found) = find::in_sitemap(&body, &page.url) {
        return Ok(vec![found]);
    }
    let found = find::in_page(&body, &page.url, clock::now());
    found.map_err(|error| Error::Failed(error.to_string()))
}

/// Looks at the sitemaps that robots.txt names, or the usual one.
async fn in_sitemaps(fetcher: &Fetcher, page: &Url) -> Option<Candidate> {
    let text = async |path: &str| {
        let url = page.join(path).ok()?;
        let page = fetcher.get(&Request::get(url).kind(Content::Any)).await.ok()?;
        Some(page.text())
    };
    let robots = text("/robots.txt").await.unwrap_or_default();
    let mut maps = find::sitemaps(&robots);
    maps.extend(page.join("/sitemap.xml").ok());
    maps.dedup();
    for map in maps.iter().take(5) {
        let Some(body) = text(map.as_str()).await else { continue };
        if let Some(found) = find::in_sitemap(&body, map) {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_a_person_writes_it() {
        let check = |text: &str, expect: Option<&str>| {
            let url = address(text).ok();
            assert_eq!(url.as_ref().map(Url::as_str), expect, "{text}");
        };
        check("acme.example/careers", Some("https://acme.example/careers"));
        check(" http://acme.example ", Some("http://acme.example/"));
        check("ftp://acme.example/", None);
        check("https://", None);
    }

    #[test]
    fn the_first_is_to_be_pasted_and_the_others_are_comments() {
        let told = |why| Told { kind: "rss", why, toml: "[[sources]]\ntype = \"rss\"\n".into() };
        let expect =
            "# a\n[[sources]]\ntype = \"rss\"\n\n# or else, b\n# [[sources]]\n# type = \"rss\"";
        assert_eq!(text(&[told("a"), told("b")]), expect);
    }
}
