//! Ashby's job posting API: all postings of one board in one answer.
//!
//! `GET {base}/posting-api/job-board/{board}?includeCompensation=true`. An unknown board was seen
//! answering 200 with nothing in it, so an empty board counts as not found, whatever the status.

use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    json::Read,
    listing::Listing,
    location::{self, Location},
    parse_error::ParseError,
    parsed::Parsed,
    record,
    salary::{self, Salary},
    setup::{BuildError, board, endpoint},
    text,
};

/// The API's address.
pub const BASE_URL: &str = "https://api.ashbyhq.com";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let board = board(config)?;
    let mut url = endpoint(config, BASE_URL, &["posting-api", "job-board", board])?;
    url.set_query(Some("includeCompensation=true"));
    Ok(Feed { urls: vec![Address::new(url)], max_pages: 1, ..Feed::new(config, parse) })
}

/// Reads a board's answer; unlisted postings are left out.
///
/// # Errors
/// The answer is not JSON, or has no array `jobs`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let jobs = record::array(&root, "jobs", "array `jobs`")?;
    let mut parsed = Parsed { no_board: jobs.is_empty(), repairs, ..Parsed::default() };
    for job in jobs.iter().filter(|job| record::flag(job, &["isListed"]) != Some(false)) {
        parsed.add(read(job, context), context)?;
    }
    Ok(parsed.settled())
}

fn read(job: &Value, context: &Context) -> Result<Listing, String> {
    let line = |path: &[&str]| record::line(job, path);
    let mut listing = record::listing(&context.source, context.now);
    listing.external_id = record::identifier(job, &["id"]).unwrap_or_default();
    listing.title = line(&["title"]).unwrap_or_default();
    listing.company.clone_from(&context.company);
    listing.url = record::address(job, &["jobUrl"]).unwrap_or_default();
    listing.apply_url = record::address(job, &["applyUrl"]);
    let mut places = vec![place(job, &["address", "postalAddress"])];
    let others = record::items(record::at(job, &["secondaryLocations"])).iter();
    places.extend(others.map(|other| place(other, &["address"])));
    location::set(&mut listing, &places);
    let workplace = line(&["workplaceType"]);
    let workplace = workplace.as_deref().and_then(location::workplace);
    location::set_workplace(&mut listing, workplace, record::flag(job, &["isRemote"]));
    listing.employment_type = line(&["employmentType"])
        .and_then(|kind| location::employment_type(&kind))
        .map(str::to_owned);
    listing.job_function = line(&["department"]).or_else(|| line(&["team"]));
    listing.description = ["descriptionHtml", "descriptionPlain"]
        .iter()
        .find_map(|key| record::raw(job, &[key]))
        .map(|markup| text::description(markup, &context.budget))
        .unwrap_or_default();
    listing.posted_at = line(&["publishedAt"]).and_then(|date| context.date(&date));
    if let Some(salary) = pay(job) {
        salary.set(&mut listing);
    }
    record::finish(listing, context)
}

fn place(value: &Value, address: &[&str]) -> Location {
    let part = |key| record::at(value, address).and_then(|address| record::line(address, &[key]));
    let parts =
        Location::parts(part("addressLocality"), part("addressRegion"), part("addressCountry"));
    Location { text: Location::line(record::line(value, &["location"])).text, ..parts }
}

/// Takes the salaries of the tiers, joined, else that of the summary; the rest is equity and
/// bonuses.
fn pay(job: &Value) -> Option<Salary> {
    let compensation = record::at(job, &["compensation"])?;
    let summary = record::items(record::at(compensation, &["summaryComponents"])).iter();
    let tiers = record::items(record::at(compensation, &["compensationTiers"])).iter();
    let tiers = tiers.flat_map(|tier| record::items(record::at(tier, &["components"])));
    let line = |key| record::line(compensation, &[key]);
    let display =
        line("scrapeableCompensationSalarySummary").or_else(|| line("compensationTierSummary"));
    let joined = Salary::join(tiers.filter_map(component).collect())
        .or_else(|| Salary::join(summary.filter_map(component).collect()));
    let Some(salary) = joined else { return Salary::from_text(&display?) };
    Some(Salary { display: display.or_else(|| salary.display.clone()), ..salary })
}

fn component(component: &Value) -> Option<Salary> {
    if record::line(component, &["compensationType"]).as_deref() != Some("Salary") {
        return None;
    }
    let interval = record::line(component, &["interval"]);
    Some(Salary::from_numbers(
        record::number(component, &["minValue"]),
        record::number(component, &["maxValue"]),
        record::line(component, &["currencyCode"]).as_deref(),
        interval.as_deref().and_then(salary::period),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{others_stay, parsed, survives};

    const BOARD: &str = include_str!("../../tests/fixtures/ashby_board.json");

    #[test]
    fn a_board_is_read_without_what_is_unlisted() {
        let parsed = parsed(parse, BOARD);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(listing.title, "Site Reliability Engineer");
        assert_eq!(listing.location.as_deref(), Some("Toronto, ON; Remote (Canada)"));
        assert_eq!(listing.city.as_deref(), Some("Toronto"));
        assert_eq!(listing.state.as_deref(), Some("Ontario"));
        assert_eq!(listing.country.as_deref(), Some("Canada"));
        assert_eq!(listing.workplace.as_deref(), Some("hybrid"));
        assert_eq!(listing.is_remote, Some(true));
        assert_eq!(listing.employment_type.as_deref(), Some("full_time"));
        assert_eq!(listing.salary_display.as_deref(), Some("CA$120K - CA$150K"));
        assert_eq!((listing.salary_min, listing.salary_max), (Some(120e3), Some(150e3)));
        assert_eq!(listing.salary_currency.as_deref(), Some("CAD"));
        assert_eq!(listing.salary_period.as_deref(), Some("year"));
        assert_eq!(listing.description, "Keep it up.");
    }

    #[test]
    fn tiers_of_one_currency_give_the_whole_span() {
        let tier = |currency: &str, min: u32, max: u32| {
            format!(
                r#"{{"components":[{{"compensationType":"Salary","interval":"1 YEAR",
                    "currencyCode":"{currency}","minValue":{min},"maxValue":{max}}},
                    {{"compensationType":"Bonus","currencyCode":"{currency}","minValue":1}}]}}"#
            )
        };
        let pay = |tiers: &[String]| {
            let tiers = tiers.join(",");
            let job = format!(r#"{{"compensation":{{"compensationTiers":[{tiers}]}}}}"#);
            super::pay(&serde_json::from_str(&job).unwrap()).unwrap()
        };
        let span = pay(&[tier("USD", 110_000, 125_000), tier("USD", 90_000, 100_000)]);
        assert_eq!((span.min, span.max), (Some(90e3), Some(125e3)));
        let two = pay(&[tier("EUR", 80_000, 90_000), tier("USD", 110_000, 125_000)]);
        assert_eq!(
            (two.min, two.max, two.currency.as_deref()),
            (Some(80e3), Some(90e3), Some("EUR"))
        );
        let display = "EUR 80,000–90,000 per year; USD 110,000–125,000 per year";
        assert_eq!(two.display.as_deref(), Some(display));
    }

    #[test]
    fn an_empty_board_is_none_and_an_unlisted_one_an_honest_zero() {
        assert!(parsed(parse, "{\"jobs\":[]}").no_board);
        assert!(!parsed(parse, "{\"jobs\":[{\"isListed\":false}]}").no_board);
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, BOARD, "/jobs");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, BOARD);
    }
}
