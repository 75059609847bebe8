//! Pages that name the next one, followed from the configured ones on.

use std::collections::HashSet;

use rhubarb_core::redact::Address;
use url::Url;

use crate::{
    context::Context,
    fetch::Fetcher,
    gathering::Gathering,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    query::Query,
    reading::{get, read_apart},
    setup::with_keyword,
    source_status::SourceState,
    trouble::Trouble,
};

/// How a source's pages are asked for.
#[derive(Debug)]
pub(crate) struct Following<'a> {
    pub(crate) name: &'a str,
    pub(crate) company: &'a str,
    pub(crate) max_pages: u32,
    pub(crate) kind: Content,
    /// Whether each page is one posting's own.
    pub(crate) of_postings: bool,
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) query: &'a Query,
    pub(crate) found: &'a Gathering,
}

impl Following<'_> {
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
