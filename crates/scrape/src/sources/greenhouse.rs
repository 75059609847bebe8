//! Greenhouse's job board API: all postings of one board in one answer.
//!
//! `GET {base}/v1/boards/{board}/jobs?content=true`. An unknown board answers 404.
//! `…/jobs/{id}?pay_transparency=true` has a posting's pay ranges, in cents and without a period
//! (2026-09); they are asked for where `max_details` says so.

use std::sync::Arc;

use html5ever::tokenizer::{Tag, TagKind, Token};
use rhubarb_core::redact::Address;
use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::{Detail, Feed},
    json::Read,
    listing::Listing,
    location::{self, Location},
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    record,
    salary::{self, Salary},
    setup::{BuildError, board, endpoint},
    text,
    tokens::tokens,
};

/// The API's address.
pub const BASE_URL: &str = "https://boards-api.greenhouse.io";

/// Pay ranges read of one posting.
const MAX_RANGES: usize = 20;

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let board = board(config)?;
    let list = endpoint(config, BASE_URL, &["v1", "boards", board, "jobs"])?;
    let mut url = list.clone();
    url.set_query(Some("content=true"));
    let detail = move |listing: &Listing| {
        let mut url = list.clone();
        url.path_segments_mut().ok()?.push(&listing.external_id);
        url.set_query(Some("pay_transparency=true"));
        listing.salary_display.is_none().then_some(url)
    };
    Ok(Feed {
        urls: vec![Address::new(url)],
        detail: Some(Detail {
            url: Arc::new(detail),
            kind: Content::Json,
            read: Arc::new(read_detail),
        }),
        // The list has all but the pay of some boards.
        max_details: config.max_details.unwrap_or(0),
        ..Feed::new(config, parse)
    })
}

/// Adds the pay of a posting's own answer.
///
/// # Errors
/// The answer is not JSON, or has no `id`.
pub fn read_detail(body: &str, context: &Context, listing: &mut Listing) -> Result<(), ParseError> {
    let job = record::json(body, &context.budget)?.value;
    record::at(&job, &["id"]).ok_or(ParseError::Shape { expected: "number `id`" })?;
    if let Some(salary) = pay(&job) {
        salary.set(listing);
    }
    Ok(())
}

/// Reads a board's answer, or that of a single posting's address.
///
/// # Errors
/// The answer is not JSON, or has no array `jobs`.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    let jobs = jobs(&root)?;
    // An empty list that is said to have some is no board without postings.
    let total = record::number(&root, &["meta", "total"]).filter(|_| jobs.is_empty());
    let total = total.map(|total| total as u64);
    let mut parsed = Parsed { repairs, total, ..Parsed::default() };
    for job in jobs {
        parsed.add(read(job, context), context)?;
    }
    Ok(parsed.settled())
}

fn jobs(root: &Value) -> Result<&[Value], ParseError> {
    if root.get("jobs").is_none() && root.get("absolute_url").is_some() {
        return Ok(std::slice::from_ref(root));
    }
    record::array(root, "jobs", "array `jobs`")
}

fn read(job: &Value, context: &Context) -> Result<Listing, String> {
    let line = |path: &[&str]| record::line(job, path);
    let mut listing = record::listing(&context.source, context.now);
    listing.external_id = record::identifier(job, &["id"]).unwrap_or_default();
    listing.title = line(&["title"]).unwrap_or_default();
    listing.company = line(&["company_name"]).unwrap_or_else(|| context.company.clone());
    listing.url = record::address(job, &["absolute_url"]).unwrap_or_default();
    listing.apply_url = Some(listing.url.clone());
    let place = line(&["location", "name"]);
    let workplace = place.as_deref().and_then(location::workplace);
    let offices = || record::items(record::at(job, &["offices"])).iter();
    let office = || {
        offices()
            .find_map(|o| record::line(o, &["location"]).or_else(|| record::line(o, &["name"])))
    };
    location::set(&mut listing, &[Location::line(place.or_else(office))]);
    location::set_workplace(&mut listing, workplace, None);
    listing.employment_type = employment(job);
    listing.job_function = record::items(record::at(job, &["departments"]))
        .iter()
        .find_map(|department| record::line(department, &["name"]));
    listing.description = record::description(job, &["content"], context);
    listing.posted_at =
        ["first_published", "updated_at"].iter().find_map(|key| context.date(&line(&[key])?));
    listing.valid_through = line(&["application_deadline"]).and_then(|day| context.date(&day));
    listing.language = line(&["language"]);
    if let Some(salary) = pay(job).or_else(|| pay_in_text(job, context)) {
        salary.set(&mut listing);
    }
    record::finish(listing, context)
}

