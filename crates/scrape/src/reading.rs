//! One page: asked for, and read off the runtime's threads.

use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use crate::{
    blocked::{self, Sign},
    budget::{self, Allowance, Budget},
    context::Context,
    dom,
    fetch::Fetcher,
    link::host,
    listing::Listing,
    page::{Content, Page, Request},
    parse_error::ParseError,
    parsed::Parsed,
    source_status::Ending,
    steps::{self, Step},
    trouble::Trouble,
};

/// Runs a parser on a thread for blocking work; a panic there is the source's failure.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(work).await;
    let defect = "reading the answer panicked; this is a defect of the reader";
    done.map_err(|_| Trouble::failed(defect))
}

/// What a page gave.
pub(crate) trait Given {
    /// Tells whether the page is believed to be what was asked for.
    fn is_believed(&self) -> bool {
        true
    }
}

impl Given for Parsed {
    fn is_believed(&self) -> bool {
        self.doubt.is_none()
    }
}

impl Given for Option<Listing> {}

/// Decodes and parses a page off the runtime's threads, which a large page would hold up, when
/// there is room for it; a parser's error is the source's failure.
///
/// A page that is not what was asked for (a challenge, an error as a page) is not kept for the next
/// time; any other is, compressed where it is read.
pub(crate) async fn read_apart<T: Given + Send + 'static>(
    page: Page,
    context: Context,
    allowance: Allowance,
    parse: impl FnOnce(&str, &Context) -> Result<T, ParseError> + Send + 'static,
) -> Result<T, Trouble> {
    let host = host(&page.url);
    let (kept, context) = (page.kept.clone(), context.served_in(page.language.as_deref()));
    let turn = budget::turn().await;
    let room = budget::room(page.bytes.len()).await;
    let read = apart(move || {
        let _held = (turn, room);
        let packed = page.kept.as_ref().and_then(|kept| kept.packed(&page.bytes));
        let budget = Arc::new(Budget::of_page(page.bytes.len(), allowance));
        let text = page.text();
        // The bytes are of no more use: what is made of the text needs the room.
        drop(page);
        let context = Context { budget, ..context };
        let parsed = parse(&text, &context).map_err(|error| explained(error, &text, &context));
        (parsed, packed)
    });
    let (parsed, packed) = read.await?;
    let is_believed = match &parsed {
        Ok(given) => given.is_believed(),
        Err(error) => matches!(error, ParseError::TooMuch(_)),
    };
    match (kept, packed) {
        (Some(kept), Some(packed)) if is_believed => kept.keep(packed).await,
        (Some(kept), _) if !is_believed => kept.forget().await,
        _ => {}
    }
    parsed.map_err(|error| match error {
        ParseError::Blocked(sign) => Trouble::ends(Ending::Blocked, sign.told(&host)),
        // The same page costs as much again.
        ParseError::TooMuch(_) => Trouble::for_good(format!("`{host}`: {error}")),
        _ => Trouble::failed(format!("`{host}`: {error}")),
    })
}

/// Refuses a posting's own page on which nothing of it was found, if it keeps visitors out.
///
/// # Errors
/// It does, or takes too much to read.
pub(crate) fn unless_blocked(body: &str, context: &Context) -> Result<(), ParseError> {
    let page = dom::document(body, &context.budget)?;
    let sign = blocked::sign(&page, &context.page, &context.budget);
    sign.map_or(Ok(()), |sign| Err(ParseError::Blocked(sign)))
}

/// Says more of a page that came where data was expected, if it keeps visitors out.
fn explained(error: ParseError, text: &str, context: &Context) -> ParseError {
    let may_be_html = match error {
        ParseError::Html { .. } => true,
        ParseError::Shape { .. } | ParseError::Invalid { .. } => text.trim_start().starts_with('<'),
        _ => false,
    };
    if !may_be_html {
        return error;
    }
    let Ok(page) = dom::document(text, &context.budget) else { return error };
    let sign = blocked::sign(&page, &context.page, &context.budget);
    sign.map_or(error, ParseError::Blocked)
}

/// Returns a page, or why there is none.
pub(crate) async fn get(fetcher: &Fetcher, url: &Url, kind: Content) -> Result<Page, Trouble> {
    ask(fetcher, &Request::get(url.clone()).kind(kind)).await
}

/// As [`get`], for any request.
pub(crate) async fn ask(fetcher: &Fetcher, request: &Request) -> Result<Page, Trouble> {
    let started = Instant::now();
    let got = fetcher.fetch(request).await;
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
