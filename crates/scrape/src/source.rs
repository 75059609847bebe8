//! What a source is: something that is asked for postings.
//!
//! A new kind of source is one file under `sources` with a pure `parse`, and one line in [`build`].

use std::{
    collections::HashSet,
    fmt,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    sync::Arc,
};

use jiff::Timestamp;
use rhubarb_core::{
    class::Class,
    config::{ScrapeConfig, SourceConfig, SourceKind},
    redact::Address,
};
use tokio::time::Instant;
use url::Url;

use crate::{
    blocked::{self, Sign},
    budget::{self, Allowance, Budget, TooMuch},
    dates::{self, DateOrder},
    details::Detail,
    dom,
    error::FetchError,
    fetch::Fetcher,
    gathering::{Gathering, Trouble},
    locale::Locale,
    look::Look,
    page::{Kind, Page, Request},
    paging::{Next, Position, Progress, Template},
    record,
    source_status::{Ending, SourceState},
    sources,
    sources::html::HtmlSource,
    steps::{self, Step},
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

/// The boxed future of [`Source::run`].
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Something that has postings. Its time is bounded by the caller.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its name in listings and status, unique in a configuration.
    fn name(&self) -> &str;

    /// Whether it gathers postings that companies publish elsewhere; their own boards win over it.
    fn aggregates(&self) -> bool;

    /// Whether an empty answer is what any name gets, an invented one too (SmartRecruiters, Breezy):
    /// then it closes nothing.
    fn zero_proves_nothing(&self) -> bool {
        false
    }

    /// The most postings that the server shows of a board (Workday 2,000, Oracle 10,000,
    /// SuccessFactors 1,024): of more nothing is known.
    fn server_cap(&self) -> Option<usize> {
        None
    }

    /// Fetches and reads all its pages, and adds to `found` each of them, and each trouble.
    ///
    /// # Cancel safety
    /// Dropping the future ends its request; what was added stands.
    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a>;
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

    fn zero_proves_nothing(&self) -> bool {
        self.source.zero_proves_nothing()
    }

    fn server_cap(&self) -> Option<usize> {
        self.source.server_cap()
    }

    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(async move {
            let query = Query { home: self.home, ..query.clone() };
            self.source.run(fetcher, &query, found).await;
        })
    }
}

