//! What one payload holds.

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use crate::{
    context::Context, coverage::Coverage, json::Read, link::host, listing::Listing,
    parse_error::ParseError, query::Query, record, trouble::Trouble,
};

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
    pub look: Coverage,
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

/// A pure reader of one kind of payload.
pub(crate) type Reader = Arc<dyn Fn(&str, &Context) -> Result<Parsed, ParseError> + Send + Sync>;

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

impl Parsed {
    /// Reads an answer that is an object with its records in one array.
    ///
    /// # Errors
    /// The answer is not JSON, or has no such array, which `expected` names; the budget is used up.
    pub(crate) fn of_array(
        body: &str,
        (key, expected): (&str, &'static str),
        read: impl Fn(&Value, &Context) -> Result<Listing, String>,
        context: &Context,
    ) -> Result<Self, ParseError> {
        let Read { value: root, repairs } = record::json(body, &context.budget)?;
        let mut parsed = Self { repairs, ..Self::default() };
        for one in record::array(&root, key, expected)? {
            parsed.add(read(one, context), context)?;
        }
        Ok(parsed)
    }

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
