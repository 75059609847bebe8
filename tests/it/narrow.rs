//! Every command that lists something, on a terminal of 80 columns, with names as long as real
//! ones are.

use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, terminal::Terminal};
use rhubarb_queue::Publish;
use serde_json::Value;

use crate::{
    BINARIES,
    shop::{SOON, Shop},
};

const CONFIGURATION: &str = r#"
[schedules.nightly_report_of_the_accounting_department]
task = "accounting.tasks.reports.send_the_nightly_report"
queue = "reports.of.the.accounting.department"
cron = "30 1 * * mon-fri"
timezone = "America/Argentina/Buenos_Aires"

[schedules.hourly]
task = "job_scraper.tasks.scrape_jobs_hourly"
every = 3600
"#;

const LISTINGS: [&[&str]; 13] = [
    &["queues"],
    &["workers"],
    &["tasks"],
    &["dead", "list"],
    &["parked", "list"],
    &["schedules", "list"],
    &["schedules", "next"],
    &["sources", "list"],
    &["cache", "list"],
    &["status"],
    &["listings", "software engineer"],
    &["listings", "software engineer", "--new"],
    &["monitor"],
];

/// Returns the lines that a command writes to a terminal of 80 columns.
async fn written(shop: &Shop, args: &[&str]) -> Vec<String> {
    let command = shop.installation.command(BINARIES.rhubarb, args);
    let mut terminal = Terminal::start(&command, 80, 200);
    let status = terminal.ended(SOON).await;
    // What was written last may still be on its way.
    let text = eventually(SOON, "all is written", async || {
        let text = terminal.written();
        text.ends_with('\n').then_some(text)
    })
    .await;
    assert_eq!(status.code(), Some(0), "{args:?}: {text}");
    text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

/// Fills an installation with what a real one has; returns the ids of tasks that are listed.
async fn fill(shop: &Shop) -> Vec<(&'static [&'static str], String)> {
    let client = shop.client();
    let mut redis = shop.queue().await;
    let task = "job_scraper.tasks.scrape_specific_keyword";
    let scrape = client.publish(&Publish::new(task).arg("software engineer")).await.unwrap().id;
    let wrong = client.publish(&Publish::new(task).kwarg("keyword_of_old", 1)).await.unwrap().id;
    let unknown = Publish::new("accounting.tasks.reports.nobody_runs_this_one_any_more");
    let parked = client.publish(&unknown.queue("celery")).await.unwrap().id;
    let _: u64 = redis.lpush("celery", "{\"body\": \"this is no message\"}").await.unwrap();
    for id in [&scrape, &wrong] {
        assert!(client.wait(id, SOON, |_| {}).await.unwrap().is_some());
    }
    let listed = async |command: &[&str]| {
        shop.json(command).await.as_array().is_some_and(|list| !list.is_empty())
    };
    eventually(SOON, "all that is listed is there", async || {
        let all = [&["dead", "list"][..], &["parked", "list"]];
        let there = listed(all[0]).await && listed(all[1]).await;
        let ended = shop.json(&["tasks"]).await;
        let ended = ended.as_array().map_or(0, Vec::len);
        (there && ended >= 2).then_some(())
    })
    .await;
    vec![(&["tasks"], scrape), (&["tasks"], wrong), (&["parked", "list"], parked)]
}

#[tokio::test]
async fn every_listing_fits_80_columns_and_cuts_no_id_and_wide_shows_all() {
    let shop = Shop::open_with(CONFIGURATION).await;
    let queues = "celery,reports.of.the.accounting.department";
    let _worker = shop.worker(&["-Q", queues, "-n", "worker-of-the-second-machine@%h"]).await;
    let ids = fill(&shop).await;
    for args in LISTINGS {
        let lines = written(&shop, args).await;
        assert!(lines.len() > 1, "{args:?}: {lines:#?}");
        for line in &lines {
            assert!(line.chars().count() <= 80, "{args:?}: {line}\n{}", lines.join("\n"));
        }
        for (_, id) in ids.iter().filter(|(command, _)| *command == args) {
            assert!(lines.iter().any(|line| line.contains(id)), "{args:?}: {}", lines.join("\n"));
        }
    }
    let wide = written(&shop, &["tasks", "--wide"]).await.join("\n");
    let task = "job_scraper.tasks.scrape_specific_keyword";
    let ended: Value = shop.json(&["tasks"]).await;
    let at = ended[0]["at"].as_str().unwrap().get(..19).unwrap().to_owned();
    for whole in [task, "QUEUE", at.as_str()] {
        assert!(wide.contains(whole), "{whole}: {wide}");
    }
}
