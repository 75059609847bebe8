//! `[scrape]` and `[[sources]]`.

mod sources;
mod webhooks;

use std::{collections::BTreeMap, time::Duration};

use rhubarb_config::{
    Configuration, Origins, Problems, from_toml,
    redact::Address,
    rules::{DAY, MIB, ZONE, is_name, is_zone, range, seconds, within},
    settings, words,
};

pub use self::{
    sources::{PathSettings, Selectors, SourceConfig, SourceKind},
    webhooks::WebhookConfig,
};

settings! {
    /// What is scraped, and how: the sections of this crate.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ScrapeSettings {}
    tables {
        /// Scraping and fetching.
        scrape: ScrapeConfig = ScrapeConfig::default();
        /// The sources. Without any entry RemoteOK, We Work Remotely and Arbeitnow hold.
        sources: Vec<SourceConfig> = sources::default_sources(), examples sources::EXAMPLES;
    }
}

settings! {
    /// Scraping and fetching.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ScrapeConfig {
        /// The keywords of the hourly scrape, one an hour: that of hour h is `keywords[h % len]`.
        keywords: Vec<String> = KEYWORDS.map(String::from).to_vec(),
            accepts "a list of 1 to 1000 keywords",
            if |list| (1..=1000).contains(&list.len()) && list.iter().all(|word| is_name(word));
        /// The time zone of that hour.
        timezone: String = "UTC".into(), accepts ZONE, if |zone| is_zone(zone);
        /// A keyword whose listings are younger than this is not fetched again.
        fresh_for: Duration = seconds(600), accepts "0 s to 7 days", if |d| within(d, 0, 7 * DAY);
        /// The user agent; say who asks and how to reach you.
        user_agent: String = concat!("rhubarb/", env!("CARGO_PKG_VERSION"), " (job listings)").into(),
            accepts "text of 1 to 200 printable ASCII characters",
            if |text| is_name(text) && text.is_ascii(),
            example "\"acme-jobs/1.0 (+https://acme.example/bot)\"";
        /// At least this long between two requests to one host.
        min_interval: Duration = seconds(1), accepts "0 s to 1 h", if |d| within(d, 0, 3600);
        /// Requests to one host at once, by all workers together.
        concurrent_per_host: u32 = 2, accepts "1 to 100", if |n| (1..=100).contains(n);
        /// As much of pages as sites sent them, compressed, is kept in the database of listings,
        /// so that they need not send them again; 0 keeps none. Never more than a tenth of Redis's
        /// maxmemory. When Redis has no memory left, these pages go first.
        page_cache_bytes: usize = 32 * MIB,
            accepts "0 to 8 GiB", if |n| *n <= 8 << 30;
        /// What boards and feeds have is read once for all keywords; for this long it is not asked
        /// for again, unless a scrape is forced. By default as `fresh_for`.
        board_fresh_for: Option<Duration> = None,
            accepts "0 s to 7 days", if |d| d.is_none_or(|d| within(&d, 0, 7 * DAY)),
            example "3600";
        /// As much of it, compressed, is kept in the database of listings; 0 asks each board for
        /// each keyword. Never more than a fifth of Redis's maxmemory. When Redis has no memory
        /// left, it goes before listings do.
        board_cache_bytes: usize = 256 * MIB,
            accepts "0 to 64 GiB", if |n| *n <= 64 << 30;
        /// Connecting may take this long.
        connect_timeout: Duration = seconds(10), accepts "100 ms to 60 s", if |d| range(d, 0.1, 60.0);
        /// One request, body included, may take this long.
        request_timeout: Duration = seconds(30),
            accepts "100 ms to 10 minutes", if |d| range(d, 0.1, 600.0);
        /// One source, all its pages included, may take this long.
        source_timeout: Duration = seconds(120),
            accepts "100 ms to 1 h", if |d| range(d, 0.1, 3600.0);
        /// A body may be this long after decompression.
        max_body_bytes: usize = 16 * MIB,
            accepts "1 KiB to 512 MiB", if |n| (1 << 10..=512 * MIB).contains(n);
        /// Redirects followed.
        max_redirects: usize = 5, accepts "0 to 20", if |n| *n <= 20;
        /// Whether a redirect may lead from https to http.
        allow_downgrade: bool = false;
        /// Whether robots.txt is obeyed.
        obey_robots: bool = true;
        /// Hosts (host or host:port) in private or loopback networks that may be fetched all the
        /// same; "*" allows all.
        allow_private: Vec<String> = Vec::new(), accepts HOSTS;
        /// Proxies (host or host:port) in private or loopback networks that may be used all the
        /// same; "*" allows all. Only host:port permits the port of a known service, such as 9200.
        allow_private_proxies: Vec<String> = Vec::new(), accepts HOSTS;
        /// Whether keywords are also looked for in descriptions.
        match_description: bool = false;
        /// More names of parameters in addresses that tell nothing of a posting, beside `utm_*`,
        /// `gclid` and the like; `*` at the end stands for any ending.
        tracking_parameters: Vec<String> = Vec::new(),
            accepts "a list of names", if |list| list.iter().all(|name| is_name(name)),
            example "[\"campaign\", \"visit_*\"]";
        /// Whether accents count: "développeur" is another word than "developpeur" then.
        match_accents: bool = false;
        /// URLs of proxy lists, one proxy a line.
        proxy_lists: Vec<Address> = Vec::new(),
            accepts "a list of http(s) URLs", if |list| list.iter().all(Address::is_http);
        /// Whether requests go through proxies: "off" never; "preferred" where one of the lists
        /// serves the host, else without; "required" never without, and a scrape waits for one.
        proxies: ProxyUse = ProxyUse::default();
        /// What became of a posting is kept for so many days after it was last seen or closed.
        life_days: u16 = 30, accepts "1 to 365", if |n| (1..=365).contains(n);
        /// Sources fetched at once in one scrape.
        concurrent_sources: usize = 4, accepts "1 to 64", if |n| (1..=64).contains(n);
    }
    tables {
        /// Words that are looked for as well where a keyword has others, in quotes; the list of
        /// keywords in one cache stays one.
        synonyms: BTreeMap<String, Vec<String>> = BTreeMap::new(),
            examples "# \"software engineer\" = [\"software developer\", \"SWE\"]\n";
        /// Who is told of new postings, each by a signed POST of JSON.
        webhooks: Vec<WebhookConfig> = Vec::new();
    }
}

