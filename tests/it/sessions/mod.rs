//! Django's sessions: what a Rust service, Django and `rhubarb sessions` make of them together.

use std::time::Duration;

use rhubarb_cache::{
    AliasConfig, PyValue, Ttl,
    sessions::{
        Backend, Directory, SessionData, SessionKey, Sessions,
        axum::{DjangoSession, DjangoSessions, DjangoUser},
    },
};
use rhubarb_connection::{Options, Redis, RedisConfig};
use rhubarb_e2e::{process::Process, python::Python, redis_server::RedisServer};
use rhubarb_jobs::CacheConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::shop::SOON;

/// What visitors' cookies may hold.
mod cookies;
/// Logins that Django, a Rust service and the command line share.
mod logins;
/// Finding sessions, and ending all of a user.
mod revoking;
/// What the store promises, whoever else writes.
mod store;
/// Sessions of tower-sessions.
mod tower;
/// Random values, written by one side and read by the other.
mod values;
/// A browser: cookies in, cookies out.
mod visitor;

use visitor::Visitor;

const TWO_WEEKS: Duration = Duration::from_secs(1_209_600);

fn alias() -> AliasConfig {
    CacheConfig::default().aliases["sessions"].clone()
}

fn connection(redis: &RedisServer) -> Redis {
    let url = redis.url(0).parse().unwrap();
    Redis::new(&url, 2, &RedisConfig::default(), Options::default()).unwrap()
}

fn sessions(redis: &RedisServer, backend: Backend) -> Sessions {
    Sessions::on(alias(), connection(redis), backend)
}

fn directory(redis: &RedisServer) -> Directory {
    Directory::on(alias(), connection(redis))
}

fn holds(pairs: &[(&str, &str)]) -> SessionData {
    pairs.iter().map(|(key, value)| (*key, PyValue::from(*value))).collect()
}

fn of_user(user: &str) -> SessionData {
    holds(&[("_auth_user_id", user), ("_auth_user_backend", "b"), ("_auth_user_hash", "h")])
}

fn raw_key(backend: Backend, key: &SessionKey) -> String {
    format!("session:1:{}{}", backend.prefix(), key.expose())
}

fn about(ttl: Ttl, asked: Duration) -> bool {
    matches!(ttl, Ttl::Left(left) if left <= asked && left + Duration::from_secs(30) > asked)
}

/// A Django site with the users ada (7) and bob (8); gone when this is dropped.
struct Site {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Site {
    /// Starts it with a session backend; `None` where no Python was prepared.
    async fn start(redis: &RedisServer, backend: &str) -> Option<Self> {
        let mut python = Python::for_redis(&redis.url(0))?;
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("users.sqlite");
        python.set("DATABASE", database.to_str().unwrap());
        python.set("SESSIONS", backend);
        python.set("DJANGO_SETTINGS_MODULE", "session_site.settings");
        let mut process =
            Process::start("site", folder.path(), python.command(&["-m", "session_site"]));
        let line: Value = serde_json::from_str(&process.line("\"port\"", SOON).await).unwrap();
        let port = line["port"].as_u64().unwrap().try_into().unwrap();
        Some(Self { port, _process: process, _folder: folder })
    }
}

/// A small service in Rust that shares Django's logins, on a free port of loopback.
async fn service(sessions: DjangoSessions) -> u16 {
    use ::axum::{Json, Router, extract::State, routing::get};

    async fn whoami(user: Option<DjangoUser>) -> Json<Value> {
        let user = user.map(|user| json!({"id": user.id, "backend": user.backend}));
        Json(json!({"user": user}))
    }
    async fn members(user: DjangoUser) -> String {
        user.id
    }
    async fn seen(
        State(sessions): State<DjangoSessions>,
        DjangoSession(mut session): DjangoSession,
    ) -> Json<Value> {
        session.insert("seen", "by rust".into());
        let written = sessions.sessions().update(&mut session).await;
        Json(json!({"written": written.is_ok(), "holds": session.data().len()}))
    }
    let app = Router::new()
        .route("/whoami", get(whoami))
        .route("/members", get(members))
        .route("/seen", get(seen))
        .with_state(sessions);
    serve(app).await
}

/// Serves an application until the test's runtime ends.
async fn serve(app: ::axum::Router) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { ::axum::serve(listener, app).await });
    port
}
