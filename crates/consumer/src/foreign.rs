//! Messages whose task is none of ours: left for whoever runs it, or parked when nobody does.
//!
//! While the others are being asked, a message is held without a slot, and more messages of its
//! task are passed over. What somebody runs goes back to where it was and is passed over from then
//! on. Parked messages are looked at again once a lease period: those that somebody runs by now go
//! back to their queue.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rhubarb_connection::Backoff;
use rhubarb_core::class::Class;
use rhubarb_queue::{
    Error, OwnedLock,
    config::WorkerConfig,
    error::redis,
    hand_back::Parked,
    letter::{Letter, LetterKind},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, sleep, sleep_until},
};

use crate::{
    Tasks,
    ask::Answers,
    broker::Broker,
    delivery::Ticket,
    floods::{Flood, Floods, What},
    others::{Others, Why},
    outcome::Outcome,
    signals::Signals,
};

/// How many messages may wait for the others' answer; the claiming role waits then too.
pub(super) const WAITING: usize = 256;

/// How long after a failure the others are asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What decides about messages whose task is none of ours.
#[derive(Debug)]
pub(super) struct Decider {
    pub(super) broker: Arc<Broker>,
    pub(super) config: Arc<WorkerConfig>,
    pub(super) tasks: Tasks,
    pub(super) others: Arc<Others>,
    pub(super) floods: Arc<Floods>,
    pub(super) signals: Arc<Signals>,
}

impl Decider {
    /// Asks all live workers, and has the queues looked at anew.
    async fn ask(&self) -> Result<(), Error> {
        self.others.ask(&self.broker).await?;
        self.signals.changed.notify_one();
        Ok(())
    }
}

/// A message that waits until the others have answered.
#[derive(Debug)]
pub(crate) struct ForeignTask {
    /// What ends its claim; without a slot.
    pub(super) ticket: Ticket,
    pub(super) queue: String,
    pub(super) task: String,
    /// Whether we run its task too, and leave it as the share of Python's workers.
    pub(super) why: Why,
    /// How it ends when somebody runs its task.
    pub(super) leave: Outcome,
    /// How it ends when nobody does.
    pub(super) keep: Outcome,
}

/// What was found when the parked messages were last gone through.
#[derive(Debug, PartialEq)]
struct Walked {
    others: Vec<(BTreeSet<String>, BTreeSet<String>)>,
    newest: Option<f64>,
}

