//! Pages of single postings, for kinds whose lists leave out what they have.

use std::{fmt, sync::Arc};

use tokio::time::Instant;
use url::Url;

use crate::listing::Listing;
use crate::{
    context::Context,
    feed::Feed,
    fetch::Fetcher,
    gathering::Gathering,
    page::{Content, Request},
    parse_error::ParseError,
    query::Query,
    reading::{ask, read_apart},
    record,
    source_status::Ending,
    trouble::Trouble,
};

/// How a posting's own page is found and read.
#[derive(Clone)]
pub(crate) struct Detail {
    /// Returns its address; nothing leaves the listing as it is.
    pub(crate) url: FindDetail,
    pub(crate) kind: Content,
    /// Adds what the page has.
    pub(crate) read: ReadDetail,
}

/// Returns the address of a listing's own page.
pub(crate) type FindDetail = Arc<dyn Fn(&Listing) -> Option<Url> + Send + Sync>;

/// A pure reader of a posting's page into its listing.
pub(crate) type ReadDetail =
    Arc<dyn Fn(&str, &Context, &mut Listing) -> Result<(), ParseError> + Send + Sync>;

impl fmt::Debug for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detail").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Feed {
    /// Reads the pages of the listings that were found, at most `max_details` and for half of the
    /// source's time.
    ///
    /// A page that fails leaves its listing as the list has it. One that is gone closes its
    /// listing, once another could be read: else the address is wrong, not the posting closed.
    pub(crate) async fn details(
        &self,
        fetcher: &Fetcher,
        query: &Query,
        found: &Gathering,
        started: Instant,
    ) {
        let Some(detail) = &self.detail else { return };
        let until = started + fetcher.patience() / 2;
        let (mut asked, mut read, mut gone) = (0, 0, Vec::new());
        for idx in 0.. {
            let Some(listing) = found.listing(idx) else { break };
            if asked >= self.max_details || Instant::now() >= until {
                break;
            }
            let Some(url) = (detail.url)(&listing) else { continue };
            asked += 1;
            let request = Request::get(url).kind(detail.kind).deadline(until);
            match self.detailed(detail, listing, &request, found, fetcher, query).await {
                Ok(listing) => {
                    read += 1;
                    found.replace(idx, listing);
                }
                Err(Trouble { ending: Ending::NotFound | Ending::Gone, .. }) => gone.push(idx),
                Err(trouble) => {
                    found.note(format!("a posting's own page was not read: {}", trouble.reason));
                    if matches!(trouble.ending, Ending::Blocked | Ending::Throttled) {
                        break;
                    }
                }
            }
        }
        for idx in gone {
            if read > 0 {
                found.close(idx);
            }
        }
    }

    async fn detailed(
        &self,
        detail: &Detail,
        listing: Listing,
        request: &Request,
        found: &Gathering,
        fetcher: &Fetcher,
        query: &Query,
    ) -> Result<Listing, Trouble> {
        let page = ask(fetcher, request).await?;
        let context = Context::new(&self.name, &self.company, &page.url, query.now).at_home(query);
        let (reader, mut detailed) = (Arc::clone(&detail.read), listing.clone());
        let read = move |body: &str, context: &Context| {
            reader(body, context, &mut detailed)?;
            Ok(record::finish(detailed, context).ok())
        };
        let finished = read_apart(page, context, found.allowance(), read).await?;
        Ok(finished.unwrap_or(listing))
    }
}
