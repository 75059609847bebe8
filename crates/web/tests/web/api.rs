//! The API: who may what, what it answers, and that its page tells the truth.

use std::{collections::BTreeSet, process::Stdio};

use axum::http::Method;
use rhubarb_core::shutdown::StopSignal;
use rhubarb_testbed::redis_server::RedisServer;
use rhubarb_web::{api, server};
use serde_json::{Value, json};

use super::{Answer, NOWHERE, Web, request};

impl Web {
    async fn api(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("content-type", "application/json")];
        if !token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/api/v1{path}");
        self.ask(request(method.parse::<Method>().unwrap(), &path, &headers, &body)).await
    }

    /// Asks as an operator for what is answered with this status.
    async fn done(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let answer = self.api(method, path, &self.operator, &body).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }
}

/// Every operation of the description: method and a path that can be asked for.
fn operations() -> Vec<(&'static str, String)> {
    let (_, described) = api::routes();
    let all = api::operations(&described).into_iter().map(|(method, path)| {
        let path = path.strip_prefix("/api/v1").unwrap();
        let path = path.replace("{kind}", "dead").replace("{id}", "x").replace("{name}", "x");
        (method, path.replace("{queue}", "x").replace("{user}", "x"))
    });
    all.collect()
}

#[tokio::test]
async fn a_reader_changes_nothing_by_any_route_and_nobody_gets_in_without_a_token() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let all = operations();
    assert!(all.len() >= 25, "{all:?}");
    for (method, path) in all.iter().chain([&("GET", "/openapi.json".to_owned())]) {
        let nobody = web.api(method, path, "", &Value::Null).await;
        assert_eq!(nobody.status, 401, "{method} {path}");
        assert_eq!(nobody.header("content-type"), "application/problem+json");
        let reader = web.api(method, path, &web.reader, &json!({"task": "t"})).await;
        match *method {
            "GET" => assert!(![401, 403].contains(&reader.status.as_u16()), "{method} {path}"),
            _ => assert_eq!(reader.status, 403, "{method} {path}: {}", reader.text),
        }
        assert!(reader.status != 500, "{method} {path}: {}", reader.text);
    }
    // What the reader tried has left nothing.
    let keys = redis.command("DBSIZE").await;
    assert_eq!(keys, redis::Value::Int(0));
}

/// The names that several structs of the API have.
fn names_of_schemas() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api");
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for part in text.split("ToSchema)]").skip(1) {
            // Attributes may be between.
            let words = ["struct ", "enum "].iter().filter_map(|word| part.split_once(word));
            let (_, rest) = words.min_by_key(|(before, _)| before.len()).unwrap();
            let name = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
            if !seen.insert(name.clone()) {
                twice.insert(name);
            }
        }
    }
    twice
}

#[tokio::test]
async fn the_description_names_what_is_served() {
    let web = Web::new(NOWHERE);
    let answer = web.api("GET", "/openapi.json", &web.reader, &Value::Null).await;
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let ids: Vec<&Value> = document["paths"].as_object().unwrap().values().collect();
    let ids = ids.iter().flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<&str> = ids.map(|one| one["operationId"].as_str().unwrap()).collect();
    let once: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(once.len(), ids.len(), "an id is there twice: {ids:?}");
    // Of two structs of one name only one would be described, and the other's routes by it.
    assert_eq!(names_of_schemas(), BTreeSet::new(), "several are named so");
    // Everything that is referred to is there.
    let text = document.to_string();
    for part in text.split("#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is missing");
    }
}