/// Decides until draining begins; what is held then goes back.
pub(super) async fn run(decider: Decider, mut foreign: mpsc::Receiver<ForeignTask>) {
    let mut parked = interval(decider.config.lease);
    parked.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut walked = None;
    loop {
        let refresh = decider.others.refresh_at();
        let refresh = async {
            match refresh {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let work = async {
            tokio::select! {
                Some(first) = foreign.recv() => decide(&decider, first, &mut foreign).await,
                () = refresh => refreshed(&decider).await,
                _ = parked.tick() => look_at_parked(&decider, &mut walked).await,
            }
        };
        tokio::select! {
            biased;
            () = decider.signals.draining.cancelled() => return,
            () = work => {}
        }
    }
}

/// Decides on a message and all that wait with it, asking once for all.
async fn decide(decider: &Decider, first: ForeignTask, more: &mut mpsc::Receiver<ForeignTask>) {
    let mut waiting = vec![first];
    let is_known =
        |one: &ForeignTask| decider.others.takes(&one.queue, &one.task, one.why).is_some();
    if !waiting.iter().all(is_known) {
        ask(decider).await;
    }
    while let Ok(one) = more.try_recv() {
        waiting.push(one);
    }
    for one in waiting {
        // Unknown still: it came while the question was out, and is asked for again at its next
        // claim.
        let outcome = match decider.others.takes(&one.queue, &one.task, one.why) {
            Some(false) => one.keep,
            Some(true) => {
                decider.others.pass_over(&one.queue, &one.task, one.why);
                let flood = Flood::new(What::Left, Some(&one.task), Some(&one.queue));
                if decider.floods.note(flood, 1) {
                    tracing::info!(
                        task = one.task,
                        queue = one.queue,
                        "left for the workers that run this task"
                    );
                }
                one.leave
            }
            None => Outcome::HandBack,
        };
        one.ticket.settle(outcome);
    }
}

/// Asks until there is an answer; a server that forbids to ask says no, and so does one that has no
/// memory for questions and answers: claiming must go on, and what is parked is asked about again.
async fn ask(decider: &Decider) {
    let mut backoff = Backoff::default();
    while let Err(error) = decider.ask().await {
        if error.class() != Class::Transient || error.is_out_of_memory() {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(%error, cause, "the other workers cannot be asked what they run");
            decider.others.keep(Answers::default());
            decider.signals.changed.notify_one();
            return;
        }
        decider.broker.wait_out(&error, &mut backoff).await;
    }
}

async fn refreshed(decider: &Decider) {
    if let Err(error) = decider.ask().await {
        tracing::debug!(%error, "asking the other workers failed, trying again");
        sleep(AGAIN).await;
    }
}

async fn look_at_parked(decider: &Decider, walked: &mut Option<Walked>) {
    if let Err(error) = offer(decider, walked).await {
        tracing::debug!(%error, "looking at the parked tasks failed, trying again");
    }
}

/// Puts parked messages back whose task somebody runs by now; nothing is sent but one command while
/// none is parked.
async fn offer(decider: &Decider, walked: &mut Option<Walked>) -> Result<(), Error> {
    let mut newest = ::redis::cmd("ZREVRANGE");
    newest
        .arg(decider.broker.client.keys().letters(LetterKind::Parked).index)
        .arg(0)
        .arg(0)
        .arg("WITHSCORES");
    let newest: Vec<(Vec<u8>, f64)> =
        decider.broker.queue.query(&newest).await.map_err(redis("look for parked messages"))?;
    let Some(&(_, newest)) = newest.first() else { return Ok(()) };
    // One worker at a time, and each once a period. It is not released: its end is the next one's
    // turn.
    let turn = decider.config.lease.saturating_sub(Duration::from_millis(500));
    let lock = OwnedLock::new(&decider.broker.client, "parked", &decider.broker.id, turn);
    if !lock.acquire().await? {
        return Ok(());
    }
    decider.ask().await?;
    let found = Walked { others: decider.others.signature(), newest: Some(newest) };
    if walked.as_ref() == Some(&found) {
        return Ok(());
    }
    let mut parked = Parked::new(&decider.broker.client, false);
    parked.walk(|letter| is_wanted(decider, letter)).await?;
    for (queue, n) in parked.moved.iter().filter(|(_, n)| **n > 0) {
        tracing::info!(queue, n, "put parked tasks back that somebody runs by now");
    }
    *walked = Some(found);
    Ok(())
}

fn is_wanted(decider: &Decider, letter: &Letter) -> bool {
    let Some(task) = &letter.task else { return false };
    let ours =
        decider.tasks.contains(task) && decider.broker.queues.names().contains(&letter.queue);
    ours || decider.others.runs(&letter.queue, task) == Some(true)
}

/// How a message that somebody else runs is given back: to its place, if the next claims can pass
/// it over there.
pub(super) fn leaving(message: &[u8], task: &str) -> Outcome {
    let is_readable = text_of(message, b"\"task\":") == Some(task.as_bytes());
    if is_readable { Outcome::HandBack } else { Outcome::Leave }
}

/// The same for a message that is left as the share of Python's workers: its id decides there too.
pub(super) fn leaving_share(message: &[u8], task: &str, id: &str) -> Outcome {
    match text_of(message, b"\"id\":") == Some(id.as_bytes()) {
        true => leaving(message, task),
        false => Outcome::Leave,
    }
}

/// Reads a text of a message as `pick.lua` does.
fn text_of<'m>(message: &'m [u8], name: &[u8]) -> Option<&'m [u8]> {
    let at = message.windows(name.len()).position(|window| window == name)?;
    let rest = &message[at + name.len()..];
    let rest = rest.strip_prefix(b" ").unwrap_or(rest).strip_prefix(b"\"")?;
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    (rest[end] == b'"').then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_to_the_other_end_only_if_it_cannot_be_passed_over() {
        let place = |message: &str| leaving(message.as_bytes(), "t.x");
        assert_eq!(place(r#"{"body": "W10=", "headers": {"task": "t.x"}}"#), Outcome::HandBack);
        assert_eq!(place(r#"{"headers":{"task":"t.x"}}"#), Outcome::HandBack);
        assert_eq!(place(r#"{"headers": {"task" : "t.x"}}"#), Outcome::Leave);
        assert_eq!(place(r#"{"headers": {"task": "t\u002ex"}}"#), Outcome::Leave);
        assert_eq!(place(r#"{"body": "W10="}"#), Outcome::Leave, "protocol 1");
        assert_eq!(place(r#"{"headers": {"task": "#), Outcome::Leave);
        let share = |message: &str| leaving_share(message.as_bytes(), "t.x", "7");
        let both = r#"{"headers": {"task": "t.x", "id": "7", "root_id": "8"}}"#;
        assert_eq!(share(both), Outcome::HandBack);
        assert_eq!(share(r#"{"headers": {"task": "t.x", "id": "\u0037"}}"#), Outcome::Leave);
        assert_eq!(share(r#"{"id": "8", "headers": {"task": "t.x", "id": "7"}}"#), Outcome::Leave);
    }
}
