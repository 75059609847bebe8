//! Django's sessions: what a Rust service, Django and `rhubarb sessions` make of them together.

use std::collections::HashMap;

use rhubarb_cache::sessions::{
    Backend, Directory, Sessions,
    axum::{DjangoSession, DjangoSessions, DjangoUser},
};
use rhubarb_connection::{Options, Redis};
use rhubarb_core::config::{AliasConfig, Config};
use rhubarb_e2e::{process::Process, python::Python, redis_server::RedisServer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::shop::SOON;

/// What visitors' cookies may hold.
mod cookies;
/// Logins that Django, a Rust service and the command line share.
mod logins;
/// What the store promises, whoever else writes.
mod store;
/// Sessions of tower-sessions.
mod tower;
/// Random values, written by one side and read by the other.
mod values;
/// A browser: cookies in, cookies out.
mod visitor;

use visitor::Visitor;

fn alias() -> AliasConfig {
    Config::default().cache.aliases["sessions"].clone()
}

fn connection(redis: &RedisServer) -> Redis {
    let url = redis.url(0).parse().unwrap();
    Redis::new(&url, 2, &Config::default().redis, Options::default()).unwrap()
}

fn sessions(redis: &RedisServer, backend: Backend) -> Sessions {
    Sessions::on(alias(), connection(redis), backend)
}

fn directory(redis: &RedisServer) -> Directory {
    Directory::on(alias(), connection(redis))
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
        let names: HashMap<String, Value> = session
            .data()
            .iter()
            .map(|(key, value)| (format!("{key:?}"), value.to_json().unwrap()))
            .collect();
        Json(json!({"written": written.is_ok(), "holds": names.len()}))
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