#[tokio::test]
async fn a_task_is_published_as_it_was_said_and_once_for_a_key() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let call = json!({"task": "shop.add", "args": [9_007_199_254_740_993_u64], "queue": "q"});
    let sent = web.done("POST", "/tasks", call.clone(), 201).await;
    let path = format!("/tasks/{}", sent["id"].as_str().unwrap());
    let found = web.done("GET", &path, Value::Null, 200).await;
    assert_eq!((&found["place"], &found["ahead"]), (&json!("waiting"), &json!(0)));
    let message = redis.command("LINDEX q 0").await;
    let redis::Value::BulkString(message) = message else { panic!("{message:?}") };
    let message: Value = serde_json::from_slice(&message).unwrap();
    assert_eq!(message["headers"]["argsrepr"], "(9007199254740993,)");

    let bearer = format!("Bearer {}", web.operator);
    let keyed = async |body: &Value| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("idempotency-key", "order-77"),
        ];
        let body = body.to_string();
        web.ask(request(Method::POST, "/api/v1/tasks", &headers, &body)).await
    };
    let (first, second) = (keyed(&call).await, keyed(&call).await);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (201, 200), "{}", second.text);
    let id = |answer: &Answer| serde_json::from_str::<Value>(&answer.text).unwrap()["id"].clone();
    assert_eq!(id(&first), id(&second));
    let other = keyed(&json!({"task": "shop.other"})).await;
    assert_eq!(other.status, 422, "{}", other.text);
    assert_eq!(redis.command("LLEN q").await, redis::Value::Int(2));
    // A second one, behind the first.
    let path = format!("/tasks/{}", id(&first).as_str().unwrap());
    assert_eq!(web.done("GET", &path, Value::Null, 200).await["ahead"], 1);
}

#[tokio::test]
async fn a_canvas_and_a_scrape_are_published_as_the_command_line_does() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let step = |x: u64| json!({"task": "shop.add", "args": [x], "kwargs": {}, "options": {}});
    let chain = json!({
        "task": "celery.chain", "args": [], "kwargs": {"tasks": [step(1), step(2)]},
        "options": {}, "subtask_type": "chain", "immutable": false,
    });
    let sent = web.done("POST", "/canvas", chain, 201).await;
    assert!(sent["id"].is_string(), "{sent}");
    let message = redis.command("LINDEX celery 0").await;
    let redis::Value::BulkString(message) = message else { panic!("{message:?}") };
    let message: Value = serde_json::from_slice(&message).unwrap();
    assert_eq!(message["headers"]["argsrepr"], "(1,)", "the first step goes first");
    for wrong in [json!({}), json!({"task": 1}), json!({"task": "celery.chain", "kwargs": 1})] {
        let answer = web.api("POST", "/canvas", &web.operator, &wrong).await;
        assert_eq!(answer.status, 422, "{wrong}: {}", answer.text);
    }
    let scrape = json!({"keyword": "rust", "remote": true, "posted_within": 3600, "force": true});
    web.done("POST", "/scrape", scrape, 201).await;
    let message = redis.command("LINDEX celery 0").await;
    let redis::Value::BulkString(message) = message else { panic!("{message:?}") };
    let message: Value = serde_json::from_slice(&message).unwrap();
    let kwargs = "{'remote': True, 'posted_within': 3600, 'force': True}";
    assert_eq!(message["headers"]["kwargsrepr"], kwargs, "{message}");
    for wrong in [json!({"keyword": " "}), json!({"keyword": "a", "sources": ["none"]})] {
        web.done("POST", "/scrape", wrong, 400).await;
    }
}

#[tokio::test]
async fn a_bad_request_is_told_in_words_and_never_a_defect() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    for (method, path, body, status, word) in [
        ("POST", "/tasks", json!({}), 400, "task"),
        ("POST", "/tasks", json!({"task": ""}), 422, "task"),
        ("POST", "/tasks", json!({"task": "t", "wrong": 1}), 400, "wrong"),
        ("POST", "/tasks", json!({"task": "t", "countdown": -1}), 400, "countdown"),
        ("POST", "/tasks", json!({"task": "t\u{1b}"}), 422, "control"),
        ("GET", "/tasks/x/result?wait=99", Value::Null, 400, "50 s"),
        ("GET", "/tasks/x/result?wait=NaN", Value::Null, 400, "wait"),
        ("GET", "/tasks/%FF", Value::Null, 400, "UTF-8"),
        ("GET", "/history?limit=0", Value::Null, 400, "limit"),
        ("GET", "/history?cursor=+1-2.3", Value::Null, 400, "cursor"),
        ("GET", "/history?since=yesterday", Value::Null, 400, "since"),
        ("GET", "/statistics?minutes=9999", Value::Null, 400, "minutes"),
        ("GET", "/letters/other", Value::Null, 400, "other"),
        ("POST", "/letters/dead/drop", Value::Null, 400, "all=true"),
        ("POST", "/letters/dead/one/x/retry", Value::Null, 404, "letter"),
        ("GET", "/queues/none", Value::Null, 404, "queue"),
        ("POST", "/queues/a%1bb/pause", Value::Null, 422, "control"),
        ("POST", "/schedules/none/run", Value::Null, 404, "schedule"),
        ("GET", "/listings?keyword=", Value::Null, 400, "keyword"),
        ("GET", "/listings?keyword=rust", Value::Null, 404, "cached"),
        ("GET", "/listings/changes?keyword=rust", Value::Null, 404, "keyword"),
        ("GET", "/status", Value::Null, 404, "status"),
    ] {
        let answer = web.api(method, path, &web.operator, &body).await;
        assert_eq!(answer.status, status, "{method} {path} {body}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.text.contains(word), "{method} {path} {body}: {}", answer.text);
    }
    let form = [("authorization", format!("Bearer {}", web.operator))];
    let form: Vec<(&str, &str)> = form.iter().map(|(a, b)| (*a, b.as_str())).collect();
    let plain = web.post("/api/v1/tasks", &form, "task=t").await;
    assert_eq!(plain.status, 415, "{}", plain.text);
    let large = json!({"task": "t", "args": ["x".repeat(2 << 20)]});
    assert_eq!(web.api("POST", "/tasks", &web.operator, &large).await.status, 413);
}

