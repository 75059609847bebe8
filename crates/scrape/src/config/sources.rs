//! `[[sources]]`: the boards and pages that are scraped.

use std::collections::{BTreeMap, BTreeSet};

use rhubarb_config::{redact::Address, settings, words};

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
        /// The site of a board that has several: "External" for
        /// acme.wd5.myworkdayjobs.com/External (workday).
        site: Option<String> = None, example "\"External\"";
        /// The company's name where the payload names none.
        company: Option<String> = None, example "\"Acme\"";
        /// The language of its pages where they do not name it: "en-GB", "de".
        language: Option<String> = None, example "\"de\"";
        /// The country of its pages, two letters: it tells whether 11/5/2026 is in May, and whose
        /// dollars are meant. By default what the pages and the address say.
        country: Option<String> = None, example "\"US\"";
        /// Pages fetched at the most.
        max_pages: u32 = 5;
        /// Pages of single postings fetched at the most, for the postings that match, where a
        /// kind's list leaves out what they have: 20 by default; none for greenhouse, whose pay is
        /// there.
        max_details: Option<u32> = None, example "20";
        /// The pages to read (json, rss, sitemap, jsonld, html; icims). {keyword} stands for the
        /// URL-encoded keyword, {page} for the page's number, {offset} for the rows before it,
        /// {cursor} for what the page before said.
        urls: Vec<Address> = Vec::new();
        /// JSON that is posted for each page (json), with the same placeholders: {keyword} and
        /// {cursor} inside of quotes, {page} and {offset} without.
        body: Option<String> = None, example "'{\"q\": \"{keyword}\", \"from\": {offset}}'";
        /// The number of the first page.
        first_page: u32 = 1;
        /// Where in a page the JSON stands (json): the CSS selector of a script, or the name that
        /// a script gives it to.
        script: Option<String> = None, example "\"script#__NEXT_DATA__\"";
        /// What the address of a posting has (sitemap); `*` stands for anything.
        pattern: Option<String> = None, example "\"/jobs/*\"";
    }
    tables {
        /// What to read where in JSON or XML (json, rss).
        paths: PathSettings = PathSettings::default();
        /// What to read where (html; sitemap: `detail` only).
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
    /// Where the fields of a record stand, by paths: `location.city`, `offices.0`, `skills.*`. A
    /// text with a path in braces is filled in; behind `=` stands what every record has.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PathSettings {
        /// The list of postings: "jobs", "data.departments.*.jobs", or an element of XML. Paths are
        /// names and numbers with dots between; `*` is each element.
        items: String = String::new(), example "\"data.jobs\"";
        /// The posting's identifier.
        id: Option<String> = None, example "\"id\"";
        /// The title.
        title: Option<String> = None, example "\"title\"";
        /// The posting's address: a path, or a text with paths in braces.
        link: Option<String> = None, example "\"https://acme.example/jobs/{slug}\"";
        /// Where one applies.
        apply_link: Option<String> = None, example "\"applyUrl\"";
        /// The company; behind `=` the same for all.
        company: Option<String> = None, example "\"company.name\"";
        /// The location as one line; several are several places.
        location: Option<String> = None, example "\"locations.*.name\"";
        /// The city.
        city: Option<String> = None, example "\"location.city\"";
        /// The state or region.
        state: Option<String> = None, example "\"location.region\"";
        /// The country.
        country: Option<String> = None, example "\"location.country\"";
        /// Whether it is remote: true or false, or a word such as "hybrid".
        remote: Option<String> = None, example "\"remote\"";
        /// The employment type.
        employment_type: Option<String> = None, example "\"type\"";
        /// The level of seniority.
        seniority: Option<String> = None, example "\"level\"";
        /// The department.
        department: Option<String> = None, example "\"department.name\"";
        /// The pay as a text.
        salary: Option<String> = None, example "\"salary\"";
        /// The least pay, a number.
        salary_min: Option<String> = None, example "\"pay.min\"";
        /// The most pay, a number.
        salary_max: Option<String> = None, example "\"pay.max\"";
        /// The currency of these numbers.
        currency: Option<String> = None, example "\"=EUR\"";
        /// The period of these numbers.
        period: Option<String> = None, example "\"=year\"";
        /// The publishing date, a text or an epoch.
        date: Option<String> = None, example "\"publishedAt\"";
        /// The last day.
        expires: Option<String> = None, example "\"validThrough\"";
        /// Tags.
        tags: Option<String> = None, example "\"skills\"";
        /// The description, text or HTML.
        description: Option<String> = None, example "\"description\"";
        /// How many postings there are, in the answer.
        total: Option<String> = None, example "\"meta.total\"";
        /// What {cursor} of the next page stands for, in the answer.
        cursor: Option<String> = None, example "\"meta.next\"";
        /// The address of the next page, in the answer.
        next: Option<String> = None, example "\"links.next\"";
    }
}

