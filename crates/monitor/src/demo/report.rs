//! What the demo says. Pure: values in, text out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use jiff::Timestamp;
use rhubarb_core::{
    config::{Config, ScheduleConfig, SourceKind},
    listing::Listing,
    status::Status,
};

use crate::{
    commands::schedules,
    table::{Grid, clean},
    view,
};

/// How many runs of each schedule are shown.
const NEXT_RUNS: usize = 2;

/// Renders what was started and where.
pub(crate) fn heading(redis: &str, board: &str, dir: &Path, config: &Config) -> String {
    let enabled = config.sources.iter().filter(|source| source.enabled).count();
    format!(
        "Rhubarb demo\n\
         \x20 Redis      {redis}, private\n\
         \x20 job board  {board}, invented openings for {enabled} kinds of sources\n\
         \x20 logs       {}, until the end\n\
         \x20 starting worker and beat; Ctrl-C ends it all\n",
        dir.display(),
    )
}

/// Renders everything that a person came for: listings, status, next runs.
pub(crate) fn sections(
    config: &Config,
    listings: &[Listing],
    status: &Status,
    now: Timestamp,
) -> String {
    let next = schedules::next(config, now, NEXT_RUNS).unwrap_or_default();
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
pub(crate) fn scheduled_keywords(config: &Config) -> BTreeSet<String> {
    let keyword =
        |schedule: &ScheduleConfig| schedule.kwargs.get("keyword")?.as_str().map(str::to_owned);
    config.schedules.values().filter_map(keyword).collect()
}

/// Returns the kinds of sources that the listings came from.
pub(crate) fn kinds(config: &Config, listings: &[Listing]) -> BTreeSet<&'static str> {
    let known = by_name(config);
    listings
        .iter()
        .filter_map(|listing| known.get(listing.source.as_str()).map(|kind| view::kind(*kind)))
        .collect()
}

/// Renders how many listings each source brought, with one of them as an example.
pub(crate) fn found(config: &Config, listings: &[Listing]) -> String {
    let mut grid = Grid::new(&["KIND", "SOURCE", "LISTINGS", "FOR INSTANCE"]).right(&["LISTINGS"]);
    for source in &config.sources {
        let mut own = listings.iter().filter(|listing| listing.source == source.name);
        let example = own.clone().next().map_or_else(String::new, example);
        grid.row([
            view::kind(source.kind).to_owned(),
            source.name.clone(),
            own.by_ref().count().to_string(),
            example,
        ]);
    }
    grid.render()
}

fn example(listing: &Listing) -> String {
    let mut parts = vec![listing.title.clone(), listing.company.clone()];
    parts.extend(listing.location.clone());
    parts.retain(|part| !part.is_empty());
    parts.join(" - ")
}

/// Renders one scrape that ended, as one line.
pub(crate) fn scrape(status: &Status) -> String {
    let time = status.last_scraped.get(11..19).unwrap_or("");
    let failed = status.sources.values().filter(|source| source.status != "ok").count();
    let sources = match failed {
        0 => format!("{} sources", status.sources.len()),
        _ => format!("{} sources, {failed} without an answer", status.sources.len()),
    };
    format!(
        "{}  {:<18} {:<8} {:>3} listings from {sources}",
        clean(time),
        clean(&status.keyword),
        view::state(status.status),
        status.jobs_count,
    )
}

fn by_name(config: &Config) -> BTreeMap<&str, SourceKind> {
    config.sources.iter().map(|source| (source.name.as_str(), source.kind)).collect()
}
