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
use jiff::Timestamp;
use rhubarb_connection::{Backoff, Heard, Inbox};
use rhubarb_queue::config::WorkerConfig;
use rhubarb_wire::{DecodeError, control::Command, pidbox_channel};
use serde_json::{Map, Value, json};
use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

pub(super) use self::{about::settings, revoke::Unwritten};

use self::command::Arguments;
use crate::{
    Counters, Tasks,
    broadcasts::Broadcasts,
    broker::Broker,
    events::Events,
    floods::{Floods, What},
    held::Held,
    revoked::{self, Revoked},
    signals::Signals,
    slots::Slots,
};

/// The greatest command that is read, bytes.
const MAX_COMMAND: usize = 4 << 20;
/// Between two questions to the others.
const MINGLING_RESTS: Duration = Duration::from_secs(1);
/// How many commands are being answered at once; further ones are not answered.
const AT_ONCE: usize = 64;
/// How many bytes of commands are being answered at once.
const BYTES_AT_ONCE: usize = 16 << 20;

/// What a worker shows of itself, and what of it can be changed.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) broker: Arc<Broker>,
    pub(super) config: Arc<WorkerConfig>,
    /// The settings as Celery names them, secrets hidden.
    pub(super) settings: Map<String, Value>,
    pub(super) tasks: Tasks,
    pub(super) held: Arc<Held>,
    pub(super) slots: Arc<Slots>,
    pub(super) revoked: Arc<Revoked>,
    /// What of revocations is not written yet.
    pub(super) unwritten: Unwritten,
    pub(super) broadcasts: Arc<Broadcasts>,
    pub(super) counters: Arc<Counters>,
    pub(super) events: Arc<Events>,
    pub(super) floods: Arc<Floods>,
    pub(super) signals: Arc<Signals>,
    pub(super) started_at: Timestamp,
}

