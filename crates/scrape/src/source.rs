//! What a source is: something that is asked for postings and ends in one of three ways.
//!
//! A new kind of source is one file under `sources` with a pure `parse`, and one line in [`build`].

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use jiff::Timestamp;
use rhubarb_core::{
    class::Class,
    config::{ScrapeConfig, SourceConfig, SourceKind},
    redact::Address,
};
use url::Url;

use crate::{
    budget::{self, Allowance, Budget, SourceEnd, TooMuch},
    dates::{self, DateOrder},
    error::FetchError,
    fetch::Fetcher,
    locale::Locale,
    page::{Kind, Page, Request},
    record, sources,
    sources::html::HtmlSource,
};
use crate::{keyword::Matcher, listing::Listing};

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// The keyword as the caller wrote it.
    pub keyword: String,
    /// Whether descriptions are searched too.
    pub match_description: bool,
    /// The time that `scraped_at` and ages (`3d ago`) are reckoned from.
    pub now: Timestamp,
    /// The language and country that the configuration says of the source.
    home: Locale,
    matcher: Arc<Matcher>,
}

impl Query {
    /// Looks for a keyword in titles and tags, without synonyms.
    pub fn new(keyword: impl Into<String>, now: Timestamp) -> Self {
        let keyword = keyword.into();
        let matcher = Arc::new(Matcher::new(&keyword));
        Self { keyword, match_description: false, now, home: Locale::default(), matcher }
    }

    /// Looks for a keyword as the configuration says.
    pub fn configured(keyword: impl Into<String>, config: &ScrapeConfig, now: Timestamp) -> Self {
        let query = Self::new(keyword, now);
        let matcher = Matcher::with(&query.keyword, &config.synonyms, config.match_accents);
        let match_description = config.match_description;
        Self { match_description, matcher: Arc::new(matcher), ..query }
    }

    /// Tells whether a listing is one of those looked for.
    pub fn matches(&self, listing: &Listing) -> bool {
        self.matcher.matches(listing, self.match_description)
    }
}

/// How a source ended. A `Found` of nothing is an honest zero: the source was read and has nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was read.
    Found {
        /// What may match.
        listings: Vec<Listing>,
        /// How many others it has, which do not match.
        others: usize,
    },
    /// There is no such board: mistyped, or gone.
    NotFound {
        /// One sentence for the status.
        reason: String,
    },
    /// It could not be asked or read. What it had before is still the best that is known.
    Failed {
        /// One sentence for the status.
        reason: String,
        /// Whether asking again changes nothing.
        permanent: bool,
    },
}

/// The boxed future of [`Source::run`].
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Something that has postings. Its time is bounded by the caller.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its name in listings and status, unique in a configuration.
    fn name(&self) -> &str;

    /// Whether it gathers postings that companies publish elsewhere; their own boards win over it.
    fn aggregates(&self) -> bool;

    /// Fetches and reads all its pages.
    ///
    /// # Cancel safety
    /// Dropping the future ends its request; nothing is left behind.
    fn run<'a>(&'a self, fetcher: &'a Fetcher, query: &'a Query) -> Running<'a>;
}

/// A source's configuration that cannot work; names the source and the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the source `{source_name}` cannot be used: {setting}: {reason}")]
pub struct BuildError {
    /// The source's name.
    pub source_name: String,
    /// The setting (`board`, `selectors.item`, …).
    pub setting: String,
    /// What is wrong with it.
    pub reason: String,
}