const HOSTS: &str = "a list of hosts, host:port, or \"*\"";

const KEYWORDS: [&str; 20] = [
    "software engineer",
    "data scientist",
    "product manager",
    "full stack developer",
    "machine learning engineer",
    "devops engineer",
    "cloud architect",
    "cybersecurity analyst",
    "business analyst",
    "project manager",
    "sales manager",
    "marketing manager",
    "financial analyst",
    "operations manager",
    "ui ux designer",
    "qa engineer",
    "system administrator",
    "network engineer",
    "database administrator",
    "frontend developer",
];

/// Whether requests go through proxies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyUse {
    /// Never, whatever lists there are.
    Off,
    /// Where a proxy serves the host, else without.
    #[default]
    Preferred,
    /// Never without.
    Required,
}
words!(ProxyUse: "preferred" => Self::Preferred, "required" => Self::Required, "off" => Self::Off);

impl ScrapeSettings {
    /// Reads both sections from a text that has nothing else.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        from_toml(text)
    }

    /// Returns what only several settings together tell to be wrong.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        self.scrape.problems().into_iter().chain(sources::taken_names(&self.sources))
    }
}

impl Configuration for ScrapeSettings {
    fn complete(&mut self, _: &mut Origins, problems: &mut Vec<String>) {
        problems.extend(self.problems());
    }
}

impl ScrapeConfig {
    /// Returns what only two settings together tell to be wrong.
    fn problems(&self) -> Vec<String> {
        let mut problems = webhooks::taken_names(&self.webhooks);
        let mut order = |one: &str, first: Duration, other: &str, second: Duration| {
            if first > second {
                problems.push(format!(
                    "scrape.{one} ({} s) must not be longer than scrape.{other} ({} s)",
                    first.as_secs_f64(),
                    second.as_secs_f64()
                ));
            }
        };
        let (connect, request) = (self.connect_timeout, self.request_timeout);
        order("request_timeout", request, "source_timeout", self.source_timeout);
        order("connect_timeout", connect, "request_timeout", request);
        problems
    }
}
