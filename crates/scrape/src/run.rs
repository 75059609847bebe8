//! One scrape: every source asked, side by side, and one list of what they have.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
    stream,
};
use jiff::Timestamp;
use tokio::time::timeout;

use crate::{
    boards::{Asked, Boards, Crawled},
    config::{ScrapeConfig, SourceConfig},
    coverage::Coverage,
    dedupe::{Gathered, dedupe},
    error::Error,
    fetch::{Fetcher, Known, Trail},
    gathering::{Conclusion, Gathering},
    link::Tracking,
    listing::Listing,
    query::Query,
    setup::BuildError,
    source::{Refines, Source, Sources},
    source_status::{Ending, SourceState, SourceStatus},
    sources::build_all,
    trouble::Trouble,
};

/// The sources of a configuration with the fetcher that they share.
///
/// One for a process: the fetcher keeps each host's pace over all scrapes.
#[derive(Clone, Debug)]
pub struct Scraper {
    /// Asks the hosts.
    pub fetcher: Fetcher,
    /// The enabled sources.
    pub sources: Sources,
    /// Which parameters of an address say nothing of the posting.
    pub tracking: Tracking,
    /// Sources asked at once.
    pub concurrent: usize,
    /// How long one source may take, all its pages included.
    pub source_timeout: Duration,
    /// What answers for sources that give all that they have; without it each is asked.
    pub boards: Option<Arc<dyn Boards>>,
}

/// Why a scraper could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The fetcher's settings cannot be used.
    #[error("failed to set up fetching")]
    Fetcher(#[source] Error),
    /// Sources are configured wrongly; all of them are here.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Sources(Vec<BuildError>),
}

/// Why a source failed that a time limit has ended.
pub const TIME_LIMIT: &str = "time limit";

/// The end of a scrape's time, for each of its sources.
type Limit<'a> = Shared<BoxFuture<'a, ()>>;