settings! {
    /// CSS selectors of an HTML source. A selector may end in `@attr` to take an attribute instead
    /// of the text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Selectors {
        /// One listing on the list page. A selector may end in @attribute to take an attribute
        /// instead of the text; "label: Ort" takes what stands beside a label, in a list of terms
        /// or a table.
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

/// What a source of a kind cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Board,
    /// `board` and `site`.
    Site,
    BoardOrUrls,
    BaseUrl,
    Urls,
}

/// Declares the kinds, each with its name in the file, its proper name and what it needs.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident $word:literal $label:literal $needs:ident;)+) => {
        /// What kind of source it is, and so how it is asked and read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum SourceKind { $($(#[doc = $doc])+ $kind,)+ }

        words!(SourceKind: $($word => Self::$kind),+);

        impl SourceKind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// Returns its name in the file (`type`) and in logs.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $word,)+ }
            }

            /// Returns its proper name, for people.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$kind => $label,)+ }
            }

            const fn needs(self) -> Needs {
                match self { $(Self::$kind => Needs::$needs,)+ }
            }
        }
    };
}

kinds! {
    /// Greenhouse's job board API, one board.
    Greenhouse "greenhouse" "Greenhouse" Board;
    /// Lever's postings API, one site.
    Lever "lever" "Lever" Board;
    /// Ashby's job posting API, one board.
    Ashby "ashby" "Ashby" Board;
    /// Workable's account widget, one account.
    Workable "workable" "Workable" Board;
    /// SmartRecruiters' posting API, one company.
    SmartRecruiters "smartrecruiters" "SmartRecruiters" Board;
    /// Recruitee's offers, one company.
    Recruitee "recruitee" "Recruitee" Board;
    /// Teamtailor's feed, one company.
    Teamtailor "teamtailor" "Teamtailor" Board;
    /// Personio's XML, one company.
    Personio "personio" "Personio" Board;
    /// Rippling's board API, one board.
    Rippling "rippling" "Rippling" Board;
    /// Breezy's JSON, one company.
    Breezy "breezy" "Breezy" Board;
    /// BambooHR's careers list, one company.
    BambooHr "bamboohr" "BambooHR" Board;
    /// Pinpoint's postings, one company.
    Pinpoint "pinpoint" "Pinpoint" Board;
    /// JOIN's company pages, one company.
    Join "join" "JOIN" Board;
    /// A Workday career site, one site of a tenant.
    Workday "workday" "Workday" Site;
    /// An Oracle HCM candidate site.
    Oracle "oracle" "Oracle HCM" Site;
    /// An iCIMS career site.
    Icims "icims" "iCIMS" BoardOrUrls;
    /// A SuccessFactors career site.
    SuccessFactors "successfactors" "SuccessFactors" BaseUrl;
    /// RemoteOK's API.
    RemoteOk "remoteok" "RemoteOK" Nothing;
    /// We Work Remotely's RSS.
    WeWorkRemotely "weworkremotely" "We Work Remotely" Nothing;
    /// Arbeitnow's job board API.
    Arbeitnow "arbeitnow" "Arbeitnow" Nothing;
    /// Remotive's API.
    Remotive "remotive" "Remotive" Nothing;
    /// Himalayas' API.
    Himalayas "himalayas" "Himalayas" Nothing;
    /// Jobicy's API.
    Jobicy "jobicy" "Jobicy" Nothing;
    /// Hacker News' monthly thread "Who is hiring?".
    HackerNews "hackernews" "Hacker News" Nothing;
    /// JSON with a list of postings, read by paths.
    Json "json" "JSON by paths" Urls;
    /// An RSS or Atom feed.
    Rss "rss" "RSS or Atom feed" Urls;
    /// A sitemap that names the postings' pages.
    Sitemap "sitemap" "Sitemap" Urls;
    /// Pages with schema.org JSON-LD `JobPosting`.
    JsonLd "jsonld" "JSON-LD pages" Urls;
    /// A list page with detail pages, read by CSS selectors.
    Html "html" "HTML pages" Urls;
}

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

