//! A source that is read a page at a time by one parser, following the pages' own order.

mod details;

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use rhubarb_core::redact::Address;
use tokio::time::Instant;

pub(crate) use self::details::Detail;

use crate::{
    config::SourceConfig,
    context::Context,
    fetch::Fetcher,
    gathering::{Gathering, SourceLimits},
    listing::Listing,
    page::Content,
    paging::{Next, PageWalk, Position, Template},
    parse_error::ParseError,
    parsed::{Parsed, Reader, only_matching},
    query::Query,
    reading::{ask, read_apart},
    setup::are_for_all,
    source::{Refines, Running, Source},
    source_status::Ending,
    trouble::Trouble,
};

/// Pages of single postings fetched in one run, where nothing else is configured.
pub(crate) const MAX_DETAILS: u32 = 20;

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
    /// What the answers do not say.
    pub(crate) limits: SourceLimits,
    pub(crate) max_pages: u32,
    pub(crate) aggregates: bool,
    /// What is asked for.
    pub(crate) kind: Content,
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

    fn limits(&self) -> SourceLimits {
        self.limits
    }

    fn gives_all(&self) -> bool {
        are_for_all(&self.urls) && !self.body.as_deref().unwrap_or_default().contains("{keyword}")
    }

    fn refines(&self, query: &Query) -> Refines {
        match (self.detail.is_some() && self.max_details > 0, query.match_description) {
            (false, _) => Refines::None,
            (true, false) => Refines::Matching,
            (true, true) => Refines::All,
        }
    }

    fn refine<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(self.details(fetcher, query, found, Instant::now()))
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
            limits: SourceLimits::default(),
            max_pages: config.max_pages,
            aggregates: false,
            kind: Content::Json,
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
                Err(trouble)
                    if others && !matches!(trouble.ending, Ending::Blocked | Ending::Unchanged) =>
                {
                    tracing::debug!(source = %self.name, reason = trouble.reason, "list not read");
                }
                Err(trouble) => found.trouble(trouble),
            }
        }
        if self.row_per_place {
            found.join_rows();
        }
        if !query.is_all() {
            self.details(fetcher, query, found, started).await;
        }
    }

    /// Reads the pages of a list.
    async fn read_list(
        &self,
        template: &Template,
        fetcher: &Fetcher,
        query: &Query,
        found: &Gathering,
    ) -> Result<(), Trouble> {
        let mut progress = PageWalk::default();
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
        let blind = self.refines(&query) == Refines::All;
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
