//! Reads list pages and detail pages by their selectors; pure.

use std::collections::BTreeMap;

use scraper::{ElementRef, Html};

use super::picks::{Pick, Picks, first_link};
use crate::listing::Listing;
use crate::{
    blocked,
    budget::Budget,
    context::Context,
    dates::DateOrder,
    dom, jsonld,
    location::{self, Location},
    parse_error::ParseError,
    parsed::Parsed,
    reading::unless_blocked,
    record,
    salary::Salary,
    text,
};

/// Listings read of one list page.
const MAX_ITEMS: usize = 5_000;

/// Reads a list page.
///
/// # Errors
/// The page is empty or takes too much to read.
pub fn parse_list(body: &str, picks: &Picks, context: &Context) -> Result<Parsed, ParseError> {
    let budget = &*context.budget;
    let page = page(body, budget)?;
    let base = dom::base(&page, &context.page);
    let based = Context { page: base, ..localized(&page, body, context) };
    let mut parsed = Parsed::default();
    let mut items = dom::select_all(&page, &picks.item, budget);
    for item in items.by_ref().take(MAX_ITEMS) {
        parsed.add(read_item(item, picks, &based), context)?;
    }
    if items.next().is_some() {
        let reason = format!("a page has more than the {MAX_ITEMS} postings that are read of one");
        parsed.left_out.push(reason);
    }
    let next = picks.next_page.as_ref();
    let next = next.and_then(|pick| first_link(pick, page.root_element(), &based.page, budget));
    parsed.turn_to(next, &context.page);
    if parsed.listings.is_empty() && parsed.n_skipped == 0 && !picks.is_empty(&page, budget) {
        let missing = format!("no element that `{}` selects", picks.item_text);
        let todo = "check `selectors.item`, or tell by `selectors.empty` what an empty list shows";
        parsed.doubt = Some(blocked::doubt(&page, context, &missing, todo));
    }
    // What was found until the budget ended is not all, and tells nothing of what is gone.
    budget.spent()?;
    Ok(parsed.settled_short())
}

fn read_item(item: ElementRef<'_>, picks: &Picks, context: &Context) -> Result<Listing, String> {
    let own = Pick { selector: None, attribute: Some("href".into()), label: None };
    let pick = picks.link.as_ref().unwrap_or(&own);
    let link = first_link(pick, item, &context.page, &context.budget);
    let mut listing = record::listing(&context.source, context.now);
    listing.company.clone_from(&context.company);
    listing.url = link.map(String::from).unwrap_or_default();
    listing.language.clone_from(&context.language);
    fill(&mut listing, &picks.list, item, context);
    if listing.title.is_empty() && picks.detail.contains_key("title") && !listing.url.is_empty() {
        return Ok(listing);
    }
    for (value, setting) in [(&listing.title, "title"), (&listing.url, "link")] {
        if value.is_empty() {
            return Err(format!("`selectors.{setting}` finds nothing in an item"));
        }
    }
    record::finish(listing, context)
}

/// Reads a detail page into its listing; what the selectors do not give, the page's JSON-LD may.
///
/// # Errors
/// The page is empty or takes too much to read.
pub fn parse_detail(
    body: &str,
    picks: &Picks,
    context: &Context,
    listing: &mut Listing,
) -> Result<(), ParseError> {
    let page = page(body, &context.budget)?;
    let context = localized(&page, body, context);
    let is_filled = fill(listing, &picks.detail, page.root_element(), &context);
    context.budget.spent()?;
    match jsonld::posting_of(body, listing, &context)? {
        Some(structured) => merge(listing, structured),
        None if is_filled => {}
        None => unless_blocked(body, &context)?,
    }
    listing.language = listing.language.take().or(context.language);
    Ok(())
}

/// Adds what a posting's page has of it as structured data to what a list gave.
///
/// # Errors
/// The page takes too much to read.
pub(crate) fn read_structured(
    body: &str,
    context: &Context,
    listing: &mut Listing,
) -> Result<(), ParseError> {
    match jsonld::posting_of(body, listing, context)? {
        Some(structured) => merge(listing, structured),
        None => unless_blocked(body, context)?,
    }
    Ok(())
}

