//! schema.org `JobPosting`s in the JSON-LD blocks of a page, as sites write them: with mistakes.

use std::collections::HashMap;

use html5ever::tokenizer::{Tag, TagKind, Token};
use serde_json::{Map, Value};
use url::Url;

use crate::listing::Listing;
use crate::{
    budget::{Budget, TooMuch},
    dates::{self, DateOrder},
    json,
    link::link,
    location::{self, Place},
    record, salary,
    source::{Context, ParseError, Parsed},
    text,
    tokens::tokens,
};

/// Postings read of one page.
const MAX_POSTINGS: usize = 1_000;

/// What a block takes beside its text.
const BLOCK: usize = 128;

/// Organisations of a posting and names of one of them that are looked through: many postings may
/// refer to the same.
const MAX_NAMES: usize = 5;

/// Returns every posting of the page: in any block, alone, in an array or a `@graph`, or inside
/// another object.
///
/// # Errors
/// The budget is used up.
pub(crate) fn postings(page: &str, context: &Context) -> Result<Parsed, ParseError> {
    let budget = &*context.budget;
    let mut parsed = Parsed::default();
    let mut roots = Vec::new();
    let Blocks { texts, address, base } = blocks(page, context)?;
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
    let mut found = Found { budget, postings: Vec::new(), known: HashMap::new() };
    for root in &roots {
        found.collect(root)?;
    }
    let Found { postings, known, .. } = found;
    let context = &Context { page: base, ..context.clone() };
    for posting in postings.iter().take(MAX_POSTINGS) {
        parsed.add(Posting { posting, known: &known, page: &address }.read(context), context)?;
    }
    Ok(parsed.settled())
}

/// A page's JSON-LD.
struct Blocks {
    texts: Vec<String>,
    /// The page's address: the one that it names as its own, when that is on the same host; else
    /// where it came from.
    address: Url,
    /// What relative addresses start from.
    base: Url,
}

fn blocks(page: &str, context: &Context) -> Result<Blocks, TooMuch> {
    let mut texts = Vec::new();
    let (mut base, mut named) = (None, None);
    let mut inside = false;
    tokens(page, &context.budget, |token| match token {
        Token::CharacterTokens(text) if inside => {
            if let (Some(block), Ok(())) = (texts.last_mut(), context.budget.take(text.len())) {
                String::push_str(block, &text);
            }
        }
        Token::TagToken(tag) => {
            inside = is_jsonld(&tag);
            if inside && context.budget.take(BLOCK).is_ok() {
                texts.push(String::new());
            } else if named.is_none() && is_canonical(&tag) {
                named = attribute(&tag, "href").map(str::to_owned);
            } else if base.is_none() && &*tag.name == "base" {
                base = attribute(&tag, "href").and_then(|href| link(&context.page, href));
            }
        }
        _ => {}
    })?;
    let base = base.unwrap_or_else(|| context.page.clone());
    let named = named.and_then(|href| link(&base, &href));
    let named = named.filter(|url| url.host() == context.page.host());
    Ok(Blocks { texts, address: named.unwrap_or_else(|| context.page.clone()), base })
}

fn is_jsonld(tag: &Tag) -> bool {
    tag.kind == TagKind::StartTag
        && &*tag.name == "script"
        && attribute(tag, "type").is_some_and(|kind| kind.to_ascii_lowercase().contains("ld+json"))
}

fn is_canonical(tag: &Tag) -> bool {
    &*tag.name == "link"
        && attribute(tag, "rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical"))
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
    found.map(|attribute| &*attribute.value)
}

/// The postings in the order of the page, and each object that has an `@id` and a name.
struct Found<'a> {
    budget: &'a Budget,
    postings: Vec<&'a Value>,
    known: HashMap<&'a str, &'a Value>,
}

impl<'a> Found<'a> {
    fn collect(&mut self, value: &'a Value) -> Result<(), TooMuch> {
        self.budget.step()?;
        // serde_json reads at most 128 levels, so this recursion is bounded.
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.collect(item)),
            Value::Object(fields) => self.collect_fields(value, fields),
            _ => Ok(()),
        }
    }

    fn collect_fields(
        &mut self,
        value: &'a Value,
        fields: &'a Map<String, Value>,
    ) -> Result<(), TooMuch> {
        if let (Some(Value::String(id)), true) = (fields.get("@id"), fields.contains_key("name")) {
            self.known.insert(id, value);
        }
        if is_posting(value) {
            self.postings.push(value);
            return Ok(());
        }
        fields.values().try_for_each(|field| self.collect(field))
    }
}

fn is_posting(value: &Value) -> bool {
    record::items(value.get("@type"))
        .iter()
        .filter_map(Value::as_str)
        .any(|kind| kind.rsplit(['/', ':', '#']).next() == Some("JobPosting"))
}

/// A posting, and the objects of its page that it may refer to.
struct Posting<'a> {
    posting: &'a Value,
    known: &'a HashMap<&'a str, &'a Value>,
    /// The address of its page.
    page: &'a Url,
}

