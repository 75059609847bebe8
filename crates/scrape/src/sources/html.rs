//! Any site with a list of postings, read by CSS selectors from the configuration.
//!
//! The list page is followed through its pagination on its own host. Detail pages are fetched when the
//! configuration reads something from them, only for listings that may match, at most [`MAX_DETAILS`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use rhubarb_core::{
    config::{Selectors, SourceConfig},
    listing::Listing,
};
use scraper::{ElementRef, Html, Selector};
use url::Url;

use crate::{
    dates::{self, DateOrder},
    fetch::Fetcher,
    jsonld,
    location::{self, Place},
    page::Kind,
    record,
    salary::Salary,
    source::{
        BuildError, Context, Outcome, ParseError, Parsed, Query, Running, Source, apart, failed,
        get, host, read_apart, urls, with_keyword,
    },
    text,
};

/// Listings read of one list page.
const MAX_ITEMS: usize = 500;

/// Detail pages fetched in one run.
pub const MAX_DETAILS: usize = 60;

/// The fields that a detail page may give.
const DETAIL_FIELDS: [&str; 8] =
    ["title", "company", "location", "salary", "date", "tags", "description", "employment_type"];

/// Parameters that only follow a visitor: without them an address is the same on every visit.
const TRACKING: [&str; 12] = [
    "gclid",
    "fbclid",
    "msclkid",
    "mc_cid",
    "mc_eid",
    "trk",
    "trackingid",
    "refid",
    "searchid",
    "rps",
    "gh_src",
    "lever-source",
];

/// A compiled selector: which element, and its text or an attribute.
#[derive(Clone, Debug)]
struct Pick {
    /// Absent: the element itself.
    selector: Option<Selector>,
    attribute: Option<String>,
}

/// The compiled selectors of a source.
#[derive(Clone, Debug)]
pub struct Picks {
    item: Selector,
    link: Option<Pick>,
    next_page: Option<Pick>,
    list: BTreeMap<&'static str, Pick>,
    detail: BTreeMap<&'static str, Pick>,
}

/// A list page with, perhaps, detail pages.
#[derive(Debug)]
pub struct HtmlSource {
    name: String,
    company: String,
    urls: Vec<String>,
    max_pages: u32,
    picks: Arc<Picks>,
}

impl Picks {
    /// Compiles a source's selectors.
    ///
    /// # Errors
    /// Names the selector that is missing, unknown or does not parse.
    pub fn new(config: &SourceConfig) -> Result<Self, BuildError> {
        let Selectors {
            item,
            title,
            link,
            company,
            location,
            salary,
            date,
            tags,
            next_page,
            detail,
        } = &config.selectors;
        if item.trim().is_empty() {
            return Err(BuildError::new(config, "selectors.item", "it is required"));
        }
        let one = |setting: &str, text: &Option<String>| -> Result<Option<Pick>, BuildError> {
            text.as_deref().map(|text| pick(config, setting, text)).transpose()
        };
        let mut list = BTreeMap::new();
        let fields = [
            ("title", title),
            ("company", company),
            ("location", location),
            ("salary", salary),
            ("date", date),
            ("tags", tags),
        ];
        for (field, text) in fields {
            if let Some(pick) = one(field, text)? {
                list.insert(field, pick);
            }
        }
        if title.is_none() && !detail.contains_key("title") {
            let reason = "a title is required, here or in `detail`";
            return Err(BuildError::new(config, "selectors.title", reason));
        }
        Ok(Self {
            item: selector(config, "item", item)?,
            link: one("link", link)?,
            next_page: one("next_page", next_page)?,
            list,
            detail: compiled_detail(config, detail)?,
        })
    }
}

fn compiled_detail(
    config: &SourceConfig,
    detail: &BTreeMap<String, String>,
) -> Result<BTreeMap<&'static str, Pick>, BuildError> {
    let mut picks = BTreeMap::new();
    for (name, text) in detail {
        let setting = format!("detail.{name}");
        let Some(field) = DETAIL_FIELDS.iter().find(|field| *field == name) else {
            let reason = format!("unknown field; known are {}", DETAIL_FIELDS.join(", "));
            return Err(BuildError::new(config, &format!("selectors.{setting}"), reason));
        };
        picks.insert(*field, pick(config, &setting, text)?);
    }
    Ok(picks)
}

