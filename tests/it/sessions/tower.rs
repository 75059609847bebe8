//! Sessions of tower-sessions, kept by our store under its own layer.

use std::time::Duration;

use axum::{Router, http::StatusCode, routing::get};
use redis::AsyncCommands;
use rhubarb_cache::{
    PyValue,
    sessions::{Backend, Revoked, SessionKey, tower::TowerSessions},
};
use rhubarb_e2e::{python::Python, redis_server::RedisServer};
use serde_json::json;
use tower_sessions::{
    Session, SessionManagerLayer, SessionStore,
    session::{Id, Record},
};

use super::{Visitor, directory, serve, sessions};

fn store(redis: &RedisServer) -> TowerSessions {
    TowerSessions::new(sessions(redis, Backend::Tower))
}

fn key_of(id: Id) -> SessionKey {
    SessionKey::parse(&format!("{:032x}", id.0.cast_unsigned())).unwrap()
}

/// A service that counts visits, and lets a visitor have another identifier or none.
async fn counter(store: TowerSessions) -> u16 {
    async fn count(session: Session) -> Result<String, StatusCode> {
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR;
        let n: u32 = session.get("visits").await.map_err(failed)?.unwrap_or(0) + 1;
        session.insert("visits", n).await.map_err(failed)?;
        Ok(n.to_string())
    }
    async fn cycle(session: Session) -> StatusCode {
        session.cycle_id().await.map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::OK)
    }
    async fn flush(session: Session) -> StatusCode {
        session.flush().await.map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::OK)
    }
    let app = Router::new()
        .route("/", get(count))
        .route("/cycle", get(cycle))
        .route("/flush", get(flush))
        .layer(SessionManagerLayer::new(store).with_secure(false));
    serve(app).await
}

#[tokio::test]
async fn the_layer_of_tower_sessions_keeps_its_sessions_here() {
    let redis = RedisServer::start().await;
    let service = counter(store(&redis)).await;
    let mut visitor = Visitor::default();
    for n in ["1", "2", "3"] {
        assert_eq!(visitor.get(service, "/").await.body, n);
    }
    let id: Id = visitor.cookies["id"].parse().unwrap();
    let raw = format!("session:1:django.contrib.sessions.tower{}", key_of(id).expose());
    let keys: Vec<String> = redis.connect(2).await.keys("*").await.unwrap();
    assert_eq!(keys, std::slice::from_ref(&raw));
    if let Some(python) = Python::for_redis(&redis.url(0)) {
        let logical = raw.strip_prefix("session:1:").unwrap();
        let told = python.run(&["cache.py", "sessions", logical]).await;
        assert_eq!((&told["value"], &told["type"]), (&json!({"visits": 3}), &json!("dict")));
        assert!(told["ttl"].as_u64().unwrap() > 1_209_000);
    }

    let before = visitor.clone();
    visitor.get(service, "/cycle").await;
    assert_ne!(visitor.cookies["id"], before.cookies["id"]);
    assert_eq!(visitor.get(service, "/").await.body, "4");
    assert_eq!(before.clone().get(service, "/").await.body, "1", "the old identifier is nobody's");

    visitor.get(service, "/flush").await;
    assert!(visitor.cookies.is_empty());
    for odd in ["s6efptxbt1ntjjscon1jw2z0k4mg3t0h", "!", &"a".repeat(10_240)] {
        let mut stranger = Visitor { cookies: [("id".to_owned(), odd.to_owned())].into() };
        assert_eq!(stranger.get(service, "/").await.body, "1");
    }
}

async fn record(store: &TowerSessions) -> Record {
    let mut session = sessions_record();
    store.create(&mut session).await.unwrap();
    session
}

fn sessions_record() -> Record {
    let expiry_date = (std::time::SystemTime::now() + Duration::from_secs(600)).into();
    Record {
        id: Id::default(),
        data: [("_auth_user_id".to_owned(), json!("7"))].into(),
        expiry_date,
    }
}

#[tokio::test]
async fn a_record_that_was_ended_is_not_brought_back_by_a_save() {
    let redis = RedisServer::start().await;
    let store = store(&redis);
    let mut open = record(&store).await;
    record(&store).await;
    let revoked = directory(&redis).revoke_user("7").await.unwrap();
    assert_eq!(revoked, Revoked { ended: 2, ..Revoked::default() });
    open.data.insert("a".to_owned(), json!(1));
    let error = store.save(&open).await.unwrap_err();
    assert!(error.to_string().contains("has ended"), "{error}");
    assert_eq!(store.load(&open.id).await.unwrap(), None);
    let keys: Vec<String> = redis.connect(2).await.keys("*").await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn a_save_keeps_what_json_cannot_hold_and_changes_what_was_changed() {
    let redis = RedisServer::start().await;
    let (store, plain) = (store(&redis), sessions(&redis, Backend::Tower));
    let made = record(&store).await;
    let key = key_of(made.id);
    let pair = PyValue::Tuple(vec![PyValue::Int(1), "two".into()]);
    let mut python = plain.read(&key).await.unwrap().unwrap();
    python.insert("pair", pair.clone());
    python.insert("blob", PyValue::Bytes(vec![0, 255]));
    python.insert("n", PyValue::Int(1));
    plain.update(&mut python).await.unwrap();

    let mut loaded = store.load(&made.id).await.unwrap().unwrap();
    assert_eq!(loaded.data["pair"], json!([1, "two"]));
    assert!(!loaded.data.contains_key("blob"));
    let left = loaded.expiry_date - made.expiry_date;
    assert!(left.whole_seconds() > 1_208_000, "as long as the last writer said: {left}");
    loaded.data.insert("n".to_owned(), json!(2));
    loaded.data.remove("_auth_user_id");
    loaded.expiry_date = made.expiry_date;
    store.save(&loaded).await.unwrap();

    let now = plain.read(&key).await.unwrap().unwrap();
    assert_eq!(now.get("pair"), Some(&pair));
    assert_eq!(now.get("blob"), Some(&PyValue::Bytes(vec![0, 255])));
    assert_eq!((now.get("n"), now.data().user()), (Some(&PyValue::Int(2)), None));
    let pttl: u64 = redis
        .connect(2)
        .await
        .pttl(format!("session:1:django.contrib.sessions.tower{}", key.expose()))
        .await
        .unwrap();
    assert!(pttl <= 600_000, "{pttl}");
}

#[tokio::test]
async fn a_new_record_never_takes_somebody_elses_place() {
    let redis = RedisServer::start().await;
    let store = store(&redis);
    let first = record(&store).await;
    let mut second = Record { id: first.id, ..sessions_record() };
    second.data.insert("mine".to_owned(), json!(true));
    store.create(&mut second).await.unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!(store.load(&first.id).await.unwrap().unwrap().data, first.data);
    assert_eq!(store.load(&second.id).await.unwrap().unwrap().data, second.data);
    store.delete(&first.id).await.unwrap();
    assert_eq!(store.load(&first.id).await.unwrap(), None);
}
