//! schema.org `JobPosting`s in the JSON-LD blocks of a page, as sites write them: with mistakes.

mod graph;

use html5ever::tokenizer::{Tag, TagKind, Token};
use serde_json::Value;
use url::Url;

pub(crate) use self::graph::is_posting_type;
use self::graph::{Graph, Plain};
use crate::listing::Listing;
use crate::{
    budget::TooMuch,
    dates::DateOrder,
    dom,
    identity::normal,
    json,
    link::{Tracking, link},
    locale::Locale,
    location::{self, Place},
    microdata, record, salary,
    source::{Context, ParseError, Parsed},
    text,
    tokens::tokens,
};

/// Postings read of one page.
const MAX_POSTINGS: usize = 1_000;

/// What a block takes beside its text.
const BLOCK: usize = 128;

/// Names of an organisation or a place that are looked through.
const MAX_NAMES: usize = 5;

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
    let is_same = |found: &Listing, sign: &Sign| {
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
    signs: Vec<Sign>,
}

/// What a posting says of itself.
struct Sign {
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
    let mut plain = Graph::new(&roots, budget)?.postings(MAX_POSTINGS)?;
    if plain.is_empty() && is_marked {
        roots = microdata::postings(&dom::document(page, budget)?, MAX_POSTINGS, budget)?;
        plain = Graph::new(&roots, budget)?.postings(MAX_POSTINGS)?;
    }
    let order = || DateOrder::shown_by(&dates_of(&plain));
    let context = context.in_language(tag.as_deref().unwrap_or_default(), order);
    let context = &Context { page: base, ..context };
    let language = tag.as_deref().and_then(text::language);
    let mut signs = Vec::new();
    for Plain { value, is_main } in &plain {
        let posting = Posting { posting: value, page: &address };
        let sign = Sign { has_address: posting.own_url(context).is_some(), is_main: *is_main };
        let read = posting.read(context).map(|listing| Listing {
            language: listing.language.or_else(|| language.clone()),
            ..listing
        });
        if read.is_ok() {
            signs.push(sign);
        }
        parsed.add(read, context)?;
    }
    Ok(Structured { parsed, signs })
}

/// A page's JSON-LD.
struct Blocks {
    texts: Vec<String>,
    /// The page's address: the one that it names as its own, when that is on the same host; else
    /// where it came from.
    address: Url,
    /// What relative addresses start from.
    base: Url,
    /// The tag of the language that the page says it is in.
    tag: Option<String>,
    /// Whether its markup says that there is a posting.
    is_marked: bool,
}

/// Returns the dates of the postings, which together may show how they are written.
fn dates_of(postings: &[Plain]) -> String {
    let dates = postings.iter().flat_map(|Plain { value, .. }| {
        ["datePosted", "validThrough"].map(|key| record::line(value, &[key]))
    });
    dates.flatten().collect::<Vec<_>>().join(" ")
}

fn blocks(page: &str, context: &Context) -> Result<Blocks, TooMuch> {
    let mut texts = Vec::new();
    let (mut base, mut named, mut language_tag) = (None, None, None);
    let (mut inside, mut is_marked) = (false, false);
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
            } else if language_tag.is_none() && &*tag.name == "html" {
                language_tag = attribute(&tag, "lang").map(str::to_owned);
            }
            is_marked |= marks_posting(&tag);
        }
        _ => {}
    })?;
    let base = base.unwrap_or_else(|| context.page.clone());
    let named = named.and_then(|href| link(&base, &href));
    let named = named.filter(|url| url.host() == context.page.host());
    let address = named.unwrap_or_else(|| context.page.clone());
    Ok(Blocks { texts, address, base, tag: language_tag, is_marked })
}

fn is_jsonld(tag: &Tag) -> bool {
    tag.kind == TagKind::StartTag
        && &*tag.name == "script"
        && attribute(tag, "type").is_some_and(|kind| kind.to_ascii_lowercase().contains("ld+json"))
}

fn marks_posting(tag: &Tag) -> bool {
    let kinds = ["itemtype", "typeof"].into_iter().filter_map(|name| attribute(tag, name));
    kinds.flat_map(str::split_whitespace).any(is_posting_type)
}