fn page(body: &str, budget: &Budget) -> Result<Html, ParseError> {
    if body.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    Ok(dom::document(body, budget)?)
}

/// Sets each field that its selector finds; the others stay as they are. Tells whether one did.
fn fill(
    listing: &mut Listing,
    picks: &BTreeMap<&'static str, Pick>,
    element: ElementRef<'_>,
    context: &Context,
) -> bool {
    let budget = &*context.budget;
    let mut is_filled = false;
    for (field, pick) in picks {
        if *field == "tags" {
            let before = listing.tags.len();
            listing.tags.extend(pick.all(element, budget));
            is_filled |= listing.tags.len() > before;
            continue;
        }
        if *field == "description" {
            if let Some(markup) = pick.markup(element, budget) {
                listing.description = text::description(&markup, budget);
                is_filled = true;
            }
            continue;
        }
        let exact = Some(()).filter(|()| *field == "date");
        let exact = exact.and_then(|()| pick.datetime(element, budget));
        if let Some(at) = exact.and_then(|text| context.date(&text)) {
            (listing.posted_at, is_filled) = (Some(at), true);
            continue;
        }
        let Some(line) = pick.line(element, budget) else { continue };
        is_filled = true;
        match *field {
            "title" => listing.title = line,
            "company" => listing.company = line,
            "location" => {
                let workplace = location::workplace(&line);
                location::set(listing, &[Location::line(Some(line))]);
                location::set_workplace(listing, workplace, None);
            }
            "salary" => {
                // Entities were decoded; only a salary's own text is read again.
                if let Some(salary) = Salary::of_text(&line, &context.locale) {
                    salary.set(listing);
                }
            }
            "date" => listing.posted_at = context.date(&line),
            _ => {
                listing.employment_type = location::employment_type(&line).map(str::to_owned);
            }
        }
    }
    is_filled
}

/// Takes from the structured posting what the listing does not have.
fn merge(listing: &mut Listing, from: Listing) {
    let fill = |mine: &mut Option<String>, theirs: Option<String>| {
        if mine.is_none() {
            *mine = theirs;
        }
    };
    if listing.title.is_empty() {
        listing.title = from.title;
    }
    if listing.company.is_empty() {
        listing.company = from.company;
    }
    if listing.description.is_empty() {
        listing.description = from.description;
    }
    if listing.salary_min.is_none() && listing.salary_max.is_none() {
        fill(&mut listing.salary_display, from.salary_display);
        listing.salary_min = from.salary_min;
        listing.salary_max = from.salary_max;
        listing.salary_currency = from.salary_currency;
        listing.salary_period = from.salary_period;
    }
    let is_placeless = listing.location.is_none();
    fill(&mut listing.location, from.location);
    fill(&mut listing.city, from.city);
    fill(&mut listing.state, from.state);
    fill(&mut listing.country, from.country);
    fill(&mut listing.employment_type, from.employment_type);
    fill(&mut listing.seniority_level, from.seniority_level);
    fill(&mut listing.job_function, from.job_function);
    fill(&mut listing.industries, from.industries);
    fill(&mut listing.workplace, from.workplace);
    fill(&mut listing.posted_at, from.posted_at);
    fill(&mut listing.valid_through, from.valid_through);
    fill(&mut listing.language, from.language);
    if listing.locations.is_empty() && is_placeless {
        listing.locations = from.locations;
    }
    listing.is_remote = listing.is_remote.or(from.is_remote);
    listing.tags.extend(from.tags);
}

/// Returns the context of a page in its language, which tells how its dates are written.
fn localized(page: &Html, body: &str, context: &Context) -> Context {
    let language = page.root_element().value().attr("lang").unwrap_or_default();
    context.in_language(language, || DateOrder::shown_by(body))
}