impl BuildError {
    pub(crate) fn new(config: &SourceConfig, setting: &str, reason: impl fmt::Display) -> Self {
        Self {
            source_name: config.name.clone(),
            setting: setting.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// Builds a source from its configuration.
///
/// # Errors
/// Names the setting that is missing or invalid; a selector that doesn't parse is named with its
/// text.
pub fn build(config: &SourceConfig) -> Result<Box<dyn Source>, BuildError> {
    let source = build_kind(config)?;
    let language = Locale::of_tag(config.language.as_deref().unwrap_or_default());
    let home = Locale::of_country(config.country.as_deref().unwrap_or_default()).or(language);
    if home == Locale::default() {
        return Ok(source);
    }
    Ok(Box::new(AtHome { source, home }))
}

/// A source of which the configuration says language and country.
#[derive(Debug)]
struct AtHome {
    source: Box<dyn Source>,
    home: Locale,
}

impl Source for AtHome {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn aggregates(&self) -> bool {
        self.source.aggregates()
    }

    fn run<'a>(&'a self, fetcher: &'a Fetcher, query: &'a Query) -> Running<'a> {
        Box::pin(async move {
            let query = Query { home: self.home, ..query.clone() };
            self.source.run(fetcher, &query).await
        })
    }
}

fn build_kind(config: &SourceConfig) -> Result<Box<dyn Source>, BuildError> {
    Ok(match config.kind {
        SourceKind::Greenhouse => Box::new(sources::greenhouse::build(config)?),
        SourceKind::Lever => Box::new(sources::lever::build(config)?),
        SourceKind::Ashby => Box::new(sources::ashby::build(config)?),
        SourceKind::RemoteOk => Box::new(sources::remoteok::build(config)?),
        SourceKind::WeWorkRemotely => Box::new(sources::weworkremotely::build(config)?),
        SourceKind::Arbeitnow => Box::new(sources::arbeitnow::build(config)?),
        SourceKind::JsonLd => Box::new(sources::jsonld::build(config)?),
        SourceKind::Html => Box::new(HtmlSource::new(config)?),
    })
}

/// What a parser knows besides the payload.
#[derive(Clone, Debug)]
pub struct Context {
    /// The source's name.
    pub source: String,
    /// The company's name where the payload has none.
    pub company: String,
    /// The address of the page, for relative links.
    pub page: Url,
    /// When it was fetched.
    pub now: Timestamp,
    /// The page's language and country, as far as they are known.
    pub locale: Locale,
    /// Those that the configuration says: they are surer than the page's own.
    pub home: Locale,
    /// How its dates are written.
    pub order: DateOrder,
    /// What reading it may cost.
    pub budget: Arc<Budget>,
}

/// Reasons kept of records that could not be read.
const MAX_SKIPPED: usize = 100;

/// What of a source matches may take this much memory: twice as much as the listings of a keyword.
const MAX_MATCHES: usize = 16 << 20;

/// What a payload holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parsed {
    /// The records that could be read.
    pub listings: Vec<Listing>,
    /// The next page, on the same server.
    pub next: Option<Url>,
    /// Why other records could not be read, the first [`MAX_SKIPPED`] of them.
    pub skipped: Vec<String>,
    /// How many records could not be read.
    pub n_skipped: usize,
    /// How often JSON that breaks the rules was repaired.
    pub repairs: usize,
    /// How many records were read and do not match.
    pub others: usize,
    /// Whether a board that answers so is taken as one that does not exist.
    pub no_board: bool,
}

/// A payload of which nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A page for people where data was expected: a login, a captcha, a maintenance notice.
    #[error("the answer is HTML where {expected} is expected")]
    Html {
        /// `JSON` or `RSS`.
        expected: &'static str,
    },
    /// The payload ends before its structure does.
    #[error("the answer is cut off: {expected} ends too early")]
    Truncated {
        /// `JSON` or `RSS`.
        expected: &'static str,
    },
    /// The payload is empty.
    #[error("the answer is empty")]
    Empty,
    /// The payload breaks the rules of its format.
    #[error("the answer is not valid {expected}: {reason}")]
    Invalid {
        /// `JSON`, `RSS` or `HTML`.
        expected: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// The format is right, the content is something else.
    #[error("the answer has no {expected}")]
    Shape {
        /// What was looked for.
        expected: &'static str,
    },
    /// Reading it costs more than a page may.
    #[error("the answer was not read to its end: {0}")]
    TooMuch(#[from] TooMuch),
}

/// A pure reader of one kind of payload.
pub(crate) type Parse = fn(&str, &Context) -> Result<Parsed, ParseError>;

/// A source that is read a page at a time by one parser, following the pages' own order.
pub(crate) struct Feed {
    pub(crate) name: String,
    pub(crate) company: String,
    /// The first pages. `{keyword}` in them stands for the URL-encoded keyword.
    pub(crate) urls: Vec<Address>,
    pub(crate) max_pages: u32,
    pub(crate) aggregates: bool,
    /// What is asked for.
    pub(crate) kind: Kind,
    pub(crate) parse: Parse,
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("name", &self.name).field("urls", &self.urls).finish()
    }
}

