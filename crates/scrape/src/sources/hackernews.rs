//! Hacker News' monthly thread "Who is hiring?", through Algolia's API: one listing a comment.
//!
//! `GET {base}/api/v1/search_by_date?tags=story,author_whoishiring` names the threads and
//! `…/items/{id}` has one with its comments. Facts:
//! - The account posts other threads too, and the month's not always on its first day (2026-08-03):
//!   the thread is told by its title.
//! - A comment's first line is mostly `Company | Role | Location | REMOTE | …`, in no fixed order;
//!   it may go on with ten roles. Comments without such a line are left out.
//! - Paragraphs begin with `<p>` and are never closed.

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
    posting::Posting,
    record,
    salary::Salary,
    setup::{BuildError, endpoint},
    text,
};

/// The API's address.
pub const BASE_URL: &str = "https://hn.algolia.com";

/// Where people see a comment.
const PUBLIC: &str = "https://news.ycombinator.com/item?id=";

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let mut url = endpoint(config, BASE_URL, &["api", "v1", "search_by_date"])?;
    url.set_query(Some("tags=story,author_whoishiring&hitsPerPage=10"));
    // The search, and the thread.
    let urls = vec![Address::new(url)];
    Ok(Feed { urls, max_pages: 2, aggregates: true, ..Feed::new(config, parse) })
}

/// Reads the search, which leads to the newest thread, or a thread.
///
/// # Errors
/// The answer is not JSON, has no such thread, or no comments.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    let Read { value: root, repairs } = record::json(body, &context.budget)?;
    if let Some(hits) = root.get("hits") {
        return newest(hits, context);
    }
    let mut parsed = Parsed { repairs, ..Parsed::default() };
    for comment in record::array(&root, "children", "array `children`")? {
        if let Some(posting) = read(comment, context) {
            parsed.add(posting, context)?;
        }
    }
    Ok(parsed)
}

/// Returns the way to the newest thread of the search.
fn newest(hits: &Value, context: &Context) -> Result<Parsed, ParseError> {
    let hiring = |hit: &&Value| {
        let title = record::line(hit, &["title"]).unwrap_or_default().to_lowercase();
        title.contains("who is hiring")
    };
    let day = |hit: &&Value| record::number(hit, &["created_at_i"]).unwrap_or_default() as i64;
    let thread = record::items(Some(hits)).iter().filter(hiring).max_by_key(day);
    let id = thread.and_then(|hit| record::line(hit, &["objectID"]));
    let id = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    let id = id.ok_or(ParseError::Shape { expected: "thread `Who is hiring?`" })?;
    let next = context.page.join(&format!("items/{id}")).ok();
    Ok(Parsed { next, ..Parsed::default() })
}

fn read(comment: &Value, context: &Context) -> Option<Result<Listing, String>> {
    let markup = record::raw(comment, &["text"])?;
    let first = markup.split("<p>").next().unwrap_or_default();
    let first = first.split('\n').next().unwrap_or_default();
    let head = text::line(&text::description(first, &context.budget));
    let parts: Vec<&str> = head.split('|').map(str::trim).filter(|p| !p.is_empty()).collect();
    let (company, rest) = parts.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let mut posting = Posting::new(comment, context);
    posting.id(&[&["id"]]);
    posting.listing.company = without_address(company);
    posting.listing.url = format!("{PUBLIC}{}", posting.listing.external_id);
    posting.listing.apply_url = link(markup);
    head_line(&mut posting, rest);
    posting.texts(&[(None, &["text"])]);
    posting.posted(&[&["created_at"], &["created_at_i"]]);
    Some(posting.finish())
}

/// Reads the parts of the first line behind the company.
fn head_line(posting: &mut Posting<'_>, parts: &[&str]) {
    let mut plain = Vec::new();
    let (mut workplaces, mut kinds, mut remote) = (Vec::new(), Vec::new(), None);
    for part in parts {
        let workplace = location::workplace(part);
        let kind = location::employment_type(part);
        if part.contains("://") {
            continue;
        }
        if is_role(part) {
            plain.push((*part, true));
        } else if workplace.is_some() {
            workplaces.push(Some((*part).to_owned()));
            remote.get_or_insert((*part).to_owned());
        } else if kind.is_some() {
            kinds.push(Some((*part).to_owned()));
        } else if let Some(salary) = Salary::from_text(part).filter(|s| s.min.is_some()) {
            salary.set(&mut posting.listing);
        } else {
            plain.push((*part, false));
        }
    }
    // Without a word for a role the first part names it, as the order mostly is.
    let role = plain.iter().position(|(_, role)| *role).unwrap_or(0);
    posting.listing.title =
        if plain.is_empty() { parts.join(" | ") } else { plain.remove(role).0.to_owned() };
    let place = plain.iter().find(|(_, role)| !role).map(|(place, _)| (*place).to_owned());
    posting.places(&[Location::line(place.or(remote))]);
    posting.workplace(&workplaces, None);
    posting.employment(&kinds);
}

