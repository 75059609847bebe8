//! Any RSS or Atom feed, or other XML with a list of postings.
//!
//! Fields of the configuration's `paths` win; without them the feed's own elements are read, and
//! those that feeds of postings commonly have, whatever their prefix: company, location, salary,
//! job type.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    config::SourceConfig,
    context::Context,
    feed::Feed,
    listing::Listing,
    location::Location,
    page::Content,
    parse_error::ParseError,
    parsed::Parsed,
    paths::Paths,
    posting::Posting,
    record,
    setup::{BuildError, urls},
    text,
    xml::{self, Names},
};

pub(crate) fn build(config: &SourceConfig) -> Result<Feed, BuildError> {
    let paths = Arc::new(Paths::loose(&config.paths));
    Ok(Feed {
        company: config.company.clone().unwrap_or_default(),
        urls: urls(config)?,
        first_page: u64::from(config.first_page),
        aggregates: config.company.is_none(),
        kind: Content::Xml,
        ..Feed::new(config, move |body, context| read_all(body, &paths, context))
    })
}

/// Reads a feed without paths.
///
/// # Errors
/// The answer is not XML, is cut off, or is no feed.
pub fn parse(body: &str, context: &Context) -> Result<Parsed, ParseError> {
    read_all(body, &Paths::loose(&Default::default()), context)
}

fn read_all(body: &str, paths: &Paths, context: &Context) -> Result<Parsed, ParseError> {
    let names = match paths.items.last() {
        Some(item) => Names {
            root: "element",
            roots: &[],
            records: vec![item.rsplit(':').next().unwrap_or_default().to_owned()],
        },
        None => Names {
            root: "element `rss` or `feed`",
            roots: &["rss", "RDF", "feed"],
            records: ["item", "entry", "generator"].map(str::to_owned).to_vec(),
        },
    };
    let mut parsed = Parsed::default();
    let mut generator = None;
    xml::records(body, &names, &context.budget, |name, item| {
        if name == "generator" {
            generator = xml::text_of(&item).map(text::line);
            return Ok(());
        }
        parsed.add(read(&item, paths, context), context)
    })?;
    // A feed of one company names it as what made the feed, where nothing else does.
    for listing in &mut parsed.listings {
        if listing.company.is_empty() && body.contains("newtonsoftware") {
            listing.company = generator.clone().unwrap_or_default();
        }
    }
    Ok(parsed.settled_short())
}

/// The elements' names in feeds of postings, without prefix; the first that says something counts.
const COMPANY: [&str; 6] =
    ["company", "companyname", "company_name", "employer", "organization", "hiringorganization"];
const LOCATION: [&str; 4] = ["location", "joblocation", "job_location", "region"];
const SALARY: [&str; 3] = ["salary", "compensation", "pay"];
const KIND: [&str; 6] =
    ["type", "jobtype", "job_type", "employmenttype", "employment_type", "jobtypes"];
const POSTED: [&str; 6] = ["pubdate", "published", "date", "issued", "dateposted", "updated"];
const EXPIRES: [&str; 5] =
    ["expires", "expires_at", "expirationdate", "closingdate", "advertisetodate"];

fn read(item: &Value, paths: &Paths, context: &Context) -> Result<Listing, String> {
    let mut posting = Posting::new(item, context);
    posting.listing.title = own(item, &["title"]).unwrap_or_default();
    posting.listing.url = link(item).unwrap_or_default();
    posting.listing.external_id = own(item, &["guid", "id"]).unwrap_or_default();
    posting.entity_line(any(item, &COMPANY));
    let place = Location {
        text: any(item, &LOCATION),
        city: any(item, &["city"]),
        state: any(item, &["state"]),
        country: any(item, &["country"]),
    };
    place_of(&mut posting, place);
    posting.employment(&[any(item, &KIND)]);
    posting.pay_text(any(item, &SALARY));
    posting.listing.job_function = any(item, &["department", "categoryname"]);
    posting.listing.tags = categories(item);
    let texts = ["content:encoded", "description", "content", "summary"];
    let markup = texts.iter().find_map(|name| xml::text_of(record::at(item, &[name])?));
    posting.listing.description =
        markup.map(|markup| text::description(markup, &context.budget)).unwrap_or_default();
    posting.listing.posted_at =
        POSTED.iter().find_map(|name| posting.date_of(&any(item, &[name])?));
    posting.listing.valid_through =
        EXPIRES.iter().find_map(|name| posting.date_of(&any(item, &[name])?));
    posting.listing.language = any(item, &["language"]);
    paths.fill(&mut posting);
    posting.finish()
}

/// A city that the line has already says nothing more.
fn place_of(posting: &mut Posting<'_>, place: Location) {
    let line = place.text.clone();
    let bare = place.text.as_deref().is_none_or(|line| place.city.as_deref() == Some(line));
    let parts = Location::parts(
        place.city.or_else(|| line.clone().filter(|_| place.state.is_some())),
        place.state,
        place.country,
    );
    let full = parts.state.is_some() || parts.country.is_some();
    let text = if full && (bare || line.as_deref().is_some_and(|line| !line.contains(','))) {
        None
    } else {
        line.clone()
    };
    posting.places(&[Location { text: Location::line(text).text, ..parts }]);
    posting.workplace(&[line], None);
}