impl Source for Feed {
    fn name(&self) -> &str {
        &self.name
    }

    fn aggregates(&self) -> bool {
        self.aggregates
    }

    fn run<'a>(&'a self, fetcher: &'a Fetcher, query: &'a Query) -> Running<'a> {
        Box::pin(async move { self.read_all(fetcher, query).await.unwrap_or_else(|ended| ended) })
    }
}

impl Feed {
    async fn read_all(&self, fetcher: &Fetcher, query: &Query) -> Result<Outcome, Outcome> {
        let mut all = Gathering::default();
        let mut gone = Vec::new();
        for template in &self.urls {
            let mut next = Some(with_keyword(template, &query.keyword).map_err(failed_for_good)?);
            for _ in 0..self.max_pages.max(1) {
                let Some(url) = next.take() else { break };
                let Some(page) = get(fetcher, &url, self.kind).await? else {
                    gone.push(host(&url));
                    break;
                };
                let parsed = self.read(page, query, all.allowance()).await?;
                next = all.add(parsed)?.filter(|next| *next != url);
            }
        }
        if gone.len() == self.urls.len() {
            return Err(Outcome::NotFound { reason: format!("`{}` has no such page", gone[0]) });
        }
        all.parsed.judge(&self.name)?;
        Ok(all.parsed.outcome())
    }

    /// Reads a page and keeps what matches.
    async fn read(
        &self,
        page: Page,
        query: &Query,
        allowance: Allowance,
    ) -> Result<Parsed, Outcome> {
        let context = Context::new(&self.name, &self.company, &page.url, query.now);
        let context = context.at_home(query);
        let (parse, query) = (self.parse, query.clone());
        let matching = move |body: &str, context: &Context| {
            let mut parsed = parse(body, context)?;
            let total = parsed.listings.len();
            parsed
                .listings
                .retain(|listing| context.budget.step().is_ok() && query.matches(listing));
            context.budget.spent()?;
            parsed.others += total - parsed.listings.len();
            Ok(parsed)
        };
        read_apart(page, context, allowance, matching).await
    }
}

/// What a source has, page after page; with its end, what still reads for it ends.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    end: SourceEnd,
    bytes: usize,
    pub(crate) parsed: Parsed,
}

impl Gathering {
    /// Returns what is left to the source for reading.
    pub(crate) fn allowance(&self) -> Allowance {
        self.end.allowance()
    }

    /// Adds a page and returns the next one's address.
    pub(crate) fn add(&mut self, page: Parsed) -> Result<Option<Url>, Outcome> {
        self.bytes += page.listings.iter().map(record::size).sum::<usize>();
        if self.bytes > MAX_MATCHES {
            let mib = MAX_MATCHES >> 20;
            return Err(failed_for_good(format_args!(
                "its listings that match take more than {mib} MiB; a narrower keyword has fewer"
            )));
        }
        let all = &mut self.parsed;
        all.listings.extend(page.listings);
        all.skipped.extend(page.skipped);
        all.skipped.truncate(MAX_SKIPPED);
        all.n_skipped += page.n_skipped;
        all.others += page.others;
        all.repairs += page.repairs;
        all.no_board |= page.no_board;
        Ok(page.next)
    }
}