#[tokio::test]
async fn a_queue_is_paused_resumed_and_purged() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let call = json!({"task": "t", "queue": "a/b"});
    web.done("POST", "/tasks", call, 201).await;
    let changed = json!({"changed": true});
    assert_eq!(web.done("POST", "/queues/a%2Fb/pause?note=x", Value::Null, 200).await, changed);
    let queue = web.done("GET", "/queues/a%2Fb", Value::Null, 200).await;
    assert_eq!((&queue["waiting"], &queue["pause"]["note"]), (&json!(1), &json!("x")));
    assert_eq!(web.done("POST", "/queues/a%2Fb/resume", Value::Null, 200).await, changed);
    let purged = web.done("POST", "/queues/a%2Fb/purge", Value::Null, 200).await;
    assert_eq!(purged, json!({"waiting": 1, "scheduled": 0}));
    let audit = web.done("GET", "/audit?limit=2", Value::Null, 200).await;
    let did: Vec<&Value> = audit["items"].as_array().unwrap().iter().map(|i| &i["did"]).collect();
    assert_eq!(did, [&json!("purged a queue"), &json!("resumed a queue")], "{audit}");
    assert_eq!(audit["items"][0]["what"], "a/b");
}

#[tokio::test]
async fn the_examples_of_the_page_work() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (router, shutdown) = (web.router.clone(), web.shutdown.clone());
    let served = tokio::spawn(async move { server::run(listener, router, &shutdown).await });
    let page = include_str!("../../../../docs/api.md");
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script: String = std::iter::once("set -eu\n").chain(blocks).collect();
    assert!(script.matches("api ").count() > 15, "{script}");
    let run = tokio::process::Command::new("sh")
        .args(["-c", &script])
        .env("RHUBARB", address)
        .env("TOKEN", &web.operator)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    web.shutdown.request(StopSignal::Terminate);
    served.await.unwrap();
}

#[tokio::test]
async fn a_cursor_goes_on_where_an_answer_ended_also_when_others_end_meanwhile() {
    let redis = RedisServer::start().await;
    let web = Web::new(&redis.socket_url());
    let key = rhubarb_queue::keys::Keys::new(&rhubarb_settings::Settings::default().celery);
    let mut connection = redis.connect(0).await;
    let mut end = async |ids: &[&str]| {
        let ends = ids.iter().map(
            |id| json!({"i": id, "t": "t", "q": "q", "s": "SUCCESS", "a": 1_700_000_000_000_i64}),
        );
        let mut add = redis::cmd("XADD");
        let ends = Value::Array(ends.collect()).to_string();
        add.arg(key.history()).arg("*").arg("w").arg("w").arg("d").arg(ends);
        let _: String = add.query_async(&mut connection).await.unwrap();
    };
    end(&["a", "b", "c"]).await;
    end(&["d", "e"]).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/history?limit=2{cursor}");
        let answer = web.done("GET", &path, Value::Null, 200).await;
        let items = answer["items"].as_array().unwrap();
        seen.extend(items.iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(next) = answer["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
        end(&["later"]).await;
    }
    assert_eq!(seen, ["e", "d", "c", "b", "a"]);
}
