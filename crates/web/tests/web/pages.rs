//! The pages: what each shows, that only operators find and use buttons, and that whatever stands
//! in Redis is shown safely and cut.

use axum::http::Method;
use rhubarb_testbed::redis_server::RedisServer;
use serde_json::{Value, json};

use super::{Answer, PERSON, Web, request};

const PAGES: [&str; 17] = [
    "/",
    "/?span=days",
    "/queues",
    "/queue?name=mail",
    "/tasks",
    "/task?id=x",
    "/letters",
    "/letters?kind=parked",
    "/schedules",
    "/schedule",
    "/workers",
    "/scraping?keyword=rust",
    "/caches",
    "/cache?name=listings",
    "/cache?name=status",
    "/sessions",
    "/redis",
];

impl Web {
    pub(super) async fn page(&self, path: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.get(path, &[PERSON, ("authorization", &bearer)]).await
    }

    pub(super) async fn press(&self, token: &str, form: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.post("/do", &[PERSON, ("authorization", &bearer)], form).await
    }

    async fn publish(&self, call: Value) -> String {
        let bearer = format!("Bearer {}", self.operator);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let sent = request(Method::POST, "/api/v1/tasks", &headers, &call.to_string());
        let sent = self.ask(sent).await;
        let sent: Value = serde_json::from_str(&sent.text).unwrap();
        sent["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn every_page_is_shown_to_a_reader_without_a_button_that_changes() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    web.publish(json!({"task": "shop.mail", "queue": "mail"})).await;
    for path in PAGES {
        let page = web.page(path, &web.reader).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(page.text.contains("</html>"), "{path}");
        assert!(!page.text.contains("action=\"/do\""), "{path}: {}", page.text);
        let nobody = web.get(path, &[PERSON]).await;
        assert_eq!(nobody.status, 303, "{path}");
    }
    let form = "what=pause-queue&name=mail&back=/queues";
    assert_eq!(web.press(&web.reader, form).await.status, 403);
    assert_eq!(web.page("/do", &web.operator).await.status, 405);
    assert!(!web.page("/queues", &web.reader).await.text.contains("paused since"));
}

#[tokio::test]
async fn a_queue_is_paused_by_a_button_and_purged_only_by_one_who_is_sure() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let id = web.publish(json!({"task": "shop.mail", "queue": "mail"})).await;
    let task = web.page(&format!("/task?id={id}"), &web.operator).await;
    assert!(task.text.contains("No live worker serves the queue mail"), "{}", task.text);
    let paused = web.press(&web.operator, "what=pause-queue&name=mail&back=/queues").await;
    assert_eq!((paused.status.as_u16(), paused.header("location")), (303, "/queues"));
    let task = web.page(&format!("/task?id={id}"), &web.operator).await;
    assert!(task.text.contains("Its queue mail is paused since"), "{}", task.text);
    let form = "what=purge-queue&name=mail&back=/queues";
    let asked = web.press(&web.operator, form).await;
    assert_eq!(asked.status, 200);
    assert!(asked.text.contains("Throw away all that waits in the queue mail"), "{}", asked.text);
    assert_eq!(redis.command("LLEN mail").await, redis::Value::Int(1));
    let sure = web.press(&web.operator, &format!("{form}&sure=yes")).await;
    assert_eq!(sure.status, 303);
    assert_eq!(redis.command("LLEN mail").await, redis::Value::Int(0));
}

#[tokio::test]
async fn nothing_ticked_is_no_order_to_take_all() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    for what in ["drop-ticked", "retry-ticked"] {
        let form = format!("what={what}&kind=dead&back=/letters&sure=yes");
        assert_eq!(web.press(&web.operator, &form).await.status, 400, "{what}");
    }
    let unknown = web.press(&web.operator, "what=other").await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn hostile_texts_are_shown_safely_and_cut() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let evil = "<script>alert(1)</script>\"'\u{202e}\u{1b}[2J";
    let long = evil.repeat(1_500);
    let queue = "<script>alert(2)</script>";
    let id =
        web.publish(json!({"task": "t<script>alert(3)", "args": [evil], "queue": queue})).await;
    // As anybody may write it: an end with all of it.
    let end = json!([{
        "i": "<script>alert(4)", "t": evil, "q": queue, "s": evil, "a": 1_700_000_000_000_i64,
        "g": long, "e": long, "b": long,
    }]);
    let mut connection = redis.connect(0).await;
    let history = rhubarb_queue::keys::Keys::new(&rhubarb_settings::Settings::default().celery);
    let mut add = redis::cmd("XADD");
    add.arg(history.history()).arg("*").arg("w").arg(evil).arg("d").arg(end.to_string());
    let _: String = add.query_async(&mut connection).await.unwrap();
    let mut set = redis::cmd("SET");
    set.arg("celery-task-meta-bad").arg(&b"\xff\xfe{"[..]);
    let _: () = set.query_async(&mut connection).await.unwrap();
    let more = [
        format!("/task?id={id}"),
        "/task?id=%3Cscript%3Ealert(4)".to_owned(),
        "/tasks?q=%3Cscript%3E".to_owned(),
    ];
    for path in PAGES.iter().copied().chain(more.iter().map(String::as_str)) {
        let page = web.page(path, &web.operator).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(page.text.len() < 100_000, "{path}: {}", page.text.len());
        for bad in ["<script>alert", "\u{202e}", "\u{1b}"] {
            assert!(!page.text.contains(bad), "{path} shows {bad:?}");
        }
    }
    let found = web.page("/tasks?q=%3Cscript%3E", &web.operator).await;
    assert!(found.text.contains("alert(4)"), "{}", found.text);
    let bad = web.page("/task?id=bad", &web.operator).await;
    assert!((400..500).contains(&bad.status.as_u16()), "{}", bad.text);
    let bad = web.page("/task?id=%FF", &web.operator).await;
    assert!(bad.status.as_u16() < 500, "{}", bad.text);
}
