//! One scrape: every source asked, side by side, and one list of what they have.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared},
    stream,
};
use rhubarb_core::config::{ScrapeConfig, SourceConfig};
use tokio::time::timeout;

use crate::listing::Listing;
use crate::{SourceState, SourceStatus};
use crate::{
    dedupe::{Gathered, dedupe},
    error::Error,
    fetch::Fetcher,
    link::Tracking,
    source::{BuildError, Outcome, Query, Source, Sources, build_all},
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
    pub end: End,
    /// Whether it failed, and asking again changes nothing.
    pub permanent: bool,
    /// How long it took.
    pub elapsed: Duration,
}

/// The three ways in which a source ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It was read.
    Found {
        /// Postings that match.
        matched: usize,
        /// Postings that it has.
        total: usize,
    },
    /// There is no such board.
    NotFound(String),
    /// It could not be asked or read.
    Failed(String),
}

/// What a scrape found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What matches, each posting once, newest first.
    pub listings: Vec<Listing>,
    /// Each source, in the order of the configuration.
    pub sources: Vec<SourceReport>,
}

impl SourceReport {
    /// Returns the source's part of the status record.
    pub fn status(&self) -> SourceStatus {
        let (status, count, error) = match &self.end {
            End::Found { matched, .. } => (SourceState::Ok, *matched as u64, None),
            End::NotFound(reason) => (SourceState::NotFound, 0, Some(reason.clone())),
            End::Failed(reason) => (SourceState::Failed, 0, Some(reason.clone())),
        };
        let elapsed_ms = u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX);
        SourceStatus { status, count, error, elapsed_ms }
    }

    /// Tells whether the source could not be asked or read, so that what it had before still
    /// counts.
    pub fn has_failed(&self) -> bool {
        matches!(self.end, End::Failed(_))
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
    ) -> Report {
        self.scrape_until(query, on_progress, std::future::pending()).await
    }

    /// As [`Scraper::scrape`], until `limit` ends.
    ///
    /// What runs then is cancelled and what has not begun does not begin: these sources have
    /// failed, for the [`TIME_LIMIT`]. What the others found stands.
    ///
    /// # Cancel safety
    /// As for [`Scraper::scrape`].
    pub async fn scrape_until(
        &self,
        query: &Query,
        on_progress: &(dyn Fn(Progress<'_>) + Send + Sync),
        limit: impl Future<Output = ()> + Send,
    ) -> Report {
        let limit = limit.boxed().shared();
        // Boxed one by one: an async closure in a stream is not general enough over its borrow.
        let asked: Vec<_> = self
            .sources
            .iter()
            .map(|source| self.ask(&**source, query, on_progress, limit.clone()).boxed())
            .collect();
        let ended: Vec<(SourceReport, Vec<Gathered>)> =
            stream::iter(asked).buffered(self.concurrent).collect().await;
        let mut report = Report::default();
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
        let outcome = tokio::select! {
            biased;
            () = limit => failed(TIME_LIMIT),
            outcome = self.outcome(source, query) => outcome,
        };
        let permanent = matches!(outcome, Outcome::Failed { permanent: true, .. });
        let (end, listings) = match outcome {
            Outcome::Found { listings, others } => {
                let total = listings.len() + others;
                let matching = listings.into_iter().filter(|listing| query.matches(listing));
                let matching: Vec<Listing> = matching.collect();
                (End::Found { matched: matching.len(), total }, matching)
            }
            Outcome::NotFound { reason } => (End::NotFound(reason), Vec::new()),
            Outcome::Failed { reason, .. } => (End::Failed(reason), Vec::new()),
        };
        let report = SourceReport { name, end, permanent, elapsed: started.elapsed() };
        on_progress(Progress::Ended(&report));
        let aggregated = source.aggregates();
        let gather = |listing| Gathered { listing, aggregated };
        (report, listings.into_iter().map(gather).collect())
    }

    async fn outcome(&self, source: &dyn Source, query: &Query) -> Outcome {
        let fetcher = self.fetcher.for_source();
        let asked = AssertUnwindSafe(async { source.run(&fetcher, query).await }).catch_unwind();
        match timeout(self.source_timeout, asked).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => failed("the source panicked; this is a defect of its reader"),
            Err(_) => failed(format_args!("not done within {:?}", self.source_timeout)),
        }
    }
}

fn failed(reason: impl fmt::Display) -> Outcome {
    Outcome::Failed { reason: reason.to_string(), permanent: false }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{source::Running, testing::scrape_config};

    #[derive(Debug)]
    struct Fake(&'static str, fn() -> Outcome);

    impl Source for Fake {
        fn name(&self) -> &str {
            self.0
        }

        fn aggregates(&self) -> bool {
            true
        }

        fn run<'a>(&'a self, _: &'a Fetcher, _: &'a Query) -> Running<'a> {
            Box::pin(async move {
                if self.0 == "hanging" {
                    std::future::pending::<()>().await;
                }
                (self.1)()
            })
        }
    }

    fn cook() -> Outcome {
        let listing = |title: &str| Listing {
            title: title.into(),
            external_id: title.into(),
            ..Listing::default()
        };
        Outcome::Found { listings: vec![listing("Cook"), listing("Driver")], others: 0 }
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
    async fn a_source_that_fails_hangs_or_panics_takes_nothing_from_the_others() {
        let scraper = scraper(vec![
            Fake("good", cook),
            Fake("panicking", || panic!("on purpose")),
            Fake("hanging", cook),
            Fake("failing", || Outcome::Failed { reason: "503".into(), permanent: false }),
            Fake("gone", || Outcome::NotFound { reason: "404".into() }),
            Fake("empty", || Outcome::Found { listings: Vec::new(), others: 0 }),
        ]);
        let report = scraper.scrape(&query(), &|_| {}).await;
        assert_eq!(report.listings.len(), 1);
        assert_eq!(report.listings[0].title, "Cook");
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
        let ends: Vec<_> =
            report.sources.iter().map(|s| (s.name.as_str(), s.end.clone())).collect();
        assert_eq!(ends[0], ("good", End::Found { matched: 1, total: 2 }));
        assert_eq!(ends[1], ("hanging", End::Failed(TIME_LIMIT.into())));
        assert_eq!(ends[2], ("late", End::Failed(TIME_LIMIT.into())));
        assert_eq!(report.listings.len(), 1);
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
