//! What visitors' cookies may hold: a service answers "not logged in", and Redis hears nothing of
//! it.

use rhubarb_cache::sessions::{Backend, axum::DjangoSessions};
use rhubarb_e2e::{eventually::eventually, redis_server::RedisServer};

use super::{Visitor, of_user, service, sessions, visitor::raw};
use crate::shop::SOON;

/// How often Redis was asked for a session.
async fn reads(redis: &RedisServer) -> usize {
    let mut connection = redis.connect(0).await;
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_getrange:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

/// Cookie headers that name no session.
fn odd_cookies() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "sessionid",
        "sessionid=",
        "sessionid=short",
        "sessionid=*",
        "sessionid=\"",
        "=;=;;",
        "sessionid=../../../../etc/passwd",
        "sessionid={abcdefgh}",
        "sessionid=abcdefgh:1:x",
        "sessionid=d_dbabcdefgh12345678",
        "sessionid=абвгдежзий",
        "sessionid=%00%00%00%00",
        "sessionid=abcdefgh; sessionid=!",
    ];
    let mut odd: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).into();
    odd.push([b"sessionid=", &*vec![b'a'; 10_240]].concat());
    odd.push([b"sessionid=", &*vec![b';'; 10_240]].concat());
    odd.push([b"sessionid=", &*vec![b'\xff'; 10_240]].concat());
    let breaks = |byte: &u8| !byte.is_ascii_alphanumeric() && *byte != b';';
    let with = |byte| [b"sessionid=abcdefgh", &[byte][..], b"ijklmnop"].concat();
    odd.extend((0..=255).filter(breaks).map(with));
    odd
}

#[tokio::test]
async fn odd_and_huge_cookies_are_no_session_and_no_error() {
    let redis = RedisServer::start().await;
    let service = service(DjangoSessions::new(sessions(&redis, Backend::Cache))).await;
    for cookie in odd_cookies() {
        let answer = raw(service, "/members", &cookie).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        // What no header may hold is refused by the server before anybody reads the cookie.
        let refused = status == "400" && cookie.iter().any(u8::is_ascii_control);
        assert!(status == "401" || refused, "{}: {answer}", cookie.escape_ascii());
    }
    assert_eq!(reads(&redis).await, 0);
    let nobodys = b"sessionid=s6efptxbt1ntjjscon1jw2z0k4mg3t0h";
    assert!(raw(service, "/members", nobodys).await.contains(" 401 "));
    assert_eq!(reads(&redis).await, 1);
}

#[tokio::test]
async fn without_redis_a_service_answers_503_and_knows_its_visitors_when_redis_is_back() {
    let mut redis = RedisServer::start_durable().await;
    let store = sessions(&redis, Backend::Cache);
    let session = store.create(of_user("7")).await.unwrap();
    let service = service(DjangoSessions::new(store)).await;
    let mut visitor = Visitor::with(session.key().expose());
    assert_eq!(visitor.get(service, "/members").await.body, "7");
    redis.kill();
    for path in ["/members", "/whoami", "/seen"] {
        let answer = visitor.get(service, path).await;
        assert_eq!(answer.status, 503, "{path}: {answer:?}");
        assert!(!answer.body.contains(session.key().expose()));
    }
    assert_eq!(
        Visitor::default().get(service, "/members").await.status,
        401,
        "no cookie, no Redis"
    );
    redis.restart().await;
    eventually(SOON, "the service knows the visitor again", async || {
        let answer = visitor.get(service, "/members").await;
        (answer.body == "7").then_some(())
    })
    .await;
}