/// Returns the text of one of the feed's own elements, which have no prefix.
fn own(item: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| first(item.get(name)?))
}

fn first(value: &Value) -> Option<String> {
    record::items(Some(value)).iter().find_map(|value| text::some_line(xml::text_of(value)?))
}

/// Returns the text of the first element of these names, whatever prefix and case it has.
fn any(item: &Value, names: &[&str]) -> Option<String> {
    let fields = item.as_object()?;
    names.iter().find_map(|wanted| {
        let mut same = fields.iter().filter(|(name, _)| {
            let local = name.rsplit(':').next().unwrap_or_default();
            local.eq_ignore_ascii_case(wanted) && !name.starts_with("media:")
        });
        same.find_map(|(_, value)| first(value))
    })
}

/// RSS has the address as text, Atom in an attribute, for one of several relations.
fn link(item: &Value) -> Option<String> {
    let raw = |value: &Value| {
        let rel = value.get("@rel").and_then(Value::as_str).unwrap_or("alternate");
        let href = value.get("@href").and_then(Value::as_str);
        let text = href.or_else(|| xml::text_of(value)).filter(|_| rel == "alternate");
        text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let links = record::items(item.get("link")).iter().find_map(raw);
    links.or_else(|| {
        let guid = xml::text_of(item.get("guid")?)?;
        guid.starts_with("http").then(|| guid.to_owned())
    })
}

fn categories(item: &Value) -> Vec<String> {
    let term = |value: &Value| {
        let term = value.get("@term").and_then(Value::as_str);
        text::some_line(term.or_else(|| xml::text_of(value))?)
    };
    record::items(item.get("category")).iter().filter_map(term).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::{PathSettings, SourceKind};

    use super::*;
    use crate::testing::{config, context, parsed, survives};

    const RSS: &str = "<rss version='2.0' xmlns:job='urn:x' xmlns:media='urn:m'><channel><title>Jobs</title><item>\
        <media:title>Logo</media:title><title>Cook &amp;amp; Baker</title><link>https://example.test/1?a=1&amp;region=2</link>\
        <guid isPermaLink='false'>g-1</guid><job:company>Acme</job:company><job:location>Bonn</job:location>\
        <category>Food</category><category>Night</category><pubDate>Mon, 16 Nov 2026 10:00:00 +0000</pubDate>\
        <description>&lt;p&gt;Bake.&lt;/p&gt;</description></item></channel></rss>";

    const ATOM: &str = "<feed xmlns='http://www.w3.org/2005/Atom'><entry><title>Smith</title>\
        <link rel='self' href='https://example.test/self'/><link rel='alternate' href='https://example.test/2'/>\
        <id>a-2</id><author><name>Turin</name></author><updated>2026-10-08T18:16:41Z</updated><published>2026-08-17T15:08:43Z</published>\
        <summary type='html'>&lt;b&gt;Forge&lt;/b&gt;</summary></entry></feed>";

    #[test]
    fn rss_is_read_with_what_feeds_of_postings_have() {
        let parsed = parsed(parse, RSS);
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(listing.title, "Cook & Baker");
        assert_eq!(listing.url, "https://example.test/1?a=1&region=2");
        assert_eq!((listing.external_id.as_str(), listing.company.as_str()), ("g-1", "Configured"));
        assert_eq!(listing.location.as_deref(), Some("Bonn"));
        assert_eq!((listing.description.as_str(), listing.tags.len()), ("Bake.", 2));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-11-16T10:00:00+00:00"));
    }

    #[test]
    fn atom_is_read_and_its_author_is_no_company() {
        let context = Context { company: String::new(), ..context() };
        let parsed = parse(ATOM, &context).unwrap();
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (listing.url.as_str(), listing.company.as_str()),
            ("https://example.test/2", "")
        );
        assert_eq!(listing.posted_at.as_deref(), Some("2026-08-17T15:08:43+00:00"));
    }

    #[test]
    fn other_xml_is_read_by_paths() {
        let some = |text: &str| Some(text.to_owned());
        let mut config = config(SourceKind::Rss);
        config.urls = vec!["https://example.test/offers.xml".into()];
        config.paths = PathSettings {
            items: "offer".into(),
            id: some("@no"),
            title: some("position"),
            link: some("https://example.test/o/{@no}"),
            location: some("cities.city"),
            ..PathSettings::default()
        };
        let body = "<offers><offer no='4'><position>Cutter</position><cities><city>Brno</city><city>Zlín</city></cities></offer></offers>";
        let parsed = (build(&config).unwrap().parse)(body, &context()).unwrap();
        let [listing] = &parsed.listings[..] else { panic!("{parsed:?}") };
        assert_eq!(
            (listing.title.as_str(), listing.url.as_str()),
            ("Cutter", "https://example.test/o/4")
        );
        assert_eq!(listing.location.as_deref(), Some("Brno; Zlín"));
    }

    #[test]
    fn an_empty_feed_is_an_honest_zero_and_another_page_an_error() {
        assert!(parsed(parse, "<rss><channel/></rss>").listings.is_empty());
        assert!(parse("<html><p>Moved", &context()).is_err());
        assert!(parse("{}", &context()).is_err());
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(parse, RSS);
        survives(parse, ATOM);
    }
}