impl Posting<'_> {
    fn line(&self, path: &[&str]) -> Option<String> {
        record::line(self.posting, path)
    }

    fn read(&self, context: &Context) -> Result<Listing, String> {
        let mut listing = record::listing(&context.source, context.now);
        listing.title = self.line(&["title"]).or_else(|| self.line(&["name"])).unwrap_or_default();
        listing.company = self.company().unwrap_or_else(|| context.company.clone());
        listing.external_id = self.identifier().unwrap_or_default();
        listing.url = self.url(context).into();
        self.places(&mut listing);
        let kinds = record::lines(self.posting, &["employmentType"]).join(", ");
        listing.employment_type = location::employment_type(&kinds).map(str::to_owned);
        listing.seniority_level =
            record::at(self.posting, &["experienceRequirements"]).and_then(record::as_line);
        listing.job_function = self.joined("occupationalCategory");
        listing.industries = self.joined("industry");
        listing.tags = self.skills();
        listing.description = record::description(self.posting, &["description"], context);
        listing.posted_at = self
            .line(&["datePosted"])
            .and_then(|date| dates::text(&date, DateOrder::DayFirst, context.now));
        listing.valid_through = self.line(&["validThrough"]).and_then(|text| {
            let at = dates::text(&text, DateOrder::DayFirst, context.now)?;
            Some(if text.contains(':') { at } else { at.replace("T00:00:00", "T23:59:59") })
        });
        listing.language = self.line(&["inLanguage"]).and_then(|tag| text::language(&tag));
        if let Some(salary) = salary::posting(self.posting, &context.locale) {
            salary.set(&mut listing);
        }
        record::finish(listing, context)
    }

    /// The organisation is an object, a reference to one by `@id`, or its bare name.
    fn company(&self) -> Option<String> {
        let named = |value: &Value| record::as_line(value).or_else(|| name(value));
        let given = record::items(record::at(self.posting, &["hiringOrganization"])).iter();
        given.take(MAX_NAMES).find_map(|given| {
            let referred = || record::raw(given, &["@id"]).and_then(|id| self.known.get(id));
            named(given).or_else(|| named(referred()?))
        })
    }

    fn identifier(&self) -> Option<String> {
        let given = record::items(record::at(self.posting, &["identifier"])).first()?;
        record::identifier(given, &[]).or_else(|| record::identifier(given, &["value"]))
    }

    /// The posting's own address, unless it is the company's: some sites put that there.
    fn url(&self, context: &Context) -> Url {
        let company = record::address(self.posting, &["hiringOrganization", "sameAs"]);
        let same = |url: &str| company.as_deref().map(slashless) == Some(slashless(url));
        record::address(self.posting, &["url"])
            .filter(|url| !same(url))
            .and_then(|url| link(&context.page, &url))
            .filter(|url| url.path() != "/" || url.query().or_else(|| url.fragment()).is_some())
            .unwrap_or_else(|| self.page.clone())
    }

    fn places(&self, listing: &mut Listing) {
        let given = record::items(record::at(self.posting, &["jobLocation"])).iter();
        let places: Vec<Place> =
            given.map(place).filter(|place| *place != Place::default()).collect();
        location::set(listing, &places);
        if listing.location.is_none() {
            let allowed =
                record::items(record::at(self.posting, &["applicantLocationRequirements"]));
            let allowed = allowed.iter().map(|place| Place::line(name(place)));
            location::set(listing, &allowed.collect::<Vec<_>>());
        }
        let kind = record::lines(self.posting, &["jobLocationType"]);
        let workplace = kind.iter().find_map(|kind| location::workplace(kind));
        location::set_workplace(listing, workplace, None);
    }

    fn skills(&self) -> Vec<String> {
        let given = record::items(record::at(self.posting, &["skills"])).iter();
        let given = given.filter_map(|skill| record::as_line(skill).or_else(|| name(skill)));
        given
            .flat_map(|skills| skills.split([',', ';']).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn joined(&self, key: &str) -> Option<String> {
        let given = record::items(record::at(self.posting, &[key])).iter();
        let given: Vec<String> =
            given.filter_map(|item| record::as_line(item).or_else(|| name(item))).collect();
        text::some_line(&given.join(", "))
    }
}

fn place(given: &Value) -> Place {
    let Some(address) = record::at(given, &["address"]) else {
        return Place::line(record::as_line(given).or_else(|| name(given)));
    };
    if let Some(line) = record::as_line(address) {
        return Place::line(Some(line));
    }
    let part =
        |key| record::at(address, &[key]).and_then(|p| record::as_line(p).or_else(|| name(p)));
    Place::parts(part("addressLocality"), part("addressRegion"), part("addressCountry"))
}

/// Returns an object's name; of a list of names the first.
fn name(value: &Value) -> Option<String> {
    let names = record::items(record::at(value, &["name"])).iter();
    names.take(MAX_NAMES).find_map(record::as_line)
}

fn slashless(url: &str) -> &str {
    url.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::context;

    fn read(blocks: &[&str]) -> Parsed {
        let script = |block: &&str| format!("<script type='application/ld+json'>{block}</script>");
        let page: String = blocks.iter().map(script).collect();
        postings(&page, &context()).unwrap()
    }

    const POSTING: &str = r#"{"@type":"JobPosting","title":"Cook"}"#;

    #[test]
    fn a_posting_is_found_wherever_it_stands() {
        let check = |blocks: &[&str], expect: usize| {
            let parsed = read(blocks);
            assert_eq!(parsed.listings.len(), expect, "{blocks:?} {parsed:?}");
            assert!(parsed.listings.iter().all(|listing| listing.title == "Cook"));
        };
        check(&[POSTING], 1);
        check(&["{\"@type\":\"Organization\"}", POSTING], 2 - 1);
        check(&[&format!("[{POSTING},{POSTING}]")], 2);
        check(&[&format!("{{\"@graph\":[{POSTING}]}}")], 1);
        check(&[&format!("{{\"itemListElement\":[{{\"item\":{POSTING}}}]}}")], 1);
        check(&[r#"{"@type":["Thing","JobPosting"],"title":"Cook"}"#], 1);
        check(&[r#"{"@type":"http://schema.org/JobPosting","title":"Cook"}"#], 1);
        check(&[&format!("<!--\n{POSTING}\n-->")], 1);
        check(&[&format!("//<![CDATA[\n{POSTING}\n//]]>")], 1);
        check(&[&format!("{POSTING};")], 1);
        check(&[""], 0);
    }

    #[test]
    fn mistakes_inside_strings_are_repaired() {
        let block = "{\"@type\":\"JobPosting\",\"title\":\"Cook\",\"description\":\"a\n\tb\\_c \\\"d\\\" \\u00e9\"}";
        let parsed = read(&[block]);
        assert_eq!(parsed.listings[0].description, "a\nb_c \"d\" é");
    }

    #[test]
    fn a_block_beyond_repair_is_skipped_with_its_reason() {
        let parsed = read(&["{\"@type\":", POSTING]);
        assert_eq!((parsed.listings.len(), parsed.skipped.len()), (1, 1));
        assert!(
            parsed.skipped[0].starts_with("JSON-LD block cannot be read: it is cut off"),
            "{parsed:?}"
        );
    }

    #[test]
    fn the_company_may_be_elsewhere_on_the_page() {
        let graph = r##"{"@graph":[{"@type":"Organization","@id":"#o","name":"Acme"},
            {"@type":"JobPosting","title":"Cook","hiringOrganization":{"@id":"#o"}}]}"##;
        assert_eq!(read(&[graph]).listings[0].company, "Acme");
        let name = r#"{"@type":"JobPosting","title":"Cook","hiringOrganization":"Acme"}"#;
        assert_eq!(read(&[name]).listings[0].company, "Acme");
    }

    #[test]
    fn the_companys_address_is_not_the_postings() {
        let check = |url: &str, expect: &str| {
            let block = format!(
                r#"{{"@type":"JobPosting","title":"Cook","url":"{url}",
                    "hiringOrganization":{{"name":"Acme","sameAs":"https://acme.test/en"}}}}"#
            );
            assert_eq!(read(&[&block]).listings[0].url, expect);
        };
        let page = context().page;
        check("https://acme.test/en/", page.as_str());
        check("https://acme.test", page.as_str());
        check("https://acme.test/jobs/1", "https://acme.test/jobs/1");
        check("mailto:x", page.as_str());
    }

    #[test]
    fn the_last_day_and_the_language_are_read() {
        let check = |fields: &str, until: Option<&str>, language: Option<&str>| {
            let block = format!(r#"{{"@type":"JobPosting","title":"Cook",{fields}}}"#);
            let listing = read(&[&block]).listings.remove(0);
            let got = (listing.valid_through.as_deref(), listing.language.as_deref());
            assert_eq!(got, (until, language), "{fields}");
        };
        let day = Some("2026-12-24T23:59:59+00:00");
        check(r#""validThrough":"2026-12-24","inLanguage":"de_at""#, day, Some("de-AT"));
        let time = Some("2026-12-24T17:00:00+00:00");
        check(r#""validThrough":"2026-12-24T18:00:00+01:00","inLanguage":"en""#, time, Some("en"));
        check(r#""validThrough":"soon","inLanguage":"English""#, None, None);
    }

    #[test]
    fn salaries_are_read_in_each_form() {
        let check = |salary: &str, expect: (Option<f64>, Option<f64>)| {
            let block = format!(
                r#"{{"@type":"JobPosting","title":"Cook","salaryCurrency":"EUR","baseSalary":{salary}}}"#
            );
            let listing = read(&[&block]).listings.remove(0);
            assert_eq!((listing.salary_min, listing.salary_max), expect, "{salary}");
            assert_eq!(listing.salary_currency.as_deref(), Some("EUR"));
        };
        check(r#"{"value":{"value":3000,"unitText":"MONTH"}}"#, (Some(3000.0), None));
        check(r#"{"value":"3000","unitText":"MONTH"}"#, (Some(3000.0), None));
        check(r#"{"minValue":"50,000","maxValue":60000}"#, (Some(50e3), Some(60e3)));
        check(r#""€50k - €60k""#, (Some(50e3), Some(60e3)));
    }
}