fn pick(config: &SourceConfig, setting: &str, text: &str) -> Result<Pick, BuildError> {
    let (css, attribute) = match text.rsplit_once('@') {
        // An "@" inside brackets or quotes belongs to the selector: a[href="mailto:a@b"].
        Some((css, name)) if is_attribute(name) => (css.trim(), Some(name.to_ascii_lowercase())),
        _ => (text.trim(), None),
    };
    let selector = (!css.is_empty()).then(|| selector(config, setting, css)).transpose()?;
    if selector.is_none() && attribute.is_none() {
        let setting = format!("selectors.{setting}");
        return Err(BuildError::new(config, &setting, "the selector is empty"));
    }
    Ok(Pick { selector, attribute })
}

fn is_attribute(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn selector(config: &SourceConfig, setting: &str, css: &str) -> Result<Selector, BuildError> {
    Selector::parse(css).map_err(|error| {
        let reason = format!("`{css}` is not a CSS selector ({error})");
        BuildError::new(config, &format!("selectors.{setting}"), reason)
    })
}

impl Pick {
    fn all(&self, element: ElementRef<'_>) -> Vec<String> {
        let read = |element: ElementRef<'_>| match &self.attribute {
            Some(name) => element.value().attr(name).map(str::to_owned),
            None => Some(spaced(element)),
        };
        match &self.selector {
            Some(selector) => element.select(selector).take(100).filter_map(read).collect(),
            None => read(element).into_iter().collect(),
        }
    }

    /// Returns the first that is not empty, as one clean line.
    fn line(&self, element: ElementRef<'_>) -> Option<String> {
        self.all(element).iter().find_map(|found| text::some_line(found))
    }

    /// Returns the markup of the first, for descriptions.
    fn markup(&self, element: ElementRef<'_>) -> Option<String> {
        if self.attribute.is_some() {
            return self.all(element).into_iter().next();
        }
        self.selector.as_ref()?;
        element.select(self.selector.as_ref()?).next().map(|found| found.inner_html())
    }
}

/// Returns the text with a space where elements meet, so that `Paris<br>75010` stays two words.
fn spaced(element: ElementRef<'_>) -> String {
    let texts: Vec<&str> = element.text().take(2_000).collect();
    // The text is data here, not markup: what looks like an entity was decoded already.
    texts.join(" ").replace('&', "&amp;")
}

/// Reads a list page.
///
/// # Errors
/// The page is empty or nested without end.
pub fn parse_list(body: &str, picks: &Picks, context: &Context) -> Result<Parsed, ParseError> {
    let page = page(body)?;
    let order = order(&page);
    let mut parsed = Parsed::default();
    for item in page.select(&picks.item).take(MAX_ITEMS) {
        parsed.add(read_item(item, picks, context, order));
    }
    let server = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    parsed.next = picks
        .next_page
        .as_ref()
        .and_then(|pick| first_link(pick, page.root_element(), &context.page))
        .filter(|next| server(next) == server(&context.page));
    Ok(parsed)
}

fn read_item(
    item: ElementRef<'_>,
    picks: &Picks,
    context: &Context,
    order: DateOrder,
) -> Result<Listing, String> {
    let own = Pick { selector: None, attribute: Some("href".into()) };
    let link = first_link(picks.link.as_ref().unwrap_or(&own), item, &context.page);
    let mut listing = record::listing(&context.source, context.now);
    listing.company.clone_from(&context.company);
    listing.url = link.map(|link| without_tracking(link).into()).unwrap_or_default();
    fill(&mut listing, &picks.list, item, context, order);
    if listing.title.is_empty() && picks.detail.contains_key("title") && !listing.url.is_empty() {
        return Ok(listing);
    }
    record::finish(listing, context)
}

/// Reads a detail page into its listing; what the selectors do not give, the page's JSON-LD may.
///
/// # Errors
/// The page is empty or nested without end.
pub fn parse_detail(
    body: &str,
    picks: &Picks,
    context: &Context,
    listing: &mut Listing,
) -> Result<(), ParseError> {
    let page = page(body)?;
    fill(listing, &picks.detail, page.root_element(), context, order(&page));
    if let Some(structured) = jsonld::postings(&page, context).listings.into_iter().next() {
        merge(listing, structured);
    }
    Ok(())
}

