//! Live schedules: added, changed and removed over the API and the page, by the command line's
//! rules.

use axum::http::Method;
use rhubarb_testbed::redis_server::RedisServer;
use serde_json::{Value, json};

use super::{Web, request};

async fn asked(web: &Web, method: Method, name: &str, entry: Value) -> (u16, Value) {
    let bearer = format!("Bearer {}", web.operator);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let path = format!("/api/v1/schedules{name}");
    let body = if entry.is_null() { String::new() } else { entry.to_string() };
    let answer = web.ask(request(method, &path, &headers, &body)).await;
    (answer.status.as_u16(), serde_json::from_str(&answer.text).unwrap())
}

async fn live(web: &Web) -> Vec<Value> {
    let (_, all) = asked(web, Method::GET, "", Value::Null).await;
    let items = all["items"].as_array().unwrap().iter();
    items.filter(|one| one["owner"] == "live").cloned().collect()
}

#[tokio::test]
async fn a_live_schedule_is_set_changed_and_removed() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let entry = json!({"task": "shop.report", "cron": "30 1 * * *", "kwargs": {"api_key": "t0p"}});
    let (status, set) = asked(&web, Method::PUT, "/nightly", entry).await;
    assert_eq!((status, &set["words"]), (200, &json!("every day at 01:30 (UTC)")), "{set}");
    let page = web.page("/schedule?name=nightly", &web.operator).await;
    assert!(page.text.contains("shop.report") && page.text.contains("t0p"), "{}", page.text);
    let page = web.page("/schedule?name=nightly", &web.reader).await;
    assert!(page.text.contains("shop.report") && !page.text.contains("t0p"), "{}", page.text);

    let form = "what=set-schedule&name=nightly&entry=%7B%22task%22%3A%22shop.mail%22%2C%22every%22%3A60%7D";
    assert_eq!(web.press(&web.operator, form).await.status, 303);
    let all = live(&web).await;
    assert_eq!((all.len(), &all[0]["task"]), (1, &json!("shop.mail")), "{all:?}");
    let question = web.press(&web.operator, "what=remove-schedule&name=nightly").await;
    assert!(question.text.contains("Remove the schedule nightly"), "{}", question.text);
    let sure = web.press(&web.operator, "what=remove-schedule&name=nightly&sure=yes").await;
    assert_eq!(sure.status, 303);
    assert!(live(&web).await.is_empty());
    let (status, gone) = asked(&web, Method::DELETE, "/nightly", Value::Null).await;
    assert_eq!((status, gone), (200, json!({"changed": false})));
}

#[tokio::test]
async fn an_entry_that_cannot_be_is_refused_in_words() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    for (entry, word) in [
        (json!({}), "task"),
        (json!({"task": "t"}), "cron"),
        (json!({"task": "t", "every": 0}), "every"),
        (json!({"task": "t", "cron": "1--100000000 * * * *"}), "cron"),
        (json!({"task": "t", "every": 5, "queue": "a\u{1b}"}), "queue"),
        (json!({"task": "t", "every": 5, "wrong": 1}), "wrong"),
        (json!({"task": "t", "at": "2001-01-01T00:00:00Z"}), "never"),
    ] {
        let (status, problem) = asked(&web, Method::PUT, "/s", entry.clone()).await;
        assert_eq!(status, 422, "{entry}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{entry}: {problem}");
    }
    assert!(live(&web).await.is_empty());
}

#[tokio::test]
async fn what_the_file_keeps_is_changed_in_the_file() {
    let redis = RedisServer::start().await;
    let web = Web::configured(&redis.socket_url(), true, |config| {
        let file = "[schedules.nightly]\ntask = \"t\"\nevery = 60";
        config.schedules = rhubarb_settings::Settings::from_toml(file).unwrap().schedules;
    });
    let entry = json!({"task": "t", "every": 5});
    for (method, entry) in [(Method::PUT, entry), (Method::DELETE, Value::Null)] {
        let (status, problem) = asked(&web, method, "/nightly", entry).await;
        assert_eq!(status, 409, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("file"), "{problem}");
    }
    let page = web.page("/schedule?name=nightly", &web.operator).await;
    assert!(!page.text.contains("set-schedule"), "{}", page.text);
}