/// What happens while a scrape runs.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A source is being asked.
    Started(&'a str),
    /// A source has ended.
    Ended(&'a SourceReport),
}

/// How one source ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceReport {
    /// The source's name.
    pub name: String,
    /// How it ended.
    pub ending: Ending,
    /// Why it did not end well, as one sentence.
    pub reason: Option<String>,
    /// Postings that match.
    pub matched: usize,
    /// Postings that it has.
    pub total: usize,
    /// Whether asking again soon changes nothing.
    pub permanent: bool,
    /// Whether a time limit of the caller's has ended it.
    pub limited: bool,
    /// Whether there may be more than what came, so that nothing is known of the rest.
    pub cut: bool,
    /// The addresses and identifiers of postings that are gone or have expired.
    pub gone: Vec<String>,
    /// What its records looked like.
    pub look: Coverage,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a scrape found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapeReport {
    /// What matches, each posting once, newest first.
    pub listings: Vec<Listing>,
    /// Each source, in the order of the configuration.
    pub sources: Vec<SourceReport>,
}

impl SourceReport {
    /// Returns the source's part of the status record.
    pub fn status(&self) -> SourceStatus {
        SourceStatus {
            error: self.reason.clone(),
            elapsed_ms: u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            ..SourceStatus::new(self.ending, self.matched as u64)
        }
    }
}

impl Scraper {
    /// Builds the fetcher and every enabled source.
    ///
    /// # Errors
    /// All invalid sources at once, or what the fetcher cannot be set up with.
    pub fn new(config: &ScrapeConfig, sources: &[SourceConfig]) -> Result<Self, SetupError> {
        Ok(Self {
            sources: build_all(sources).map_err(SetupError::Sources)?,
            fetcher: Fetcher::new(config).map_err(SetupError::Fetcher)?,
            tracking: Tracking::with(&config.tracking_parameters),
            concurrent: config.concurrent_sources.max(1),
            source_timeout: config.source_timeout,
            boards: None,
        })
    }

    /// Asks every source, and returns what matches.
    ///
    /// A source that fails, hangs or panics is reported and takes nothing from the others.
    ///
    /// # Cancel safety
    /// Dropping the future ends all requests; nothing is left behind.
    pub async fn scrape(
        &self,
        query: &Query,
        on_progress: &(dyn Fn(Progress<'_>) + Send + Sync),
    ) -> ScrapeReport {
        self.scrape_until(query, on_progress, std::future::pending()).await
    }

    /// As [`Scraper::scrape`], until `limit` ends.
    ///
    /// What runs then is cancelled and what has not begun does not begin: the [`TIME_LIMIT`] is
    /// these sources' trouble. What was found until then stands.
    ///
    /// # Cancel safety
    /// As for [`Scraper::scrape`].
    pub async fn scrape_until(
        &self,
        query: &Query,
        on_progress: &(dyn Fn(Progress<'_>) + Send + Sync),
        limit: impl Future<Output = ()> + Send,
    ) -> ScrapeReport {
        let limit = limit.boxed().shared();
        // Boxed one by one: an async closure in a stream is not general enough over its borrow.
        let asked: Vec<_> = self
            .sources
            .iter()
            .map(|source| self.ask(&**source, query, on_progress, limit.clone()).boxed())
            .collect();
        let ended: Vec<(SourceReport, Vec<Gathered>)> =
            stream::iter(asked).buffered(self.concurrent).collect().await;
        let mut report = ScrapeReport::default();
        let mut gathered = Vec::new();
        for (source, listings) in ended {
            report.sources.push(source);
            gathered.extend(listings);
        }
        report.listings = dedupe(gathered, &self.tracking);
        report
    }

    async fn ask(
        &self,
        source: &dyn Source,
        query: &Query,
        on_progress: &(dyn Fn(Progress<'_>) + Send + Sync),
        limit: Limit<'_>,
    ) -> (SourceReport, Vec<Gathered>) {
        let name = source.name().to_owned();
        on_progress(Progress::Started(&name));
        let started = Instant::now();
        let found = Gathering::new(query.now);
        let (limited, kept) = tokio::select! {
            biased;
            () = limit => (true, None),
            kept = self.answer(source, query, &found) => (false, kept),
        };
        if limited {
            found.trouble(Trouble::failed(TIME_LIMIT));
        }
        let outcome = kept.unwrap_or_else(|| found.conclude(source.name(), source.limits()));
        let total = outcome.listings.len() + outcome.others;
        let listings: Vec<Listing> =
            outcome.listings.into_iter().filter(|listing| query.matches(listing)).collect();
        let report = SourceReport {
            name,
            ending: outcome.ending,
            reason: outcome.reason,
            matched: listings.len(),
            total,
            permanent: outcome.permanent,
            limited,
            cut: outcome.cut,
            gone: outcome.gone,
            look: outcome.look,
            elapsed: started.elapsed(),
        };
        on_progress(Progress::Ended(&report));
        let aggregated = source.aggregates();
        let gather = |listing| Gathered { listing, aggregated };
        (report, listings.into_iter().map(gather).collect())
    }

    /// Returns what is kept of a source, or asks it and gathers what it has.
    async fn answer(
        &self,
        source: &dyn Source,
        query: &Query,
        found: &Gathering,
    ) -> Option<Conclusion> {
        let (fetcher, limit) = (&self.fetcher, self.source_timeout);
        if let Some(boards) = self.boards.as_ref().filter(|_| source.gives_all())
            && let Some(kept) = boards.answer(Asked { source, query, fetcher, limit }).await
        {
            return Some(self.refined(source, query, kept).await);
        }
        run(source, fetcher, query, found, limit).await;
        None
    }

    /// Adds to what is kept of a source what the pages of its postings have.
    async fn refined(
        &self,
        source: &dyn Source,
        query: &Query,
        mut kept: Conclusion,
    ) -> Conclusion {
        if source.refines(query) == Refines::None || kept.listings.is_empty() {
            return kept;
        }
        let found = Gathering::new(query.now);
        found.resume(std::mem::take(&mut kept.listings), std::mem::take(&mut kept.lists));
        let fetcher = self.fetcher.for_source();
        let refining = AssertUnwindSafe(source.refine(&fetcher, query, &found)).catch_unwind();
        // The lists were read: what is missing is detail.
        let _in_time = timeout(self.source_timeout, refining).await;
        kept.refine(found.conclude(source.name(), source.limits()));
        kept
    }
}

/// Reads all that a source has; `known` is what the crawl before ended with.
///
/// # Cancel safety
/// Dropping the future ends its request.
pub async fn crawl(
    source: &dyn Source,
    fetcher: &Fetcher,
    now: Timestamp,
    limit: Duration,
    known: Option<Known>,
) -> Crawled {
    let trail = Arc::new(Trail::new(known));
    let found = Gathering::new(now);
    run(source, &fetcher.on(Arc::clone(&trail)), &Query::everything(now), &found, limit).await;
    if let Some(known) = trail.unchanged() {
        return Crawled::Unchanged(known);
    }
    if found.is_overflown() {
        return Crawled::TooLarge;
    }
    let outcome = found.conclude(source.name(), source.limits());
    let (digest, known) = trail.end();
    // A board that was not read whole is read again, whatever it sends.
    let is_whole = !outcome.cut && outcome.ending.state() != SourceState::Failed;
    Crawled::Read { outcome, digest, known: known.filter(|_| is_whole) }
}

/// Runs a source until it has ended, or for so long; a panic or the end of its time is its trouble.
///
/// # Cancel safety
/// Dropping the future ends its request; what it has found until then stands.
pub async fn run(
    source: &dyn Source,
    fetcher: &Fetcher,
    query: &Query,
    found: &Gathering,
    limit: Duration,
) {
    let fetcher = fetcher.for_source();
    let running = AssertUnwindSafe(async { source.run(&fetcher, query, found).await });
    match timeout(limit, running.catch_unwind()).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => {
            found.trouble(Trouble::failed("the source panicked; this is a defect of its reader"));
        }
        Err(_) => found.trouble(Trouble::failed(format_args!("not done within {limit:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{parsed::Parsed, source::Running, testing::scrape_config};

    #[derive(Debug)]
    struct Fake(&'static str, fn(&Gathering));

    impl Source for Fake {
        fn name(&self) -> &str {
            self.0
        }

        fn aggregates(&self) -> bool {
            true
        }

        fn run<'a>(&'a self, _: &'a Fetcher, _: &'a Query, found: &'a Gathering) -> Running<'a> {
            Box::pin(async move {
                if self.0 == "hanging" {
                    std::future::pending::<()>().await;
                }
                (self.1)(found);
                if self.0 == "late" {
                    std::future::pending::<()>().await;
                }
            })
        }
    }

    fn cook(found: &Gathering) {
        let listing = |title: &str| Listing {
            title: title.into(),
            external_id: title.into(),
            ..Listing::default()
        };
        let listings = vec![listing("Cook"), listing("Driver")];
        found.add(Parsed { listings, ..Parsed::default() });
    }

    fn query() -> Query {
        Query::new("cook", rhubarb_core::clock::now())
    }

    fn scraper(sources: Vec<Fake>) -> Scraper {
        let mut scraper = Scraper::new(&scrape_config(), &[]).unwrap();
        scraper.sources = sources.into_iter().map(|fake| Arc::new(fake) as _).collect();
        scraper.source_timeout = Duration::from_millis(300);
        scraper
    }

    #[tokio::test]
    async fn a_source_that_fails_hangs_or_panics_keeps_what_came_and_takes_nothing_from_others() {
        let scraper = scraper(vec![
            Fake("good", cook),
            Fake("panicking", |_| panic!("on purpose")),
            Fake("hanging", cook),
            Fake("failing", |found| found.trouble(Trouble::failed("503"))),
            Fake("gone", |found| found.trouble(Trouble::ends(Ending::NotFound, "404"))),
            Fake("empty", |found| drop(found.add(Parsed::default()))),
            Fake("late", cook),
        ]);
        let report = scraper.scrape(&query(), &|_| {}).await;
        let titles: Vec<&str> = report.listings.iter().map(|one| one.title.as_str()).collect();
        assert_eq!(titles, ["Cook"], "both have the same posting");
        let status = |source: &SourceReport| {
            let status = source.status();
            (source.name.clone(), status.status, status.count, status.error.unwrap_or_default())
        };
        let got: Vec<_> = report.sources.iter().map(status).collect();
        let expect = [
            ("good", SourceState::Ok, 1, ""),
            (
                "panicking",
                SourceState::Failed,
                0,
                "the source panicked; this is a defect of its reader",
            ),
            ("hanging", SourceState::Failed, 0, "not done within 300ms"),
            ("failing", SourceState::Failed, 0, "503"),
            ("gone", SourceState::NotFound, 0, "404"),
            ("empty", SourceState::Ok, 0, ""),
            ("late", SourceState::Partial, 1, "not all was read: not done within 300ms"),
        ];
        let expect = expect.map(|(a, b, c, d)| (a.to_owned(), b, c, d.to_owned()));
        assert_eq!(got, expect);
    }

    #[tokio::test]
    async fn a_time_limit_ends_what_runs_begins_nothing_more_and_keeps_what_was_found() {
        let mut scraper =
            scraper(vec![Fake("good", cook), Fake("hanging", cook), Fake("late", cook)]);
        (scraper.source_timeout, scraper.concurrent) = (Duration::from_secs(600), 2);
        let (stuck, limit) = tokio::sync::oneshot::channel();
        let stuck = Mutex::new(Some(stuck));
        let note = |progress: Progress<'_>| {
            if matches!(progress, Progress::Ended(report) if report.name == "good") {
                stuck.lock().unwrap().take().unwrap().send(()).unwrap();
            }
        };
        // The third takes the first one's place, and ends before the limit or with it.
        let report = scraper.scrape_until(&query(), &note, limit.map(|told| told.unwrap())).await;
        let ends: Vec<_> = report
            .sources
            .iter()
            .map(|s| (s.name.as_str(), s.ending, s.reason.as_deref(), s.limited, s.total))
            .collect();
        assert_eq!(ends[0], ("good", Ending::Found, None, false, 2));
        assert_eq!(ends[1], ("hanging", Ending::Failed, Some(TIME_LIMIT), true, 0));
        let kept = format!("not all was read: {TIME_LIMIT}");
        assert!([Ending::Partial, Ending::Failed].contains(&ends[2].1), "{ends:?}");
        assert!(ends[2].3 && [Some(TIME_LIMIT), Some(kept.as_str())].contains(&ends[2].2));
    }

    #[tokio::test]
    async fn progress_tells_each_source_once_at_start_and_end() {
        let seen = Mutex::new(Vec::new());
        let note = |progress: Progress<'_>| {
            seen.lock().unwrap().push(match progress {
                Progress::Started(name) => format!("{name} started"),
                Progress::Ended(report) => format!("{} {}", report.name, report.status().status),
            });
        };
        scraper(vec![Fake("a", cook)]).scrape(&query(), &note).await;
        assert_eq!(*seen.lock().unwrap(), ["a started", "a ok"]);
    }
}