impl Context {
    /// Returns the context of a source's page, with an unlimited budget.
    pub fn new(source: &str, company: &str, page: &Url, now: Timestamp) -> Self {
        let locale = page.domain().map(Locale::of_host).unwrap_or_default();
        Self {
            source: source.to_owned(),
            company: company.to_owned(),
            page: page.clone(),
            now,
            locale,
            home: Locale::default(),
            order: DateOrder::of(&locale),
            budget: Arc::new(Budget::unlimited()),
        }
    }

    /// Returns the context of a source of which the configuration says language and country.
    pub(crate) fn at_home(self, query: &Query) -> Self {
        let locale = query.home.or(self.locale);
        Self { locale, home: query.home, order: DateOrder::of(&locale), ..self }
    }

    /// Returns the context of a page that names its language; where that does not tell how dates
    /// are written, those of the text may.
    pub(crate) fn in_language(&self, tag: &str, dates: impl FnOnce() -> DateOrder) -> Self {
        let locale = self.home.or(Locale::of_tag(tag)).or(self.locale);
        let order = DateOrder::of(&locale).or_else(dates);
        Self { locale, order, ..self.clone() }
    }

    /// Reads a date of the page.
    pub(crate) fn date(&self, text: &str) -> Option<String> {
        dates::text(text, self.order, self.now)
    }
}

impl Parsed {
    /// Tells what the pages together mean.
    ///
    /// # Errors
    /// They have nothing, and that is no honest zero.
    pub(crate) fn judge(&self, source: &str) -> Result<(), Outcome> {
        for reason in self.skipped.iter().take(20) {
            tracing::debug!(source, reason, "record skipped");
        }
        if self.repairs > 0 {
            tracing::debug!(source, repairs = self.repairs, "its JSON was repaired");
        }
        let found = self.listings.len() + self.others;
        if found == 0 && self.no_board {
            let reason = "the answer holds no posting at all, as for a board that does not exist";
            return Err(Outcome::NotFound { reason: reason.into() });
        }
        if let (0, Some(first)) = (found, self.skipped.first()) {
            let count = self.n_skipped;
            return Err(failed(format!("none of {count} records could be read; first: {first}")));
        }
        Ok(())
    }

    pub(crate) fn outcome(self) -> Outcome {
        Outcome::Found { listings: self.listings, others: self.others }
    }

    /// Adds a record, or why it could not be read.
    ///
    /// # Errors
    /// The budget is used up.
    pub(crate) fn add(
        &mut self,
        record: Result<Listing, String>,
        context: &Context,
    ) -> Result<(), ParseError> {
        context.budget.step()?;
        match record {
            Ok(listing) => {
                context.budget.take(record::size(&listing))?;
                self.listings.push(listing);
            }
            Err(reason) => self.skip(reason),
        }
        Ok(())
    }

    pub(crate) fn skip(&mut self, reason: String) {
        self.n_skipped += 1;
        if self.skipped.len() < MAX_SKIPPED {
            self.skipped.push(reason);
        }
    }
}

pub(crate) fn failed(reason: impl fmt::Display) -> Outcome {
    Outcome::Failed { reason: reason.to_string(), permanent: false }
}

/// As [`failed`], where asking again changes nothing.
fn failed_for_good(reason: impl fmt::Display) -> Outcome {
    Outcome::Failed { reason: reason.to_string(), permanent: true }
}

/// Runs a parser on a thread for blocking work; a panic there is the source's failure.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Outcome> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| failed("reading the answer panicked; this is a defect of the reader"))
}

