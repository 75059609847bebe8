//! The application's own login as a way in.

use std::time::Duration;

use axum::http::Method;
use rhubarb_cache::{
    PyValue,
    sessions::{Backend, Directory, SessionData},
};
use rhubarb_connection::Connections;
use rhubarb_settings::Settings;
use rhubarb_testbed::{eventually::eventually, redis_server::RedisServer};

use super::{NOWHERE, PERSON, Web, request};

/// What is waited for comes within this.
const SOON: Duration = Duration::from_secs(60);

fn sessions(redis: &RedisServer) -> Directory {
    let mut config = Settings::default();
    config.redis.url = redis.socket_url().parse().unwrap();
    let connections = Connections::new(&config.redis, "application").unwrap();
    Directory::new(&config.cache.aliases, &connections, "sessions").unwrap()
}

/// Logs a user in, and returns the cookie.
async fn log_in(sessions: &Directory, backend: Backend, user: &str) -> String {
    let data: SessionData = [
        ("_auth_user_id", user),
        ("_auth_user_backend", "django.contrib.auth.backends.ModelBackend"),
        ("_auth_user_hash", "0123456789abcdef"),
    ]
    .map(|(name, value)| (name, PyValue::from(value)))
    .into_iter()
    .collect();
    let session = sessions.sessions(backend).create(data).await.unwrap();
    format!("other=1; sessionid={}", session.key().expose())
}

/// A dashboard for Django's users 1 (who may change things) and 17.
fn web(redis: &str, has_tokens: bool) -> Web {
    Web::configured(redis, has_tokens, |config| {
        config.web.django_operators = vec!["1".to_owned()];
        config.web.django_readers = vec!["1".to_owned(), "17".to_owned()];
    })
}

#[tokio::test]
async fn a_login_of_the_application_lets_its_listed_users_in_and_nobody_else() {
    let redis = RedisServer::start().await;
    let sessions = sessions(&redis);
    for has_tokens in [false, true] {
        let web = web(&redis.socket_url(), has_tokens);
        for (backend, user, read, write) in [
            (Backend::Cache, "1", 200, 303),
            (Backend::CachedDb, "1", 200, 303),
            (Backend::Cache, "17", 200, 403),
            (Backend::Cache, "2", 401, 401),
        ] {
            let cookie = log_in(&sessions, backend, user).await;
            let page = web.get("/workers", &[("cookie", &cookie)]).await;
            assert_eq!(page.status, read, "{user}: {}", page.text);
            assert!(!page.text.contains("/logout"), "its login ends in Django: {}", page.text);
            let form = "what=pause-queue&name=mail&back=/queues";
            let done = web.post("/do", &[("cookie", &cookie)], form).await;
            assert_eq!(done.status, write, "{user}: {}", done.text);
        }
        for cookie in ["sessionid=x", "sessionid=00000000000000000000000000000000", "a=b"] {
            assert_eq!(web.get("/workers", &[("cookie", cookie)]).await.status, 401, "{cookie}");
            let led = web.get("/workers", &[("cookie", cookie), PERSON]).await;
            assert_eq!(led.status, 303, "{cookie}");
        }
        assert_eq!(web.get("/workers", &[]).await.status, 401, "it is not open");
    }
}

#[tokio::test]
async fn a_login_that_django_has_ended_ends_here_too() {
    let redis = RedisServer::start().await;
    let (web, sessions) = (web(&redis.socket_url(), false), sessions(&redis));
    let cookie = log_in(&sessions, Backend::Cache, "1").await;
    let status = async || web.get("/workers", &[("cookie", &cookie)]).await.status.as_u16();
    assert_eq!(status().await, 200);
    assert_eq!(sessions.revoke_user("1").await.unwrap().ended, 1);
    eventually(SOON, "it is refused", async || (status().await == 401).then_some(())).await;
}

#[tokio::test]
async fn another_site_changes_nothing_with_the_applications_login() {
    let redis = RedisServer::start().await;
    let (web, sessions) = (web(&redis.socket_url(), false), sessions(&redis));
    let cookie = log_in(&sessions, Backend::Cache, "1").await;
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-site")];
    let done = web.post("/do", &headers, "what=pause-queue&name=mail").await;
    assert_eq!(done.status, 403, "{}", done.text);
    // Without Redis nobody is known, and that is no refusal.
    let away = self::web(NOWHERE, false);
    let asked = away.ask(request(Method::GET, "/workers", &headers[..1], "")).await;
    assert_eq!(asked.status, 503, "{}", asked.text);
}
