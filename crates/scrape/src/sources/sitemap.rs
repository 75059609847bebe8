//! A sitemap that names the pages of postings; each page is read by its JSON-LD, or by selectors.
//!
//! Facts: sitemaps come under other namespaces too (`google.com/schemas/sitemap/0.9`), so elements
//! are told by their local names; `lastmod` is often the day of the rebuild, never that of the
//! posting; other pages stand between, so that `pattern` should say what a posting's address has.

use std::{
    collections::{BTreeSet, VecDeque},
    io::Read,
    sync::Arc,
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use rhubarb_core::redact::Address;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::{
    budget::Budget,
    config::SourceConfig,
    context::Context,
    feed::MAX_DETAILS,
    fetch::Fetcher,
    gathering::Gathering,
    jsonld,
    listing::Listing,
    page::{Content, Page},
    parse_error::ParseError,
    parsed::Parsed,
    query::Query,
    reading::{Given, get, read_apart, unless_blocked},
    record,
    setup::{BuildError, are_for_all, urls, with_keyword},
    source::{Refines, Running, Source},
    source_status::{Ending, SourceState},
    sources::html::{Picks, parse_detail},
    trouble::Trouble,
    xml::{self, Names},
};

/// Addresses kept of all sitemaps.
const MAX_ADDRESSES: usize = 50_000;

/// What a compressed sitemap may unpack to: the protocol's own limit.
const MAX_UNPACKED: u64 = 50 << 20;

/// A sitemap, or an index of them.
#[derive(Debug)]
pub struct SitemapSource {
    name: String,
    company: String,
    urls: Vec<Address>,
    max_pages: u32,
    max_details: u32,
    pattern: Option<Pattern>,
    picks: Option<Arc<Picks>>,
}

/// What an address has to have: texts in this order, with anything between them.
#[derive(Clone, Debug)]
struct Pattern(Vec<String>);

impl Pattern {
    fn new(text: &str) -> Self {
        Self(text.split('*').filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    fn admits(&self, address: &str) -> bool {
        let mut rest = address;
        self.0.iter().all(|part| match rest.find(part.as_str()) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }
}

/// What one sitemap names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sitemap {
    /// Pages, each with its `lastmod`.
    pub pages: Vec<(String, String)>,
    /// Other sitemaps.
    pub maps: Vec<String>,
}

impl Given for Sitemap {}

/// Reads a sitemap or an index.
///
/// # Errors
/// The answer is not XML, is cut off, or neither `urlset` nor `sitemapindex`.
pub fn parse(body: &str, budget: &Budget) -> Result<Sitemap, ParseError> {
    let records = ["url", "sitemap"].map(str::to_owned).to_vec();
    let roots = &["urlset", "sitemapindex"];
    let names = Names { root: "element `urlset` or `sitemapindex`", roots, records };
    let mut sitemap = Sitemap::default();
    xml::records(body, &names, budget, |name, entry| {
        let Some(address) = local(&entry, "loc") else { return Ok(()) };
        if name == "sitemap" {
            sitemap.maps.push(address);
        } else if sitemap.pages.len() < MAX_ADDRESSES {
            sitemap.pages.push((address, local(&entry, "lastmod").unwrap_or_default()));
        }
        Ok(())
    })?;
    Ok(sitemap)
}

fn local(entry: &Value, wanted: &str) -> Option<String> {
    let fields = entry.as_object()?;
    let mut same = fields.iter().filter(|(name, _)| name.rsplit(':').next() == Some(wanted));
    same.find_map(|(_, value)| xml::text_of(value).map(str::to_owned))
}

pub(crate) fn build(config: &SourceConfig) -> Result<SitemapSource, BuildError> {
    let picks = if config.selectors.detail.is_empty() {
        None
    } else {
        let mut config = config.clone();
        if config.selectors.item.is_empty() {
            config.selectors.item = "html".to_owned();
        }
        config.selectors.detail.entry("title".to_owned()).or_insert_with(|| "h1".to_owned());
        Some(Arc::new(Picks::new(&config)?))
    };
    Ok(SitemapSource {
        name: config.name.clone(),
        company: config.company.clone().unwrap_or_default(),
        urls: urls(config)?,
        max_pages: config.max_pages,
        max_details: config.max_details.unwrap_or(MAX_DETAILS),
        pattern: config.pattern.as_deref().map(Pattern::new),
        picks,
    })
}

impl SitemapSource {
    async fn read_all(
        &self,
        fetcher: &Fetcher,
        query: &Query,
        found: &Gathering,
    ) -> Result<(), Trouble> {
        let started = Instant::now();
        let (named, addresses) = self.addresses(found, fetcher, query).await?;
        if named > 0 && addresses.is_empty() {
            let reason = format!(
                "the sitemap names {named} pages, but none of them has what `pattern` says; \
                 correct it"
            );
            return Err(Trouble::ends(Ending::Suspicious, reason));
        }
        if query.is_all() {
            found.keep_nameless();
            found.add(self.named_by_addresses(addresses, query));
            return Ok(());
        }
        let (worth, rest): (Vec<Url>, Vec<Url>) =
            addresses.into_iter().partition(|url| is_worth(url, query));
        found.add(Parsed { others: rest.len(), ..Parsed::default() });
        self.postings(worth, started, fetcher, query, found).await
    }

    /// Returns a listing for each address, with the words that it has as the title.
    fn named_by_addresses(&self, addresses: Vec<Url>, query: &Query) -> Parsed {
        let mut parsed = Parsed::default();
        for url in addresses {
            let mut listing = record::listing(&self.name, query.now);
            listing.title = words(&url).unwrap_or_default();
            listing.external_id = url.to_string();
            listing.url = url.into();
            parsed.look.count(&listing);
            parsed.listings.push(listing);
        }
        parsed
    }

    /// Reads the pages of postings, as many as may be.
    async fn postings(
        &self,
        worth: Vec<Url>,
        started: Instant,
        fetcher: &Fetcher,
        query: &Query,
        found: &Gathering,
    ) -> Result<(), Trouble> {
        let until = started + fetcher.patience() * 3 / 4;
        let (n_worth, mut asked, mut bare, mut read) = (worth.len(), 0, 0, 0);
        for url in worth {
            if asked >= self.max_details || Instant::now() >= until {
                let max = self.max_details;
                found.leave_out(format!(
                    "{asked} of {n_worth} postings were read (`max_details` = {max})"
                ));
                break;
            }
            asked += 1;
            match self.page(&url, fetcher, query, found).await {
                Ok(parsed) if parsed.listings.is_empty() => bare += 1,
                Ok(parsed) => {
                    read += 1;
                    found.add(parsed);
                }
                Err(trouble) if trouble.ending.state() == SourceState::NotFound => {
                    found.page_gone(&url, trouble.reason);
                }
                Err(trouble) => {
                    let is_last = matches!(trouble.ending, Ending::Blocked | Ending::Throttled);
                    found.trouble(trouble);
                    if is_last {
                        return Ok(());
                    }
                }
            }
        }
        if read == 0 && bare > 0 {
            let reason = format!(
                "none of {bare} pages has a posting's structured data; say what to read in \
                 `selectors.detail`, or narrow `pattern`"
            );
            return Err(Trouble::ends(Ending::Suspicious, reason));
        }
        Ok(())
    }

    /// Returns how many pages the sitemaps name, and those that the pattern admits, the ones
    /// changed last first.
    async fn addresses(
        &self,
        all: &Gathering,
        fetcher: &Fetcher,
        query: &Query,
    ) -> Result<(usize, Vec<Url>), Trouble> {
        let mut queue = VecDeque::new();
        for template in &self.urls {
            queue.push_back(with_keyword(template, &query.keyword).map_err(Trouble::for_good)?);
        }
        let (mut seen, mut found, mut gone) = (BTreeSet::new(), Vec::new(), Vec::new());
        let mut named = 0;
        while let Some(url) = queue.pop_front() {
            if seen.contains(&url) {
                continue;
            }
            if seen.len() as u32 >= self.max_pages.max(1) {
                all.leave_out(format!(
                    "there are more sitemaps than the {} that `max_pages` allows",
                    self.max_pages
                ));
                break;
            }
            seen.insert(url.clone());
            let page = match get(fetcher, &url, Content::Any).await {
                Err(trouble) if trouble.ending.state() == SourceState::NotFound => {
                    gone.push(trouble);
                    continue;
                }
                got => unpacked(got?),
            };
            let context =
                Context::new(&self.name, &self.company, &page.url, query.now).at_home(query);
            let read = |body: &str, context: &Context| parse(body, &context.budget);
            let sitemap = read_apart(page, context, all.allowance(), read).await?;
            queue.extend(sitemap.maps.iter().filter_map(|map| url.join(map).ok()));
            named += sitemap.pages.len();
            found.extend(sitemap.pages.into_iter().filter(|(address, _)| self.admits(address)));
            found.truncate(MAX_ADDRESSES);
        }
        if gone.len() == seen.len()
            && let Some(first) = gone.into_iter().next()
        {
            return Err(first);
        }
        found.sort_by(|(_, a), (_, b)| b.cmp(a));
        let mut once = BTreeSet::new();
        let urls = found.iter().filter_map(|(address, _)| Url::parse(address).ok());
        Ok((named, urls.filter(|url| once.insert(url.clone())).collect()))
    }

    fn admits(&self, address: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.admits(address))
    }

    /// Reads a posting's page.
    async fn page(
        &self,
        url: &Url,
        fetcher: &Fetcher,
        query: &Query,
        all: &Gathering,
    ) -> Result<Parsed, Trouble> {
        let page = get(fetcher, url, Content::Html).await?;
        let context = Context::new(&self.name, &self.company, &page.url, query.now).at_home(query);
        let picks = self.picks.clone();
        let read = move |body: &str, context: &Context| posting(body, picks.as_deref(), context);
        read_apart(page, context, all.allowance(), read).await
    }
}

/// Reads a posting's page by selectors where there are some, and by its JSON-LD.
fn posting(body: &str, picks: Option<&Picks>, context: &Context) -> Result<Parsed, ParseError> {
    let Some(picks) = picks else {
        let parsed = jsonld::postings(body, context)?;
        if parsed.listings.is_empty() {
            unless_blocked(body, context)?;
        }
        return Ok(parsed);
    };
    let mut listing = record::listing(&context.source, context.now);
    listing.company.clone_from(&context.company);
    listing.url = context.page.to_string();
    parse_detail(body, picks, context, &mut listing)?;
    let mut parsed = Parsed::default();
    parsed.add(record::finish(listing, context), context)?;
    Ok(parsed)
}

/// Tells whether a page may be one that is looked for: the words of its address say so, or none.
fn is_worth(url: &Url, query: &Query) -> bool {
    let Some(title) = words(url).filter(|_| !query.match_description) else { return true };
    query.matches(&Listing { title, ..Listing::default() })
}

/// Returns the words of the longest part of an address; nothing where it has less than two.
fn words(url: &Url) -> Option<String> {
    let mut parts: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let slug = percent_decoded(parts.first().copied().unwrap_or_default());
    let slug = slug.replace(['-', '_', '+', '.'], " ");
    let words =
        slug.split(' ').filter(|word| word.len() > 1 && word.chars().all(char::is_alphabetic));
    (words.count() >= 2).then_some(slug)
}

fn percent_decoded(text: &str) -> String {
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    decoded.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Returns the page, unpacked where it is a `.gz` file.
fn unpacked(page: Page) -> Page {
    if !page.bytes.starts_with(&[0x1F, 0x8B]) {
        return page;
    }
    let mut bytes = Vec::new();
    // What could not be unpacked is cut off, and is told so as XML.
    let _read = GzDecoder::new(&page.bytes[..]).take(MAX_UNPACKED).read_to_end(&mut bytes);
    Page { bytes: Bytes::from(bytes), ..page }
}

impl Source for SitemapSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn aggregates(&self) -> bool {
        self.company.is_empty()
    }

    fn gives_all(&self) -> bool {
        are_for_all(&self.urls)
    }

    fn refines(&self, query: &Query) -> Refines {
        if query.match_description { Refines::All } else { Refines::Matching }
    }

    fn refine<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(async move {
            let urls = found.take().into_iter().filter_map(|one| Url::parse(&one.url).ok());
            let read = self.postings(urls.collect(), Instant::now(), fetcher, query, found);
            if let Err(trouble) = read.await {
                found.trouble(trouble);
            }
        })
    }

    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(async move {
            if let Err(trouble) = self.read_all(fetcher, query, found).await {
                found.trouble(trouble);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sitemap_is_read_by_local_names() {
        let body = "<?xml version='1.0'?><m:urlset xmlns:m='http://www.google.com/schemas/sitemap/0.9'>\
            <m:url><m:loc> https://h.test/job/a-b/1/?x=1&amp;y=2 </m:loc><m:lastmod>2026-10-03</m:lastmod></m:url>\
            <m:url><m:loc>https://h.test/about</m:loc></m:url></m:urlset>";
        let sitemap = parse(body, &Budget::unlimited()).unwrap();
        let first = ("https://h.test/job/a-b/1/?x=1&y=2".to_owned(), "2026-10-03".to_owned());
        assert_eq!(sitemap.pages[0], first);
        assert_eq!(sitemap.pages.len(), 2);
        let index =
            "<sitemapindex><sitemap><loc>https://h.test/jobs.xml.gz</loc></sitemap></sitemapindex>";
        assert_eq!(
            parse(index, &Budget::unlimited()).unwrap().maps,
            ["https://h.test/jobs.xml.gz"]
        );
        assert!(parse("<html><p>Not here", &Budget::unlimited()).is_err());
    }

    #[test]
    fn a_pattern_is_texts_in_their_order() {
        let check = |pattern: &str, address: &str, expect| {
            assert_eq!(Pattern::new(pattern).admits(address), expect, "{pattern} {address}");
        };
        check("/job/", "https://h.test/job/1", true);
        check("/en/*/job-", "https://h.test/en/x/job-1", true);
        check("/en/*/job-", "https://h.test/job-1/en/", false);
        check("", "https://h.test/", true);
    }

    #[test]
    fn the_words_of_an_address_say_whether_its_page_is_worth_reading() {
        let query = |keyword: &str| Query::new(keyword, "2026-11-23T12:00:00Z".parse().unwrap());
        let check = |address: &str, keyword: &str, expect| {
            let worth = is_worth(&Url::parse(address).unwrap(), &query(keyword));
            assert_eq!(worth, expect, "{address} {keyword}");
        };
        check("https://h.test/job/Lima-Glass-Cutter-OH/13/", "glass cutter", true);
        check("https://h.test/job/Lima-Glass-Cutter-OH/13/", "nurse", false);
        check("https://h.test/jobs/1234567", "nurse", true);
        check("https://h.test/job/Krankenpfleger%20Nacht/3", "krankenpfleger", true);
    }
}
