//! The task that tells webhooks of a keyword's new postings.
//!
//! What is to be told is a notice, kept beside the record of postings' lives and written with it in
//! one step. The task that delivers it is published before that, to be run a moment later: whatever
//! dies in between, a notice that was written is delivered by a task that is in the queue, and a
//! task that finds no notice has nothing to do. A delivered notice is deleted, so that no second
//! task tells it again.

use std::time::Duration;

use rhubarb::{Retry, RetryPolicy, TaskContext, TaskError};
use rhubarb_core::clock;
use rhubarb_queue::{Client, Publish, notice::sign};
use rhubarb_scrape::{config::WebhookConfig, fetch::Post, keyword};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Scraping;
use crate::life::{Event, Kind, Notice};

/// The task's name.
pub(super) const TASK: &str = "rhubarb.notify";

/// As many postings stand in one message; the rest is counted.
const MAX_LISTINGS: usize = 100;
/// As many bytes has a message, about.
const MAX_BYTES: usize = 256 << 10;
/// When the task begins: the notice is written by then.
const AFTER: Duration = Duration::from_secs(2);
/// When it looks again for a notice that is not there yet, once.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// One call may take this long.
const WITHIN: Duration = Duration::from_secs(15);

/// Tried again after up to 10 s, 20 s, … 1 h: for up to three hours.
pub(super) const RETRY: RetryPolicy =
    RetryPolicy { max_retries: 11, base: Duration::from_secs(10), cap: Duration::from_secs(3_600) };

/// The arguments of the task.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Notify {
    webhook: String,
    keyword: String,
    notice: String,
}

/// Returns what each webhook is told of a scrape.
pub(super) fn notices(webhooks: &[WebhookConfig], word: &str, events: &[Event]) -> Vec<Notice> {
    let slug = keyword::slug(word);
    let is_meant = |hook: &&WebhookConfig| {
        hook.keywords.is_empty() || hook.keywords.iter().any(|own| keyword::slug(own) == slug)
    };
    let new: Vec<&Event> = events.iter().filter(|event| event.kind == Kind::New).collect();
    let Some(first) = new.first() else { return Vec::new() };
    let notice = |hook: &WebhookConfig| {
        let told = format!("{}\n{slug}\n{}\n{}", hook.name, first.at, new.len());
        // In the order of time, so that the oldest can be told.
        let at = first.at.as_millisecond();
        let id = format!("msg_{at:015}_{}", rhubarb_scrape::identity::digest([told]));
        Notice { id, webhook: hook.name.clone(), body: body(word, &new) }
    };
    webhooks.iter().filter(is_meant).map(notice).collect()
}

/// Returns a message: the newest postings that fit.
fn body(word: &str, new: &[&Event]) -> String {
    let mut listings: Vec<Value> = Vec::new();
    let mut bytes = 0;
    for event in new.iter().take(MAX_LISTINGS) {
        let listing = serde_json::to_value(&event.listing).unwrap_or_default();
        bytes += listing.to_string().len();
        if bytes > MAX_BYTES {
            break;
        }
        listings.push(listing);
    }
    let left_out = new.len() - listings.len();
    let at = new.first().map(|event| clock::iso(event.at));
    let data = json!({
        "keyword": word, "count": new.len(), "listings": listings, "left_out": left_out,
    });
    json!({ "type": "listings.new", "timestamp": at, "data": data }).to_string()
}

/// Publishes the tasks that deliver notices; nothing is told where that fails.
pub(super) async fn publish(client: &Client, keyword: &str, notices: &[Notice]) -> bool {
    for notice in notices {
        let task = Publish::new(TASK)
            .kwarg("webhook", notice.webhook.as_str())
            .kwarg("keyword", keyword)
            .kwarg("notice", notice.id.as_str())
            .countdown(AFTER);
        if let Err(error) = client.publish(&task).await {
            tracing::warn!(webhook = notice.webhook, %error, "a webhook is told by the next scrape");
            return false;
        }
    }
    true
}

