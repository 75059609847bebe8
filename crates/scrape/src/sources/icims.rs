//! iCIMS career sites: the search as the site's own frame shows it, or the JSON of its newer sites.
//!
//! `GET https://{board}.icims.com/jobs/search?ss=1&in_iframe=1&pr=N`, pages from 0; postings at
//! `/jobs/{id}/{slug}/job?in_iframe=1`. A newer site on the company's own domain answers
//! `GET {site}/api/jobs?page=N`: such addresses go into `urls`, with `{page}`. Facts:
//! - Only with `in_iframe=1` the page comes with its postings in it (2026-06).
//! - Paging hangs on the session's cookie: pages are asked for in sequence (2026-08).
//! - Many lists have neither day nor place; a posting's page has both as JSON-LD.

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
    json::Read,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named, parts},
    record, rows,
    setup::{BuildError, endpoint, label, urls},
    sources::html,
    text,
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let own = !config.urls.is_empty();
    let urls = if own {
        urls(config)?
    } else {
        let base = format!("https://{}.icims.com", label(config)?);
        let mut url = endpoint(config, &base, &["jobs", "search"])?;
        url.set_query(Some("ss=1&in_iframe=1&pr={page}"));
        vec![Address::new(url)]
    };
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls,
        first_page: u64::from(own),
        kind: Content::Any,
        row_per_place: true,
        detail: Some(Detail {
            url: Arc::new(framed),
            kind: Content::Html,
            read: Arc::new(html::read_structured),
        }),
        ..Feed::new(config, parse)
    })
}

/// Returns the posting's page inside its frame; what the JSON gave needs none.
fn framed(listing: &Listing) -> Option<Url> {
    let mut url = Url::parse(&listing.url).ok().filter(|_| listing.description.is_empty())?;
    url.set_query(Some("in_iframe=1"));
    Some(url)
}

/// Reads a page of the search, or of the JSON.
///
/// # Errors
/// The answer is neither.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let start = body.trim_start_matches('\u{feff}').trim_start();
    match start.as_bytes().first() {
        None => Err(ParseError::Empty),
        Some(b'{' | b'[') => json(body, context),
        Some(_) => search(body, context),
    }
}

fn json(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let rows = record::array(&root, "jobs", "array `jobs`")?;
    let total = record::number(&root, &["totalCount"]).map(|total| total as u64);
    let mut parsed = Parsed { repairs, rows: Some(rows.len()), total, ..Parsed::default() };
    for row in rows {
        parsed.add(job(row.get("data").unwrap_or(row), context), context)?;
    }
    Ok(parsed)
}

fn job(data: &Value, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(data, context);
    posting.id(&[&["req_id"], &["slug"]]);
    posting.title(&["title"]);
    posting.entity(&[&["hiring_organization"]]);
    posting.listing.apply_url = posting.address(&[&["apply_url"]]);
    let slug = posting.line(&["slug"]).unwrap_or_default();
    let page = context.page.join(&format!("/jobs/{slug}"));
    posting.listing.url = page.map(String::from).unwrap_or_default();
    let country = if data.get("country_code").is_some() { "country_code" } else { "country" };
    let line = posting.first(&[&["full_location"], &["short_location"]]);
    posting.places(&[named(line, parts(data, "city", "state", country))]);
    let tags = |key: &str| record::lines(data, &[key]);
    let numbered = (1..=9).flat_map(|n| tags(&format!("tags{n}")));
    let words: Vec<Option<String>> = tags("tags").into_iter().chain(numbered).map(Some).collect();
    posting.workplace(&words, None);
    posting.employment(&[posting.line(&["employment_type"])]);
    posting.listing.job_function = record::items(record::at(data, &["categories"]))
        .iter()
        .find_map(|category| record::line(category, &["name"]));
    posting.listing.language = posting.line(&["language"]);
    posting.texts(&[
        (None, &["description"]),
        (None, &["responsibilities"]),
        (None, &["qualifications"]),
    ]);
    posting.posted(&[&["posted_date"], &["create_date"]]);
    posting.finish()
}

fn search(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let budget = &*context.budget;
    let page = dom::document(body, budget)?;
    let links = Selector::parse("a.iCIMS_Anchor[href*='/jobs/']").expect("a fixed selector");
    let mut parsed = Parsed::default();
    for link in dom::select_all(&page, &links, budget).take(500) {
        parsed.add(card(link, context), context)?;
    }
    budget.spent()?;
    // Beyond the last page the frame stands without rows. A row that holds no link is another
    // page's or cut off.
    let frame = body.contains("iCIMS_") && !body.contains("iCIMS_JobCardItem");
    if parsed.listings.is_empty() && parsed.n_skipped == 0 && !frame {
        return Err(ParseError::Shape { expected: "posting (`a.iCIMS_Anchor`)" });
    }
    rows::join(&mut parsed.listings);
    parsed.rows = Some(parsed.listings.len() + parsed.n_skipped);
    Ok(parsed)
}

