//! What the demo says. Pure: values in, text out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;
use rhubarb_demo::Started;
use rhubarb_jobs::{SourceState, SourceStatus, Status};
use rhubarb_queue::tick::Record;
use rhubarb_schedule::ScheduleConfig;
use rhubarb_scrape::{Listing, config::SourceKind};
use rhubarb_settings::Settings;

use crate::{
    commands::schedules,
    table::{Grid, clean},
    view,
};

/// How many runs of each schedule are shown.
const NEXT_RUNS: usize = 2;

/// Renders what was started and where.
pub(crate) fn heading(started: &Started, config: &Settings, dir: &Path, dashboard: &str) -> String {
    let Started { redis, board, .. } = started;
    let enabled = config.scraping.sources.iter().filter(|source| source.enabled).count();
    format!(
        "Rhubarb demo\n\
         \x20 Redis      {redis}, private\n\
         \x20 job board  {board}, invented openings for {enabled} kinds of sources\n\
         \x20 dashboard  {dashboard}, open it in a browser\n\
         \x20 logs       {}, until the end\n\
         \x20 starting worker and beat; Ctrl-C ends it all\n",
        dir.display(),
    )
}

/// Renders everything that a person came for: listings, status, next runs.
pub(crate) fn sections(
    config: &Settings,
    listings: &[Listing],
    status: &Status,
    records: &HashMap<String, Record>,
    now: Timestamp,
) -> String {
    let next = schedules::next(config, records, now, NEXT_RUNS).unwrap_or_default();
    format!(
        "\nListings found: {} from {} kinds of sources\n{}\n\nStatus\n{}\n\nNext runs\n{}\n",
        listings.len(),
        kinds(config, listings).len(),
        indented(&found(config, listings)),
        indented(&view::status(status)),
        indented(&schedules::next_table(&next)),
    )
}

fn indented(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { String::new() } else { format!("  {line}") };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns the keywords that are scraped on a schedule of their own.
pub(crate) fn scheduled_keywords(config: &Settings) -> BTreeSet<String> {
    let keyword = |schedule: &Arc<ScheduleConfig>| {
        schedule.kwargs.get("keyword")?.as_str().map(str::to_owned)
    };
    config.schedules.values().filter_map(keyword).collect()
}

/// Returns the kinds of sources that the listings came from.
pub(crate) fn kinds(config: &Settings, listings: &[Listing]) -> BTreeSet<&'static str> {
    let known = by_name(config);
    listings
        .iter()
        .filter_map(|listing| known.get(listing.source.as_str()).map(|kind| kind.label()))
        .collect()
}

/// Renders how many listings each source brought, with one of them as an example.
pub(crate) fn found(config: &Settings, listings: &[Listing]) -> String {
    let mut grid = Grid::new(&["KIND", "SOURCE", "LISTINGS", "FOR INSTANCE"]).right(&["LISTINGS"]);
    for (idx, source) in config.scraping.sources.iter().enumerate() {
        let own: Vec<&Listing> =
            listings.iter().filter(|listing| listing.source == source.name).collect();
        // Another place in each row, because every source's first listing is for the same keyword.
        let shown = own.iter().cycle().nth(idx * 2);
        grid.row([
            source.kind.label().to_owned(),
            source.name.clone(),
            own.len().to_string(),
            shown.map_or_else(String::new, |listing| example(listing)),
        ]);
    }
    grid.render()
}

fn example(listing: &Listing) -> String {
    let place = listing.location.as_deref().unwrap_or_default();
    let parts = [&listing.title, &listing.company, place];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" - ")
}

/// Renders one scrape that ended, as one line.
pub(crate) fn scrape(status: &Status) -> String {
    let time = status.last_scraped.get(11..19).unwrap_or("");
    let is_silent = |source: &&SourceStatus| {
        matches!(source.status, SourceState::Failed | SourceState::NotFound)
    };
    let failed = status.sources.values().filter(is_silent).count();
    let sources = match failed {
        0 => format!("{} sources", status.sources.len()),
        _ => format!("{} sources, {failed} without an answer", status.sources.len()),
    };
    format!(
        "  {}  {:<18} {:<8} {:>3} listings from {sources}",
        clean(time),
        clean(&status.keyword),
        view::state(status.status),
        status.jobs_count,
    )
}

fn by_name(config: &Settings) -> BTreeMap<&str, SourceKind> {
    config.scraping.sources.iter().map(|source| (source.name.as_str(), source.kind)).collect()
}

#[cfg(test)]
mod tests {
    use rhubarb_jobs::{Ending, ScrapeState};

    use super::*;

    fn config() -> Settings {
        let text = rhubarb_demo::configuration("redis://127.0.0.1:1/0", "127.0.0.1:2");
        Settings::from_toml(&text).unwrap()
    }

    fn listing(source: &str) -> Listing {
        Listing {
            title: "Staff Data Scientist".into(),
            company: "Ferrous Wheel".into(),
            source: source.into(),
            ..Listing::default()
        }
    }

    fn status() -> Status {
        let source = |ending| SourceStatus { elapsed_ms: 20, ..SourceStatus::new(ending, 3) };
        Status {
            last_scraped: "2026-11-24T01:40:07.939293+00:00".into(),
            keyword: "data scientist".into(),
            jobs_count: 6,
            status: ScrapeState::Partial,
            error: None,
            sources: BTreeMap::from([
                ("lever".into(), source(Ending::Found)),
                ("ashby".into(), source(Ending::Failed)),
            ]),
            new: 0,
            closed: 0,
        }
    }

    #[test]
    fn kinds_are_counted_by_name_and_strangers_do_not_count() {
        let listings = ["remoteok", "remoteok", "classifieds", "elsewhere"].map(listing);
        let kinds: Vec<&str> = kinds(&config(), &listings).into_iter().collect();
        assert_eq!(kinds, ["HTML pages", "RemoteOK"]);
    }

    #[test]
    fn a_scrape_is_one_line() {
        let expect = "  01:40:07  data scientist     partial    6 listings from \
                      2 sources, 1 without an answer";
        assert_eq!(scrape(&status()), expect);
    }

    #[test]
    fn the_sections_show_every_source_the_status_and_every_schedule() {
        let config = config();
        let now = "2026-11-24T01:40:08Z".parse().unwrap();
        let since = "2026-11-24T01:39:55Z".parse().unwrap();
        let seen = |name: &String| (name.clone(), Record::new(since));
        let records = config.schedules.keys().map(seen).collect();
        let text = sections(&config, &[listing("remoteok")], &status(), &records, now);
        for part in ["1 from 1 kinds of sources", "Staff Data Scientist - Ferrous Wheel", "partial"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        for name in
            config.scraping.sources.iter().map(|source| &source.name).chain(config.schedules.keys())
        {
            assert!(text.contains(name.as_str()), "{name} in {text}");
        }
        assert!(text.contains("2026-11-24T01:40:10+00:00"), "the tick of `every = 5`: {text}");
    }
}