/// Delivers a notice.
pub(super) async fn notify(
    scraping: &Scraping,
    context: &TaskContext,
    wanted: Notify,
) -> Result<Value, TaskError> {
    let Notify { webhook, keyword, notice } = wanted;
    let Some(life) = scraping.0.caches.listings().life() else { return Ok(Value::Null) };
    let Some(body) = life.notice(&keyword, &notice).await? else {
        return match context.info().retries {
            0 => Err(Retry::after(LOOK_AGAIN).max_retries(1).into()),
            _ => Ok(json!({ "webhook": webhook, "told": "before, or too old" })),
        };
    };
    let hook = scraping.0.config.webhooks.iter().find(|hook| hook.name == webhook);
    let Some((hook, url)) =
        hook.and_then(|hook| Some((hook, hook.url.expose().parse::<url::Url>().ok()?)))
    else {
        life.forget_notice(&keyword, &notice).await?;
        return Ok(json!({ "webhook": webhook, "told": "no such webhook is configured" }));
    };
    let at = clock::now().as_second();
    let headers = [
        ("webhook-id", notice.clone()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", sign(hook.secret.expose(), &notice, at, &body)),
    ];
    let post = Post { url: &url, headers: &headers, body: body.into_bytes(), within: WITHIN };
    let answered = scraping.0.scraper.fetcher.post(post).await;
    match answered {
        Ok(status @ 200..=299) => {
            life.forget_notice(&keyword, &notice).await?;
            Ok(json!({ "webhook": webhook, "status": status }))
        }
        Ok(status) => Err(failed(&webhook, &format!("its host answers {status}"))),
        Err(why) => Err(failed(&webhook, &why)),
    }
}

fn failed(webhook: &str, why: &str) -> TaskError {
    TaskError::transient("ConnectionError", format!("webhook `{webhook}` was not told: {why}"))
}

#[cfg(test)]
mod tests {
    use rhubarb_scrape::Listing;

    use super::*;

    fn event(kind: Kind, id: usize, company: &str) -> Event {
        let listing = Listing {
            title: "Cook".into(),
            company: company.into(),
            external_id: id.to_string(),
            ..Listing::default()
        };
        Event { kind, at: "2026-11-29T19:00:00Z".parse().unwrap(), listing, detail: json!({}) }
    }

    fn hook(name: &str, keywords: &[&str]) -> WebhookConfig {
        let keywords = keywords.iter().map(|&word| word.to_owned()).collect();
        WebhookConfig { name: name.into(), keywords, ..WebhookConfig::default() }
    }

    #[test]
    fn each_webhook_is_told_of_its_keywords_new_postings_once() {
        let hooks = [hook("all", &[]), hook("cooks", &["Line  Cook"]), hook("other", &["driver"])];
        let events = [event(Kind::New, 1, ""), event(Kind::Closed, 2, ""), event(Kind::New, 3, "")];
        let told = notices(&hooks, "line cook", &events);
        let names: Vec<&str> = told.iter().map(|notice| notice.webhook.as_str()).collect();
        assert_eq!(names[0], "all");
        assert_ne!(told[0].id, notices(&hooks, "line cook", &events[..1])[0].id);
        assert_eq!(told, notices(&hooks, "line cook", &events), "the same is told by one name");
        let body: Value = serde_json::from_str(&told[0].body).unwrap();
        assert_eq!((&body["type"], &body["data"]["count"]), (&json!("listings.new"), &json!(2)));
        assert_eq!(body["data"]["listings"][1]["external_id"], "3");
        assert_eq!(notices(&hooks, "line cook", &events[1..2]), []);
        let closed = [event(Kind::Reopened, 1, ""), event(Kind::Changed, 1, "")];
        assert_eq!(notices(&hooks, "line cook", &closed), []);
    }

    #[test]
    fn a_message_is_bounded_and_says_what_it_leaves_out() {
        let check = |company: &str, n: usize, expect: std::ops::Range<usize>| {
            let events: Vec<Event> = (0..n).map(|id| event(Kind::New, id, company)).collect();
            let told = notices(&[hook("a", &[])], "cook", &events).remove(0);
            assert!(told.body.len() < MAX_BYTES + 1_000, "{}", told.body.len());
            let body: Value = serde_json::from_str(&told.body).unwrap();
            let listed = body["data"]["listings"].as_array().unwrap().len();
            assert!(expect.contains(&listed), "{listed}");
            assert_eq!(body["data"]["left_out"], n - listed);
        };
        check("Acme", 5_000, 100..101);
        check(&"x".repeat(100_000), 5_000, 2..3);
        check(&"x".repeat(1_000_000), 1, 0..1);
    }
}