impl Control {
    /// Revokes tasks in memory; returns those that were not revoked before.
    fn revoke(&self, ids: impl IntoIterator<Item = Arc<str>>) -> Vec<Arc<str>> {
        let now = self.broker.now();
        let until = revoked::expiry(now, self.config.revoke_expires);
        let added = self.revoked.add(ids.into_iter().map(|id| (id, until)), now);
        revoke::forget(self, added.forgotten);
        added.fresh
    }
}

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
pub(super) async fn run(control: Control, stop: CancellationToken) {
    let control = Arc::new(control);
    let hearing = async {
        // However this ends, claiming waits for it no longer.
        let mingled = control.signals.mingled.clone().drop_guard();
        listen(&control).await;
        drop(mingled);
        std::future::pending().await
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = hearing => {}
        () = revoke::write(&control) => {}
    }
    revoke::finish(&control).await;
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

async fn listen(control: &Arc<Control>) {
    let prefix = &control.broker.client.celery().global_keyprefix;
    let channel = pidbox_channel(prefix, i64::from(control.broker.queue.db()));
    // From before the subscription, so that nothing falls between.
    let inbox = control.broker.queue.inbox(&channel);
    let hears = subscribe(control, &channel).await;
    let (missed, connected) = (Notify::new(), Notify::new());
    connected.notify_one();
    let hearing = async {
        if hears {
            hear_all(control, &channel, inbox, &missed, &connected).await;
        } else {
            // Replies come by a list, which needs no subscription.
            mingle::ask(control.clone()).await;
        }
    };
    tokio::select! {
        () = hearing => {}
        () = catching_up(control, &missed) => {}
        () = mingling(control, &connected), if hears => {}
    }
}

/// Reads what stands in Redis each time that something may have been missed.
///
/// What is missed while it reads is read once more, all at once.
async fn catching_up(control: &Control, missed: &Notify) {
    loop {
        missed.notified().await;
        revoke::catch_up(control).await;
    }
}

/// Asks the others once for each connection, with rests: our own answer to the question may be what
/// loses it.
async fn mingling(control: &Arc<Control>, connected: &Notify) {
    let mut asked_on = None;
    loop {
        connected.notified().await;
        let connection = control.broker.queue.connection_number();
        if asked_on.is_none() || connection.is_some() && connection != asked_on {
            asked_on = connection;
            mingle::ask(control.clone()).await;
            sleep(MINGLING_RESTS).await;
        }
    }
}

/// Hears and obeys for as long as the subscription is not refused for good.
async fn hear_all(
    control: &Arc<Control>,
    channel: &str,
    mut inbox: Inbox,
    missed: &Notify,
    connected: &Notify,
) {
    let mut answering = Answering::default();
    loop {
        let heard = tokio::select! {
            () = answering.ended() => continue,
            // The connection is owned by `control`: it does not go away.
            Some(heard) = inbox.next() => heard,
        };
        match heard {
            Heard::Message(payload) => hear(control, &payload, &mut answering),
            Heard::Missed(n) => {
                lost(control, n, "too many came at once");
                missed.notify_one();
            }
            Heard::Connected => {
                if !control.broker.queue.is_subscribed(channel)
                    && !subscribe(control, channel).await
                {
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
fn lost(control: &Control, n: u64, reason: &str) {
    if control.floods.note(What::Missed, n) {
        tracing::warn!(
            n,
            reason,
            "commands of remote control are lost: send revocations again that \
             this worker does not show (`inspect revoked`)"
        );
    }
}

/// Subscribes, trying for ever, every few seconds at the most; false where that cannot be.
async fn subscribe(control: &Control, channel: &str) -> bool {
    control.signals.hears.store(false, Ordering::SeqCst);
    let (mut backoff, mut refused) = (Backoff::default(), false);
    loop {
        let subscribed = control.broker.queue.subscribe(channel).await;
        if !control.broker.queue.hears() {
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
                control.signals.mingled.cancel();
                tracing::warn!(%error, "no remote control for now: Redis refuses the subscription");
            }
            Err(_) => {}
        }
        backoff.sleep().await;
    }
    if refused {
        tracing::info!("remote control is heard again");
    }
    control.signals.hears.store(true, Ordering::SeqCst);
    true
}

/// Reads one broadcast; what it comes to is answered aside.
///
/// While too many are being answered, questions are dropped, and revocations are obeyed without an
/// answer.
fn hear(control: &Arc<Control>, payload: &[u8], answering: &mut Answering) {
    let mut command = match Command::decode(payload, MAX_COMMAND) {
        Ok(command) => command,
        Err(error) => {
            Counters::add(&control.counters.garbage);
            if matches!(error, DecodeError::TooLarge { .. }) {
                lost(control, 1, &error.to_string());
            }
            tracing::debug!(%error, "a broadcast is no command");
            return;
        }
    };
    control.events.clock.adjust(command.clock);
    if !command.is_for(&control.broker.node) {
        return;
    }
    let is_full = answering.is_full();
    let is_dropped = is_full && !revokes(&command);
    if is_dropped || is_full && command.reply_to.is_some() {
        unanswered(control, &command);
    }
    if is_dropped {
        return;
    }
    tracing::debug!(method = command.method, "remote control");
    let answer = obey(control, &command);
    if is_full {
        return;
    }
    // What it said is obeyed, and what is left is small.
    command.arguments = Map::new();
    let control = control.clone();
    let is_awaited = command.reply_to.is_some();
    match answer {
        Answer::Now(value) if is_awaited => answering.spawn(payload.len(), async move {
            reply::send(&control, &command, value).await;
        }),
        Answer::Written(value) if is_awaited => answering.spawn(payload.len(), async move {
            revoke::written(&control).await;
            reply::send(&control, &command, value).await;
        }),
        Answer::Later(value) => answering.spawn(payload.len(), async move {
            let value = value.await;
            reply::send(&control, &command, value).await;
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

fn unanswered(control: &Control, command: &Command) {
    Counters::add(&control.counters.unanswered);
    if control.floods.note(What::Unanswered, 1) {
        tracing::warn!(
            method = command.method,
            at_once = AT_ONCE,
            "too many commands of remote control are being answered: this one is dropped, or \
             obeyed without an answer"
        );
    }
}

/// Carries a command out, as far as that needs no waiting.
fn obey(control: &Arc<Control>, command: &Command) -> Answer {
    let arguments = Arguments(&command.arguments);
    let method = command.method.as_str();
    inspect::answer(control, method, &arguments)
        .or_else(|| change::answer(control, method, &arguments))
        .unwrap_or_else(|| Answer::error(format!("KeyError({})", command::quoted(method))))
}