fn build_kind(config: &SourceConfig) -> Result<Box<dyn Source>, BuildError> {
    Ok(match config.kind {
        SourceKind::Greenhouse => Box::new(sources::greenhouse::build(config)?),
        SourceKind::Lever => Box::new(sources::lever::build(config)?),
        SourceKind::Ashby => Box::new(sources::ashby::build(config)?),
        SourceKind::Workday => Box::new(sources::workday::build(config)?),
        SourceKind::RemoteOk => Box::new(sources::remoteok::build(config)?),
        SourceKind::WeWorkRemotely => Box::new(sources::weworkremotely::build(config)?),
        SourceKind::Arbeitnow => Box::new(sources::arbeitnow::build(config)?),
        SourceKind::Workable => Box::new(sources::workable::build(config)?),
        SourceKind::SmartRecruiters => Box::new(sources::smartrecruiters::build(config)?),
        SourceKind::Recruitee => Box::new(sources::recruitee::build(config)?),
        SourceKind::Teamtailor => Box::new(sources::teamtailor::build(config)?),
        SourceKind::Personio => Box::new(sources::personio::build(config)?),
        SourceKind::Rippling => Box::new(sources::rippling::build(config)?),
        SourceKind::Breezy => Box::new(sources::breezy::build(config)?),
        SourceKind::BambooHr => Box::new(sources::bamboohr::build(config)?),
        SourceKind::Pinpoint => Box::new(sources::pinpoint::build(config)?),
        SourceKind::Join => Box::new(sources::join::build(config)?),
        SourceKind::Oracle => Box::new(sources::oracle::build(config)?),
        SourceKind::Icims => Box::new(sources::icims::build(config)?),
        SourceKind::SuccessFactors => Box::new(sources::successfactors::build(config)?),
        SourceKind::Remotive => Box::new(sources::remotive::build(config)?),
        SourceKind::Himalayas => Box::new(sources::himalayas::build(config)?),
        SourceKind::Jobicy => Box::new(sources::jobicy::build(config)?),
        SourceKind::HackerNews => Box::new(sources::hackernews::build(config)?),
        SourceKind::Json => Box::new(sources::json::build(config)?),
        SourceKind::Rss => Box::new(sources::rss::build(config)?),
        SourceKind::Sitemap => Box::new(sources::sitemap::build(config)?),
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

/// Pages of single postings fetched in one run, where nothing else is configured.
pub(crate) const MAX_DETAILS: u32 = 20;

/// Reasons kept of records that could not be read.
pub(crate) const MAX_SKIPPED: usize = 100;

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
    /// Why the page is not believed to be what was asked for: it holds no record, and nothing that
    /// shows that there is none.
    pub doubt: Option<Trouble>,
    /// Why there may be more records than these: a limit, a next page that is not followed.
    pub left_out: Vec<String>,
    /// How many records the source says that it has, on all its pages.
    pub claimed: Option<usize>,
    /// The addresses and identifiers of records that are gone or have expired.
    pub gone: Vec<String>,
    /// What the records look like.
    pub look: Look,
    /// How many rows the page has, where they are not the records.
    pub rows: Option<usize>,
    /// How many rows the whole list has, as the page says.
    pub total: Option<u64>,
    /// What the request for the next page has to name.
    pub cursor: Option<String>,
    /// The identifiers of all records, hashed, as the source fills them in: a page of known ones
    /// ends a list.
    pub ids: Vec<u64>,
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
    /// A page that keeps visitors out.
    #[error("the answer is {0}")]
    Blocked(Sign),
}

/// A pure reader of one kind of payload.
pub(crate) type Reader = Arc<dyn Fn(&str, &Context) -> Result<Parsed, ParseError> + Send + Sync>;

/// A source that is read a page at a time by one parser, following the pages' own order.
pub(crate) struct Feed {
    pub(crate) name: String,
    pub(crate) company: String,
    /// The lists, with the placeholders of a [`Template`].
    pub(crate) urls: Vec<Address>,
    /// The JSON that asks for a page, with the same placeholders; without it the page is got.
    pub(crate) body: Option<String>,
    /// The number of the first page.
    pub(crate) first_page: u64,
    /// Whether the lists stand for each other, so that the first that exists is read.
    pub(crate) any: bool,
    /// Whether a posting has a row for each of its places.
    pub(crate) row_per_place: bool,
    /// Whether an empty answer is what any name gets.
    pub(crate) zero_proves_nothing: bool,
    /// The most postings that the server shows.
    pub(crate) server_cap: Option<usize>,
    pub(crate) max_pages: u32,
    pub(crate) aggregates: bool,
    /// What is asked for.
    pub(crate) kind: Kind,
    pub(crate) parse: Reader,
    /// The postings' own pages, at most `max_details` of them.
    pub(crate) detail: Option<Detail>,
    pub(crate) max_details: u32,
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

    fn zero_proves_nothing(&self) -> bool {
        self.zero_proves_nothing
    }

    fn server_cap(&self) -> Option<usize> {
        self.server_cap
    }

    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(self.read_all(fetcher, query, found))
    }
}

impl Feed {
    /// Returns a source of one JSON page of a company's own board, to be told where it is.
    pub(crate) fn new(
        config: &SourceConfig,
        parse: impl Fn(&str, &Context) -> Result<Parsed, ParseError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: config.name.clone(),
            company: config.company.clone().or_else(|| config.board.clone()).unwrap_or_default(),
            urls: Vec::new(),
            body: None,
            first_page: 1,
            any: false,
            row_per_place: false,
            zero_proves_nothing: false,
            server_cap: None,
            max_pages: config.max_pages,
            aggregates: false,
            kind: Kind::Json,
            parse: Arc::new(parse),
            detail: None,
            max_details: config.max_details.unwrap_or(MAX_DETAILS),
        }
    }

    async fn read_all(&self, fetcher: &Fetcher, query: &Query, found: &Gathering) {
        let started = Instant::now();
        for (idx, url) in self.urls.iter().enumerate() {
            let (url, body) = (url.clone(), self.body.clone());
            let template = Template { url, body, kind: self.kind };
            let others = self.any && idx + 1 < self.urls.len();
            match self.read_list(&template, fetcher, query, found).await {
                Ok(()) if self.any => break,
                Ok(()) => {}
                // A page for people stands where the list is not: another may be there.
                Err(trouble) if others && trouble.ending != Ending::Blocked => {
                    tracing::debug!(source = %self.name, reason = trouble.reason, "list not read");
                }
                Err(trouble) => found.trouble(trouble),
            }
        }
        if self.row_per_place {
            found.join_rows();
        }
        self.details(fetcher, query, found, started).await;
    }

    /// Reads the pages of a list.
    async fn read_list(
        &self,
        template: &Template,
        fetcher: &Fetcher,
        query: &Query,
        found: &Gathering,
    ) -> Result<(), Trouble> {
        let mut progress = Progress::default();
        let mut next = Some(Next::At(Position { page: self.first_page, ..Position::default() }));
        for _ in 0..self.max_pages.max(1) {
            let Some(at) = next.take() else { return Ok(()) };
            let request = template.request(&query.keyword, &at).map_err(Trouble::for_good)?;
            let page = ask(fetcher, &request).await?;
            let context = Context::new(&self.name, &self.company, &page.url, query.now);
            let context = context.at_home(query);
            let reading = self.reading(query);
            let mut parsed = read_apart(page, context, found.allowance(), reading).await?;
            next = progress
                .next(template, &at, &mut parsed)
                .filter(|next| *next != Next::Link(request.url));
            found.add(parsed);
        }
        if next.is_some() {
            found.leave_out(format!(
                "there are more pages than the {} that `max_pages` allows",
                self.max_pages
            ));
        }
        Ok(())
    }

    /// Returns what reads a page and keeps what matches, or may once its own page is read.
    fn reading(
        &self,
        query: &Query,
    ) -> impl FnOnce(&str, &Context) -> Result<Parsed, ParseError> + Send + 'static {
        let (parse, query) = (Arc::clone(&self.parse), query.clone());
        let blind = self.detail.is_some() && self.max_details > 0 && query.match_description;
        let rows_are_postings = !self.row_per_place;
        move |body: &str, context: &Context| {
            let mut parsed = parse(body, context)?;
            if parsed.listings.iter().any(|listing| listing.external_id.is_empty()) {
                parsed = parsed.settled();
            }
            parsed.ids = parsed.listings.iter().map(hash).collect();
            if rows_are_postings {
                parsed.claimed = parsed.total.and_then(|total| total.try_into().ok());
            }
            if blind { Ok(parsed) } else { only_matching(parsed, &query, context) }
        }
    }
}