fn card(link: ElementRef<'_>, context: &Context) -> Result<Listing, String> {
    let budget = &*context.budget;
    let nothing = Value::Null;
    let mut posting = Posting::new(&nothing, context);
    let heading = Selector::parse("h1, h2, h3, h4").expect("a fixed selector");
    let title = dom::select(link, &heading, budget).next().unwrap_or(link);
    let title = dom::spaced(title, budget).replace('&', "&amp;");
    posting.listing.title = text::line(text::line(&title).trim_start_matches("Job Title"));
    let mut url = context.page.join(link.value().attr("href").unwrap_or_default()).ok();
    if let Some(url) = &mut url {
        url.set_query(None);
        let id = url.path_segments().and_then(|mut path| path.find(|part| is_number(part)));
        posting.listing.external_id = id.unwrap_or_default().to_owned();
    }
    posting.listing.url = url.map(String::from).unwrap_or_default();
    let around = |name: &str, class: &str| {
        link.ancestors().filter_map(ElementRef::wrap).take(6).find(|element| {
            element.value().name() == name || element.value().classes().any(|c| c == class)
        })
    };
    if let Some(card) = around("li", "iCIMS_JobCardItem").or_else(|| around("tr", "row")) {
        let said = |label: &str| dom::labelled(card, label, budget);
        let place = said("location").map(|place| place.replace(" | ", "; "));
        posting.workplace(&[said("remote"), place.clone()], None);
        posting.places(&[Location::line(place)]);
        let day = said("posted").or_else(|| said("date"));
        posting.listing.posted_at = day.and_then(|day| crate::posting::date(&day, context));
        posting.listing.job_function = said("category");
        posting.employment(&[said("type")]);
    }
    posting.finish()
}

fn is_number(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const SEARCH: &str = r#"<ul class="iCIMS_JobsTable"><li class="iCIMS_JobCardItem"><div class="row">
        <div class="header left"><span class="sr-only field-label">Job Locations</span><span>US-OH-Lima | US-OH-Troy</span></div>
        <div class="title"><a href="https://careers-acme.icims.com/jobs/82/glass-cutter/job?in_iframe=1" class="iCIMS_Anchor" title="82 - Glass Cutter">
        <span class="sr-only field-label">Job Title</span><h3>Glass Cutter &amp; Fitter</h3></a></div>
        <dl><div><dt class="iCIMS_JobHeaderField">Job ID</dt><dd class="iCIMS_JobHeaderData"><span>2026-82</span></dd></div>
        <div><dt>Posted Date</dt><dd><span title="10/2/2026 4:05 PM">10/2/2026</span></dd></div></dl></div></li></ul>"#;

    const JSON: &str = r#"{"jobs":[{"data":{"slug":"18","language":"en-us","req_id":"18","title":"Diver","description":"Dive deep.","city":"Nadi","state":"Ba",
        "country":"Fiji","country_code":"FJ","categories":[{"name":"Sea"}],"tags6":["On-site"],"employment_type":"FULL_TIME","hiring_organization":"Acme Pearls Ltd.",
        "posted_date":"2026-06-24T15:02:00+0000","apply_url":"https://careers-acme.icims.com/jobs/18/login","full_location":"Nadi, Ba"}}],"totalCount":3}"#;

    #[test]
    fn a_page_of_the_search_is_read() {
        let parsed = parsed(parse, SEARCH);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (listing.title.as_str(), listing.external_id.as_str()),
            ("Glass Cutter & Fitter", "82")
        );
        assert_eq!(listing.url, "https://careers-acme.icims.com/jobs/82/glass-cutter/job");
        assert_eq!(listing.location.as_deref(), Some("US-OH-Lima; US-OH-Troy"));
        assert_eq!(framed(listing).unwrap().query(), Some("in_iframe=1"));
    }

    #[test]
    fn the_json_of_a_companys_own_domain_is_read() {
        let context = Context { company: String::new(), ..context() };
        let parsed = parse(JSON, &context).unwrap();
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (listing.title.as_str(), listing.company.as_str()),
            ("Diver", "Acme Pearls Ltd.")
        );
        assert_eq!(listing.url, "https://example.test/jobs/18");
        assert_eq!((listing.workplace.as_deref(), parsed.total), (Some("onsite"), Some(3)));
        assert_eq!(listing.country.as_deref(), Some("FJ"));
        assert_eq!(framed(listing), None);
    }

    #[test]
    fn the_frame_without_rows_is_an_honest_zero_and_another_page_is_not() {
        assert!(parsed(parse, "<div class=\"iCIMS_MainWrapper\">").listings.is_empty());
        let cut = &SEARCH[..SEARCH.find("class=\"title\"").unwrap()];
        assert!(parse(cut, &context()).is_err(), "{cut}");
        assert!(parse("<html><p>Sign in", &context()).is_err());
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, JSON, "/jobs");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, SEARCH);
        survives(parse, JSON);
    }
}
