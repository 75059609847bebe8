//! SuccessFactors career sites, by their feeds, or else by their search.
//!
//! `GET {base_url}/sitemal.xml`, `/googlefeed.xml` or `/feeds/?locale=en_US`, the first that is
//! there; else `/search/?q=&startrow=N`, 25 rows a page. Facts:
//! - A feed's title is `Title (City, ST, US, zip)`: its last bracket is the place. Descriptions may
//!   be escaped inside of CDATA. Links carry tracking parameters.
//! - The search may show 29 of the feed's 262, and old sites 1,024 rows at the most (2026-09). Its
//!   rows have title and place twice, for desktop and phone.
//! - Postings' pages are `/job/{slug}/{id}/`, with microdata, not always whole.

use std::sync::Arc;

use rhubarb_core::redact::Address;
use scraper::{ElementRef, Selector};
use serde_json::Value;
use url::Url;

use crate::{
    config::SourceConfig,
    context::Context,
    dom,
    feed::{Detail, Feed},
    gathering::SourceLimits,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::Posting,
    record,
    setup::{BuildError, endpoint},
    sources::html,
    text,
    xml::{self, Names},
};

/// Where a site's postings are looked for, in this order.
const LISTS: [(&[&str], &str); 4] = [
    (&["sitemal.xml"], ""),
    (&["googlefeed.xml"], ""),
    (&["feeds", ""], "locale=en_US"),
    (&["search", ""], "q=&startrow={offset}"),
];

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    if config.base_url.is_none() {
        let reason = "the career site's own address is required: `https://careers.acme.example`";
        return Err(BuildError::new(config, "base_url", reason));
    }
    let mut urls = Vec::new();
    for (path, query) in LISTS {
        let mut url = endpoint(config, "", path)?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        urls.push(Address::new(url));
    }
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls,
        any: true,
        kind: Content::Any,
        detail: Some(Detail {
            url: Arc::new(|listing| Url::parse(&listing.url).ok()),
            kind: Content::Html,
            read: Arc::new(html::read_structured),
        }),
        limits: SourceLimits { server_cap: Some(1_024), ..SourceLimits::default() },
        ..Feed::new(config, parse)
    })
}

/// Reads a feed, or a page of the search.
///
/// # Errors
/// The answer is neither, or cut off.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let start = body.trim_start_matches('\u{feff}').trim_start();
    if start.is_empty() {
        return Err(ParseError::Empty);
    }
    let xml = start.starts_with("<?xml") || start.starts_with("<rss") || start.starts_with("<feed");
    if xml { feed(body, context) } else { search(body, context) }
}

fn feed(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let records = ["title", "item", "entry"].map(str::to_owned).to_vec();
    let names = Names { root: "element `rss`", roots: &["rss", "feed"], records };
    let mut parsed = Parsed::default();
    let mut company = String::new();
    xml::records(body, &names, &context.budget, |name, value| {
        if name == "title" {
            if company.is_empty() {
                company = of_feed(&value);
            }
            return Ok(());
        }
        parsed.add(item(&value, &company, context), context)
    })?;
    Ok(parsed)
}

/// Returns the company out of a feed's title: `Acme - Custom Search`.
fn of_feed(title: &Value) -> String {
    let title = text::line(xml::text_of(title).unwrap_or_default());
    let name = title.split(" - ").next().unwrap_or_default();
    text::line(name.trim_end_matches("Jobs").trim_end_matches("Careers"))
}