/// Tells a row from the others of its list.
fn hash(row: &Listing) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&row.external_id, &row.url, &row.title, &row.location).hash(&mut hasher);
    hasher.finish()
}

/// Keeps what matches, and counts the rest.
pub(crate) fn only_matching(
    mut parsed: Parsed,
    query: &Query,
    context: &Context,
) -> Result<Parsed, ParseError> {
    let total = parsed.listings.len();
    parsed.listings.retain(|listing| context.budget.step().is_ok() && query.matches(listing));
    context.budget.spent()?;
    parsed.others += total - parsed.listings.len();
    Ok(parsed)
}

/// How a source's pages are asked for.
#[derive(Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) name: &'a str,
    pub(crate) company: &'a str,
    pub(crate) max_pages: u32,
    pub(crate) kind: Kind,
    /// Whether each page is one posting's own.
    pub(crate) of_postings: bool,
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) query: &'a Query,
    pub(crate) found: &'a Gathering,
}

impl Asking<'_> {
    /// Reads each of the first pages, and those that follow it; returns which were asked for.
    pub(crate) async fn all<P>(&self, first: &[Address], parse: P) -> HashSet<Url>
    where
        P: Fn(&str, &Context) -> Result<Parsed, ParseError> + Clone + Send + 'static,
    {
        let mut seen = HashSet::new();
        for template in first {
            match (self.follow(template, &mut seen, &parse).await, self.posting(template)) {
                (Ok(()), _) => {}
                (Err(Trouble { ending, reason, .. }), Some(page))
                    if ending.state() == SourceState::NotFound =>
                {
                    self.found.page_gone(&page, reason);
                }
                (Err(trouble), _) => self.found.trouble(trouble),
            }
        }
        seen
    }

    /// Returns the address that is one posting's own: a search is none.
    fn posting(&self, template: &Address) -> Option<Url> {
        let is_own = self.of_postings && !template.expose().contains("{keyword}");
        is_own.then(|| Url::parse(template.expose()).ok())?
    }

    async fn follow<P>(
        &self,
        template: &Address,
        seen: &mut HashSet<Url>,
        parse: &P,
    ) -> Result<(), Trouble>
    where
        P: Fn(&str, &Context) -> Result<Parsed, ParseError> + Clone + Send + 'static,
    {
        let first = with_keyword(template, &self.query.keyword).map_err(Trouble::for_good)?;
        let mut next = Some(first);
        for _ in 0..self.max_pages.max(1) {
            let Some(url) = next.take().filter(|url| seen.insert(url.clone())) else {
                return Ok(());
            };
            let page = get(self.fetcher, &url, self.kind).await?;
            let context = Context::new(self.name, self.company, &page.url, self.query.now);
            let context = context.at_home(self.query);
            let parsed = read_apart(page, context, self.found.allowance(), parse.clone()).await?;
            next = self.found.add(parsed);
        }
        if next.is_some_and(|next| !seen.contains(&next)) {
            self.found.leave_out(format!(
                "there are more pages than the {} that `max_pages` allows",
                self.max_pages
            ));
        }
        Ok(())
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
    /// Sets the next page; one on another server is not followed, and that is said.
    pub(crate) fn turn_to(&mut self, next: Option<Url>, page: &Url) {
        let server = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        let Some(next) = next else { return };
        if server(&next) == server(page) {
            self.next = Some(next);
            return;
        }
        let host = host(&next);
        self.left_out
            .push(format!("the next page is on another server (`{host}`), which is not followed"));
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
                self.look.count(&listing);
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

    pub(crate) fn skip_all(&mut self, reasons: Vec<String>, n: usize) {
        self.n_skipped += n;
        self.skipped.extend(reasons);
        self.skipped.truncate(MAX_SKIPPED);
    }

    /// Says that a posting is gone.
    pub(crate) fn close(&mut self, listing: &Listing) {
        let keys = [&listing.external_id, &listing.url];
        self.gone.extend(keys.into_iter().filter(|key| !key.is_empty()).cloned());
    }
}

/// Runs a parser on a thread for blocking work; a panic there is the source's failure.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    let defect = "reading the answer panicked; this is a defect of the reader";
    done.map_err(|_| Trouble::failed(defect))
}

