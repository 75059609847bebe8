//! What a worker learns from the others when it starts and after it was deaf: the clock, and what
//! Python workers know as revoked.
//!
//! The format of revoked ids (read 2026-11): Celery 5.7 tells and asks with a list of ids, 5.4 with
//! an object `{id: [stamp, id]}` whose stamps are of its own machine's clock. Both read lists,
//! which is what we send.

use std::{sync::Arc, time::Duration};

use rhubarb_queue::{Error, error::redis, revocations};
use rhubarb_wire::{
    control::{Command, Reply, ReplyTo},
    pidbox_channel, reply_binding_key, reply_binding_member, reply_queue,
};
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Control, command};

/// How long the others have to answer: Celery's own second.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest pause between two looks whether all have answered.
const LOOK: Duration = Duration::from_millis(50);
/// The most answers that are read.
const MAX_REPLIES: usize = 1000;
/// The most ids that we tell, newest first.
const MAX_TOLD: usize = 10_000;
/// The greatest answer that is read, bytes: Celery sends up to 50,000 ids.
const MAX_REPLY: usize = 8 << 20;

/// Asks once. The first claim waits for it, as Celery's workers do; it takes a second where
/// somebody listens and does not answer.
pub(super) async fn ask(control: Arc<Control>) {
    if control.config.mingle
        && let Err(error) = exchange(&control).await
    {
        tracing::debug!(%error, "asking the other workers failed");
    }
    control.signals.mingled.cancel();
}

async fn exchange(control: &Control) -> Result<(), Error> {
    let celery = control.broker.client.celery();
    let prefix = &celery.global_keyprefix;
    let oid = Uuid::new_v4().to_string();
    let binding = format!("{prefix}{}", reply_binding_key());
    let member = reply_binding_member(&oid, &celery.sep);
    let list = format!("{prefix}{}", reply_queue(&oid));
    let mut ask = ::redis::pipe();
    ask.cmd("SADD").arg(&binding).arg(&member).ignore();
    ask.cmd("PUBLISH")
        .arg(pidbox_channel(prefix, i64::from(control.broker.queue.db())))
        .arg(hello(control, &oid));
    let asked = control.broker.queue.pipe::<(usize,)>(&ask).await.map_err(redis("ask the workers"));
    if let Ok((listening,)) = asked {
        wait(control, &list, listening).await;
    }
    let mut read = ::redis::pipe();
    read.cmd("SREM").arg(&binding).arg(&member).ignore();
    read.cmd("LRANGE").arg(&list).arg(0).arg(MAX_REPLIES - 1);
    read.cmd("DEL").arg(&list).ignore();
    let (replies,): (Vec<Vec<u8>>,) =
        control.broker.queue.pipe(&read).await.map_err(redis("read what the workers answered"))?;
    asked?;
    learn(control, &replies).await
}

/// Waits until all who listen have answered, we among them.
async fn wait(control: &Control, list: &str, listening: usize) {
    let (deadline, mut pause) = (Instant::now() + PATIENCE, LOOK / 10);
    while Instant::now() < deadline {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK);
        let answered = control.broker.queue.query::<usize>(::redis::cmd("LLEN").arg(list)).await;
        if answered.is_ok_and(|n| n >= listening) {
            return;
        }
    }
}

fn hello(control: &Control, oid: &str) -> Vec<u8> {
    let known = control.revoked.ids(control.broker.now());
    let told: Vec<&str> =
        known[known.len().saturating_sub(MAX_TOLD)..].iter().map(|id| &**id).collect();
    let arguments = json!({ "from_node": control.broker.node, "revoked": told });
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    let command = Command {
        ticket: Some(Uuid::new_v4().to_string()),
        reply_to: Some(ReplyTo::client(oid)),
        clock: control.events.clock.forward(),
        ..Command::new("hello", arguments)
    };
    command.encode(&Uuid::new_v4().to_string())
}

/// Takes over the clocks and the revocations, which from now on stand in Redis.
async fn learn(control: &Control, replies: &[Vec<u8>]) -> Result<(), Error> {
    let mut fresh = Vec::new();
    let mut n_nodes = 0;
    for reply in replies.iter().filter_map(|bytes| Reply::decode(bytes, MAX_REPLY).ok()) {
        control.events.clock.adjust(reply.clock);
        for told in reply.nodes.values().filter_map(Value::as_object) {
            n_nodes += 1;
            control.events.clock.adjust(told.get("clock").and_then(Value::as_u64).unwrap_or(0));
            fresh.extend(control.revoke(told.get("revoked").map(ids).unwrap_or_default()));
        }
    }
    if !fresh.is_empty() {
        tracing::info!(n = fresh.len(), n_nodes, "learnt of revoked tasks from other workers");
        revocations::store(&control.broker.client, &fresh, false, control.config.revoke_expires)
            .await?;
    }
    Ok(())
}

/// Reads revoked ids as another worker tells them, a list or an object; the newest where they are
/// too many.
pub(super) fn ids(told: &Value) -> Vec<Arc<str>> {
    let ids: Vec<&str> = match told {
        Value::Array(ids) => ids.iter().filter_map(Value::as_str).collect(),
        Value::Object(ids) => ids.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let newest = ids.iter().skip(ids.len().saturating_sub(revocations::MAX));
    newest.filter(|id| command::is_id(id)).map(|&id| Arc::from(id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revoked_ids_are_read_as_celery_5_4_and_as_5_7_tell_them() {
        let ids =
            |told: &Value| -> Vec<String> { ids(told).iter().map(ToString::to_string).collect() };
        assert_eq!(ids(&json!(["b", "a"])), ["b", "a"]);
        assert_eq!(ids(&json!({"b": [1.5, "b"], "a": [2.5, "a"]})), ["b", "a"]);
        assert_eq!(ids(&json!(["a", 1, "", "x".repeat(513)])), ["a"]);
        assert!(ids(&Value::Null).is_empty() && ids(&json!("a")).is_empty());
        let many: Vec<Value> = (0..revocations::MAX + 2).map(|n| json!(n.to_string())).collect();
        assert_eq!(ids(&json!(many)).first().map(String::as_str), Some("2"));
    }
}