/// Words of which a role's name has one.
const ROLES: [&str; 40] = [
    "engineer",
    "engineers",
    "engineering",
    "developer",
    "developers",
    "manager",
    "designer",
    "scientist",
    "scientists",
    "analyst",
    "architect",
    "researcher",
    "lead",
    "head",
    "founding",
    "cto",
    "ceo",
    "vp",
    "sre",
    "devops",
    "programmer",
    "consultant",
    "administrator",
    "intern",
    "roles",
    "positions",
    "director",
    "specialist",
    "recruiter",
    "marketer",
    "writer",
    "fullstack",
    "backend",
    "frontend",
    "full-stack",
    "back-end",
    "front-end",
    "swe",
    "technician",
    "sales",
];

fn is_role(part: &str) -> bool {
    let mut words = part.split(|c: char| !c.is_alphanumeric() && c != '-');
    words.any(|word| ROLES.contains(&word.to_lowercase().as_str()))
}

/// Returns the company without the address in brackets behind it.
fn without_address(company: &str) -> String {
    let cut = company.find("(http").or_else(|| company.find("http")).unwrap_or(company.len());
    text::line(company[..cut].trim_end_matches(['(', '-', '–', ':', ' ']))
}

/// Returns the first address of the text.
fn link(markup: &str) -> Option<String> {
    let (_, rest) = markup.split_once("href=\"")?;
    Some(text::unescape(rest.split('"').next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{context, others_stay, parsed, survives};

    const THREAD: &str = r#"{"id":4952,"title":"Ask HN: Who is hiring? (September 2026)","children":[
        {"id":1,"created_at":"2026-09-01T15:03:07.000Z","author":"a","text":"Acme Kites (<a href=\"https:&#x2F;&#x2F;kites.test&#x2F;jobs?a=1&amp;b=2\">https:&#x2F;&#x2F;kites.test</a>) | Wind Engineer &amp; Pilot | Lyon, France | ONSITE&#x2F;REMOTE | Full-time | €60k - €70k<p>We&#x27;re flying."},
        {"id":2,"created_at":"2026-09-01T15:04:00.000Z","text":"Acme Oats | REMOTE (worldwide) | Backend Developer | Contract<p>Mill."},
        {"id":3,"text":"Is this thread for Europe too?"},{"id":4,"text":null},
        {"id":5,"created_at":"2026-09-02T15:04:00.000Z","text":"Acme Bells | Ringer | Ghent"}]}"#;

    #[test]
    fn the_newest_hiring_thread_is_told_by_its_title() {
        let hits = r#"{"hits":[{"objectID":"30","title":"Ask HN: Who wants to be hired? (September 2026)","created_at_i":30},
            {"objectID":"20","title":"Ask HN: Who is hiring? (August 2026)","created_at_i":20},
            {"objectID":"25","title":"Ask HN: Who is hiring? (September 2026)","created_at_i":25}]}"#;
        let page = "https://hn.algolia.com/api/v1/search_by_date?tags=story";
        let context = Context { page: page.parse().unwrap(), ..context() };
        let parsed = parse(hits, &context).unwrap();
        assert_eq!(parsed.next.unwrap().as_str(), "https://hn.algolia.com/api/v1/items/25");
        assert!(parse("{\"hits\":[]}", &context).is_err());
    }

    #[test]
    fn a_comments_first_line_is_read_in_any_order() {
        let parsed = parsed(parse, THREAD);
        let [kites, oats, bells] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (kites.company.as_str(), kites.title.as_str()),
            ("Acme Kites", "Wind Engineer & Pilot")
        );
        assert_eq!(kites.location.as_deref(), Some("Lyon, France"));
        assert_eq!(kites.employment_type.as_deref(), Some("full_time"));
        assert_eq!(kites.salary_min, Some(60e3));
        assert_eq!(kites.apply_url.as_deref(), Some("https://kites.test/jobs?a=1&b=2"));
        assert_eq!(kites.url, "https://news.ycombinator.com/item?id=1");
        assert_eq!((oats.title.as_str(), oats.is_remote), ("Backend Developer", Some(true)));
        assert_eq!(oats.location.as_deref(), Some("REMOTE (worldwide)"));
        assert_eq!((bells.title.as_str(), bells.location.as_deref()), ("Ringer", Some("Ghent")));
    }

    #[test]
    fn a_record_of_any_shape_loses_no_other() {
        others_stay(parse, THREAD, "/children");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, THREAD);
    }
}