fn item(item: &Value, company: &str, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(item, context);
    let title = posting.line(&["title"]).unwrap_or_default();
    let (title, place) = split(&title);
    posting.listing.title = title.to_owned();
    posting.entity(&[&["g:employer"]]);
    if posting.listing.company.is_empty() {
        posting.listing.company = company.to_owned();
    }
    let link = posting.address(&[&["link"], &["link", "@href"], &["guid"]]).unwrap_or_default();
    posting.listing.external_id =
        number(&link).or_else(|| posting.first(&[&["g:id"], &["guid"]])).unwrap_or_default();
    posting.listing.url = untracked(&link);
    let place = place.map(str::to_owned).or_else(|| posting.line(&["g:location"]));
    posting.workplace(std::slice::from_ref(&place), None);
    posting.places(&[Location::line(place)]);
    posting.listing.job_function = posting.line(&["g:job_function"]);
    posting.employment(&[posting.line(&["g:job_type"])]);
    if let Some(markup) = record::raw(item, &["description"]).filter(|text| text.trim() != "...") {
        // Inside of CDATA the markup may be escaped once more; a text without any is not.
        let unescaped = text::unescape(markup);
        let markup = if markup.contains('<') { markup } else { &unescaped };
        posting.listing.description = text::description(markup, &context.budget);
    }
    posting.posted(&[&["pubDate"], &["g:publish_date"], &["published"]]);
    posting.expires(&[&["g:expiration_date"]]);
    posting.finish()
}

/// Splits off the last bracket, which has the place.
fn split(title: &str) -> (&str, Option<&str>) {
    let whole = (title, None);
    let Some(inner) = title.strip_suffix(')') else { return whole };
    let mut depth = 1;
    for (at, c) in inner.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            let place = inner[at + 1..].trim();
            // A bracket without a comma may be the title's own: `(m/w/d)`.
            let placed = place.contains(',') && at > 0;
            return if placed { (title[..at].trim_end(), Some(place)) } else { whole };
        }
    }
    whole
}

/// Returns the posting's number out of `/job/{slug}/{id}/`.
fn number(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    let last = url.path_segments()?.rfind(|segment| !segment.is_empty())?;
    last.bytes().all(|byte| byte.is_ascii_digit()).then(|| last.to_owned())
}

/// The parameters of a feed's links only follow the reader.
fn untracked(link: &str) -> String {
    match Url::parse(link) {
        Ok(mut url) if number(link).is_some() => {
            url.set_query(None);
            url.into()
        }
        _ => link.to_owned(),
    }
}

/// Reads a page of the search.
fn search(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let budget = &*context.budget;
    let page = dom::document(body, budget)?;
    let select = |css: &str| Selector::parse(css).expect("a fixed selector");
    let (row_css, label_css) = (select("tr.data-row"), select(".paginationLabel"));
    let rows: Vec<_> = dom::select_all(&page, &row_css, budget).collect();
    let label = dom::select_all(&page, &label_css, budget).next();
    let label = label.map(|label| dom::spaced(label, budget));
    if rows.is_empty() && label.is_none() {
        return Err(ParseError::Shape { expected: "row of postings (`tr.data-row`)" });
    }
    let total = label.and_then(|label| last_number(&label));
    let mut parsed = Parsed { rows: Some(rows.len()), total, ..Parsed::default() };
    for element in rows {
        parsed.add(row(element, context), context)?;
    }
    budget.spent()?;
    Ok(parsed)
}

/// `Results 1 – 25 of 1,262` counts all in its last number.
fn last_number(label: &str) -> Option<u64> {
    let digits: String = label.chars().filter(|c| !matches!(c, ',' | '.' | '\u{a0}')).collect();
    digits.split(|c: char| !c.is_ascii_digit()).rfind(|part| !part.is_empty())?.parse().ok()
}