# workable, smartrecruiters, recruitee, teamtailor, personio, rippling, breezy, bamboohr, pinpoint
# and join are written in the same way. `rhubarb sources find ADDRESS` writes it for you.
[[sources]]
type = "workday"
board = "acme.wd5"
site = "External"
enabled = false

# JSON with a list of postings: an API, or the data in a page (`script`).
[[sources]]
type = "json"
name = "acme api"
urls = ["https://acme.example/api/jobs?page={page}"]
company = "Acme"
enabled = false

[sources.paths]
items = "data.jobs"
id = "id"
title = "title"
link = "https://acme.example/jobs/{slug}"
location = "location.name"
date = "publishedAt"

# Any RSS or Atom feed.
[[sources]]
type = "rss"
name = "acme feed"
urls = ["https://acme.example/jobs.rss"]
enabled = false

# A sitemap whose pages have JSON-LD.
[[sources]]
type = "sitemap"
name = "acme sitemap"
urls = ["https://acme.example/sitemap.xml"]
pattern = "/jobs/"
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
    if source.kind.needs_site() && source.site.is_none() {
        wrong("site", format!("a {kind} source needs the site's name"));
    }
    if source.kind.needs_urls() && source.urls.is_empty() {
        wrong("urls", format!("a {kind} source needs the pages to read"));
    }
    if source.kind.needs() == Needs::BoardOrUrls && source.board.is_none() && source.urls.is_empty()
    {
        wrong("board", format!("a {kind} source needs the board's name, or `urls`"));
    }
    if source.kind.needs() == Needs::BaseUrl && source.base_url.is_none() {
        wrong("base_url", format!("a {kind} source needs the career site's address"));
    }
    if source.kind == SourceKind::Json && source.paths.title.is_none() {
        wrong("paths.title", "a json source needs the path of the title".to_owned());
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
    if source.max_details.is_some_and(|max| max > 1000) {
        wrong("max_details", "0 to 1000 is expected".to_owned());
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
    /// Tells whether it reads one company's board, which then has to be named.
    pub const fn needs_board(self) -> bool {
        matches!(self.needs(), Needs::Board | Needs::Site)
    }

    /// Tells whether a board has several sites, of which one has to be named.
    pub const fn needs_site(self) -> bool {
        matches!(self.needs(), Needs::Site)
    }

    /// Returns the settings that say where it is, for a person; nothing for a service that is at
    /// one place.
    pub const fn place(self) -> Option<&'static str> {
        match self.needs() {
            Needs::Nothing => None,
            Needs::Board => Some("`board`"),
            Needs::Site => Some("`board` and `site`"),
            Needs::BoardOrUrls => Some("`board` or `urls`"),
            Needs::BaseUrl => Some("`base_url`"),
            Needs::Urls => Some("`urls`"),
        }
    }

    /// Tells whether it reads pages that have to be named.
    pub const fn needs_urls(self) -> bool {
        matches!(self.needs(), Needs::Urls)
    }
}
