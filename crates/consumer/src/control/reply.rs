//! Sends replies to clients that still wait for them.

use rhubarb_queue::{Error, error::redis};
use rhubarb_wire::{control, reply_binding_member, reply_queue};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Control;
use crate::script;

/// The greatest reply, bytes; a greater one is replaced by an error that says so.
const MAX: usize = 4 << 20;
/// How long a reply that nobody reads is kept, s. Kombu keeps the lists themselves for ten.
const UNREAD: &str = "60";

/// Replies once: a client waits for a second, and one that hears nothing asks again.
pub(super) async fn send(control: &Control, command: &control::Command, value: Value) {
    if let Err(error) = push(control, command, value).await {
        tracing::debug!(%error, method = command.method, "a reply was not sent");
    }
}

async fn push(control: &Control, command: &control::Command, value: Value) -> Result<(), Error> {
    let Some(to) = &command.reply_to else { return Ok(()) };
    let clock = control.events.clock.forward();
    let encode = |value| {
        control::reply(&control.broker.node, value, command, clock, &Uuid::new_v4().to_string())
    };
    let Some(mut message) = encode(value) else { return Ok(()) };
    if message.len() > MAX {
        let text = format!("the reply has {} bytes, more than {MAX}", message.len());
        message = encode(json!({ "error": text })).unwrap_or_default();
    }
    let celery = control.broker.client.celery();
    let prefix = &celery.global_keyprefix;
    let oid = &to.routing_key;
    let keys = [
        format!("{prefix}{}", rhubarb_wire::exchange_key(&to.exchange)),
        format!("{prefix}{}", reply_queue(oid)),
    ];
    let member = reply_binding_member(oid, &celery.sep).into_bytes();
    let args = [member, message, UNREAD.into()];
    let _: u64 = control
        .broker
        .queue
        .eval(&script::REPLY, &keys, &args, &[])
        .await
        .map_err(redis("reply to a remote control command"))?;
    Ok(())
}
