//! The task that tells the address of `notify.url` of what went wrong.
//!
//! Whoever saw it has published the task with all that is to be told. Of the same kind about the
//! same thing one is told a minute, by whatever worker; the others are counted in Redis and told
//! with the next one. A worker that dies between the POST and the task's end tells it once more,
//! with the same `webhook-id`.

use std::{collections::BTreeMap, time::Duration};

use redis::pipe;
use rhubarb::{RetryPolicy, TaskContext, TaskError};
use rhubarb_core::clock;
use rhubarb_queue::{
    Client,
    config::NotifyConfig,
    notice::{Notice, NoticeKind, sign},
};
use rhubarb_scrape::{Ending, SourceStatus, fetch::Post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Scraping;

/// One call may take this long.
const WITHIN: Duration = Duration::from_secs(15);
/// For how long nothing like it is told.
const QUIET: Duration = Duration::from_secs(60);
/// For how long what was left out is counted.
const COUNTED: Duration = Duration::from_secs(86_400);

/// Tried again after up to 10 s, 20 s, … 1 h: for up to three hours.
pub(super) const RETRY: RetryPolicy =
    RetryPolicy { max_retries: 11, base: Duration::from_secs(10), cap: Duration::from_secs(3_600) };

/// The arguments of the task.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Told {
    notice: Notice,
}

/// Delivers a notice.
pub(super) async fn tell(
    scraping: &Scraping,
    context: &TaskContext,
    Told { notice }: Told,
) -> Result<Value, TaskError> {
    let config = &scraping.0.notify;
    let Some(url) = config.url.expose() else {
        return Ok(json!({ "told": "no address is configured" }));
    };
    let Some(more) = turn(context.client(), &notice, context.id()).await? else {
        return Ok(json!({ "told": "with the next one" }));
    };
    let (at, id) = (clock::now().as_second(), format!("msg_{}", context.id()));
    let body = notice.body(config.form, more);
    let mut headers = vec![("webhook-id", id.clone()), ("webhook-timestamp", at.to_string())];
    if let Some(secret) = &config.secret {
        headers.push(("webhook-signature", sign(secret.expose(), &id, at, &body)));
    }
    let post = Post { url, headers: &headers, body: body.into_bytes(), within: WITHIN };
    let failed = |why: &str| {
        TaskError::transient("ConnectionError", format!("notify.url was not told: {why}"))
    };
    match scraping.0.scraper.fetcher.post(post).await {
        Ok(status @ 200..=299) => {
            told(context.client(), &notice, more).await;
            Ok(json!({ "status": status }))
        }
        Ok(status) => Err(failed(&format!("its host answers {status}"))),
        Err(why) => Err(failed(&why)),
    }
}

/// Takes a notice's turn: how many were left out since the last one, or none where one like it was
/// told within this minute, and this one is counted.
///
/// Dying in between leaves the turn taken for its minute; the task that runs again has the same id
/// and so the same turn. The count stands until it is [`told`].
async fn turn(client: &Client, notice: &Notice, id: &str) -> Result<Option<u64>, TaskError> {
    let (key, count) = keys(client, notice);
    let mut ask = pipe();
    ask.cmd("SET").arg(&key).arg(id).arg("NX").arg("PX").arg(QUIET.as_millis() as u64).ignore();
    ask.cmd("GET").arg(&key);
    let refused = |error| TaskError::transient("ConnectionError", format!("{error}"));
    let (holder,): (Option<String>,) = client.queue().pipe(&ask).await.map_err(refused)?;
    let mut then = pipe();
    if holder.is_some_and(|holder| holder != id) {
        then.cmd("INCRBY").arg(&count).arg(notice.left_out.saturating_add(1)).ignore();
        then.cmd("EXPIRE").arg(&count).arg(COUNTED.as_secs()).ignore();
        let () = client.queue().pipe(&then).await.map_err(refused)?;
        return Ok(None);
    }
    then.cmd("GET").arg(&count);
    let (left_out,): (Option<i64>,) = client.queue().pipe(&then).await.map_err(refused)?;
    Ok(Some(left_out.and_then(|n| n.try_into().ok()).unwrap_or_default()))
}

/// Takes from the count what was told. Dying before it tells the same number once more.
async fn told(client: &Client, notice: &Notice, more: u64) {
    if more == 0 {
        return;
    }
    let (_, count) = keys(client, notice);
    let mut less = pipe();
    less.cmd("DECRBY").arg(&count).arg(more).ignore();
    // It may have ended meanwhile.
    less.cmd("EXPIRE").arg(&count).arg(COUNTED.as_secs()).ignore();
    if let Err(error) = client.queue().pipe::<()>(&less).await {
        tracing::debug!(%error, "what was left out of notices is told again");
    }
}

/// Returns the keys of a notice's turn, and of how many were left out.
fn keys(client: &Client, notice: &Notice) -> (String, String) {
    let turn = client.keys().unique(&format!("notice:{}", notice.key()));
    let count = format!("{turn}:n");
    (turn, count)
}

/// For how long the same is not told of a source again.
const SOURCE_QUIET: Duration = Duration::from_secs(6 * 3_600);

/// Publishes what tells of the sources of a scrape that a person has to look at. What cannot be
/// published is found by the next scrape.
pub(super) async fn of_sources(
    context: &TaskContext,
    config: &NotifyConfig,
    keyword: &str,
    sources: &BTreeMap<String, SourceStatus>,
) {
    if !config.sources || config.url.expose().is_none() {
        return;
    }
    for (name, source) in sources {
        let Some(notice) = of_source(name, source, keyword) else { continue };
        let key = format!("notice {} {name} {}", notice.kind.name(), source.word());
        let told = context.client().publish_once(&notice.task(), &key, SOURCE_QUIET).await;
        if let Err(error) = told {
            tracing::warn!(source = name, %error, "nobody is told of a source");
        }
    }
}

/// Returns the notice of a source that does not mend by itself.
fn of_source(name: &str, source: &SourceStatus, keyword: &str) -> Option<Notice> {
    let ending = source.outcome?;
    let needs_a_person = matches!(
        ending,
        Ending::NotFound | Ending::Gone | Ending::Blocked | Ending::Failed | Ending::Suspicious
    );
    let reason = source.error.as_deref().unwrap_or("no reason is known");
    let text = format!("Source {name} is {ending}: {reason} (keyword {keyword})");
    needs_a_person.then(|| {
        Notice::new(NoticeKind::SourceBroken, name, clock::now(), &text)
            .with("source", name)
            .with("outcome", ending.to_string())
            .with("reason", reason)
            .with("keyword", keyword)
            .with("kept", source.kept)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_sources_only_those_are_told_that_need_a_person() {
        let told = |ending: Ending| {
            let mut source = SourceStatus::new(ending, 0);
            source.turn(ending, "why".to_owned());
            of_source("acme", &source, "cook").map(|notice| notice.text)
        };
        let text = "Source acme is suspicious: why (keyword cook)";
        assert_eq!(told(Ending::Suspicious).as_deref(), Some(text));
        for quiet in [Ending::Found, Ending::Nothing, Ending::Unchanged, Ending::Throttled] {
            assert_eq!(told(quiet), None);
        }
    }
}
