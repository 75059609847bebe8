//! Remote control: hears what `celery inspect`, `celery control` and Flower broadcast, obeys, and replies.
//!
//! The protocol is kombu's pidbox (`kombu/pidbox.py`, `celery/worker/control.py`; 5.4 and 5.7 agree), the texts are
//! Celery's. A role of its own, over the queue's one connection: handlers run elsewhere, so that a worker whose slots
//! are all taken answers like an idle one. Where the server refuses RESP3 there are no broadcasts, and while its access
//! list refuses the subscription there are none for now: revocations are read from Redis now and then instead.
//!
//! Modules: [`command`] a command's arguments, [`inspect`] what is asked, [`change`] what is ordered, [`revoke`]
//! revocations, [`show`] a task as Celery shows it, [`about`] the worker as Celery shows it, [`reply`] replies,
//! [`mingle`] what is learnt from other workers at the start.

mod about;
mod change;
mod command;
mod inspect;
mod mingle;
mod reply;
mod revoke;
mod show;

use std::sync::{Arc, atomic::Ordering};

use futures_util::{FutureExt, future::BoxFuture};
use rhubarb_connection::{Backoff, Push};
use rhubarb_wire::{control::Command, pidbox_channel};
use serde_json::{Value, json};
use tokio::{sync::broadcast, task::JoinSet};
use tokio_util::sync::CancellationToken;

pub(super) use self::about::settings;
use self::command::Arguments;
use super::{Counters, Shared};

/// The greatest command that is read, bytes.
const MAX_COMMAND: usize = 4 << 20;
/// How many commands are being answered at once; further ones are dropped.
const AT_ONCE: usize = 64;

/// What a command comes to.
enum Answer {
    /// This reply.
    Now(Value),
    /// A reply that needs Redis, and what is left to do once it is sent.
    Later(BoxFuture<'static, (Value, Option<BoxFuture<'static, ()>>)>),
    /// No reply, as from Celery.
    Silence,
}

impl Answer {
    fn later(value: impl Future<Output = Value> + Send + 'static) -> Self {
        Self::later_then(value.map(|value| (value, None)))
    }

    fn later_then(
        value: impl Future<Output = (Value, Option<BoxFuture<'static, ()>>)> + Send + 'static,
    ) -> Self {
        Self::Later(value.boxed())
    }

    fn ok(text: impl Into<String>) -> Self {
        Self::Now(json!({ "ok": text.into() }))
    }

    fn error(text: impl Into<String>) -> Self {
        Self::Now(json!({ "error": text.into() }))
    }
}

/// Hears and obeys until `stop` fires.
pub(super) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    // However this ends, claiming waits for it no longer.
    let _mingled = shared.mingled.clone().drop_guard();
    tokio::select! {
        () = stop.cancelled() => {}
        () = listen(shared) => {}
    }
}

async fn listen(shared: Arc<Shared>) {
    // From before the subscription, so that nothing falls between.
    let mut pushes = shared.queue.pushes();
    let prefix = &shared.client.celery().global_keyprefix;
    let channel = pidbox_channel(prefix, i64::from(shared.queue.db()));
    let hears = subscribe(&shared, &channel).await;
    let mut answering = JoinSet::new();
    // Replies come by a list, which needs no subscription.
    let mut asked_on = shared.queue.connection_number();
    answering.spawn(mingle::ask(shared.clone()));
    if !hears {
        answering.join_all().await;
        return;
    }
    loop {
        tokio::select! {
            Some(_) = answering.join_next() => {}
            push = pushes.recv() => match push {
                Ok(Push::Message { channel: from, payload }) if from == channel => {
                    hear(&shared, &payload, &mut answering);
                }
                Ok(Push::Connected) | Err(broadcast::error::RecvError::Lagged(_)) => {
                    if !shared.queue.is_subscribed(&channel) && !subscribe(&shared, &channel).await {
                        return;
                    }
                    if answering.len() < AT_ONCE {
                        answering.spawn(revoke::catch_up(shared.clone()));
                    }
                    let connection = shared.queue.connection_number();
                    if connection.is_some() && connection != asked_on {
                        asked_on = connection;
                        answering.spawn(mingle::ask(shared.clone()));
                    }
                }
                Ok(_) => {}
                // The connection is owned by `shared`: this does not happen.
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

/// Subscribes, trying for ever, every few seconds at the most; false where that cannot be.
async fn subscribe(shared: &Shared, channel: &str) -> bool {
    shared.hears.store(false, Ordering::SeqCst);
    let (mut backoff, mut refused) = (Backoff::default(), false);
    loop {
        let subscribed = shared.queue.subscribe(channel).await;
        if !shared.queue.hears() {
            tracing::warn!("no remote control: this Redis refuses the protocol with broadcasts");
            return false;
        }
        match subscribed {
            Ok(()) => break,
            Err(error) if error.is_unreachable() => {
                tracing::debug!(%error, "subscribing failed, trying again");
            }
            Err(error) if !refused => {
                refused = true;
                shared.mingled.cancel();
                tracing::warn!(%error, "no remote control for now: Redis refuses the subscription");
            }
            Err(_) => {}
        }
        backoff.sleep().await;
    }
    if refused {
        tracing::info!("remote control is heard again");
    }
    shared.hears.store(true, Ordering::SeqCst);
    true
}

/// Reads one broadcast; what it comes to is answered aside.
fn hear(shared: &Arc<Shared>, payload: &[u8], answering: &mut JoinSet<()>) {
    let command = match Command::decode(payload, MAX_COMMAND) {
        Ok(command) => command,
        Err(error) => {
            Counters::add(&shared.counters.garbage);
            tracing::debug!(%error, "a broadcast is no command");
            return;
        }
    };
    shared.events.clock.adjust(command.clock);
    if !command.is_for(&shared.node) {
        return;
    }
    if answering.len() >= AT_ONCE {
        Counters::add(&shared.counters.unanswered);
        return;
    }
    tracing::debug!(method = command.method, "remote control");
    let answer = obey(shared, &command);
    let shared = shared.clone();
    match answer {
        Answer::Silence => {}
        Answer::Now(_) if command.reply_to.is_none() => {}
        Answer::Now(value) => {
            answering.spawn(async move { reply::send(&shared, &command, value).await });
        }
        Answer::Later(value) => {
            answering.spawn(async move {
                let (value, rest) = value.await;
                reply::send(&shared, &command, value).await;
                if let Some(rest) = rest {
                    rest.await;
                }
            });
        }
    }
}

/// Carries a command out, as far as that needs no waiting.
fn obey(shared: &Arc<Shared>, command: &Command) -> Answer {
    let arguments = Arguments(&command.arguments);
    let method = command.method.as_str();
    inspect::answer(shared, method, &arguments)
        .or_else(|| change::answer(shared, method, &arguments))
        .unwrap_or_else(|| Answer::error(format!("KeyError({})", command::quoted(method))))
}
