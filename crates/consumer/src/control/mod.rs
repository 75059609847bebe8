//! Remote control: hears what `celery inspect`, `celery control` and Flower broadcast, obeys, and
//! replies.
//!
//! The protocol is kombu's pidbox (`kombu/pidbox.py`, `celery/worker/control.py`; 5.4 and 5.7
//! agree), the texts are Celery's. A role of its own, over the queue's one connection: handlers run
//! elsewhere, so that a worker whose slots are all taken answers like an idle one. Where the server
//! refuses RESP3 there are no broadcasts, and while its access list refuses the subscription there
//! are none for now: revocations are read from Redis now and then instead.
//!
//! Modules: [`command`] a command's arguments, [`inspect`] what is asked, [`change`] what is
//! ordered, [`revoke`] revocations, [`backlog`] what is still to be written, [`show`] a task as
//! Celery shows it,
//! [`about`] the worker as Celery shows it, [`reply`] replies, [`mingle`] what is learnt from other
//! workers at the start.

mod about;
mod backlog;
mod change;
mod command;
mod inspect;
mod mingle;
mod reply;
mod revoke;
mod show;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use rhubarb_connection::{Backoff, Heard, Inbox};
use rhubarb_wire::{DecodeError, control::Command, pidbox_channel};
use serde_json::{Map, Value, json};
use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

pub(super) use self::about::settings;
use self::command::Arguments;
pub(crate) use self::revoke::{Unwritten, forget};
use super::{Counters, Shared};
use crate::floods::What;

/// The greatest command that is read, bytes.
const MAX_COMMAND: usize = 4 << 20;
/// Between two questions to the others.
const MINGLING_RESTS: Duration = Duration::from_secs(1);
/// How many commands are being answered at once; further ones are not answered.
const AT_ONCE: usize = 64;
/// How many bytes of commands are being answered at once.
const BYTES_AT_ONCE: usize = 16 << 20;

/// What a command comes to.
enum Answer {
    /// This reply.
    Now(Value),
    /// A reply that needs Redis.
    Later(BoxFuture<'static, Value>),
    /// A reply once the revocations stand in Redis.
    Written(Value),
    /// No reply, as from Celery.
    Silence,
}

impl Answer {
    fn later(value: impl Future<Output = Value> + Send + 'static) -> Self {
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
    let hearing = async {
        // However this ends, claiming waits for it no longer.
        let mingled = shared.mingled.clone().drop_guard();
        listen(&shared).await;
        drop(mingled);
        std::future::pending().await
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = hearing => {}
        () = revoke::write(&shared) => {}
    }
    revoke::finish(&shared).await;
}

/// The commands that are being answered.
#[derive(Default)]
struct Answering {
    tasks: JoinSet<usize>,
    bytes: usize,
}

impl Answering {
    fn is_full(&self) -> bool {
        self.tasks.len() >= AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }

    /// Answers a command that had so many bytes.
    fn spawn(&mut self, bytes: usize, answer: impl Future<Output = ()> + Send + 'static) {
        self.bytes += bytes;
        self.tasks.spawn(async move {
            answer.await;
            bytes
        });
    }

