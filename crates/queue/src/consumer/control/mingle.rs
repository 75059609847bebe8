//! What a worker learns from the others when it starts: the clock, and what Python workers know as revoked.

use std::{sync::Arc, time::Duration};

use rhubarb_wire::{
    control::{Command, Reply, ReplyTo},
    pidbox_channel, reply_binding_key, reply_binding_member, reply_queue,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::Shared;
use crate::{Error, error::redis, revoked};

/// How long the others have to answer: Celery's own second.
const PATIENCE: Duration = Duration::from_secs(1);
/// The most answers that are read.
const MAX_REPLIES: usize = 1000;
/// The most ids that we tell, newest first.
const MAX_TOLD: usize = 10_000;
/// The greatest answer that is read, bytes: Celery sends up to 50,000 ids.
const MAX_REPLY: usize = 8 << 20;

/// Asks once, aside: claiming does not wait for it.
pub(super) async fn ask(shared: Arc<Shared>) {
    if let Err(error) = exchange(&shared).await {
        tracing::debug!(%error, "asking the other workers failed");
    }
}

async fn exchange(shared: &Shared) -> Result<(), Error> {
    let celery = shared.client.celery();
    let prefix = &celery.global_keyprefix;
    let oid = Uuid::new_v4().to_string();
    let binding = format!("{prefix}{}", reply_binding_key());
    let member = reply_binding_member(&oid, &celery.sep);
    let list = format!("{prefix}{}", reply_queue(&oid));
    let mut ask = ::redis::pipe();
    ask.cmd("SADD").arg(&binding).arg(&member).ignore();
    ask.cmd("PUBLISH")
        .arg(pidbox_channel(prefix, i64::from(shared.queue.db())))
        .arg(hello(shared, &oid))
        .ignore();
    let asked = shared.queue.pipe::<::redis::Value>(&ask).await.map_err(redis("ask the workers"));
    if asked.is_ok() {
        tokio::time::sleep(PATIENCE).await;
    }
    let mut read = ::redis::pipe();
    read.cmd("SREM").arg(&binding).arg(&member).ignore();
    read.cmd("LRANGE").arg(&list).arg(0).arg(MAX_REPLIES - 1);
    read.cmd("DEL").arg(&list).ignore();
    let (replies,): (Vec<Vec<u8>>,) =
        shared.queue.pipe(&read).await.map_err(redis("read what the workers answered"))?;
    asked?;
    learn(shared, &replies).await
}

fn hello(shared: &Shared, oid: &str) -> Vec<u8> {
    let known = shared.revoked.ids(shared.now());
    let told = &known[known.len().saturating_sub(MAX_TOLD)..];
    let arguments = json!({ "from_node": shared.node, "revoked": told });
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let command = Command {
        ticket: Some(Uuid::new_v4().to_string()),
        reply_to: Some(ReplyTo::client(oid)),
        clock: shared.events.clock.forward(),
        ..Command::new("hello", arguments)
    };
    command.encode(&Uuid::new_v4().to_string())
}

/// Takes over the clocks and the revocations, which from now on stand in Redis.
async fn learn(shared: &Shared, replies: &[Vec<u8>]) -> Result<(), Error> {
    let mut fresh = Vec::new();
    let mut n_nodes = 0;
    for reply in replies.iter().filter_map(|bytes| Reply::decode(bytes, MAX_REPLY).ok()) {
        shared.events.clock.adjust(reply.clock);
        for told in reply.nodes.values().filter_map(Value::as_object) {
            n_nodes += 1;
            shared.events.clock.adjust(told.get("clock").and_then(Value::as_u64).unwrap_or(0));
            fresh.extend(shared.revoke(ids(told)));
        }
    }
    if !fresh.is_empty() {
        tracing::info!(n = fresh.len(), n_nodes, "learnt of revoked tasks from other workers");
        revoked::store(&shared.queue, &fresh, false, shared.config.revoke_expires).await?;
    }
    Ok(())
}

fn ids(told: &Map<String, Value>) -> Vec<String> {
    let ids = told.get("revoked").and_then(Value::as_array);
    let ids = ids.into_iter().flatten().filter_map(Value::as_str);
    ids.filter(|id| id.len() <= 512).take(revoked::MAX).map(str::to_owned).collect()
}
