//! `listings --follow`: a keyword's changes as they come.

use std::time::Duration;

use rhubarb_connection::{Backoff, Options, Redis, RedisConfig, Role};
use rhubarb_core::{class::Class, clock, shutdown::Shutdown};
use rhubarb_jobs::{
    Caches,
    life::{Feed, Kind, LifeCache, Posting, Told},
};

use super::{Context, nowhere};
use crate::{cli::ListingsArgs, error::Error, output, table::clean};

/// How long one command waits at the server.
const BLOCK: Duration = Duration::from_secs(1);

/// Prints changes until the process is told to end.
pub(super) async fn follow(context: &Context, args: &ListingsArgs) -> Result<(), Error> {
    let caches = Caches::new(&context.config.cache, &context.connections)?;
    let life = caches.listings().life().ok_or_else(nowhere)?;
    let [_, key, _] = life.keys(&args.keyword);
    let own = own_connection(context)?;
    let mut feed = Feed::open(own.clone(), key, args.changes.since).await?;
    if !args.jsonl {
        output::note(&format!("changes of \"{}\"; Ctrl-C ends this", clean(&args.keyword)));
    }
    let shutdown = Shutdown::new();
    tokio::select! {
        ended = tell(&mut feed, life, args, &own) => ended,
        () = shutdown.listen()? => Ok(()),
        () = shutdown.drained() => Ok(()),
    }
}

/// Prints changes for ever; an outage of Redis is waited out.
async fn tell(
    feed: &mut Feed,
    life: &LifeCache,
    args: &ListingsArgs,
    own: &Redis,
) -> Result<(), Error> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut told = Vec::new();
    loop {
        match turn(feed, &mut told, life, args).await {
            Ok(()) => backoff.reset(),
            Err(Error::Cache(error)) if error.class() == Class::Transient => {
                backoff.sleep_until_back(own).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Reads what there is, or waits for more, and prints it; what was read and not printed stays.
async fn turn(
    feed: &mut Feed,
    told: &mut Vec<Told>,
    life: &LifeCache,
    args: &ListingsArgs,
) -> Result<(), Error> {
    if told.is_empty() {
        *told = feed.next().await?;
    }
    if told.is_empty() {
        feed.wait(BLOCK).await?;
    }
    show(life, args, told).await?;
    told.clear();
    Ok(())
}

/// A connection whose answers may wait behind the command that blocks it.
fn own_connection(context: &Context) -> Result<Redis, Error> {
    let config = &context.config;
    let (url, db) = config.url_for(Role::Jobs);
    let deadline = config.redis.command_timeout + BLOCK;
    let own = RedisConfig { command_timeout: deadline, ..config.redis.clone() };
    let options = Options { name: "rhubarb-cli".to_owned(), ..Options::default() };
    Ok(Redis::new(&url, db, &own, options)?)
}

async fn show(life: &LifeCache, args: &ListingsArgs, told: &[Told]) -> Result<(), Error> {
    let kinds = args.changes.kinds();
    let is_wanted = |told: &&Told| {
        kinds.is_empty() || kinds.iter().any(|kind: &Kind| kind.name() == told.change)
    };
    let told: Vec<&Told> = told.iter().filter(is_wanted).collect();
    let filter = args.filters.filter(args.source.as_deref());
    if told.is_empty() {
        return Ok(());
    }
    // The feed says little of a posting; its record says enough for the filters.
    let record = match filter.is_empty() {
        true => None,
        false => Some(life.read(&args.keyword).await?.unwrap_or_default()),
    };
    for told in told {
        let is_it = |posting: &&Posting| {
            posting.listing.source == told.source && posting.listing.external_id == told.external_id
        };
        let admits = record.as_ref().is_none_or(|record| {
            let posting = record.postings.iter().find(is_it);
            posting.is_some_and(|posting| filter.admits(&posting.listing, clock::now()))
        });
        if admits {
            output::print(&if args.jsonl { json(told) } else { line(told) })?;
        }
    }
    Ok(())
}

fn json(told: &Told) -> String {
    serde_json::to_string(told).unwrap_or_default()
}

/// A change as one line for a person.
fn line(told: &Told) -> String {
    let what = match told.change.as_str() {
        "closed" => told.detail["why"].as_str().unwrap_or_default().to_owned(),
        _ => {
            let fields = told.detail["fields"].as_array().map(Vec::as_slice).unwrap_or_default();
            let names = fields.iter().filter_map(|field| field["field"].as_str());
            names.collect::<Vec<_>>().join(", ")
        }
    };
    let what = if what.is_empty() { what } else { format!(" ({what})") };
    let parts = [&told.title, &told.company, &told.url].map(|part| clean(part));
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    clean(&format!("{}  {}{what}  {}", told.at, told.change, parts.join("  ")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(change: &str, detail: Value) -> Told {
        Told {
            change: change.into(),
            at: "2026-11-29T19:00:00+00:00".into(),
            keyword: "cook".into(),
            source: "a".into(),
            external_id: "1".into(),
            title: "Cook\u{1b}[2J".into(),
            company: String::new(),
            url: "https://a.test/1".into(),
            detail,
        }
    }

    #[test]
    fn a_change_is_one_line_that_steers_no_terminal() {
        let check = |change: &str, detail: Value, expect: &str| {
            let line = line(&told(change, detail));
            assert_eq!(
                line,
                format!("2026-11-29T19:00:00+00:00  {expect}  Cook [2J  https://a.test/1")
            );
        };
        check("new", json!({}), "new");
        check("closed", json!({"why": "gone"}), "closed (gone)");
        let fields = json!({"fields": [{"field": "title"}, {"field": "salary_min"}, 7]});
        check("changed", fields, "changed (title, salary_min)");
        check("changed", Value::Null, "changed");
    }
}