fn is_canonical(tag: &Tag) -> bool {
    &*tag.name == "link"
        && attribute(tag, "rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical"))
}

fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
    found.map(|attribute| &*attribute.value)
}

/// A posting, plain.
struct Posting<'a> {
    posting: &'a Value,
    /// The address of its page.
    page: &'a Url,
}

impl Posting<'_> {
    /// Returns the line under a name; of several the first, of an object its name.
    fn line(&self, key: &str) -> Option<String> {
        let given = record::items(self.posting.get(key)).iter().take(MAX_NAMES);
        given.into_iter().find_map(said)
    }

    fn read(&self, context: &Context) -> Result<Listing, String> {
        let mut listing = record::listing(&context.source, context.now);
        listing.title = self.line("title").or_else(|| self.line("name")).unwrap_or_default();
        listing.company = self.company().unwrap_or_else(|| context.company.clone());
        listing.external_id = self.identifier().unwrap_or_default();
        listing.url = self.own_url(context).unwrap_or_else(|| self.page.clone()).into();
        self.places(&mut listing);
        let kinds = record::lines(self.posting, &["employmentType"]).join(", ");
        listing.employment_type = location::employment_type(&kinds).map(str::to_owned);
        listing.seniority_level = record::items(self.posting.get("experienceRequirements"))
            .iter()
            .find_map(record::as_line);
        listing.job_function = self.joined("occupationalCategory");
        listing.industries = self.joined("industry");
        listing.tags = self.skills();
        listing.description = text::description(&self.markup(), &context.budget);
        let context = &self.localized(&listing, context);
        listing.posted_at = self.line("datePosted").and_then(|date| context.date(&date));
        listing.valid_through = self.line("validThrough").and_then(|text| {
            let at = context.date(&text)?;
            Some(if text.contains(':') { at } else { at.replace("T00:00:00", "T23:59:59") })
        });
        listing.language = self.line("inLanguage").and_then(|tag| text::language(&tag));
        if let Some(salary) = salary::posting(self.posting, &context.locale) {
            salary.set(&mut listing);
        }
        record::finish(listing, context)
    }

    /// Returns the context in the posting's own language; where nothing else tells, dates and
    /// money are those of the country of the work.
    fn localized(&self, listing: &Listing, context: &Context) -> Context {
        let own = Locale::of_tag(&self.line("inLanguage").unwrap_or_default());
        let country = Locale::of_country(listing.country.as_deref().unwrap_or_default());
        let locale = own.or(context.locale).or(country);
        let order = context.order.or_else(|| DateOrder::of(&locale));
        Context { locale, order, ..context.clone() }
    }

    /// The description; of several pieces all.
    fn markup(&self) -> String {
        let pieces = record::items(self.posting.get("description")).iter();
        pieces.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }

    fn company(&self) -> Option<String> {
        let given = record::items(self.posting.get("hiringOrganization")).iter().take(MAX_NAMES);
        given
            .into_iter()
            .find_map(|given| said(given).or_else(|| record::line(given, &["legalName"])))
    }

    /// The first identifier that does not only repeat whose it is.
    fn identifier(&self) -> Option<String> {
        let given = record::items(self.posting.get("identifier")).iter();
        let mut given = given.filter_map(|given| {
            let id =
                record::identifier(given, &[]).or_else(|| record::identifier(given, &["value"]))?;
            let whose = [record::line(given, &["name"]), self.company()].into_iter().flatten();
            (!whose.into_iter().any(|name| normal(&name) == normal(&id))).then_some(id)
        });
        given.next()
    }

    /// The posting's own address, unless it is the company's: some sites put that there.
    fn own_url(&self, context: &Context) -> Option<Url> {
        let companys = |key| {
            let given = record::items(self.posting.get("hiringOrganization")).iter();
            given.filter_map(move |given| record::address(given, &[key]))
        };
        let companys: Vec<String> = companys("sameAs").chain(companys("url")).collect();
        let is_companys =
            |url: &str| companys.iter().any(|theirs| slashless(theirs) == slashless(url));
        let given = ["url", "mainEntityOfPage", "@id"].into_iter().flat_map(|key| {
            let given = record::items(self.posting.get(key)).iter();
            given.filter_map(address).map(move |address| (key, address))
        });
        // An `@id` names a thing; it leads somewhere only if it looks so.
        let given = given.filter(|(key, url)| *key == "url" || url.starts_with("http"));
        let own = given.filter(|(_, url)| !is_companys(url));
        own.filter_map(|(_, url)| link(&context.page, url))
            .find(|url| url.path() != "/" || url.query().is_some() || is_route(url))
    }

    fn places(&self, listing: &mut Listing) {
        let of = |key: &str| {
            let given = record::items(self.posting.get(key)).iter();
            let places = given.flat_map(places).filter(|place| *place != Place::default());
            places.collect::<Vec<Place>>()
        };
        location::set(listing, &of("jobLocation"));
        if listing.location.is_none() {
            location::set(listing, &of("applicantLocationRequirements"));
        }
        let kind = record::lines(self.posting, &["jobLocationType"]);
        let workplace = kind.iter().find_map(|kind| location::workplace(kind));
        location::set_workplace(listing, workplace, None);
    }

    fn skills(&self) -> Vec<String> {
        let given = record::items(record::at(self.posting, &["skills"])).iter();
        let given = given.filter_map(said);
        given
            .flat_map(|skills| skills.split([',', ';']).map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    fn joined(&self, key: &str) -> Option<String> {
        let given = record::items(record::at(self.posting, &[key])).iter();
        let given: Vec<String> = given.filter_map(said).collect();
        text::some_line(&given.join(", "))
    }
}

/// Returns the places that one value names: a text, a place with one or several addresses, or an
/// address alone.
fn places(given: &Value) -> Vec<Place> {
    let addresses = record::items(record::at(given, &["address"]));
    if addresses.is_empty() {
        return vec![place(given)];
    }
    addresses.iter().map(place).collect()
}

fn place(given: &Value) -> Place {
    let part = |key| record::items(given.get(key)).iter().find_map(said);
    let parts =
        Place::parts(part("addressLocality"), part("addressRegion"), part("addressCountry"));
    if parts == Place::default() { Place::line(said(given)) } else { parts }
}

/// Returns the address that a value is or names.
fn address(value: &Value) -> Option<&str> {
    let named = || ["url", "@id"].into_iter().find_map(|key| record::raw(value, &[key]));
    record::raw(value, &[]).or_else(named).map(str::trim)
}

/// Returns what a value says as a line: itself, or its name.
fn said(value: &Value) -> Option<String> {
    record::as_line(value).or_else(|| name(value))
}

/// Returns an object's name; of a list of names the first.
fn name(value: &Value) -> Option<String> {
    let names = record::items(record::at(value, &["name"])).iter();
    names.take(MAX_NAMES).find_map(record::as_line)
}

/// A page of a site that is one page to its server.
fn is_route(url: &Url) -> bool {
    url.fragment().is_some_and(|fragment| fragment.starts_with(['/', '!']))
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

    /// Compares what a posting with these fields says.
    fn says(fields: &str, got: fn(&Listing) -> String, expect: &str) {
        let block = format!(r#"{{"@type":"JobPosting","name":"N",{fields}}}"#);
        let listing = read(&[&block]).listings.remove(0);
        assert_eq!(got(&listing), expect, "{fields}");
    }

    #[test]
    fn values_are_read_in_each_form_that_json_ld_has() {
        let title = |l: &Listing| l.title.clone();
        says(r#""title":["Cook"]"#, title, "Cook");
        says(r#""title":["Cook","Koch"]"#, title, "Cook");
        says(r#""title":{"@value":"Cook","@language":"en"}"#, title, "Cook");
        says(r#""title":[{"@value":"Cook"}]"#, title, "Cook");
        says(r#""schema:title":"Cook""#, title, "Cook");
        says(r#""https://schema.org/title":{"@value":"Cook"}"#, title, "Cook");
        says(r#""http://schema.org/title":[{"@value":"Cook"}]"#, title, "Cook");
        let company = |l: &Listing| l.company.clone();
        says(r#""hiringOrganization":{"schema:name":"Acme"}"#, company, "Acme");
        says(r#""hiringOrganization":["Acme"]"#, company, "Acme");
        says(r#""hiringOrganization":[{"@type":"X"},{"name":["Acme","A"]}]"#, company, "Acme");
        says(r#""hiringOrganization":{"legalName":"Acme Ltd"}"#, company, "Acme Ltd");
        says(r#""hiringOrganization":"N/A""#, company, "N/A");
        let place = |l: &Listing| l.location.clone().unwrap_or_default();
        says(r#""jobLocation":"Bern""#, place, "Bern");
        says(r#""jobLocation":["Bern","Basel"]"#, place, "Bern; Basel");
        says(r#""jobLocation":{"name":"Bern"}"#, place, "Bern");
        says(r#""jobLocation":{"address":"Bern, CH"}"#, place, "Bern, CH");
        says(r#""jobLocation":{"address":{"addressLocality":["Bern"]}}"#, place, "Bern");
        says(
            r#""jobLocation":{"address":{"addressLocality":"Bern","addressCountry":{"name":"CH"}}}"#,
            place,
            "Bern, CH",
        );
        says(
            r#""jobLocation":[{"address":[{"addressLocality":"Bern"},{"addressLocality":"Basel"}]},"Chur"]"#,
            place,
            "Bern; Basel; Chur",
        );
        says(r#""jobLocation":{"@type":"PostalAddress","addressLocality":"Bern"}"#, place, "Bern");
        says(
            r#""applicantLocationRequirements":[{"@type":"Country","name":"US"},{"name":"CA"}]"#,
            place,
            "US; CA",
        );
        says(
            r#""applicantLocationRequirements":"Anywhere in the EU""#,
            place,
            "Anywhere in the EU",
        );
    }

    #[test]
    fn addresses_and_identifiers_are_read_in_each_form() {
        let url = |l: &Listing| l.url.clone();
        let job = "https://example.test/j/1";
        says(r#""url":["/j/1"]"#, url, job);
        says(r#""url":["/j/1","/j/2"]"#, url, job);
        says(r#""url":{"@id":"/j/1"}"#, url, job);
        says(r#""url":{"@type":"WebPage","url":"/j/1"}"#, url, job);
        says(
            r#""mainEntityOfPage":{"@type":"WebPage","@id":"https://example.test/j/1"}"#,
            url,
            job,
        );
        says(r##""@id":"#job""##, url, context().page.as_str());
        says(
            r#""url":"/j/1?a=1&region=US&copy=2""#,
            url,
            "https://example.test/j/1?a=1&region=US&copy=2",
        );
        let id = |l: &Listing| l.external_id.clone();
        says(r#""identifier":7"#, id, "7");
        says(r#""identifier":{"name":"Acme","value":"Acme"}"#, id, context().page.as_str());
        says(
            r#""hiringOrganization":"Acme","identifier":[{"value":"ACME"},{"value":"R-7"}]"#,
            id,
            "R-7",
        );
        says(r#""description":["<p>a</p>","b"]"#, |l| l.description.clone(), "a\nb");
        says(
            r#""inLanguage":{"@type":"Language","name":"de"}"#,
            |l| l.language.clone().unwrap_or_default(),
            "de",
        );
    }

    #[test]
    fn what_a_posting_refers_to_is_read_in_its_place() {
        let graph = r##"{"@graph":[
            {"@type":"JobPosting","title":"Cook","hiringOrganization":{"@id":"#o"},"jobLocation":[{"@id":"#p"},{"@id":"#none"}]},
            {"@id":"#p","@type":"Place","address":{"@id":"#a"}},
            {"@id":"#a","addressLocality":"Graz"}, {"@id":"#o","name":{"@value":"Acme"}}]}"##;
        let listing = read(&[graph]).listings.remove(0);
        assert_eq!((listing.company.as_str(), listing.location.as_deref()), ("Acme", Some("Graz")));
        let circle = r##"[{"@type":"JobPosting","@id":"#j","title":"Cook","hiringOrganization":{"@id":"#o"}},
            {"@id":"#o","name":{"@id":"#o"},"makes":{"@id":"#j"}}]"##;
        assert_eq!(read(&[circle]).listings.len(), 1);
        let stub = r##"[{"@type":"WebPage","mainEntity":{"@type":"JobPosting","@id":"#j"}},
            {"@type":"JobPosting","@id":"#j","title":"Cook"}]"##;
        let parsed = read(&[stub]);
        assert_eq!((parsed.listings.len(), parsed.n_skipped), (1, 0));
    }

    #[test]
    fn types_are_known_in_each_form() {
        for kind in
            ["jobPosting", "JOBPOSTING", "schema:JobPosting", "https://schema.org/JobPosting/"]
        {
            assert_eq!(read(&[&POSTING.replace("JobPosting", kind)]).listings.len(), 1, "{kind}");
        }
        assert_eq!(read(&[r#"{"type":"JobPosting","title":"Cook"}"#]).listings.len(), 1);
        assert_eq!(read(&[r#"{"@type":"JobPostingList","title":"Cook"}"#]).listings.len(), 0);
    }

    #[test]
    fn a_detail_pages_posting_is_the_listings_or_none() {
        let check = |blocks: &str, expect: Option<&str>| {
            let page = format!("<script type='application/ld+json'>{blocks}</script>");
            let url = "https://example.test/jobs/1".to_owned();
            let listing = Listing { title: "Cook".into(), url, ..Listing::default() };
            let found = posting_of(&page, &listing, &context()).unwrap();
            assert_eq!(found.as_ref().map(|l| l.company.as_str()), expect, "{blocks}");
        };
        let of = |title: &str, company: &str, more: &str| {
            format!(
                r#"{{"@type":"JobPosting","title":"{title}","hiringOrganization":"{company}"{more}}}"#
            )
        };
        check(&format!("[{},{}]", of("Baker", "A", ""), of("Cook", "B", "")), Some("B"));
        check(&of("Cook (m/w/d)", "B", ""), Some("B"));
        check(&of("Baker", "A", ""), None);
        check(&format!("[{},{}]", of("Cook", "A", ""), of("Cook", "B", "")), None);
        let own = r#","url":"/jobs/1?utm_source=x""#;
        check(&format!("[{},{}]", of("Cook", "A", ""), of("Koch", "B", own)), Some("B"));
        let main = format!(r#"[{},{{"mainEntity":{}}}]"#, of("Cook", "A", ""), of("Koch", "B", ""));
        check(&main, Some("B"));
    }

    #[test]
    fn microdata_and_rdfa_are_read_where_there_is_no_json_ld() {
        let microdata = r#"<html lang="de-AT"><div itemscope itemtype="https://schema.org/JobPosting">
            <h1 itemprop="title"><a href="/x">Cook &amp; <em>Bak</em>er</a></h1>
            <a itemprop="url" href="/jobs/1">more</a>
            <div itemprop="hiringOrganization" itemscope itemtype="https://schema.org/Organization">
              <span itemprop="name">Acme</span></div>
            <div itemprop="jobLocation" itemscope itemtype="https://schema.org/Place">
              <div itemprop="address" itemscope itemtype="https://schema.org/PostalAddress">
                <span itemprop="addressLocality">Graz</span><meta itemprop="addressCountry" content="AT"></div></div>
            <time itemprop="datePosted" datetime="2026-11-05">Thursday</time>
            <div itemprop="description"><p>One</p><p>Two</p></div></div>"#;
        let rdfa = microdata
            .replace(
                "itemscope itemtype=\"https://schema.org/",
                "vocab=\"https://schema.org/\" typeof=\"",
            )
            .replace("itemprop=\"", "property=\"");
        for page in [microdata, &rdfa] {
            let listing = postings(page, &context()).unwrap().listings.remove(0);
            assert_eq!(listing.title, "Cook & Baker");
            assert_eq!(listing.url, "https://example.test/jobs/1");
            assert_eq!(
                (listing.company.as_str(), listing.location.as_deref()),
                ("Acme", Some("Graz, AT"))
            );
            assert_eq!(listing.posted_at.as_deref(), Some("2026-11-05T00:00:00+00:00"));
            assert_eq!(
                (listing.description.as_str(), listing.language.as_deref()),
                ("One\nTwo", Some("de-AT"))
            );
        }
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
