//! Caches and sessions: what is shown of them, and that they go after a question only.

use axum::http::Method;
use rhubarb_cache::{
    PyValue,
    sessions::{Backend, Directory, SessionData},
};
use rhubarb_connection::Connections;
use rhubarb_jobs::Caches;
use rhubarb_settings::Settings;
use rhubarb_testbed::redis_server::RedisServer;
use serde_json::{Value, json};

use super::{Web, request};

/// The application's side.
struct Application {
    caches: Caches,
    sessions: Directory,
}

impl Application {
    fn of(redis: &RedisServer) -> Self {
        let mut config = Settings::default();
        config.redis.url = redis.socket_url().parse().unwrap();
        let connections = Connections::new(&config.redis, "application").unwrap();
        let sessions = Directory::new(&config.cache.aliases, &connections, "sessions").unwrap();
        Self { caches: Caches::new(&config.cache, &connections).unwrap(), sessions }
    }

    async fn cache(&self, name: &str, argument: &str, value: Value) {
        let cache = self.caches.domain(name).unwrap();
        cache.set(argument, &PyValue::from(value)).await.unwrap();
    }

    async fn log_in(&self, user: &str) {
        let data: SessionData = [("_auth_user_id", PyValue::from(user))].into_iter().collect();
        self.sessions.sessions(Backend::Cache).create(data).await.unwrap();
    }
}

async fn asked(web: &Web, method: Method, path: &str) -> (u16, Value) {
    let bearer = format!("Bearer {}", web.operator);
    let path = format!("/api/v1{path}");
    let answer = web.ask(request(method, &path, &[("authorization", &bearer)], "")).await;
    (answer.status.as_u16(), serde_json::from_str(&answer.text).unwrap())
}

#[tokio::test]
async fn a_cached_value_is_shown_decoded_and_without_its_secrets() {
    let redis = RedisServer::start().await;
    let (web, application) = (Web::new(&redis.socket_url()), Application::of(&redis));
    let user = json!({"name": "Ada <b>", "api_key": "t0p", "proxy": "http://u:t0p@h:1"});
    application.cache("users", "7", user).await;
    let proxies = json!(["http://u:t0p@h:1"]);
    application.cache("proxies", "", proxies).await;

    let (status, all) = asked(&web, Method::GET, "/caches").await;
    let names: Vec<&Value> = all["items"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!((status, names.len()), (200, 6), "{all}");
    let (_, keys) = asked(&web, Method::GET, "/caches/users").await;
    assert_eq!(keys["items"][0]["argument"], "7", "{keys}");
    assert!(keys["items"][0]["ttl_s"].as_f64().unwrap() > 1.0, "{keys}");
    let (_, value) = asked(&web, Method::GET, "/caches/users/value?argument=7").await;
    let shown = json!({"name": "Ada <b>", "api_key": "***", "proxy": "http://***@h:1"});
    assert_eq!(value["value"], shown);
    let (_, value) = asked(&web, Method::GET, "/caches/proxies/value").await;
    assert_eq!(value["value"], json!(["http://***@h:1"]));

    for path in ["/cache?name=users", "/cache?name=users&argument=7", "/cache?name=proxies"] {
        let page = web.page(path, &web.reader).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(!page.text.contains("t0p") && !page.text.contains("<b>"), "{path}: {}", page.text);
    }
    let page = web.page("/cache?name=users&argument=7", &web.reader).await;
    assert!(page.text.contains("Ada") && page.text.contains("***"), "{}", page.text);
    let page = web.page("/caches", &web.reader).await;
    assert!(page.text.contains("user:{id}"), "{}", page.text);
    for (path, status) in [
        ("/caches/none", 404),
        ("/caches/users/value", 400),
        ("/caches/users/value?argument=8", 404),
        ("/caches/proxies/value?argument=8", 400),
        ("/sessions?alias=none", 404),
    ] {
        assert_eq!(asked(&web, Method::GET, path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn a_cache_is_cleared_after_a_question_and_by_one_who_says_what() {
    let redis = RedisServer::start().await;
    let (web, application) = (Web::new(&redis.socket_url()), Application::of(&redis));
    for user in ["7", "8", "9"] {
        application.cache("users", user, json!({"id": user})).await;
    }
    application.cache("status", "", json!({"jobs_count": 1})).await;
    let left = async || {
        let (_, keys) = asked(&web, Method::GET, "/caches/users").await;
        keys["items"].as_array().unwrap().len()
    };
    for wrong in ["/caches/users/clear", "/caches/users/clear?argument=7&all=true"] {
        assert_eq!(asked(&web, Method::POST, wrong).await.0, 400, "{wrong}");
    }
    let (_, gone) = asked(&web, Method::POST, "/caches/users/clear?argument=7").await;
    assert_eq!((&gone["deleted"], left().await), (&json!(1), 2));
    let form = "what=clear-value&name=users&argument=8&back=/caches";
    let question = web.press(&web.operator, form).await;
    assert!(question.text.contains("Delete the value for 8"), "{}", question.text);
    assert_eq!(left().await, 2);
    assert_eq!(web.press(&web.operator, &format!("{form}&sure=yes")).await.status, 303);
    assert_eq!(left().await, 1);
    let none = "what=clear-value&name=users&argument=&sure=yes";
    assert_eq!(web.press(&web.operator, none).await.status, 400);
    let all = "what=clear-cache&name=users&back=/caches&sure=yes";
    assert_eq!(web.press(&web.operator, all).await.status, 303);
    assert_eq!(left().await, 0);
    let (status, _) = asked(&web, Method::GET, "/caches/status/value").await;
    assert_eq!(status, 200, "another cache stays");
}

#[tokio::test]
async fn sessions_are_counted_and_those_of_a_user_end() {
    let redis = RedisServer::start().await;
    let (web, application) = (Web::new(&redis.socket_url()), Application::of(&redis));
    for user in ["7", "7", "8"] {
        application.log_in(user).await;
    }
    let count = async || asked(&web, Method::GET, "/sessions").await.1["sessions"].clone();
    assert_eq!(count().await, 3);
    let page = web.page("/sessions", &web.operator).await;
    assert!(page.text.contains("3 sessions of Django"), "{}", page.text);
    let form = "what=end-sessions&name=7&alias=sessions&back=/sessions";
    let question = web.press(&web.operator, form).await;
    assert!(question.text.contains("all sessions of the user 7"), "{}", question.text);
    assert_eq!(count().await, 3);
    assert_eq!(web.press(&web.operator, &format!("{form}&sure=yes")).await.status, 303);
    assert_eq!(count().await, 1);
    let (status, ended) = asked(&web, Method::POST, "/sessions/8/end").await;
    assert_eq!((status, &ended["ended"]), (200, &json!(1)), "{ended}");
    let nobody = web.press(&web.operator, "what=end-sessions&alias=sessions&sure=yes").await;
    assert_eq!(nobody.status, 400);
}
