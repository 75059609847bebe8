//! `[[sources]]`: the boards and pages that are scraped.

use std::collections::{BTreeMap, BTreeSet};

use rhubarb_config::{settings, words};

use crate::redact::Address;

settings! {
    /// One `[[sources]]` entry.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SourceConfig {
        /// What kind of source it is, and so how it is asked and read.
        kind as "type": SourceKind = SourceKind::RemoteOk, example "\"greenhouse\"", required true;
        /// Its name in listings and status; by default the type, with `:board` where it has one.
        name: String = String::new(), example "\"acme\"";
        /// Whether it is scraped.
        enabled: bool = true;
        /// Its address in place of the kind's own.
        base_url: Option<Address> = None, accepts ADDRESS, example "\"https://jobs.example\"";
        /// The last part of a company board's address: "acme" for boards.greenhouse.io/acme,
        /// jobs.lever.co/acme or jobs.ashbyhq.com/acme.
        board: Option<String> = None, example "\"acme\"";
        /// The company's name where the payload names none.
        company: Option<String> = None, example "\"Acme\"";
        /// The language of its pages where they do not name it: "en-GB", "de".
        language: Option<String> = None, example "\"de\"";
        /// The country of its pages, two letters: it tells whether 11/5/2026 is in May, and whose
        /// dollars are meant. By default what the pages and the address say.
        country: Option<String> = None, example "\"US\"";
        /// Pages fetched at the most.
        max_pages: u32 = 5;
        /// The pages to read (jsonld, html); {keyword} stands for the URL-encoded keyword.
        urls: Vec<Address> = Vec::new();
    }
    tables {
        /// What to read where (html).
        selectors: Selectors = Selectors::default();
    }
    check complete;
}

/// Tells whether a text is the code of a language or a country.
fn is_code(text: &str) -> bool {
    text.len() == 2 && text.chars().all(|c| c.is_ascii_alphabetic())
}

const ADDRESS: &str = "an http:// or https:// address";

settings! {
    /// CSS selectors of an HTML source. A selector may end in `@attr` to take an attribute instead
    /// of the text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Selectors {
        /// One listing on the list page. A selector may end in @attribute to take an attribute
        /// instead of the text.
        item: String = String::new(), example "\"li.job\"";
        /// The title, inside the item or on the detail page.
        title: Option<String> = None, example "\"h2\"";
        /// The link to the detail page; the item's own `href` when absent.
        link: Option<String> = None, example "\"a@href\"";
        /// The company.
        company: Option<String> = None, example "\".company\"";
        /// The location.
        location: Option<String> = None, example "\".location\"";
        /// The salary.
        salary: Option<String> = None, example "\".salary\"";
        /// The publishing date.
        date: Option<String> = None, example "\"time@datetime\"";
        /// Tags; every match is one.
        tags: Option<String> = None, example "\".tag\"";
        /// The link to the next list page.
        next_page: Option<String> = None, example "\"a[rel=next]@href\"";
        /// What a page without postings shows: a selector, or a text (html, jsonld). Without it a
        /// page on which no posting is found is taken for another page, and closes nothing.
        empty: Option<String> = None, example "\".no-results\"";
    }
    tables {
        /// The detail page's fields by name: title, company, location, salary, date, tags,
        /// description, employment_type. It is fetched only when there is at least one.
        detail: BTreeMap<String, String> = BTreeMap::new();
    }
    check check_fields;
}

/// What kind of source it is, and so how it is asked and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Greenhouse's job board API, one board.
    Greenhouse,
    /// Lever's postings API, one site.
    Lever,
    /// Ashby's job posting API, one board.
    Ashby,
    /// RemoteOK's API.
    RemoteOk,
    /// We Work Remotely's RSS.
    WeWorkRemotely,
    /// Arbeitnow's job board API.
    Arbeitnow,
    /// Pages with schema.org JSON-LD `JobPosting`.
    JsonLd,
    /// A list page with detail pages, read by CSS selectors.
    Html,
}
words!(SourceKind: "greenhouse" => Self::Greenhouse, "lever" => Self::Lever, "ashby" => Self::Ashby,
    "remoteok" => Self::RemoteOk, "weworkremotely" => Self::WeWorkRemotely,
    "arbeitnow" => Self::Arbeitnow, "jsonld" => Self::JsonLd, "html" => Self::Html);

/// Examples of the kinds that have to be told more.
pub(super) const EXAMPLES: &str = r#"
# Company boards: one entry a company.
[[sources]]
type = "greenhouse"
board = "acme"
company = "Acme"
enabled = false

[[sources]]
type = "lever"
board = "acme"
enabled = false

[[sources]]
type = "ashby"
board = "acme"
enabled = false

