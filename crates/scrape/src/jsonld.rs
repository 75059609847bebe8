//! schema.org `JobPosting`s in the JSON-LD blocks of a page, as sites write them: with mistakes.

mod blocks;
mod graph;
mod microdata;
mod posting;

use url::Url;

use self::{
    blocks::{Blocks, blocks},
    graph::{Graph, Plain},
    posting::Posting,
};
use crate::{
    context::Context, dates::DateOrder, dom, identity::normal, json, link::Tracking,
    listing::Listing, parse_error::ParseError, parsed::Parsed, record,
};

/// Postings read of one page.
const MAX_POSTINGS: usize = 1_000;

/// Returns every posting of the page: in any JSON-LD block, alone, in an array or a `@graph`, or
/// inside another object; where there is none, in microdata or RDFa.
///
/// # Errors
/// The budget is used up.
pub(crate) fn postings(page: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Structured { parsed, .. } = structured(page, context)?;
    Ok(parsed.settled())
}

/// Returns the posting of a page that is a listing's, if one of its postings is.
///
/// It is by its address, by what the page says that it is about, or by its title, when one posting
/// only has it.
///
/// # Errors
/// The budget is used up.
pub(crate) fn posting_of(
    page: &str,
    listing: &Listing,
    context: &Context,
) -> Result<Option<Listing>, ParseError> {
    let Structured { parsed, signs } = structured(page, context)?;
    let addresses = [listing.url.as_str(), context.page.as_str()].map(canonical);
    let is_same = |found: &Listing, sign: &Marks| {
        sign.is_main || sign.has_address && addresses.contains(&canonical(&found.url))
    };
    let title = normal(&listing.title);
    let found = || parsed.listings.iter().zip(&signs);
    if let Some((found, _)) = found().find(|(found, sign)| is_same(found, sign)) {
        return Ok(Some(found.clone()));
    }
    let mut titled = found().filter(|(found, _)| says_title(&normal(&found.title), &title));
    let (first, others) = (titled.next(), titled.next());
    Ok(first.filter(|_| others.is_none()).map(|(found, _)| found.clone()))
}

/// Tells whether two titles are of one posting: `Cook` and `Cook (m/w/d)` are.
fn says_title(theirs: &str, ours: &str) -> bool {
    let holds = |long: &str, short: &str| format!(" {long} ").contains(&format!(" {short} "));
    ours.is_empty() || !theirs.is_empty() && (holds(theirs, ours) || holds(ours, theirs))
}

fn canonical(url: &str) -> String {
    let url = Url::parse(url).map(|url| Tracking::default().without(&url, false).to_string());
    url.unwrap_or_default()
}

/// The postings of a page, each with what tells which it is.
struct Structured {
    parsed: Parsed,
    signs: Vec<Marks>,
}

/// What a posting says of itself.
struct Marks {
    /// Whether it names an address of its own.
    has_address: bool,
    /// Whether the page says that it is about this one.
    is_main: bool,
}

fn structured(page: &str, context: &Context) -> Result<Structured, ParseError> {
    let budget = &*context.budget;
    let mut parsed = Parsed::default();
    let mut roots = Vec::new();
    let Blocks { texts, address, base, tag, is_marked } = blocks(page, context)?;
    for block in &texts {
        match json::read_block(block, budget) {
            Ok(json::Read { value, repairs }) => {
                parsed.repairs += repairs;
                roots.push(value);
            }
            Err(reason) => parsed.skip(format!("JSON-LD block cannot be read: {reason}")),
        }
        budget.spent()?;
    }
    let mut plain = Graph::new(&roots, budget)?.postings(MAX_POSTINGS + 1)?;
    if plain.is_empty() && is_marked {
        roots = microdata::postings(&dom::document(page, budget)?, MAX_POSTINGS + 1, budget)?;
        plain = Graph::new(&roots, budget)?.postings(MAX_POSTINGS + 1)?;
    }
    if plain.len() > MAX_POSTINGS {
        plain.truncate(MAX_POSTINGS);
        let reason =
            format!("a page has more than the {MAX_POSTINGS} postings that are read of one");
        parsed.left_out.push(reason);
    }
    let order = || DateOrder::shown_by(&dates_of(&plain));
    let context = context.in_language(tag.as_deref().unwrap_or_default(), order);
    let context = &Context { page: base, ..context };
    let mut signs = Vec::new();
    for Plain { value, is_main } in &plain {
        let posting = Posting { posting: value, page: &address };
        let sign = Marks { has_address: posting.own_url(context).is_some(), is_main: *is_main };
        let read = posting.read(context).map(|listing| Listing {
            language: listing.language.or_else(|| context.language.clone()),
            ..listing
        });
        if read.is_ok() {
            signs.push(sign);
        }
        parsed.add(read, context)?;
    }
    Ok(Structured { parsed, signs })
}

/// Returns the dates of the postings, which together may show how they are written.
fn dates_of(postings: &[Plain]) -> String {
    let dates = postings.iter().flat_map(|Plain { value, .. }| {
        ["datePosted", "validThrough"].map(|key| record::line(value, &[key]))
    });
    dates.flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
