//! Payloads as no site sends them, for every parser: trees of the fields that it looks for with any
//! value anywhere, recorded payloads with a part exchanged, markup without sense. None panics, and
//! what is read is bounded and sound.
//!
//! Each parser's own tests feed it bytes and cut text (`testing::survives`), `hostile.rs` what is
//! large or nested.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::{prelude::*, sample::select};
use rhubarb_scrape::{
    Context, Listing, ParseError, Parsed,
    config::{Selectors, SourceConfig, SourceKind},
    proxies,
    sources::{
        arbeitnow, ashby, greenhouse,
        html::{Picks, parse_detail, parse_list},
        jsonld, lever, remoteok, weworkremotely,
    },
};
use serde_json::{Map, Value};

const JSON: [&str; 6] = [
    include_str!("../fixtures/arbeitnow_p1.json"),
    include_str!("../fixtures/ashby_board.json"),
    include_str!("../fixtures/greenhouse_jobs.json"),
    include_str!("../fixtures/greenhouse_pay.json"),
    include_str!("../fixtures/lever_postings.json"),
    include_str!("../fixtures/remoteok.json"),
];
const JSONLD: &str = include_str!("../fixtures/jsonld.html");
const MARKUP: [&str; 4] = [
    JSONLD,
    include_str!("../fixtures/list_p1.html"),
    include_str!("../fixtures/detail.html"),
    include_str!("../fixtures/wwr.rss"),
];

type Parse = fn(&str, &Context) -> Result<Parsed, ParseError>;
const PARSERS: [(&str, Parse); 7] = [
    ("arbeitnow", arbeitnow::parse),
    ("ashby", ashby::parse),
    ("greenhouse", greenhouse::parse),
    ("jsonld", jsonld::parse),
    ("lever", lever::parse),
    ("remoteok", remoteok::parse),
    ("weworkremotely", weworkremotely::parse),
];

/// Texts that mean something to some reader, and some that mean nothing to any.
const TEXTS: [&str; 32] = [
    "",
    " ",
    "\u{0}",
    "\u{202e}\u{feff}é日本🦀",
    "Rust Engineer",
    "Example: Engineer: Rust",
    "JobPosting",
    "https://example.test/jobs/1",
    "/relative?a=b#c",
    "javascript:alert(1)",
    "http://[::1",
    "https://user:password@example.test:99999/",
    "2026-11-20",
    "2026-02-30T25:61:61Z",
    "Mon, 16 Nov 2026 10:00:00 +0000",
    "99999999-99-99",
    "3 days ago",
    "99999999999999999999 years ago",
    "$60k - $80k a year",
    "€1.000.000,00-€1 per hour",
    "inf",
    "NaN",
    "-1e999",
    "99999999999999999999999",
    "0x10",
    "true",
    "<p>One</p><ul><li>two<li>three</ul>",
    "&lt;script&gt;&amp;amp;&#x110000;&#0;",
    "]]><![CDATA[",
    "--><!--",
    "{\"title\":\"in a text\"}",
    "Remote, Berlin, DE; USA only (hybrid)",
];

fn context() -> Context {
    let page = "https://example.test/jobs/board".parse().unwrap();
    Context::new("source", "Configured", &page, "2026-11-23T12:00:00Z".parse().unwrap())
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

/// The names of all fields of the recorded payloads.
fn keys() -> Vec<String> {
    fn collect(value: &Value, keys: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| collect(item, keys)),
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                keys.push(key.clone());
                collect(value, keys);
            }),
            _ => {}
        }
    }
    let mut keys = Vec::new();
    recorded().iter().for_each(|value| collect(value, &mut keys));
    keys.sort();
    keys.dedup();
    keys
}

