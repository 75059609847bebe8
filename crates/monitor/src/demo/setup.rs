//! The configuration that the demo's worker and beat run with.

use super::board::{ASHBY_BOARD, GREENHOUSE_BOARD, LEVER_BOARD};

/// Returns a `rhubarb.toml` for the private Redis at `redis` and the board at `host` (`address:port`).
pub(crate) fn configuration(redis: &str, host: &str) -> String {
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
[[sources]]
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

[sources.selectors.detail]
salary = ".salary"
date = "time@datetime"
tags = ".skills li"
description = ".description"
"##
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

pub(crate) fn parse(_text: &str) -> Result<rhubarb_core::config::Config, super::DemoError> {
    Ok(rhubarb_core::config::Config::default())
}