/// The employment type is one of a board's own fields, under a name like "Employment Type".
fn employment(job: &Value) -> Option<String> {
    let fields = record::items(record::at(job, &["metadata"])).iter();
    let mut fields = fields.filter(|field| {
        let name = record::line(field, &["name"]).unwrap_or_default().to_lowercase();
        name.contains("employment") || name.contains("job type") || name.contains("time type")
    });
    fields.find_map(|field| {
        let values = record::lines(field, &["value"]);
        values.iter().find_map(|value| location::employment_type(value)).map(str::to_owned)
    })
}

/// Pay ranges are in cents. Documented for a single posting with `pay_transparency=true` only.
fn pay(job: &Value) -> Option<Salary> {
    let ranges = record::items(record::at(job, &["pay_input_ranges"])).iter();
    Salary::join(ranges.map(pay_range).filter(|range| range.display.is_some()).collect())
}

fn pay_range(range: &Value) -> Salary {
    let units = |key| record::number(range, &[key]).map(|cents| cents / 100.0);
    let (min, max) = (units("min_cents"), units("max_cents"));
    let largest = max.or(min).unwrap_or_default();
    let title = record::line(range, &["title"]).unwrap_or_default();
    // The range names no period; hourly and yearly pay are too far apart to be mistaken.
    let period = salary::period(&title).unwrap_or(if largest >= 5_000.0 { "year" } else { "hour" });
    let currency = record::line(range, &["currency_type"]);
    Salary::from_numbers(min, max, currency.as_deref(), Some(period))
}

/// Boards show the pay ranges inside the text too, where a list of postings has them: in elements
/// of class `pay-range`, each under its title.
fn pay_in_text(job: &Value, context: &Context) -> Option<Salary> {
    let content = record::raw(job, &["content"]).filter(|content| content.contains("pay-range"))?;
    let markup = text::unescape(text::cut(content, text::MAX_MARKUP));
    let mut lines = Vec::new();
    let mut depth = 0_usize;
    let read = tokens(&markup, &context.budget, |token| match token {
        Token::TagToken(tag) if depth > 0 && tag.name == *"div" => match tag.kind {
            TagKind::StartTag => depth += 1,
            TagKind::EndTag => depth -= 1,
        },
        Token::TagToken(tag) if is_pay_range(&tag) && lines.len() < MAX_RANGES => {
            lines.push(String::new());
            depth = 1;
        }
        Token::CharacterTokens(text) if depth > 0 => {
            let line: Option<&mut String> = lines.last_mut();
            line.into_iter().for_each(|line| line.push_str(&format!(" {text}")));
        }
        _ => {}
    });
    read.ok()?;
    let ranges = lines.iter().filter_map(|line| Salary::of_text(line, &context.locale));
    Salary::join(ranges.filter(|range| range.min.or(range.max).is_some()).collect())
}