/// The recorded payloads; the data of JSON-LD is one of them.
fn recorded() -> Vec<Value> {
    let data = JSONLD.split_once("ld+json\">").unwrap().1.split_once("</script>").unwrap().0;
    JSON.iter().chain([&data]).map(|text| serde_json::from_str(text).unwrap()).collect()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![4 => select(&TEXTS[..]).prop_map(str::to_owned), 1 => ".{0,40}"]
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        2 => any::<f64>().prop_map(Value::from),
        6 => text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        let fields = prop::collection::vec((select(keys()), inner.clone()), 0..8);
        prop_oneof![
            1 => prop::collection::vec(inner, 0..4).prop_map(Value::from),
            3 => fields.prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

/// Puts `part` in the place of the value that comes `place`-th, counted from the root.
fn exchange(value: &mut Value, place: &mut usize, part: &Value) {
    if *place == 0 {
        *value = part.clone();
    }
    *place = place.wrapping_sub(1);
    if *place > usize::MAX / 2 {
        return;
    }
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| exchange(item, place, part)),
        Value::Object(fields) => fields.values_mut().for_each(|value| exchange(value, place, part)),
        _ => {}
    }
}

/// Elements, comments and texts; some of the elements never end.
fn markup(tags: &'static [&'static str]) -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => text(),
        1 => text().prop_map(|text| format!("<!--{text}-->")),
        1 => text().prop_map(|text| format!("<![CDATA[{text}]]>")),
        1 => text().prop_map(|text| format!("<script type=\"application/ld+json\">{text}</script>")),
    ];
    leaf.prop_recursive(6, 80, 8, move |inner| {
        let element = (select(tags), select(&ATTRIBUTES[..]), text(), prop::bool::weighted(0.9));
        (element, prop::collection::vec(inner, 0..6)).prop_map(
            |((tag, attribute, value, ends), children)| {
                let end = if ends { format!("</{tag}>") } else { String::new() };
                let value = value.replace('"', "");
                format!("<{tag} {attribute}=\"{value}\">{}{end}", children.concat())
            },
        )
    })
}

const ATTRIBUTES: [&str; 8] = [
    "class=\"job\" id",
    "class",
    "href",
    "datetime",
    "content",
    "rel=\"next\" href",
    "lang",
    "x:y",
];
const HTML: [&str; 16] = [
    "html", "body", "div", "a", "p", "ul", "li", "table", "tr", "td", "b", "time", "template",
    "br", "svg", "select",
];
const RSS: [&str; 14] = [
    "rss",
    "channel",
    "item",
    "title",
    "link",
    "description",
    "pubDate",
    "guid",
    "region",
    "category",
    "type",
    "skills",
    "company",
    "media:content",
];

fn picks() -> Picks {
    let some = |text: &str| Some(text.to_owned());
    let selectors = Selectors {
        item: ".job, li".into(),
        title: some("a"),
        link: some("a"),
        company: some("b"),
        location: some("p"),
        salary: some("td"),
        date: some("time@datetime"),
        tags: some("li"),
        next_page: some("a[rel=next]"),
        empty: None,
        detail: BTreeMap::from([
            ("description".into(), "body".into()),
            ("salary".into(), "td".into()),
            ("date".into(), "time".into()),
        ]),
    };
    let config = SourceConfig {
        name: "source".into(),
        max_pages: 3,
        selectors,
        ..SourceConfig::new(SourceKind::Html)
    };
    Picks::new(&config).unwrap()
}

/// What every listing keeps to, whatever it was read from, and what bounds the memory of reading
/// it.
fn sound(what: &str, body: &str, parsed: &Parsed) {
    let records = parsed.listings.len() + parsed.skipped.len();
    assert!(records <= body.len(), "{what}: {records} records of {} bytes", body.len());
    let size: usize = parsed.listings.iter().map(bytes).sum();
    let bound = 16 * body.len() + 1000 * records;
    assert!(size <= bound, "{what}: {size} bytes of {}", body.len());
    parsed.listings.iter().for_each(|listing| sound_listing(what, listing));
    if let Some(next) = &parsed.next {
        assert!(matches!(next.scheme(), "http" | "https"), "{what}: {next}");
    }
}

fn bytes(listing: &Listing) -> usize {
    serde_json::to_vec(listing).unwrap().len()
}

