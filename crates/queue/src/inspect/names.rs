//! Which queues there are.
//!
//! Ours are in a set. Those that only Celery's programs use are in none: kombu declares a queue in
//! the bindings of its exchange (`_kombu.binding.<exchange>`, members `<routing
//! key>SEP<pattern>SEP<queue>`; kombu 5.7.0), and nothing lists the exchanges, so that a bounded
//! `SCAN` looks for them.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::{
    Client, Error,
    config::CeleryConfig,
    error::redis,
    keys::QueueKeys,
    queue_name,
    scan::{KEYS_PER_SECOND, SCAN_COUNT, escaped},
};

/// So many exchanges are read, and so many queues of each.
const BINDINGS: usize = 1000;
/// What the names of kombu's exchanges for remote control end with, and the one for events: what is
/// bound there holds no tasks.
const NO_TASKS: [&str; 2] = [".pidbox", "celeryev"];

/// The names of queues, in order and once each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The names.
    pub names: Vec<String>,
    /// What kept some from being seen, where something did.
    pub unseen: Option<Unseen>,
}

/// What was not looked through for queues that only Celery's programs use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// Keys that were looked at.
    pub looked_at: u64,
    /// Keys of the database; absent when that is not permitted.
    pub keys: Option<u64>,
    /// Why the rest was not, unless it was too much.
    pub reason: Option<String>,
}

/// Returns the names of all queues that Rhubarb knows, and of `more`, in order and once each.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn queue_names(client: &Client, more: &[String]) -> Result<Vec<String>, Error> {
    let names: Vec<String> = client
        .queue()
        .query(::redis::cmd("SMEMBERS").arg(client.keys().queues()))
        .await
        .map_err(redis("list the queues"))?;
    let usable = |name: &String| queue_name::check(name, client.celery()).is_ok();
    Ok(in_order(names.into_iter().filter(usable).chain(more.iter().cloned()).collect()))
}

/// Returns the queues that Celery's settings name: the default one, and those of the routes.
pub fn of_settings(celery: &CeleryConfig) -> Vec<String> {
    let routes = celery.task_routes.iter().filter_map(|route| route.queue.clone());
    in_order(routes.chain([celery.task_default_queue.clone()]).collect())
}

/// Returns the names of all queues: those of Celery's settings, those that Rhubarb knows, `more`,
/// those that are paused, and those that only Celery's programs use.
///
/// For the last ones it looks at keys for at most `effort`, and at 250,000 of them for each second
/// of it.
///
/// # Errors
///
/// [`Error::Redis`]; a `SCAN` that is refused is told in [`Names::unseen`].
pub async fn all_queue_names(
    client: &Client,
    more: &[String],
    effort: Duration,
) -> Result<Names, Error> {
    let mut names = queue_names(client, more).await?;
    names.extend(of_settings(client.celery()));
    names.extend(paused(client).await?);
    let unseen = match look(client, &mut names, effort).await {
        Ok(unseen) => unseen,
        Err(rhubarb_connection::Error::Refused { reason, .. }) => {
            Some(Unseen { looked_at: 0, keys: None, reason: Some(reason) })
        }
        Err(source) => return Err(redis("look for queues of Celery")(source)),
    };
    Ok(Names { names: in_order(names), unseen })
}

/// Returns the queues that an operator has paused, mistyped ones among them; none where that key is
/// no set.
async fn paused(client: &Client) -> Result<Vec<String>, Error> {
    let key = client.keys().paused_queues();
    match client.queue().query(::redis::cmd("SMEMBERS").arg(key)).await {
        Err(error) if error.wrong_type().is_some() => Ok(Vec::new()),
        other => other.map_err(redis("list the paused queues")),
    }
}

