//! Any site with a list of postings, read by CSS selectors from the configuration.
//!
//! The list page is followed through its pagination on its own host. Detail pages are fetched when
//! the configuration reads something from them, only for listings that may match, at most
//! [`MAX_DETAILS`].

mod picks;
mod read;

pub(crate) use self::read::read_structured;

use std::{collections::HashSet, sync::Arc};

use rhubarb_core::redact::Address;
use url::Url;

use crate::{config::SourceConfig, listing::Listing};

pub use self::{
    picks::Picks,
    read::{parse_detail, parse_list},
};

use crate::{
    context::Context,
    fetch::Fetcher,
    following::Following,
    gathering::Gathering,
    page::Content,
    query::Query,
    reading::{get, read_apart},
    record,
    setup::{BuildError, are_for_all, urls},
    source::{Refines, Running, Source},
    source_status::Ending,
    trouble::Trouble,
};

/// Detail pages fetched in one run.
pub const MAX_DETAILS: usize = 60;

/// A list page with, perhaps, detail pages.
#[derive(Debug)]
pub struct HtmlSource {
    name: String,
    company: String,
    urls: Vec<Address>,
    max_pages: u32,
    picks: Arc<Picks>,
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

    async fn read(&self, fetcher: &Fetcher, query: &Query, found: &Gathering) {
        let Self { name, company, max_pages, .. } = self;
        let (max_pages, kind) = (*max_pages, Content::Html);
        let asking =
            Following { name, company, max_pages, kind, of_postings: false, fetcher, query, found };
        let picks = Arc::clone(&self.picks);
        let parse = move |body: &str, context: &Context| parse_list(body, &picks, context);
        let lists = asking.all(&self.urls, parse).await;
        if self.picks.detail.is_empty() {
            return;
        }
        found.note_lists(lists.into_iter().map(String::from).collect());
        if !query.is_all() || self.is_named_by_details() {
            self.details(fetcher, query, found).await;
        }
    }

    /// Tells whether only its own page says what a posting is about.
    fn is_named_by_details(&self) -> bool {
        ["title", "tags"].iter().any(|field| self.picks.detail.contains_key(field))
    }

    /// Fetches the detail pages that are worth it. One that fails leaves its listing as the list
    /// page has it; one that is gone takes its listing with it; one that keeps us out is the last.
    async fn details(&self, fetcher: &Fetcher, query: &Query, found: &Gathering) {
        let blind = query.match_description || self.is_named_by_details();
        let lists: HashSet<String> = found.lists().into_iter().collect();
        let mut fetched = 0;
        for idx in 0.. {
            let Some(listing) = found.listing(idx) else { return };
            // A link that stays on its list page leads to no page of the posting's own.
            let is_own = |mut url: Url| {
                url.set_fragment(None);
                !lists.contains(url.as_str())
            };
            let has_page = Url::parse(&listing.url).is_ok_and(is_own);
            if !has_page || !blind && !query.matches(&listing) {
                continue;
            }
            if fetched == MAX_DETAILS {
                found.note(format!("{MAX_DETAILS} detail pages were read, and there are more"));
                return;
            }
            fetched += 1;
            match self.detail(listing, fetcher, query, found).await {
                Ok(listing) => found.replace(idx, listing),
                Err(Trouble { ending: Ending::NotFound | Ending::Gone, .. }) => found.close(idx),
                Err(trouble) => {
                    found.note(format!("a detail page was not read: {}", trouble.reason));
                    if matches!(trouble.ending, Ending::Blocked | Ending::Throttled) {
                        return;
                    }
                }
            }
        }
    }

    /// Returns a listing with what its own page adds.
    async fn detail(
        &self,
        listing: Listing,
        fetcher: &Fetcher,
        query: &Query,
        found: &Gathering,
    ) -> Result<Listing, Trouble> {
        let url = Url::parse(&listing.url).map_err(Trouble::for_good)?;
        let page = get(fetcher, &url, Content::Html).await?;
        let (picks, context) = (Arc::clone(&self.picks), self.context(&page.url, query));
        let mut detailed = listing.clone();
        let read = move |body: &str, context: &Context| {
            parse_detail(body, &picks, context, &mut detailed)?;
            Ok(record::finish(detailed, context).ok())
        };
        let finished = read_apart(page, context, found.allowance(), read).await?;
        Ok(finished.unwrap_or(listing))
    }

    fn context(&self, page: &Url, query: &Query) -> Context {
        Context::new(&self.name, &self.company, page, query.now).at_home(query)
    }
}

