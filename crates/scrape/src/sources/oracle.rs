//! Oracle HCM's candidate site: a search by its REST resource, a hundred postings a page.
//!
//! `GET {base}/hcmRestApi/resources/latest/recruitingCEJobRequisitions` with everything that
//! matters inside `finder`. Facts:
//! - `limit` and `offset` outside of `finder` are ignored: page 1 for ever (2026-06). Without
//!   `expand` the list is empty under a count over 0. The outer `count` and `hasMore` say nothing.
//! - A wrong site answers 200 with a count of 0, so that nothing found proves nothing.
//! - The server stops at offset 10,000, and short pages occur before (2026-08).
//! - Text, and pay as a text in `requisitionFlexFields`, are in a posting's own answer only.

use std::sync::Arc;

use rhubarb_core::redact::Address;
use serde_json::Value;
use url::Url;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::{Detail, Feed},
    gathering::SourceLimits,
    json::Read,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    posting::{Posting, named},
    record,
    setup::{BuildError, endpoint, label, site},
};

const RESOURCES: [&str; 3] = ["hcmRestApi", "resources", "latest"];

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let base = format!("https://{}.oraclecloud.com", label(config)?);
    let site = site(config)?;
    if !site.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
        return Err(BuildError::new(config, "site", "letters, digits, `_` and `-` are expected"));
    }
    let resource =
        |name: &str| endpoint(config, &base, &[RESOURCES[0], RESOURCES[1], RESOURCES[2], name]);
    let mut url = resource("recruitingCEJobRequisitions")?;
    url.set_query(Some(&format!(
        "onlyData=true&expand=requisitionList.secondaryLocations&finder=findReqs;\
         siteNumber={site},limit=100,offset={{offset}},sortBy=POSTING_DATES_DESC"
    )));
    let details = resource("recruitingCEJobRequisitionDetails")?;
    let of_site = site.to_owned();
    let detail = move |listing: &Listing| {
        let id = &listing.external_id;
        let plain = id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let mut url = details.clone();
        let finder = format!("ById;Id=%22{id}%22,siteNumber={of_site}");
        url.set_query(Some(&format!("expand=all&onlyData=true&finder={finder}")));
        plain.then_some(url)
    };
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls: vec![Address::new(url)],
        detail: Some(Detail {
            url: Arc::new(detail),
            kind: Content::Json,
            read: Arc::new(read_detail),
        }),
        limits: SourceLimits { zero_proves_nothing: true, server_cap: Some(10_000) },
        ..Feed::new(config, parse)
    })
}

/// Reads a page of the search.
///
/// # Errors
/// The answer is not JSON, or has no array `items[0].requisitionList`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let expected = "array `items[0].requisitionList`";
    let search = record::array(&root, "items", expected)?.first();
    let search = search.ok_or(ParseError::Shape { expected })?;
    let rows = record::items(record::at(search, &["requisitionList"]));
    let total = record::number(search, &["TotalJobsCount"]).map(|total| total as u64);
    if rows.is_empty() && total.is_none() {
        return Err(ParseError::Shape { expected });
    }
    let site = record::line(search, &["SiteNumber"]);
    let mut parsed = Parsed { repairs, rows: Some(rows.len()), total, ..Parsed::default() };
    for row in rows {
        parsed.add(read(row, site.as_deref(), context), context)?;
    }
    Ok(parsed)
}

fn read(row: &Value, site: Option<&str>, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(row, context);
    posting.id(&[&["Id"]]);
    let id = &posting.listing.external_id;
    let page = public(&context.page, site, id);
    posting.listing.url = page.map(String::from).unwrap_or_default();
    fill(&mut posting);
    posting.posted(&[&["PostedDate"]]);
    posting.expires(&[&["PostingEndDate"]]);
    posting.finish()
}

/// Returns where people see a posting.
fn public(api: &Url, site: Option<&str>, id: &str) -> Option<Url> {
    let asked = || {
        let (_, rest) = api.query()?.split_once("siteNumber=")?;
        Some(rest.split([',', '&']).next()?.to_owned())
    };
    let site = site.map(str::to_owned).or_else(asked)?;
    let before = api.path().split("/hcmRestApi/").next().filter(|path| *path != api.path());
    let path = format!("hcmUI/CandidateExperience/en/sites/{site}/job/{id}");
    api.join(&format!("{}/{path}", before.unwrap_or_default())).ok()
}

/// Sets what a list's row and a posting's own answer have in common.
fn fill(posting: &mut Posting<'_>) {
    let value = posting.value;
    posting.title(&["Title"]);
    let country = posting.line(&["PrimaryLocationCountry"]);
    let line = posting.line(&["PrimaryLocation"]);
    let mut places = vec![named(line.clone(), Location { country, ..Location::default() })];
    let others = record::items(record::at(value, &["secondaryLocations"])).iter();
    places.extend(others.map(|other| Location::line(record::line(other, &["Name"]))));
    posting.places(&places);
    let said = posting.first(&[&["WorkplaceTypeCode"], &["WorkplaceType"]]);
    let said = said.map(|word| word.trim_start_matches("ORA_").replace('_', "-"));
    posting.workplace(&[said, line], None);
    posting.employment(&[posting.line(&["JobSchedule"]), posting.line(&["JobType"])]);
    posting.listing.job_function =
        posting.first(&[&["JobFunction"], &["Category"], &["JobFamily"]]);
    posting.texts(&[
        (None, &["ShortDescriptionStr"]),
        (None, &["ExternalDescriptionStr"]),
        (None, &["ExternalResponsibilitiesStr"]),
        (None, &["ExternalQualificationsStr"]),
    ]);
}

