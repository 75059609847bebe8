//! Parts of chords: each is counted once, and the one that completes a chord publishes its body.
//!
//! What if we die: before the count, the part runs again. After it, the part runs again too (its
//! claim has not ended), counts no second time, and is told again to publish, for the right to
//! publish is kept under the part's own name. After the body was published, the chord is known to
//! have ended. Where queue and results share a database the body and the chord's end are one step,
//! so that the body is published once; elsewhere dying between the two publishes it again, under
//! the same id.

use std::collections::VecDeque;

use rhubarb_core::class::Class;
use rhubarb_queue::{Error, Stored, error::redis, keys::list};

use crate::{
    circumstances::Circumstances,
    delivery::ClaimId,
    follow::{Follow, PartReturn, chord_body, chord_failed},
    join, script,
    settler::Settler,
};

/// How long the right to publish a body lasts, s: Celery's for its default join timeout.
const RIGHT: u64 = 6;
/// How long it is known that a chord has ended, s: Celery's.
const DONE: u64 = 300;
/// The most messages that a body is published as in one step with the chord's end.
const ONE_STEP: usize = 100;

/// Where a counted part leaves its chord.
enum Counted {
    Late,
    Waiting,
    Complete,
}

/// What the script that ends chords is told to do.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Keep the right to publish the body.
    Hold,
    /// Publish it, and end the chord.
    End,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::End => "end",
        }
    }
}

/// Returns parts, and what their chords' ends bring with them; those that are done are taken out.
///
/// `own` is the result of the claim's own task: where it is a part, it is stored in the same step,
/// before any body can ask for it, and taken out.
pub(super) async fn return_parts(
    settler: &Settler,
    claim: ClaimId,
    own: &mut Option<Stored>,
    parts: &mut Vec<PartReturn>,
) -> Result<(), Error> {
    let mut waiting: VecDeque<PartReturn> = std::mem::take(parts).into();
    while let Some(part) = waiting.front() {
        match return_part(settler, claim, own, part).await {
            Ok(more) => {
                waiting.extend(more);
                waiting.pop_front();
            }
            // Somebody else's keys, or the keys of somebody who counts otherwise (Celery's
            // unordered chords): trying again would change nothing, and the task's own end must not
            // wait for it.
            Err(error) if error.class() == Class::Permanent => {
                let cause = crate::settler::source(&error);
                tracing::error!(%error, cause, chord = part.group, "a chord cannot go on");
                waiting.pop_front();
            }
            Err(error) => {
                parts.extend(waiting);
                return Err(error);
            }
        }
    }
    Ok(())
}

async fn return_part(
    settler: &Settler,
    claim: ClaimId,
    own: &mut Option<Stored>,
    part: &PartReturn,
) -> Result<Vec<PartReturn>, Error> {
    let result = own.as_ref().filter(|own| own.task_id == part.task_id);
    let counted = count(settler, claim, result, part).await?;
    if own.as_ref().is_some_and(|own| own.task_id == part.task_id) {
        *own = None;
    }
    match counted {
        Counted::Late | Counted::Waiting => Ok(Vec::new()),
        Counted::Complete => end(settler, claim, part).await,
    }
}

/// The part's name in its chord, and its place.
fn names(part: &PartReturn) -> (String, String) {
    let score = part.index.map_or_else(|| "+inf".to_owned(), |index| index.to_string());
    (format!("{}:{score}", part.task_id), score)
}

fn holder(part: &PartReturn) -> Vec<u8> {
    format!("rhubarb:{}", names(part).0).into_bytes()
}