fn page(body: &str) -> Result<Html, ParseError> {
    if body.trim().is_empty() {
        return Err(ParseError::Empty);
    }
    text::document(body).ok_or_else(|| ParseError::Invalid {
        expected: "HTML",
        reason: "elements are nested too deeply".into(),
    })
}

/// Sets each field that its selector finds; the others stay as they are.
fn fill(
    listing: &mut Listing,
    picks: &BTreeMap<&'static str, Pick>,
    element: ElementRef<'_>,
    context: &Context,
    order: DateOrder,
) {
    for (field, pick) in picks {
        if *field == "tags" {
            listing.tags.extend(pick.all(element));
            continue;
        }
        if *field == "description" {
            if let Some(markup) = pick.markup(element) {
                listing.description = text::description(&markup);
            }
            continue;
        }
        let Some(line) = pick.line(element) else { continue };
        match *field {
            "title" => listing.title = line,
            "company" => listing.company = line,
            "location" => {
                let workplace = location::workplace(&line);
                location::set(listing, &[Place::line(Some(line))]);
                location::set_workplace(listing, workplace, None);
            }
            "salary" => {
                // Entities were decoded; only a salary's own text is read again.
                if let Some(salary) = Salary::from_text(&line) {
                    salary.set(listing);
                }
            }
            "date" => listing.posted_at = dates::text(&line, order, context.now),
            _ => {
                listing.employment_type = location::employment_type(&line).map(str::to_owned);
            }
        }
    }
}

/// Takes from the structured posting what the listing does not have.
fn merge(listing: &mut Listing, from: Listing) {
    let fill = |mine: &mut Option<String>, theirs: Option<String>| {
        if mine.is_none() {
            *mine = theirs;
        }
    };
    if listing.title.is_empty() {
        listing.title = from.title;
    }
    if listing.company.is_empty() {
        listing.company = from.company;
    }
    if listing.description.is_empty() {
        listing.description = from.description;
    }
    if listing.salary_min.is_none() && listing.salary_max.is_none() {
        fill(&mut listing.salary_display, from.salary_display);
        listing.salary_min = from.salary_min;
        listing.salary_max = from.salary_max;
        listing.salary_currency = from.salary_currency;
        listing.salary_period = from.salary_period;
    }
    fill(&mut listing.location, from.location);
    fill(&mut listing.city, from.city);
    fill(&mut listing.state, from.state);
    fill(&mut listing.country, from.country);
    fill(&mut listing.employment_type, from.employment_type);
    fill(&mut listing.seniority_level, from.seniority_level);
    fill(&mut listing.job_function, from.job_function);
    fill(&mut listing.industries, from.industries);
    fill(&mut listing.workplace, from.workplace);
    fill(&mut listing.posted_at, from.posted_at);
    listing.is_remote = listing.is_remote.or(from.is_remote);
    listing.tags.extend(from.tags);
}

/// The language of a page tells how its numeric dates are written.
fn order(page: &Html) -> DateOrder {
    let language = page.root_element().value().attr("lang").unwrap_or_default();
    match language.to_ascii_lowercase().as_str() {
        "en" | "en-us" | "en_us" => DateOrder::MonthFirst,
        _ => DateOrder::DayFirst,
    }
}

/// Returns the first link; a pick without an attribute means the element's `href`.
fn first_link(pick: &Pick, element: ElementRef<'_>, page: &Url) -> Option<Url> {
    let attribute = pick.attribute.clone().or_else(|| Some("href".into()));
    let pick = Pick { selector: pick.selector.clone(), attribute };
    pick.all(element).iter().find_map(|href| record::link(page, href))
}

fn without_tracking(mut url: Url) -> Url {
    url.set_fragment(None);
    let follows = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.starts_with("utm_") || TRACKING.contains(&name.as_str())
    };
    if !url.query_pairs().any(|(name, _)| follows(&name)) {
        return url;
    }
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !follows(name))
        .map(|(n, v)| (n.into(), v.into()))
        .collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    url
}

impl HtmlSource {
    /// Builds the source.
    ///
    /// # Errors
    /// Names the setting that is missing or invalid.
    pub fn new(config: &SourceConfig) -> Result<Self, BuildError> {
        Ok(Self {
            name: config.name.clone(),
            company: config.company.clone().unwrap_or_default(),
            urls: urls(config)?,
            max_pages: config.max_pages,
            picks: Arc::new(Picks::new(config)?),
        })
    }

