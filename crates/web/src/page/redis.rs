//! Redis: its servers and databases, who is connected, what was slow.

use askama::Template;
use axum::{extract::State, response::Html};
use rhubarb_monitor::report::{DatabaseReport, ServerReport};

use super::{Frame, html, text};
use crate::{access::Reader, problem::Problem, site::Site};

/// So many client names and slow commands are shown.
const MOST: usize = 20;

#[derive(Template)]
#[template(path = "redis.html")]
struct RedisPage {
    frame: Frame,
    servers: Vec<Row>,
    /// Name, roles, keys, keys without an end.
    databases: Vec<(String, String, String, String)>,
    slow: Vec<String>,
}

struct Row {
    name: String,
    roles: String,
    wrong: Option<String>,
    memory: String,
    clients: String,
}

impl Row {
    fn of(server: &ServerReport) -> Self {
        let memory = server.info.as_ref().map(|info| &info.memory);
        let mb = |bytes: u64| format!("{} MB", bytes.div_ceil(1_000_000));
        let used = memory.and_then(|memory| memory.used).map_or_else(String::new, mb);
        let max = memory.and_then(|memory| memory.max).filter(|max| *max > 0).map(mb);
        let clients = server.clients_by_name.iter().flatten().take(MOST);
        let clients: Vec<String> =
            clients.map(|(name, n)| format!("{n} {}", text(name, 60))).collect();
        Self {
            name: text(&server.server, 100),
            roles: server.roles.join(", "),
            wrong: server.unreachable.as_ref().map(|wrong| text(wrong, 300)),
            memory: max.map_or_else(|| used.clone(), |max| format!("{used} of {max}")),
            clients: clients.join(", "),
        }
    }
}

fn database(one: &DatabaseReport) -> (String, String, String, String) {
    let n = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    (text(&one.name(), 100), one.roles.join(", "), n(one.keys), n(one.without_ttl))
}

/// Shows it.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
) -> Result<Html<String>, Problem> {
    let seen = site.report().await?;
    let slow = seen.what.servers.iter().flat_map(|server| server.slow_log.iter().flatten());
    let line = |one: &rhubarb_monitor::slow::Slow| {
        text(&format!("{}: {} took {} ms", one.at, one.command, one.us / 1000), 200)
    };
    html(&RedisPage {
        frame: Frame::new(&site, &visitor, "/redis", "Redis").aged(seen.at.elapsed().as_secs()),
        servers: seen.what.servers.iter().map(Row::of).collect(),
        databases: seen.what.databases.iter().map(database).collect(),
        slow: slow.take(MOST).map(line).collect(),
    })
}