/// Tells whether anybody knows a queue: Rhubarb, Celery's settings, kombu, or whoever left a
/// message in it.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn is_known(client: &Client, name: &str) -> Result<bool, Error> {
    let celery = client.celery();
    if of_settings(celery).iter().any(|known| known == name) {
        return Ok(true);
    }
    let keys = QueueKeys::new(name, celery);
    let bindings = rhubarb_wire::binding_keys(name);
    let mut exists = ::redis::cmd("EXISTS");
    exists.arg(&keys.lists).arg(&keys.scheduled).arg(&keys.leases);
    for table in bindings {
        exists.arg(client.keys().kombus(&table));
    }
    let mut pipeline = ::redis::pipe();
    pipeline.cmd("SISMEMBER").arg(client.keys().queues()).arg(name);
    pipeline.add_command(exists);
    let (ours, there): (bool, u64) =
        client.queue().pipe(&pipeline).await.map_err(redis(format!("look for queue `{name}`")))?;
    Ok(ours || there > 0)
}

/// Adds the queues that are bound to any exchange; tells what was not looked through.
async fn look(
    client: &Client,
    names: &mut Vec<String>,
    effort: Duration,
) -> Result<Option<Unseen>, rhubarb_connection::Error> {
    let redis_ = client.queue();
    let prefix = client.keys().kombus(&rhubarb_wire::exchange_key(""));
    let until = Instant::now() + effort;
    let most = u64::try_from(effort.as_millis() * KEYS_PER_SECOND / 1000).unwrap_or(u64::MAX);
    let is_spent = |n_exchanges| Instant::now() >= until || n_exchanges >= BINDINGS;
    let (mut cursor, mut looked_at, mut n_exchanges) = (0_u64, 0_u64, 0);
    loop {
        let mut scan = ::redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{}*", escaped(&prefix)));
        scan.arg("COUNT").arg(SCAN_COUNT);
        let (next, found): (u64, Vec<Vec<u8>>) = redis_.query(&scan).await?;
        looked_at += SCAN_COUNT as u64;
        let mut is_cut = false;
        let tables = found.into_iter().filter_map(|key| String::from_utf8(key).ok());
        for table in tables.filter(|table| !NO_TASKS.iter().any(|end| table.ends_with(end))) {
            if is_spent(n_exchanges) {
                is_cut = true;
                break;
            }
            n_exchanges += 1;
            names.extend(bound(client, &table).await?);
        }
        if next == 0 && !is_cut {
            return Ok(None);
        }
        if is_cut || looked_at >= most || is_spent(n_exchanges) {
            let keys = redis_.query(&::redis::cmd("DBSIZE")).await.ok();
            return Ok(Some(Unseen { looked_at, keys, reason: None }));
        }
        cursor = next;
    }
}

/// Returns the queues that are bound to an exchange; none of a key that is no set.
async fn bound(client: &Client, table: &str) -> Result<Vec<String>, rhubarb_connection::Error> {
    let mut members = ::redis::cmd("SRANDMEMBER");
    members.arg(table).arg(BINDINGS);
    let members: Vec<Vec<u8>> = match client.queue().query(&members).await {
        Err(error) if error.wrong_type().is_some() => Vec::new(),
        other => other?,
    };
    let celery = client.celery();
    Ok(members.iter().filter_map(|member| queue_of(member, celery)).collect())
}

/// Returns the queue of a member: what is behind the second separator.
fn queue_of(member: &[u8], celery: &CeleryConfig) -> Option<String> {
    let queue = std::str::from_utf8(member).ok()?.splitn(3, celery.sep.as_str()).nth(2)?;
    queue_name::check(queue, celery).is_ok().then(|| queue.to_owned())
}

fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_read_from_kombus_binding() {
        let (sep, celery) = (rhubarb_wire::SEPARATOR, CeleryConfig::default());
        let check = |member: &str, expect: Option<&str>| {
            let member = member.replace('|', sep);
            assert_eq!(queue_of(member.as_bytes(), &celery).as_deref(), expect, "{member:?}");
        };
        check("mail||mail", Some("mail"));
        check("news.#|news.*|all news", Some("all news"));
        check("mail", None);
        check("mail||rhubarb:queues", None);
        check("||", None);
        assert_eq!(queue_of(b"a\x06\x16\x06\x16\xff", &celery), None);
    }

    #[test]
    fn a_prefix_matches_itself_alone() {
        assert_eq!(escaped("a*[b]?\\:"), "a\\*\\[b\\]\\?\\\\:");
    }
}