/// Decodes and parses a page off the runtime's threads, which a large page would hold up, when
/// there is room for it; a parser's error is the source's failure.
pub(crate) async fn read_apart<T: Send + 'static>(
    page: Page,
    context: Context,
    allowance: Allowance,
    parse: impl FnOnce(&str, &Context) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, Trouble> {
    let host = host(&page.url);
    let room = budget::room(page.bytes.len()).await;
    let parsed = apart(move || {
        let _room = room;
        let budget = Arc::new(Budget::of_page(page.bytes.len(), allowance));
        let text = page.text();
        // The bytes are of no more use: what is made of the text needs the room.
        drop(page);
        let context = Context { budget, ..context };
        parse(&text, &context).map_err(|error| explained(error, &text, &context))
    });
    parsed.await?.map_err(|error| match error {
        ParseError::Blocked(sign) => Trouble::ends(Ending::Blocked, sign.told(&host)),
        // The same page costs as much again.
        ParseError::TooMuch(_) => Trouble::for_good(format!("`{host}`: {error}")),
        _ => Trouble::failed(format!("`{host}`: {error}")),
    })
}

/// Says more of a page that came where data was expected, if it keeps visitors out.
fn explained(error: ParseError, text: &str, context: &Context) -> ParseError {
    let ParseError::Html { .. } = error else { return error };
    let Ok(page) = dom::document(text, &context.budget) else { return error };
    let sign = blocked::sign(&page, &context.page, &context.budget);
    sign.map_or(error, ParseError::Blocked)
}

/// Returns a page, or why there is none.
pub(crate) async fn get(fetcher: &Fetcher, url: &Url, kind: Kind) -> Result<Page, Trouble> {
    ask(fetcher, &Request::get(url.clone()).kind(kind)).await
}

/// As [`get`], for any request.
pub(crate) async fn ask(fetcher: &Fetcher, request: &Request) -> Result<Page, Trouble> {
    let started = Instant::now();
    let got = fetcher.get(request).await;
    steps::note(|| Step::Fetched {
        address: format!("{}{}", host(&request.url), request.url.path()),
        end: got.as_ref().map(|page| page.bytes.len()).map_err(ToString::to_string),
        elapsed: started.elapsed(),
    });
    let page = got?;
    // "Accepted" without a page: a challenge to be solved by a script that was not sent to us.
    if page.status == 202 && page.bytes.trim_ascii().is_empty() {
        return Err(Trouble::ends(Ending::Blocked, Sign::Empty.told(&host(&page.url))));
    }
    Ok(page)
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        let permanent = error.class() == Class::Permanent;
        Self { ending: error.ending(), reason: error.to_string(), permanent }
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

/// Returns the board as a part of the kind's host.
pub(crate) fn label(config: &SourceConfig) -> Result<&str, BuildError> {
    let board = board(config)?;
    if board.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
        return Ok(board);
    }
    let reason = "it is the first part of the board's host: letters, digits, `-` and `.`";
    Err(BuildError::new(config, "board", reason))
}

/// Returns the site of the board that this kind cannot do without.
pub(crate) fn site(config: &SourceConfig) -> Result<&str, BuildError> {
    let site = config.site.as_deref().map(str::trim).filter(|site| !site.is_empty());
    site.ok_or_else(|| BuildError::new(config, "site", "it is required for this kind of source"))
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
