//! A Workday career site, read as its own page reads it: a search by POST, twenty postings a page.
//!
//! `POST {base}/wday/cxs/{tenant}/{site}/jobs`; a posting is `GET {base}/wday/cxs/{tenant}/{site}`
//! with its path behind. Facts, by public reports:
//! - All four fields of the body are needed (else 422), and a `limit` over 20 is refused with 400
//!   (2026-05).
//! - `total` counts at the first page only, and may be 0 later (2026-08). Some tenants say 2,000
//!   for all that they have more, and then answer with the first rows again.
//! - "3 Locations" is a count, "Posted 30+ Days Ago" a bound: place and day are on the posting's
//!   page only, in `startDate` (2026-05).
//! - The company there may be a legal entity behind a code ("IL00 …"); the configured name wins.

use std::sync::Arc;

use rhubarb_core::redact::Address;
use serde_json::Value;
use url::Url;

use crate::{
    config::SourceConfig,
    context::Context,
    dates::{self, DateOrder},
    feed::{Detail, Feed},
    gathering::SourceLimits,
    json::Read,
    listing::Listing,
    location::{self, Location},
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    record,
    setup::{BuildError, endpoint, label, site},
};

/// What asks for a page.
const BODY: &str = r#"{"appliedFacets":{},"limit":20,"offset":{offset},"searchText":""}"#;

/// The address of a site of each tenant.
const PATH: [&str; 2] = ["wday", "cxs"];

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let (board, site) = (label(config)?, site(config)?);
    let tenant = board.split('.').next().unwrap_or_default();
    if config.base_url.is_none() && !board.contains('.') {
        let reason = "it is the tenant and its part of Workday, as in the address: `acme.wd5`";
        return Err(BuildError::new(config, "board", reason));
    }
    let base = format!("https://{board}.myworkdayjobs.com");
    let api = endpoint(config, &base, &[PATH[0], PATH[1], tenant, site])?;
    let list = endpoint(config, &base, &[PATH[0], PATH[1], tenant, site, "jobs"])?;
    let public = public(&list).ok_or_else(|| BuildError::new(config, "board", "it is empty"))?;
    let detail = move |listing: &Listing| {
        let path = listing.url.strip_prefix(public.as_str())?;
        Url::parse(&format!("{api}{path}")).ok()
    };
    Ok(Feed {
        company: config.company.clone().unwrap_or_else(|| tenant.to_owned()),
        urls: vec![Address::new(list)],
        body: Some(BODY.to_owned()),
        detail: Some(Detail {
            url: Arc::new(detail),
            kind: Content::Json,
            read: Arc::new(read_detail),
        }),
        limits: SourceLimits { server_cap: Some(2_000), ..SourceLimits::default() },
        ..Feed::new(config, parse)
    })
}

/// Returns the address that people see of the site whose list is read: postings' paths come behind.
fn public(list: &Url) -> Option<Url> {
    let path = list.path().strip_suffix("/jobs")?;
    let (before, of) = path.split_once("/wday/cxs/")?;
    let (tenant, site) = of.split_once('/')?;
    let mut url = list.clone();
    url.set_query(None);
    let shared = list.host_str().is_some_and(|host| host.ends_with(".myworkdaysite.com"));
    url.set_path(&if shared {
        format!("{before}/recruiting/{tenant}/{site}")
    } else {
        format!("{before}/{site}")
    });
    Some(url)
}

/// Reads a page of the search.
///
/// # Errors
/// The answer is not JSON, or has no array `jobPostings`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let rows = record::array(&root, "jobPostings", "array `jobPostings`")?;
    let total = record::number(&root, &["total"]).map(|total| total as u64);
    let mut parsed = Parsed { repairs, rows: Some(rows.len()), total, ..Parsed::default() };
    for row in rows {
        parsed.add(read(row, context), context)?;
    }
    Ok(parsed)
}

fn read(row: &Value, context: &Context) -> Result<Listing, String> {
    let line = |path: &[&str]| record::line(row, path);
    let mut listing = record::listing(&context.source, context.now);
    let path = line(&["externalPath"]).unwrap_or_default();
    listing.external_id = requisition(row, &path).unwrap_or_default();
    listing.title = line(&["title"]).unwrap_or_default();
    listing.company.clone_from(&context.company);
    if path.starts_with('/') {
        let site = public(&context.page).unwrap_or_else(|| context.page.clone());
        listing.url = format!("{}{path}", site.as_str().trim_end_matches('/'));
    }
    let place = line(&["locationsText"]).filter(|place| !is_count(place));
    let workplace = line(&["remoteType"]).or_else(|| place.clone());
    location::set(&mut listing, &[Location::line(place)]);
    let workplace = workplace.as_deref().and_then(location::workplace);
    location::set_workplace(&mut listing, workplace, None);
    listing.employment_type = employment(line(&["timeType"]));
    listing.posted_at = line(&["postedOn"]).and_then(|age| posted(&age, context));
    record::finish(listing, context)
}

/// The number stands at the end of the path too, where a copy of the posting has a `-1` behind it.
fn requisition(row: &Value, path: &str) -> Option<String> {
    let listed = record::lines(row, &["bulletFields"]);
    let tail = path.rsplit_once('_').map(|(_, tail)| tail);
    let named = listed.into_iter().find(|field| tail.is_some_and(|t| t.starts_with(&field[..])));
    named.or_else(|| tail.map(str::to_owned))
}