fn sound_listing(what: &str, listing: &Listing) {
    assert!(!listing.external_id.is_empty(), "{what}: {listing:?}");
    for url in std::iter::once(&listing.url).chain(&listing.apply_url) {
        assert!(url.starts_with("http://") || url.starts_with("https://"), "{what}: {url}");
        assert!(url.parse::<url::Url>().is_ok(), "{what}: {url}");
    }
    for amount in [listing.salary_min, listing.salary_max].into_iter().flatten() {
        assert!(amount.is_finite() && amount >= 0.0, "{what}: {amount}");
    }
    if let Some(posted) = &listing.posted_at {
        assert!(posted.parse::<Timestamp>().is_ok(), "{what}: {posted}");
    }
    assert!(listing.tags.len() <= 40, "{what}: {:?}", listing.tags);
    // As it lies in the caches: JSON has no NaN, and would turn it into null.
    let again: Listing = serde_json::from_slice(&serde_json::to_vec(listing).unwrap()).unwrap();
    assert_eq!(&again, listing, "{what}");
}

fn read_all(body: &str) {
    let (context, picks) = (context(), picks());
    for (what, parse) in PARSERS {
        if let Ok(parsed) = parse(body, &context) {
            sound(what, body, &parsed);
        }
    }
    if let Ok(parsed) = parse_list(body, &picks, &context) {
        // A list page may leave the title to the detail page; what it gives is whole all the same.
        let whole = parsed.listings.into_iter().filter(|listing| !listing.external_id.is_empty());
        let parsed = Parsed { listings: whole.collect(), ..parsed };
        sound("html", body, &parsed);
        for mut listing in parsed.listings.into_iter().take(3) {
            if parse_detail(body, &picks, &context, &mut listing).is_ok() {
                sound_listing("detail", &listing);
            }
        }
    }
    assert!(proxies::parse_list(body).proxies.len() <= body.len());
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn data_of_any_shape_is_read_or_refused(tree in tree(), wrap in 0..4_usize) {
        let body = match wrap {
            0 => serde_json::json!([tree]),
            1 => serde_json::json!({"jobs": [tree], "apiVersion": "1"}),
            2 => serde_json::json!({"data": [tree], "links": {"next": tree}}),
            _ => tree,
        }
        .to_string();
        read_all(&body);
        read_all(&format!("<script type=\"application/ld+json\">{body}</script><a>x</a>"));
    }

    #[test]
    fn a_recorded_payload_with_a_part_exchanged_is_read_or_refused(
        which in 0..JSON.len() + 1,
        place in 0..120_usize,
        part in tree(),
    ) {
        let mut payload = recorded().swap_remove(which);
        exchange(&mut payload, &mut place.clone(), &part);
        let body = payload.to_string();
        read_all(&body);
        read_all(&format!("<script type=\"application/ld+json\">{body}</script>"));
    }

    #[test]
    fn markup_of_any_shape_is_read_or_refused(html in markup(&HTML), rss in markup(&RSS)) {
        read_all(&html);
        read_all(&format!("<rss><channel><item>{rss}</item></channel></rss>"));
    }

    #[test]
    fn recorded_markup_with_a_part_exchanged_is_read_or_refused(
        which in 0..MARKUP.len(),
        at in 0..1000_usize,
        length in 0..200_usize,
        part in prop_oneof![markup(&HTML), markup(&RSS)],
    ) {
        let mut body = MARKUP[which].to_owned();
        let from = body.floor_char_boundary(at * body.len() / 1000);
        let to = body.floor_char_boundary((from + length).min(body.len())).max(from);
        body.replace_range(from..to, &part);
        read_all(&body);
    }
}

/// What the others begin with does hold listings, or they would prove little.
#[test]
fn each_parser_reads_listings_of_what_is_exchanged() {
    let (context, mut read) = (context(), Vec::new());
    for body in JSON.into_iter().chain(MARKUP) {
        read_all(body);
        let finds = |parse: &Parse| parse(body, &context).is_ok_and(|p| !p.listings.is_empty());
        read.extend(PARSERS.iter().filter(|(_, parse)| finds(parse)).map(|(what, _)| *what));
        if parse_list(body, &picks(), &context).is_ok_and(|p| !p.listings.is_empty()) {
            read.push("html");
        }
    }
    read.sort_unstable();
    read.dedup();
    assert_eq!(read.len(), PARSERS.len() + 1, "{read:?}");
}