fn row(element: ElementRef<'_>, context: &Context) -> Result<Listing, String> {
    let budget = &*context.budget;
    let select = |css: &str| Selector::parse(css).expect("a fixed selector");
    let words = |css: &str| {
        let selector = select(css);
        let found = dom::select(element, &selector, budget).next()?;
        // What stands in an element of its own ("+1 more…") is not the place.
        let own: String = found.text().take(1).collect();
        text::some_line(&own).or_else(|| text::some_line(&dom::spaced(found, budget)))
    };
    let nothing = Value::Null;
    let mut posting = Posting::new(&nothing, context);
    let links = select("a.jobTitle-link, .jobTitle a");
    let link = dom::select(element, &links, budget).next().ok_or("a row has no link")?;
    posting.listing.title = text::line(&dom::spaced(link, budget).replace('&', "&amp;"));
    let href = link.value().attr("href").unwrap_or_default();
    let url = context.page.join(href).map(String::from).unwrap_or_default();
    posting.listing.external_id = number(&url).unwrap_or_default();
    posting.listing.url = url;
    let place = words(".colLocation .jobLocation").or_else(|| words(".jobLocation"));
    posting.workplace(std::slice::from_ref(&place), None);
    posting.places(&[Location::line(place)]);
    let day = words(".jobDate");
    posting.listing.posted_at = day.and_then(|day| crate::posting::date(&day, context));
    posting.listing.job_function = words(".jobFacility, .jobDepartment");
    posting.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, parsed, survives};

    const FEED: &str = "<?xml version=\"1.0\"?><rss version='2.0'><channel><title>Acme - Custom Search </title>\
        <item><title><![CDATA[Cooper (Barrels) (Beaune, BFC, FR, 21200)]]></title><description><![CDATA[&lt;p&gt;Bend.&lt;/p&gt;]]></description>\
        <pubDate>Fri, 02 Oct 2026 7:00:00 GMT</pubDate><link>https://jobs.acme.test/job/Beaune-Cooper/139/?feedId=null&amp;utm_source=J2W</link>\
        <guid>https://jobs.acme.test/job/Beaune-Cooper/139/?feedId=null</guid></item>\
        <item><title>Vintner (m/w/d)</title><link>https://jobs.acme.test/job/V/140/</link></item></channel></rss>";

    const SEARCH: &str = r#"<table id="searchresults"><tbody><tr class="data-row"><td class="colTitle">
        <span class="jobTitle hidden-phone"><a href="/job/Lyon-Smith/14/" class="jobTitle-link">Smith &amp; Co</a></span>
        <div class="jobdetail-phone"><span class="jobTitle"><a class="jobTitle-link" href="/job/Lyon-Smith/14/">Smith &amp; Co</a></span>
        <span class="jobLocation visible-phone"><span class="jobLocation">Lyon, FR</span></span></div></td>
        <td class="colLocation"><span class="jobLocation">
            Lyon, FR
            <small class="nobr">+1 more&hellip;</small></span></td><td class="colDate"><span class="jobDate">Oct 2, 2026
        </span></td></tr></tbody></table><span class="paginationLabel">Results <b>1 – 1</b> of <b>1,004</b></span>"#;

    #[test]
    fn a_feed_is_read_with_the_place_out_of_its_titles() {
        let context = Context { company: String::new(), ..context() };
        let parsed = parse(FEED, &context).unwrap();
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!((first.title.as_str(), first.company.as_str()), ("Cooper (Barrels)", "Acme"));
        assert_eq!(first.location.as_deref(), Some("Beaune, BFC, FR, 21200"));
        assert_eq!(first.url, "https://jobs.acme.test/job/Beaune-Cooper/139/");
        assert_eq!((first.external_id.as_str(), first.description.as_str()), ("139", "Bend."));
        assert_eq!(first.posted_at.as_deref(), Some("2026-10-02T07:00:00+00:00"));
        assert_eq!((second.title.as_str(), second.location.as_deref()), ("Vintner (m/w/d)", None));
    }

    #[test]
    fn a_page_of_the_search_is_read_once_for_each_row() {
        let parsed = parsed(parse, SEARCH);
        assert_eq!((parsed.total, parsed.rows), (Some(1004), Some(1)));
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!((listing.title.as_str(), listing.external_id.as_str()), ("Smith & Co", "14"));
        assert_eq!(listing.location.as_deref(), Some("Lyon, FR"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-10-02T00:00:00+00:00"));
    }

    #[test]
    fn another_page_is_no_empty_list() {
        assert!(parse("<html><form><input type=password>", &context()).is_err());
        assert_eq!(parse("", &context()), Err(ParseError::Empty));
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, FEED);
        survives(parse, SEARCH);
    }
}