impl Source for HtmlSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn aggregates(&self) -> bool {
        // A company's own page names the company in the configuration; a board names it in each
        // item.
        self.company.is_empty()
    }

    fn gives_all(&self) -> bool {
        are_for_all(&self.urls)
    }

    fn refines(&self, query: &Query) -> Refines {
        // Where nothing else names the postings, their pages are read with the lists.
        match (self.picks.detail.is_empty() || self.is_named_by_details(), query.match_description)
        {
            (true, _) => Refines::None,
            (false, false) => Refines::Matching,
            (false, true) => Refines::All,
        }
    }

    fn refine<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(self.details(fetcher, query, found))
    }

    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        Box::pin(self.read(fetcher, query, found))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::config::Selectors;

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
            empty: None,
            detail: BTreeMap::from([("description".to_owned(), "article".to_owned())]),
        }
    }

    fn html(selectors: Selectors) -> SourceConfig {
        let mut config = config(crate::config::SourceKind::Html);
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
    fn a_pages_base_is_where_its_links_start() {
        let list =
            format!("<base target=_top><base href='/en/'>{}", LIST.replace("/jobs/3", "jobs/3"));
        let parsed = parse_list(&list, &picks(), &context()).unwrap();
        assert_eq!(parsed.listings[1].url, "https://example.test/en/jobs/3");
        assert_eq!(parsed.next.unwrap().as_str(), "https://example.test/en/?page=2");
    }

    #[test]
    fn links_that_tell_postings_apart_in_the_fragment_only_are_kept() {
        let list = |hrefs: [&str; 2]| {
            let item =
                |href: &str| format!("<div class=job><h2><a href='{href}'>{href}</a></h2></div>");
            let page = hrefs.map(item).concat();
            let parsed = parse_list(&page, &picks(), &context()).unwrap();
            let listings = parsed.listings.into_iter();
            listings.map(|listing| (listing.url, listing.external_id)).unzip()
        };
        let page = "https://example.test/jobs/board";
        let (urls, ids): (Vec<String>, Vec<String>) = list(["#!/job/1", "#!/job/2"]);
        assert_eq!(urls, [format!("{page}#!/job/1"), format!("{page}#!/job/2")]);
        assert_eq!(ids, urls);
        let (urls, ids): (Vec<String>, Vec<String>) = list(["#", "#top"]);
        assert_eq!(urls, [page.to_owned(), format!("{page}#top")]);
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn what_stands_beside_a_label_is_read() {
        let some = |text: &str| Some(text.to_owned());
        let labels =
            Selectors { location: some("label: ort"), salary: some("label:Gehalt"), ..selectors() };
        let picks = Picks::new(&html(labels)).unwrap();
        let list = r#"<div class="job"><h2><a href="/1">Koch</a></h2><p>Wir sind ein Ort zum Leben und Arbeiten, seit es uns gibt.</p>
            <dl><dt>Ort:</dt><dd>Bonn &amp; Köln</dd></dl><table><tr><th>Gehalt</th><td>40.000 € – 50.000 €</td></tr></table></div>"#;
        let listing = &parse_list(list, &picks, &context()).unwrap().listings[0];
        assert_eq!(listing.location.as_deref(), Some("Bonn & Köln"));
        assert_eq!((listing.salary_min, listing.salary_max), (Some(40e3), Some(50e3)));
    }

    #[test]
    fn the_date_that_an_element_has_for_machines_comes_before_the_one_that_it_shows() {
        let list = |time: &str| {
            let page = format!("<div class=job><h2><a href=/1>Cook</a></h2>{time}</div>");
            parse_list(&page, &picks(), &context()).unwrap().listings[0].posted_at.clone()
        };
        let day = Some("2026-11-05T09:00:00+00:00".to_owned());
        assert_eq!(list("<time datetime=2026-11-05T09:00:00Z>5 days</time>"), day);
        assert_eq!(list("<time datetime=2026-11-05T09:00:00Z></time>"), day);
        assert_eq!(list("<time datetime=soon>2026-11-05T09:00:00Z</time>"), day);
    }

    #[test]
    fn a_whole_page_may_be_the_item() {
        let whole = Selectors { item: "html".into(), ..selectors() };
        let picks = Picks::new(&html(whole)).unwrap();
        let parsed = parse_list(LIST, &picks, &context()).unwrap();
        assert_eq!(parsed.listings.len(), 1, "{parsed:?}");
    }

    #[test]
    fn pagination_never_leaves_the_host_and_says_so() {
        let list = format!("{LIST}<a rel=next href='http://169.254.169.254/latest'>");
        let list = list.replacen("?page=2", "http://169.254.169.254/latest", 1);
        let parsed = parse_list(&list, &picks(), &context()).unwrap();
        assert_eq!(parsed.next, None);
        let said = "the next page is on another server (`169.254.169.254`), which is not followed";
        assert_eq!(parsed.left_out, [said]);
    }

    #[test]
    fn a_detail_page_adds_and_its_json_ld_fills_gaps() {
        let mut listing = parse_list(LIST, &picks(), &context()).unwrap().listings.remove(1);
        let page = r#"<article><p>Cook <b>well</b>.</p></article><script type="application/ld+json">
            {"@type":"JobPosting","title":"cook","description":"unused","datePosted":"2026-01-02",
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
