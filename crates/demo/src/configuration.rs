//! The configuration that the demo's worker and beat run with.

use crate::board::{ASHBY_BOARD, GREENHOUSE_BOARD, LEVER_BOARD};

/// Returns a `rhubarb.toml` for the Redis at `redis` and the board at `host` (`address:port`).
pub fn configuration(redis: &str, host: &str) -> String {
    let sources = sources(host);
    format!(
        r##"# Made by `rhubarb demo`.

[redis]
url = "{redis}"

[log]
format = "logfmt"

[worker]
concurrency = 16

[scrape]
keywords = ["software engineer", "data scientist", "devops engineer", "product manager"]
min_interval = 0.02           # the board is ours; the default is one request a second
allow_private = ["{host}"]

{SCHEDULES}
{sources}"##
    )
}

const SCHEDULES: &str = r#"[schedules.software-engineers]
task = "job_scraper.tasks.scrape_specific_keyword"
kwargs = { keyword = "software engineer", force = true }
every = 5

[schedules.data-scientists]
task = "job_scraper.tasks.scrape_specific_keyword"
kwargs = { keyword = "data scientist", force = true }
every = 7

[schedules.devops-engineers]
task = "job_scraper.tasks.scrape_specific_keyword"
kwargs = { keyword = "devops engineer", force = true }
every = 11

[schedules.keyword-of-the-hour]
task = "job_scraper.tasks.scrape_jobs_hourly"
crontab = { minute = "0" }
"#;

/// Returns the `[[sources]]` of all eight kinds, on the board at `host`.
pub fn sources(host: &str) -> String {
    format!(
        r##"[[sources]]
type = "greenhouse"
base_url = "http://{host}/greenhouse"
board = "{GREENHOUSE_BOARD}"

[[sources]]
type = "lever"
base_url = "http://{host}/lever"
board = "{LEVER_BOARD}"
company = "Pocket Lighthouse"

[[sources]]
type = "ashby"
base_url = "http://{host}/ashby"
board = "{ASHBY_BOARD}"
company = "Sundial Systems"

[[sources]]
type = "remoteok"
base_url = "http://{host}/remoteok"

[[sources]]
type = "weworkremotely"
base_url = "http://{host}/weworkremotely"

[[sources]]
type = "arbeitnow"
base_url = "http://{host}/arbeitnow"

[[sources]]
type = "jsonld"
name = "careers-page"
urls = ["http://{host}/careers/1", "http://{host}/careers/2"]

[[sources]]
type = "html"
name = "classifieds"
urls = ["http://{host}/classifieds?q={{keyword}}"]
max_pages = 5

[sources.selectors]
item = "li.opening"
title = "a.title"
link = "a.title@href"
company = ".company"
location = ".place"
next_page = "a.next@href"
empty = ".nothing"

[sources.selectors.detail]
salary = ".salary"
date = "time@datetime"
tags = ".skills li"
description = ".description"
"##
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rhubarb_core::clock;
    use rhubarb_scrape::{
        Ending, Gathering, Listing, Query, config::SourceKind, fetch::Fetcher, sources,
    };
    use rhubarb_settings::Settings;

    use super::*;
    use crate::board::{
        self, ARBEITNOW, ASHBY, CAREERS, CLASSIFIEDS, GREENHOUSE, KEYWORDS, LEVER, Opening,
        Openings, REMOTEOK, WEWORKREMOTELY, openings,
    };

    fn part(kind: SourceKind) -> Openings {
        match kind {
            SourceKind::Greenhouse => GREENHOUSE,
            SourceKind::Lever => LEVER,
            SourceKind::Ashby => ASHBY,
            SourceKind::RemoteOk => REMOTEOK,
            SourceKind::WeWorkRemotely => WEWORKREMOTELY,
            SourceKind::Arbeitnow => ARBEITNOW,
            SourceKind::JsonLd => CAREERS,
            SourceKind::Html => CLASSIFIEDS,
            other => panic!("the demonstration's board has no part for {}", other.name()),
        }
    }

    /// What has to survive the way through a source's page and parser: title, company, place, day,
    /// pay.
    type Facts = (String, String, bool, String, Option<u32>);

    /// Tells whether this kind's payload has the salary.
    fn pays(kind: SourceKind, opening: &Opening) -> bool {
        match kind {
            SourceKind::Lever | SourceKind::Ashby | SourceKind::JsonLd | SourceKind::Html => true,
            SourceKind::RemoteOk => opening.office.currency == "USD",
            _ => false,
        }
    }

    fn expected(kind: SourceKind, opening: &Opening) -> Facts {
        let pay = pays(kind, opening).then_some(opening.salary.0);
        (opening.title.clone(), opening.company.to_owned(), true, opening.day(), pay)
    }

    fn read(listing: &Listing) -> Facts {
        let day = listing.posted_at.as_deref().unwrap_or_default().chars().take(10).collect();
        let pay = listing.salary_min.map(|pay| pay as u32);
        let placed = listing.location.is_some();
        (listing.title.clone(), listing.company.clone(), placed, day, pay)
    }

    #[tokio::test]
    async fn each_kind_of_source_reads_its_part_of_the_board_for_each_keyword() {
        let now = clock::now();
        let board = board::start(now).await.unwrap();
        let config = configuration("redis://127.0.0.1:1/0", &board.host());
        let config = Settings::from_toml(&config).unwrap();
        let fetcher = Fetcher::new(&config.scraping.scrape).unwrap();
        let mut kinds = BTreeSet::new();
        for source in &config.scraping.sources {
            let built = sources::build(source).unwrap();
            for (idx, keyword) in KEYWORDS.into_iter().enumerate() {
                let query = Query::new(keyword, now);
                let gathering = Gathering::new(now);
                built.run(&fetcher, &query, &gathering).await;
                let outcome = gathering.conclude(built.name(), built.limits());
                assert_eq!(outcome.ending, Ending::Found, "{}: {outcome:?}", source.name);
                let listings = outcome.listings.iter();
                let found: BTreeSet<_> =
                    listings.filter(|listing| query.matches(listing)).map(read).collect();
                let all = openings(part(source.kind), now);
                let wanted: BTreeSet<_> = all
                    .iter()
                    .skip(idx)
                    .step_by(KEYWORDS.len())
                    .map(|o| expected(source.kind, o))
                    .collect();
                assert_eq!(found, wanted, "{} for {keyword}", source.name);
            }
            kinds.insert(source.kind.name());
        }
        assert_eq!(kinds.len(), 8);
    }
}
