//! `sources`: what is configured, and what each answers when it is asked from here.

mod find;
mod report;

use std::time::Instant;

use futures_util::{StreamExt, stream};
use rhubarb_core::clock;
use rhubarb_scrape::{
    Conclusion, Ending, Gathering, Listing, Query, SourceState, Trouble,
    config::{SourceConfig, SourceKind},
    fetch::Fetcher,
    run, sources, steps,
};
use rhubarb_settings::Settings;
use serde::Serialize;

use crate::{
    cli::{CheckArgs, Shown, SourcesCommand},
    error::Error,
    output::Format,
    progress::Progress,
    table::Grid,
    view,
};

/// What a source answered.
#[derive(Debug, Serialize)]
struct Checked {
    source: String,
    kind: &'static str,
    #[serde(skip)]
    of: SourceKind,
    /// `ok`, `partial`, `not_found` or `failed`.
    state: SourceState,
    /// How it ended, in a finer word.
    outcome: Ending,
    /// Listings read.
    listings: usize,
    /// Those that match the keyword.
    matching: usize,
    elapsed_ms: u128,
    reason: Option<String>,
}

impl Checked {
    /// Tells whether it gave no listings, and nothing that shows that there are none.
    fn gave_nothing(&self) -> bool {
        self.outcome.is_silent() || self.outcome == Ending::Partial && self.listings == 0
    }
}

/// Runs a command on the sources.
pub(crate) async fn run(config: &Settings, command: SourcesCommand) -> Result<(), Error> {
    match command {
        SourcesCommand::List(shown) => list(config, shown),
        SourcesCommand::Check(args) => check(config, args).await,
        SourcesCommand::Find(args) => find::run(config, args).await,
    }
}

#[derive(Serialize)]
struct Configured<'a> {
    source: &'a str,
    kind: &'static str,
    enabled: bool,
    board: Option<&'a str>,
    /// The addresses as far as their hosts, for the rest may be secret.
    base_url: Option<String>,
    urls: Vec<String>,
}

fn list(config: &Settings, shown: Shown) -> Result<(), Error> {
    let sources: Vec<Configured<'_>> = config
        .scraping
        .sources
        .iter()
        .map(|source| Configured {
            source: &source.name,
            kind: source.kind.label(),
            enabled: source.enabled,
            board: source.board.as_deref(),
            base_url: source.base_url.as_ref().map(ToString::to_string),
            urls: source.urls.iter().map(ToString::to_string).collect(),
        })
        .collect();
    Ok(Format::of(shown.json).show(&sources, |_| view::configured(&config.scraping.sources))?)
}

async fn check(config: &Settings, args: CheckArgs) -> Result<(), Error> {
    let looked_up = match &args.name {
        Some(name) if name.contains("://") => Some(by_address(config, name).await?),
        _ => None,
    };
    let chosen = match &looked_up {
        Some(source) => vec![source],
        None => chosen(config, args.name.as_deref())?,
    };
    let fetcher = Fetcher::new(&config.scraping.scrape)?;
    let query = Query::configured(args.keyword, &config.scraping.scrape, clock::now());
    if let (Some(_), [source]) = (&args.name, &chosen[..]) {
        return check_alone(config, source, &fetcher, &query, args.shown).await;
    }
    let asked = chosen.into_iter().map(|source| check_one(config, source, &fetcher, &query));
    let at_once = config.scraping.scrape.concurrent_sources.max(1);
    let progress = Progress::start("asking the sources");
    let answers: Vec<Checked> = stream::iter(asked).buffered(at_once).collect().await;
    progress.end();
    Format::of(args.shown.json).show(&answers, |answers| table(answers))?;
    match answers.iter().filter(|answer| answer.gave_nothing()).count() {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{n} of {} sources gave no listings", answers.len()))),
    }
}

/// Returns the source that reads an address, as `sources find` tells it.
async fn by_address(config: &Settings, text: &str) -> Result<SourceConfig, Error> {
    let found = find::sources_of(config, &find::address(text)?).await?;
    let first = found.into_iter().next();
    first.map(|found| found.config).ok_or_else(|| {
        Error::Failed(format!("no kind of source is known for `{text}`; try `sources find`"))
    })
}

/// Tries one source and shows its steps.
async fn check_alone(
    config: &Settings,
    source: &SourceConfig,
    fetcher: &Fetcher,
    query: &Query,
    shown: Shown,
) -> Result<(), Error> {
    let progress = Progress::start("asking the source");
    let asked = steps::watch(answer(config, source, fetcher, query));
    let ((checked, listings), steps) = asked.await;
    progress.end();
    let mut matching = listings;
    matching.retain(|listing| query.matches(listing));
    let answers = [checked];
    Format::of(shown.json)
        .show(&answers, |answers| report::report(&answers[0], &steps, &matching))?;
    if answers[0].gave_nothing() {
        let name = &source.name;
        return Err(Error::Failed(format!("`{name}` gave no listings ({})", answers[0].outcome)));
    }
    Ok(())
}

/// Returns the source of that name even when it is disabled, or all enabled ones.
fn chosen<'a>(config: &'a Settings, name: Option<&str>) -> Result<Vec<&'a SourceConfig>, Error> {
    let Some(name) = name else {
        return Ok(config.scraping.sources.iter().filter(|source| source.enabled).collect());
    };
    match config.scraping.sources.iter().find(|source| source.name == name) {
        Some(source) => Ok(vec![source]),
        None => {
            Err(Error::Usage(format!("no source is named `{name}`; see `rhubarb sources list`")))
        }
    }
}

async fn check_one(
    config: &Settings,
    source: &SourceConfig,
    fetcher: &Fetcher,
    query: &Query,
) -> Checked {
    answer(config, source, fetcher, query).await.0
}

async fn answer(
    config: &Settings,
    source: &SourceConfig,
    fetcher: &Fetcher,
    query: &Query,
) -> (Checked, Vec<Listing>) {
    let begun = Instant::now();
    let outcome = match sources::build(source) {
        Ok(built) => {
            let found = Gathering::new(query.now);
            run::run(&*built, fetcher, query, &found, config.scraping.scrape.source_timeout).await;
            found.conclude(built.name(), built.limits())
        }
        Err(error) => Conclusion::failed(Trouble::for_good(error)),
    };
    let checked = Checked {
        source: source.name.clone(),
        kind: source.kind.label(),
        of: source.kind,
        state: outcome.ending.state(),
        outcome: outcome.ending,
        matching: outcome.listings.iter().filter(|listing| query.matches(listing)).count(),
        listings: outcome.listings.len() + outcome.others,
        elapsed_ms: begun.elapsed().as_millis(),
        reason: outcome.reason,
    };
    (checked, outcome.listings)
}

fn table(answers: &[Checked]) -> String {
    if answers.is_empty() {
        return "no source is enabled".to_owned();
    }
    let headings = ["SOURCE", "KIND", "STATE", "LISTINGS", "MATCHING", "MS", "REASON"];
    let mut grid =
        Grid::new(&headings).right(&["LISTINGS", "MATCHING", "MS"]).spare(&["MS", "KIND"]);
    for answer in answers {
        grid.row([
            answer.source.clone(),
            answer.kind.to_owned(),
            answer.outcome.to_string(),
            answer.listings.to_string(),
            answer.matching.to_string(),
            answer.elapsed_ms.to_string(),
            answer.reason.clone().unwrap_or_default(),
        ]);
    }
    grid.render()
}