    /// Waits for the end of one; for ever where there is none.
    async fn ended(&mut self) {
        match self.tasks.join_next().await {
            Some(bytes) => self.bytes -= bytes.unwrap_or_default().min(self.bytes),
            None => std::future::pending().await,
        }
    }
}

async fn listen(shared: &Arc<Shared>) {
    let prefix = &shared.client.celery().global_keyprefix;
    let channel = pidbox_channel(prefix, i64::from(shared.queue.db()));
    // From before the subscription, so that nothing falls between.
    let inbox = shared.queue.inbox(&channel);
    let hears = subscribe(shared, &channel).await;
    let (missed, connected) = (Notify::new(), Notify::new());
    connected.notify_one();
    let hearing = async {
        if hears {
            hear_all(shared, &channel, inbox, &missed, &connected).await;
        } else {
            // Replies come by a list, which needs no subscription.
            mingle::ask(shared.clone()).await;
        }
    };
    tokio::select! {
        () = hearing => {}
        () = catching_up(shared, &missed) => {}
        () = mingling(shared, &connected), if hears => {}
    }
}

/// Reads what stands in Redis each time that something may have been missed.
///
/// What is missed while it reads is read once more, all at once.
async fn catching_up(shared: &Shared, missed: &Notify) {
    loop {
        missed.notified().await;
        revoke::catch_up(shared).await;
    }
}

/// Asks the others once for each connection, with rests: our own answer to the question may be what
/// loses it.
async fn mingling(shared: &Arc<Shared>, connected: &Notify) {
    let mut asked_on = None;
    loop {
        connected.notified().await;
        let connection = shared.queue.connection_number();
        if asked_on.is_none() || connection.is_some() && connection != asked_on {
            asked_on = connection;
            mingle::ask(shared.clone()).await;
            sleep(MINGLING_RESTS).await;
        }
    }
}

/// Hears and obeys for as long as the subscription is not refused for good.
async fn hear_all(
    shared: &Arc<Shared>,
    channel: &str,
    mut inbox: Inbox,
    missed: &Notify,
    connected: &Notify,
) {
    let mut answering = Answering::default();
    loop {
        let heard = tokio::select! {
            () = answering.ended() => continue,
            // The connection is owned by `shared`: it does not go away.
            Some(heard) = inbox.next() => heard,
        };
        match heard {
            Heard::Message(payload) => hear(shared, &payload, &mut answering),
            Heard::Missed(n) => {
                lost(shared, n, "too many came at once");
                missed.notify_one();
            }
            Heard::Connected => {
                if !shared.queue.is_subscribed(channel) && !subscribe(shared, channel).await {
                    return;
                }
                missed.notify_one();
                connected.notify_one();
            }
        }
    }
}

/// Tells of commands that were not read.
///
/// Revocations may be among them. They hold here only if another worker wrote them down.
fn lost(shared: &Shared, n: u64, reason: &str) {
    if shared.floods.note(What::Missed, n) {
        tracing::warn!(
            n,
            reason,
            "commands of remote control are lost: send revocations again that \
             this worker does not show (`inspect revoked`)"
        );
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
///
/// While too many are being answered, questions are dropped, and revocations are obeyed without an
/// answer.
fn hear(shared: &Arc<Shared>, payload: &[u8], answering: &mut Answering) {
    let mut command = match Command::decode(payload, MAX_COMMAND) {
        Ok(command) => command,
        Err(error) => {
            Counters::add(&shared.counters.garbage);
            if matches!(error, DecodeError::TooLarge { .. }) {
                lost(shared, 1, &error.to_string());
            }
            tracing::debug!(%error, "a broadcast is no command");
            return;
        }
    };
    shared.events.clock.adjust(command.clock);
    if !command.is_for(&shared.node) {
        return;
    }
    let is_full = answering.is_full();
    let is_dropped = is_full && !revokes(&command);
    if is_dropped || is_full && command.reply_to.is_some() {
        unanswered(shared, &command);
    }
    if is_dropped {
        return;
    }
    tracing::debug!(method = command.method, "remote control");
    let answer = obey(shared, &command);
    if is_full {
        return;
    }
    // What it said is obeyed, and what is left is small.
    command.arguments = Map::new();
    let shared = shared.clone();
    let is_awaited = command.reply_to.is_some();
    match answer {
        Answer::Now(value) if is_awaited => answering.spawn(payload.len(), async move {
            reply::send(&shared, &command, value).await;
        }),
        Answer::Written(value) if is_awaited => answering.spawn(payload.len(), async move {
            revoke::written(&shared).await;
            reply::send(&shared, &command, value).await;
        }),
        Answer::Later(value) => answering.spawn(payload.len(), async move {
            let value = value.await;
            reply::send(&shared, &command, value).await;
        }),
        Answer::Now(_) | Answer::Written(_) | Answer::Silence => {}
    }
}

/// Tells whether a command revokes tasks, by itself or, as `hello` does, on the way.
fn revokes(command: &Command) -> bool {
    matches!(
        command.method.as_str(),
        "revoke" | "terminate" | "revoke_by_stamped_headers" | "hello"
    )
}

fn unanswered(shared: &Shared, command: &Command) {
    Counters::add(&shared.counters.unanswered);
    if shared.floods.note(What::Unanswered, 1) {
        tracing::warn!(
            method = command.method,
            at_once = AT_ONCE,
            "too many commands of remote control are being answered: this one is dropped, or \
             obeyed without an answer"
        );
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