/// Adds what a posting's own answer has.
///
/// # Errors
/// The answer is not JSON, or has no posting in `items`.
pub fn read_detail(body: &str, context: &Context, listing: &mut Listing) -> Result<(), ParseError> {
    let root = record::json(body, &context.budget)?.value;
    let expected = "posting in `items`";
    let item = record::array(&root, "items", expected)?.first();
    let item = item.filter(|item| item.get("Title").is_some());
    let mut posting = Posting::of(listing, item.ok_or(ParseError::Shape { expected })?, context);
    fill(&mut posting);
    posting.posted(&[&["ExternalPostedStartDate"]]);
    posting.expires(&[&["ExternalPostedEndDate"]]);
    let flex = |words: &[&str]| {
        let fields = record::items(record::at(posting.value, &["requisitionFlexFields"])).iter();
        let named: Vec<(String, String)> = fields
            .filter_map(|field| {
                let prompt = record::line(field, &["Prompt"])?.to_lowercase();
                Some((prompt, record::line(field, &["Value"])?))
            })
            .filter(|(prompt, _)| !prompt.contains("statement"))
            .collect();
        let of = |word: &&str| named.iter().find(|(prompt, _)| prompt.contains(*word));
        words.iter().find_map(of).map(|(_, value)| value.clone())
    };
    let pay = flex(&["pay range", "salary", "compensation", "pay rate"]);
    let kind = flex(&["position type", "employment type", "job type"]);
    posting.pay_text(pay);
    posting.employment(&[kind]);
    *listing = posting.listing;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const PAGE: &str = r#"{"items":[{"SearchId":1,"TotalJobsCount":105,"SiteNumber":"CX_1","requisitionList":[
        {"Id":"162","Title":"Crane Operator","PostedDate":"2026-06-23","PostingEndDate":null,"PrimaryLocationCountry":"NO","WorkplaceTypeCode":null,
        "PrimaryLocation":"Bergen, Norway","WorkplaceType":"","JobFunction":null,"secondaryLocations":[{"Name":"Oslo, Norway","CountryCode":"NO"}]},
        {"Id":"163","Title":"Planner","PostedDate":"2026-06-24","PrimaryLocation":"Norway","WorkplaceTypeCode":"ORA_HYBRID","secondaryLocations":[]}]}],
        "count":1,"hasMore":false,"limit":200,"offset":0}"#;

    #[test]
    fn a_page_is_read_and_the_outer_counts_are_not() {
        let parsed = parsed(parse, PAGE);
        assert_eq!(parsed.total, Some(105));
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.location.as_deref(), Some("Bergen, Norway; Oslo, Norway"));
        assert_eq!(first.country.as_deref(), Some("NO"));
        assert_eq!(
            first.url,
            "https://example.test/hcmUI/CandidateExperience/en/sites/CX_1/job/162"
        );
        assert_eq!(first.posted_at.as_deref(), Some("2026-06-23T00:00:00+00:00"));
        assert_eq!(second.workplace.as_deref(), Some("hybrid"));
    }

    #[test]
    fn the_search_is_asked_for_inside_the_finder() {
        let config = SourceConfig {
            site: Some("CX_1".into()),
            ..crate::testing::config(crate::config::SourceKind::Oracle)
        };
        let feed = build(&config).unwrap();
        let url = feed.urls[0].expose().to_owned();
        assert!(url.starts_with("https://board.oraclecloud.com/hcmRestApi/"), "{url}");
        assert!(
            url.contains("finder=findReqs;siteNumber=CX_1,limit=100,offset={offset},"),
            "{url}"
        );
        let listing = parsed(parse, PAGE).listings.remove(0);
        let detail = (feed.detail.unwrap().url)(&listing).unwrap();
        assert!(detail.as_str().ends_with("finder=ById;Id=%22162%22,siteNumber=CX_1"), "{detail}");
    }

    #[test]
    fn nothing_found_is_no_proof_that_there_is_nothing() {
        let body = r#"{"items":[{"TotalJobsCount":0,"requisitionList":[]}]}"#;
        assert!(parsed(parse, body).listings.is_empty());
        assert!(parse("{\"items\":[{}]}", &context()).is_err());
    }

    #[test]
    fn a_postings_own_answer_gives_text_and_the_pay_of_its_fields() {
        let mut listing = parsed(parse, PAGE).listings.remove(0);
        let body = r#"{"items":[{"Id":"162","Title":"Crane Operator","PrimaryLocation":"Bergen, Norway","PrimaryLocationCountry":"NO",
            "ExternalPostedStartDate":"2026-09-01T17:18:38+00:00","ExternalDescriptionStr":"<p>Lift.</p><sp","requisitionFlexFields":[
            {"Prompt":"Pay Range Statement","Value":"Depends."},{"Prompt":"Pay Range","Value":"$46.06 - $69.10 hourly"},
            {"Prompt":"Position Type","Value":"Full-time regular"}],"secondaryLocations":[]}]}"#;
        read_detail(body, &context(), &mut listing).unwrap();
        assert_eq!(listing.description, "Lift.");
        assert_eq!((listing.salary_min, listing.salary_max), (Some(46.06), Some(69.10)));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-09-01T17:18:38+00:00"));
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, PAGE, "/items/0/requisitionList");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, PAGE);
    }
}