    async fn read_all(&self, fetcher: &Fetcher, query: &Query) -> Result<Vec<Listing>, Outcome> {
        let mut all = Parsed::default();
        let mut seen = BTreeSet::new();
        let mut gone = Vec::new();
        for template in &self.urls {
            let mut next = Some(with_keyword(template, &query.keyword).map_err(failed)?);
            for _ in 0..self.max_pages.max(1) {
                let Some(url) = next.take().filter(|url| seen.insert(url.clone())) else { break };
                let Some(page) = get(fetcher, &url, Kind::Html).await? else {
                    gone.push(host(&url));
                    break;
                };
                let (picks, context) = (Arc::clone(&self.picks), self.context(&page.url, query));
                let parsed =
                    read_apart(page, move |body| parse_list(body, &picks, &context)).await?;
                all.listings.extend(parsed.listings);
                all.skipped.extend(parsed.skipped);
                next = parsed.next;
            }
        }
        if gone.len() == self.urls.len() && all.listings.is_empty() {
            return Err(Outcome::NotFound { reason: format!("`{}` has no such page", gone[0]) });
        }
        let listings = all.judge()?;
        if self.picks.detail.is_empty() {
            Ok(listings)
        } else {
            self.details(listings, fetcher, query).await
        }
    }

    /// Fetches the detail pages that are worth it. One that fails leaves its listing as the list page has it;
    /// one that is gone takes its listing with it.
    async fn details(
        &self,
        listings: Vec<Listing>,
        fetcher: &Fetcher,
        query: &Query,
    ) -> Result<Vec<Listing>, Outcome> {
        let blind = query.match_description
            || ["title", "tags"].iter().any(|field| self.picks.detail.contains_key(field));
        let mut fetched = 0;
        let mut out = Vec::with_capacity(listings.len());
        for listing in listings {
            let url = Url::parse(&listing.url).map_err(failed)?;
            if fetched < MAX_DETAILS && (blind || query.matches(&listing)) {
                fetched += 1;
                out.extend(self.detail(listing, &url, fetcher, query).await?);
            } else if !listing.title.is_empty() {
                out.push(listing);
            }
        }
        Ok(out)
    }

    async fn detail(
        &self,
        listing: Listing,
        url: &Url,
        fetcher: &Fetcher,
        query: &Query,
    ) -> Result<Option<Listing>, Outcome> {
        let whole = |listing: Listing| Some(listing).filter(|listing| !listing.title.is_empty());
        let page = match get(fetcher, url, Kind::Html).await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(None),
            Err(outcome) => {
                tracing::debug!(source = %self.name, ?outcome, "detail page not read");
                return Ok(whole(listing));
            }
        };
        let (picks, context) = (Arc::clone(&self.picks), self.context(&page.url, query));
        let read = move || {
            let mut detailed = listing.clone();
            let done = parse_detail(&page.text(), &picks, &context, &mut detailed);
            let finished = done.is_ok().then(|| record::finish(detailed, &context).ok());
            finished.flatten().unwrap_or(listing)
        };
        Ok(whole(apart(read).await?))
    }

    fn context(&self, page: &Url, query: &Query) -> Context {
        Context {
            source: self.name.clone(),
            company: self.company.clone(),
            page: page.clone(),
            now: query.now,
        }
    }
}