/// Tells whether the text counts places in place of naming them.
fn is_count(place: &str) -> bool {
    let mut words = place.split_whitespace();
    let count = words.next().is_some_and(|word| word.parse::<u32>().is_ok());
    count && words.count() == 1
}

fn posted(age: &str, context: &Context) -> Option<String> {
    if age.contains('+') {
        return None;
    }
    let age = age.trim_start_matches("Posted ").trim();
    dates::text(age, DateOrder::MonthFirst, context.now)
}

fn employment(word: Option<String>) -> Option<String> {
    word.and_then(|word| location::employment_type(&word)).map(str::to_owned)
}

/// Adds what a posting's own answer has.
///
/// # Errors
/// The answer is not JSON, or has no object `jobPostingInfo`.
pub fn read_detail(body: &str, context: &Context, listing: &mut Listing) -> Result<(), ParseError> {
    let root = record::json(body, &context.budget)?.value;
    let expected = "object `jobPostingInfo`";
    let info = record::at(&root, &["jobPostingInfo"]).ok_or(ParseError::Shape { expected })?;
    let line = |path: &[&str]| record::line(info, path);
    if listing.title.is_empty() {
        listing.title = line(&["title"]).unwrap_or_default();
    }
    let description = record::description(info, &["jobDescription"], context);
    if !description.is_empty() {
        listing.description = description;
    }
    if let Some(url) = line(&["externalUrl"]) {
        listing.url = url;
    }
    let workplace = listing.workplace.take();
    let mut places = vec![Location {
        country: line(&["jobRequisitionLocation", "country", "alpha2Code"])
            .or_else(|| line(&["country", "descriptor"])),
        ..Location::line(line(&["location"]))
    }];
    let others = record::lines(info, &["additionalLocations"]);
    places.extend(others.into_iter().map(|place| Location::line(Some(place))));
    if places.iter().any(|place| place.text.is_some()) {
        location::set(listing, &places);
    }
    let said = line(&["remoteType"]).or_else(|| listing.location.clone());
    let said = said.as_deref().and_then(location::workplace).map(str::to_owned);
    location::set_workplace(listing, said.or(workplace).as_deref(), None);
    if let Some(kind) = employment(line(&["timeType"])) {
        listing.employment_type = Some(kind);
    }
    let day = line(&["startDate"]);
    let day = day.and_then(|day| dates::text(&day, DateOrder::DayFirst, context.now));
    listing.posted_at = day.or_else(|| listing.posted_at.take());
    if listing.company.is_empty() {
        listing.company = record::line(&root, &["hiringOrganization", "name"]).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const LIST: &str = include_str!("../../tests/fixtures/workday_list.json");
    const DETAIL: &str = include_str!("../../tests/fixtures/workday_detail.json");

    fn on_site() -> Context {
        let page = "https://acme.wd5.myworkdayjobs.com/wday/cxs/acme/External/jobs";
        Context { page: Url::parse(page).unwrap(), ..context() }
    }

    #[test]
    fn a_page_is_read_and_a_count_of_places_is_no_place() {
        let parsed = parse(LIST, &on_site()).unwrap();
        assert_eq!((parsed.skipped.len(), parsed.total), (0, Some(41)));
        let [first, second, third] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.title, "Storage Engineer");
        assert_eq!(first.external_id, "R-0101");
        assert_eq!(
            first.url,
            "https://acme.wd5.myworkdayjobs.com/External/job/Graz/Storage-Engineer_R-0101-1"
        );
        assert_eq!(first.location.as_deref(), Some("Graz, Austria (Hybrid)"));
        assert_eq!(first.workplace.as_deref(), Some("hybrid"));
        assert_eq!(first.posted_at.as_deref().map(|at| &at[..10]), Some("2026-11-21"));
        assert_eq!((second.location.as_deref(), second.posted_at.as_deref()), (None, None));
        assert_eq!(third.workplace.as_deref(), Some("remote"));
    }

    #[test]
    fn a_postings_own_answer_gives_places_day_and_text() {
        let mut listing = parse(LIST, &on_site()).unwrap().listings.remove(1);
        read_detail(DETAIL, &on_site(), &mut listing).unwrap();
        assert_eq!(listing.location.as_deref(), Some("Graz, Austria; Wien"));
        assert_eq!(listing.country.as_deref(), Some("AT"));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-10-30T00:00:00+00:00"));
        assert_eq!(listing.company, "Configured");
        assert_eq!(listing.description, "Keep disks spinning.");
    }

    #[test]
    fn the_public_address_follows_from_the_lists() {
        let check = |list: &str, expect: &str| {
            let url = public(&Url::parse(list).unwrap()).unwrap();
            assert_eq!(url.as_str(), expect);
        };
        check(
            "https://acme.wd5.myworkdayjobs.com/wday/cxs/acme/External/jobs",
            "https://acme.wd5.myworkdayjobs.com/External",
        );
        check(
            "https://wd3.myworkdaysite.com/wday/cxs/acme/Jobs/jobs",
            "https://wd3.myworkdaysite.com/recruiting/acme/Jobs",
        );
        check("http://127.0.0.1:1/x/wday/cxs/acme/J/jobs", "http://127.0.0.1:1/x/J");
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, LIST, "/jobPostings");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, LIST);
        survives(
            |body, context| {
                let mut listing = parsed(parse, LIST).listings.remove(0);
                read_detail(body, context, &mut listing).map(|()| Parsed::default())
            },
            DETAIL,
        );
    }
}