/// Decodes and parses a page off the runtime's threads, which a large page would hold up, when
/// there is room for it; a parser's error is the source's failure.
pub(crate) async fn read_apart<T: Send + 'static>(
    page: Page,
    context: Context,
    allowance: Allowance,
    parse: impl FnOnce(&str, &Context) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, Outcome> {
    let host = host(&page.url);
    let room = budget::room(page.bytes.len()).await;
    let parsed = apart(move || {
        let _room = room;
        let budget = Arc::new(Budget::of_page(page.bytes.len(), allowance));
        let text = page.text();
        // The bytes are of no more use: what is made of the text needs the room.
        drop(page);
        parse(&text, &Context { budget, ..context })
    });
    parsed.await?.map_err(|error| match error {
        // The same page costs as much again.
        ParseError::TooMuch(_) => failed_for_good(format!("`{host}`: {error}")),
        _ => failed(format!("`{host}`: {error}")),
    })
}

/// Returns a page, or nothing when the server says that there is none (404, 410).
pub(crate) async fn get(fetcher: &Fetcher, url: &Url, kind: Kind) -> Result<Option<Page>, Outcome> {
    match fetcher.get(&Request::get(url.clone()).kind(kind)).await {
        Ok(page) => Ok(Some(page)),
        Err(FetchError::NotFound { .. }) => Ok(None),
        Err(error) if error.class() == Class::Permanent => Err(failed_for_good(error)),
        Err(error) => Err(failed(error)),
    }
}

/// What a reason names of an address: the rest may hold keys.
pub(crate) fn host(url: &Url) -> String {
    url.host_str().unwrap_or_default().to_owned()
}

/// Returns the address with `{keyword}` replaced.
pub(crate) fn with_keyword(template: &Address, keyword: &str) -> Result<Url, url::ParseError> {
    let encoded: String = url::form_urlencoded::byte_serialize(keyword.trim().as_bytes()).collect();
    // "+" is a space in a query only; "%20" is one everywhere.
    Url::parse(&template.expose().replace("{keyword}", &encoded.replace('+', "%20")))
}

/// Returns the base URL (configured, or the kind's own) with path segments appended, each encoded.
pub(crate) fn endpoint(
    config: &SourceConfig,
    default: &str,
    segments: &[&str],
) -> Result<Url, BuildError> {
    let base = config.base_url.clone().unwrap_or_else(|| default.into());
    let bad = |reason: &str| BuildError::new(config, "base_url", format!("{reason}: `{base}`"));
    let mut url = Url::parse(base.expose()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad("only http and https are fetched"));
    }
    let mut path = url.path_segments_mut().map_err(|()| bad("it has no path"))?;
    path.pop_if_empty().extend(segments);
    drop(path);
    Ok(url)
}

/// Returns the board that this kind cannot do without.
pub(crate) fn board(config: &SourceConfig) -> Result<&str, BuildError> {
    let board = config.board.as_deref().map(str::trim).filter(|board| !board.is_empty());
    board.ok_or_else(|| BuildError::new(config, "board", "it is required for this kind of source"))
}

/// Returns the configured pages, checked.
pub(crate) fn urls(config: &SourceConfig) -> Result<Vec<Address>, BuildError> {
    if config.urls.is_empty() {
        return Err(BuildError::new(config, "urls", "at least one page is required"));
    }
    for url in &config.urls {
        let parsed = with_keyword(url, "x")
            .map_err(|error| BuildError::new(config, "urls", format!("{error}: `{url}`")))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            let reason = format!("only http and https are fetched: `{url}`");
            return Err(BuildError::new(config, "urls", reason));
        }
    }
    Ok(config.urls.clone())
}

/// All sources of a configuration, as the worker holds them.
pub type Sources = Vec<Arc<dyn Source>>;

/// Builds every enabled source.
///
/// # Errors
/// All invalid sources at once.
pub fn build_all(configs: &[SourceConfig]) -> Result<Sources, Vec<BuildError>> {
    let mut built = Sources::new();
    let mut errors = Vec::new();
    for config in configs.iter().filter(|config| config.enabled) {
        match build(config) {
            Ok(source) => built.push(Arc::from(source)),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(built) } else { Err(errors) }
}