fn is_pay_range(tag: &Tag) -> bool {
    let class = tag.attrs.iter().find(|attribute| &*attribute.name.local == "class");
    let mut classes = class.map(|class| class.value.split_whitespace()).into_iter().flatten();
    tag.kind == TagKind::StartTag && tag.name == *"div" && classes.any(|name| name == "pay-range")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const BOARD: &str = include_str!("../../tests/fixtures/greenhouse_jobs.json");
    const PAY: &str = include_str!("../../tests/fixtures/greenhouse_pay.json");

    #[test]
    fn a_board_is_read() {
        let parsed = parsed(parse, BOARD);
        assert_eq!(parsed.skipped, [""; 0]);
        let [first, second] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(first.title, "Rust Backend Engineer");
        assert_eq!(first.company, "Acme Widgets");
        assert_eq!(first.external_id, "7000001");
        assert_eq!(first.location.as_deref(), Some("Lisbon or Remote (EU)"));
        assert_eq!(first.is_remote, Some(true));
        assert_eq!(first.employment_type.as_deref(), Some("full_time"));
        assert_eq!(first.job_function.as_deref(), Some("Engineering"));
        assert_eq!(first.description, "Build queues & caches.\n- Redis");
        assert_eq!(first.posted_at.as_deref(), Some("2026-10-20T12:00:00+00:00"));
        assert_eq!(second.location, None);
        assert_eq!(second.company, "Configured");
        assert_eq!(second.posted_at.as_deref(), Some("2026-09-01T00:00:00+00:00"));
    }

    #[test]
    fn an_empty_list_that_is_said_to_have_postings_is_no_honest_zero() {
        let parsed = parsed(parse, r#"{"jobs":[],"meta":{"total":3}}"#);
        assert_eq!((parsed.listings.len(), parsed.total), (0, Some(3)));
    }

    #[test]
    fn pay_is_read_from_cents() {
        let listing = &parsed(parse, &format!("{{\"jobs\":[{PAY}]}}")).listings[0];
        assert_eq!((listing.salary_min, listing.salary_max), (Some(60e3), Some(85e3)));
        assert_eq!(listing.salary_currency.as_deref(), Some("EUR"));
        assert_eq!(listing.salary_period.as_deref(), Some("year"));
        assert_eq!(listing.salary_display.as_deref(), Some("EUR 60,000–85,000 per year"));
    }

    #[test]
    fn pay_inside_the_text_is_read_and_joined() {
        let range = |min: &str, max: &str| {
            format!(
                "&lt;div class=&quot;pay-input&quot;&gt;&lt;div class=&quot;title&quot;&gt;Pay &lt;/div&gt;\
                 &lt;div class=&quot;pay-range&quot;&gt;&lt;span&gt;{min}&lt;/span&gt;&lt;span&gt;&amp;mdash;\
                 &lt;/span&gt;&lt;span&gt;{max}&lt;/span&gt;&lt;/div&gt;&lt;/div&gt;&lt;p&gt;401k, $5 lunch"
            )
        };
        let read = |content: &str| {
            let body = format!(
                r#"{{"jobs":[{{"title":"Cook","absolute_url":"https://example.test/1","content":"{content}"}}]}}"#
            );
            parsed(parse, &body).listings.remove(0)
        };
        let one = read(&range("$52,000", "$61,000 USD"));
        assert_eq!((one.salary_min, one.salary_max), (Some(52e3), Some(61e3)));
        assert_eq!(one.salary_currency.as_deref(), Some("USD"));
        let two = read(&(range("$52,000", "$61,000 USD") + &range("$70,000", "$80,000 USD")));
        assert_eq!((two.salary_min, two.salary_max), (Some(52e3), Some(80e3)));
        assert_eq!(read("pay-range is a word").salary_display, None);
    }

    #[test]
    fn a_malformed_record_never_loses_the_others() {
        let body = r#"{"jobs":[7,null,{"id":{},"title":[],"absolute_url":1},
            {"id":1,"title":"Cook","absolute_url":"javascript:alert(1)"},
            {"id":2,"title":"Baker","absolute_url":"https://example.test/2","location":"Rome","offices":3,"metadata":"x"}]}"#;
        let parsed = parsed(parse, body);
        assert_eq!(parsed.listings.len(), 1);
        assert_eq!(parsed.listings[0].title, "Baker");
        assert_eq!(parsed.skipped.len(), 4);
    }

    #[test]
    fn another_shape_is_an_error() {
        let error = parse("{\"error\":\"x\"}", &context()).unwrap_err();
        assert_eq!(error.to_string(), "the answer has no array `jobs`");
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