# Pages with schema.org JSON-LD `JobPosting`.
[[sources]]
type = "jsonld"
name = "acme careers"
urls = ["https://careers.acme.example/search?q={keyword}"]
enabled = false

# Any other page, read by CSS selectors.
[[sources]]
type = "html"
name = "example board"
urls = ["https://jobs.example/search?q={keyword}"]
max_pages = 3
enabled = false

[sources.selectors]
item = "li.job"
title = "h2"
link = "a@href"
company = ".company"
next_page = "a[rel=next]@href"

[sources.selectors.detail]
description = ".description"
employment_type = ".type"
"#;

/// What is scraped where nothing is configured.
pub(super) fn default_sources() -> Vec<SourceConfig> {
    [SourceKind::RemoteOk, SourceKind::WeWorkRemotely, SourceKind::Arbeitnow]
        .map(SourceConfig::new)
        .into()
}

fn complete(source: &mut SourceConfig, wrong: &mut dyn FnMut(&str, String)) {
    let kind = source.kind.name();
    if source.name.is_empty() {
        let board = source.board.as_ref().map(|board| format!(":{board}")).unwrap_or_default();
        source.name = format!("{kind}{board}");
    }
    source.base_url = source.base_url.take().map(|url| url.expose().trim_end_matches('/').into());
    if source.kind.needs_board() && source.board.is_none() {
        wrong("board", format!("a {kind} source needs the board's name"));
    }
    if source.kind.needs_urls() && source.urls.is_empty() {
        wrong("urls", format!("a {kind} source needs the pages to read"));
    }
    if source.urls.iter().chain(&source.base_url).any(|url| !url.is_http()) {
        wrong("urls", "http:// or https:// addresses are expected".to_owned());
    }
    let language = source.language.as_deref().and_then(|tag| tag.split(['-', '_']).next());
    if language.is_some_and(|language| !is_code(language)) {
        wrong("language", "a language tag is expected, such as \"de\" or \"en-GB\"".to_owned());
    }
    if source.country.as_deref().is_some_and(|country| !is_code(country)) {
        wrong("country", "a country's two letters are expected, such as \"US\"".to_owned());
    }
    if !(1..=1000).contains(&source.max_pages) {
        wrong("max_pages", "1 to 1000 is expected".to_owned());
    }
    if source.kind == SourceKind::Html && source.selectors.item.is_empty() {
        wrong("selectors.item", "an html source needs the CSS selector of one listing".to_owned());
    }
}

/// The fields that a detail page can give.
const DETAIL_FIELDS: [&str; 8] =
    ["title", "company", "location", "salary", "date", "tags", "description", "employment_type"];

fn check_fields(selectors: &mut Selectors, wrong: &mut dyn FnMut(&str, String)) {
    for field in selectors.detail.keys().filter(|field| !DETAIL_FIELDS.contains(&field.as_str())) {
        let known = DETAIL_FIELDS.join(", ");
        wrong(&format!("detail.{field}"), format!("no such field; known here: {known}"));
    }
}

/// Returns a problem for each source whose name is another's before it.
pub(super) fn taken_names(sources: &[SourceConfig]) -> Vec<String> {
    let mut names = BTreeSet::new();
    let taken = sources.iter().enumerate().filter(|(_, source)| !names.insert(&source.name));
    taken
        .map(|(idx, SourceConfig { name, .. })| {
            format!("sources[{idx}].name: the name `{name}` is taken; give each source its own")
        })
        .collect()
}

impl SourceConfig {
    /// Returns a source of the kind with everything else at its default.
    pub fn new(kind: SourceKind) -> Self {
        Self { name: kind.name().into(), kind, ..Self::default() }
    }
}

impl SourceKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Greenhouse,
        Self::Lever,
        Self::Ashby,
        Self::RemoteOk,
        Self::WeWorkRemotely,
        Self::Arbeitnow,
        Self::JsonLd,
        Self::Html,
    ];

    /// Returns its name in the file (`type`) and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greenhouse => "greenhouse",
            Self::Lever => "lever",
            Self::Ashby => "ashby",
            Self::RemoteOk => "remoteok",
            Self::WeWorkRemotely => "weworkremotely",
            Self::Arbeitnow => "arbeitnow",
            Self::JsonLd => "jsonld",
            Self::Html => "html",
        }
    }

    /// Tells whether it reads one company's board, which then has to be named.
    pub const fn needs_board(self) -> bool {
        matches!(self, Self::Greenhouse | Self::Lever | Self::Ashby)
    }

    /// Tells whether it reads pages that have to be named.
    pub const fn needs_urls(self) -> bool {
        matches!(self, Self::JsonLd | Self::Html)
    }
}