async fn count(
    settler: &Settler,
    claim: ClaimId,
    result: Option<&Stored>,
    part: &PartReturn,
) -> Result<Counted, Error> {
    let client = &settler.broker.client;
    let mut keys: Vec<String> = [".j", ".t", ".s", ".d", "", ".c"]
        .iter()
        .map(|kind| client.group_key(&part.group, kind))
        .collect();
    keys.push(client.result_key(&part.task_id));
    keys.push(settler.broker.queues[claim.queue].claims(&settler.broker.id));
    // On another database the claim cannot be looked at: there a late part counts, as it does in
    // Celery.
    let fence = if settler.results_here { claim.number.to_string() } else { String::new() };
    let ttl = settler.result_expires.as_secs().max(1).to_string();
    let (name, score) = names(part);
    let args = [
        name.into_bytes(),
        part.member.clone(),
        score.into_bytes(),
        ttl.clone().into_bytes(),
        RIGHT.to_string().into_bytes(),
        holder(part),
        fence.into_bytes(),
        result.map(|result| result.bytes.clone()).unwrap_or_default(),
        ttl.into_bytes(),
    ];
    let answer: i64 = client
        .results()
        .eval(&script::CHORD_PART, &keys, &args, &[])
        .await
        .map_err(redis(format!("count task `{}` in chord `{}`", part.task_id, part.group)))?;
    Ok(match answer {
        -2 => Counted::Late,
        1 => Counted::Complete,
        _ => Counted::Waiting,
    })
}

/// Ends a chord all of whose parts have returned; gives the parts of other chords that end with it.
async fn end(
    settler: &Settler,
    claim: ClaimId,
    part: &PartReturn,
) -> Result<Vec<PartReturn>, Error> {
    let around = Circumstances::of(&settler.broker, &settler.config, claim.queue, "");
    let (results, _turn) = join::results(settler, part).await?;
    let follow = match results {
        Ok(results) => chord_body(part, results, around),
        Err(cause) => {
            tracing::warn!(chord = part.group, reason = cause.message, "a chord has failed");
            let mut follow = chord_failed(part, cause, around);
            follow.carry_out(&settler.broker.client).await?;
            // The parts stay for a while, as Celery leaves them; without its size the chord cannot
            // end again.
            let size = settler.broker.client.group_key(&part.group, ".s");
            let _: u64 = settler
                .broker
                .client
                .results()
                .query(::redis::cmd("DEL").arg(size))
                .await
                .map_err(redis(format!("end the failed chord `{}`", part.group)))?;
            return Ok(follow.returns);
        }
    };
    publish(settler, part, follow).await
}

async fn publish(
    settler: &Settler,
    part: &PartReturn,
    mut follow: Follow,
) -> Result<Vec<PartReturn>, Error> {
    let in_one_step = settler.results_here && follow.messages.len() <= ONE_STEP;
    if !in_one_step && !close(settler, part, Step::Hold, &Follow::default()).await? {
        return Ok(Vec::new());
    }
    follow.write_groups(&settler.broker.client).await?;
    if !in_one_step {
        settler.broker.client.send_encoded(&mut follow.messages).await?;
    }
    // A body that cannot be published has left failures instead of messages.
    let returns = std::mem::take(&mut follow.returns);
    let messages = std::mem::take(&mut follow.messages);
    follow.carry_out(&settler.broker.client).await?;
    close(settler, part, Step::End, &Follow { messages, ..Follow::default() }).await?;
    Ok(returns)
}

/// Tells whether it was still ours to do.
async fn close(
    settler: &Settler,
    part: &PartReturn,
    step: Step,
    follow: &Follow,
) -> Result<bool, Error> {
    let client = &settler.broker.client;
    let mut keys: Vec<String> = [".c", ".s", ".j", ".t", ".d"]
        .iter()
        .map(|kind| client.group_key(&part.group, kind))
        .collect();
    let seconds = match step {
        Step::Hold => 10 * RIGHT,
        Step::End => DONE,
    };
    let mut args = vec![holder(part), step.name().into(), seconds.to_string().into_bytes()];
    for outgoing in &follow.messages {
        keys.push(list(&outgoing.queue, outgoing.priority, client.celery()));
        args.push(outgoing.message.clone());
    }
    let ours: u8 = client
        .results()
        .eval(&script::CHORD_END, &keys, &args, &[])
        .await
        .map_err(redis(format!("publish the body of chord `{}`", part.group)))?;
    Ok(ours == 1)
}