impl Source for HtmlSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn aggregates(&self) -> bool {
        // A company's own page names the company in the configuration; a board names it in each item.
        self.company.is_empty()
    }

    fn run<'a>(&'a self, fetcher: &'a Fetcher, query: &'a Query) -> Running<'a> {
        Box::pin(async move {
            match self.read_all(fetcher, query).await {
                Ok(listings) => Outcome::Found(listings),
                Err(outcome) => outcome,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{config, context, survives};

    const LIST: &str = r#"<html lang="fr"><div class="job"><h2><a href="/jobs/1?utm_source=x&id=2#top">Rust &amp; Go</a></h2>
        <b>Acme</b><i>Paris<br>Remote</i><u>50k – 60k €</u><time>09/12/2015</time><s>rust</s><s>go</s></div>
        <div class="job"><h2><a href="javascript:void(0)">Bad link</a></h2></div>
        <div class="job"><h2><a href=/jobs/3>Cook</a></h2></div>
        <a rel="next" href="?page=2">next</a></html>"#;

    fn selectors() -> Selectors {
        let some = |text: &str| Some(text.to_owned());
        Selectors {
            item: ".job".into(),
            title: some("h2"),
            link: some("h2 a"),
            company: some("b"),
            location: some("i"),
            salary: some("u"),
            date: some("time"),
            tags: some("s"),
            next_page: some("a[rel=next]@href"),
            detail: BTreeMap::from([("description".to_owned(), "article".to_owned())]),
        }
    }

    fn html(selectors: Selectors) -> SourceConfig {
        let mut config = config(rhubarb_core::config::SourceKind::Html);
        config.urls = vec!["https://example.test/jobs?q={keyword}".into()];
        config.selectors = selectors;
        config
    }

    fn picks() -> Picks {
        Picks::new(&html(selectors())).unwrap()
    }

    #[test]
    fn a_list_page_is_read() {
        let parsed = parse_list(LIST, &picks(), &context()).unwrap();
        assert_eq!((parsed.listings.len(), parsed.skipped.len()), (2, 1));
        let listing = &parsed.listings[0];
        assert_eq!(listing.title, "Rust & Go");
        assert_eq!(listing.url, "https://example.test/jobs/1?id=2");
        assert_eq!(listing.external_id, listing.url);
        assert_eq!(listing.company, "Acme");
        assert_eq!(listing.location.as_deref(), Some("Paris Remote"));
        assert_eq!(listing.is_remote, Some(true));
        assert_eq!((listing.salary_min, listing.salary_max), (Some(50e3), Some(60e3)));
        assert_eq!(listing.posted_at.as_deref(), Some("2015-12-09T00:00:00+00:00"));
        assert_eq!(listing.tags, ["rust", "go"]);
        assert_eq!(parsed.listings[1].url, "https://example.test/jobs/3");
        assert_eq!(parsed.listings[1].company, "Configured");
        assert_eq!(parsed.next.unwrap().as_str(), "https://example.test/jobs/board?page=2");
    }

    #[test]
    fn pagination_never_leaves_the_host() {
        let list = "<a rel=next href='http://169.254.169.254/latest'>";
        assert_eq!(parse_list(list, &picks(), &context()).unwrap().next, None);
    }

    #[test]
    fn a_detail_page_adds_and_its_json_ld_fills_gaps() {
        let mut listing = parse_list(LIST, &picks(), &context()).unwrap().listings.remove(1);
        let page = r#"<article><p>Cook <b>well</b>.</p></article><script type="application/ld+json">
            {"@type":"JobPosting","title":"Other","description":"unused","datePosted":"2026-01-02",
             "hiringOrganization":"Unused","jobLocation":{"address":{"addressLocality":"Lyon"}}}</script>"#;
        parse_detail(page, &picks(), &context(), &mut listing).unwrap();
        assert_eq!((listing.title.as_str(), listing.company.as_str()), ("Cook", "Configured"));
        assert_eq!(listing.description, "Cook well.");
        assert_eq!(listing.location.as_deref(), Some("Lyon"));
        assert_eq!(listing.posted_at.as_deref(), Some("2026-01-02T00:00:00+00:00"));
    }

    #[test]
    fn a_wrong_selector_is_named_when_the_source_is_built() {
        let check = |change: fn(&mut Selectors), setting: &str| {
            let mut selectors = selectors();
            change(&mut selectors);
            let error = HtmlSource::new(&html(selectors)).unwrap_err();
            assert_eq!(error.setting, setting, "{error}");
        };
        check(|s| s.item = String::new(), "selectors.item");
        check(|s| s.item = "div[".into(), "selectors.item");
        check(|s| s.link = Some("a >> b@href".into()), "selectors.link");
        check(|s| s.title = None, "selectors.title");
        check(|s| drop(s.detail.insert("colour".into(), "b".into())), "selectors.detail.colour");
        check(|s| drop(s.detail.insert("title".into(), "::".into())), "selectors.detail.title");
        let mut config = html(selectors());
        config.urls.clear();
        assert_eq!(HtmlSource::new(&config).unwrap_err().setting, "urls");
    }

    #[test]
    fn anything_is_read_or_refused_without_panic() {
        survives(|body, context| parse_list(body, &picks(), context), LIST);
    }
}
