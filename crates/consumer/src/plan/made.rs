//! What an ending does that was made where the task ran, by Celery itself.

use std::sync::Arc;

use jiff::tz::{TimeZone, offset};
use rhubarb_queue::{Outgoing, Stored, keys::list_number, notice::NoticeKind};
use rhubarb_wire::{Envelope, Exception, State};

use super::{Act, Plan, failure, notice};
use crate::{
    circumstances::Circumstances,
    delivery::{Message, Received},
    follow::{self, Failed, Follow},
    outcome::{Made, Outcome},
};

/// Decides what an ending does whose state and messages are there already.
pub(super) fn decide(
    outcome: Outcome,
    made: Made,
    received: &Arc<Received>,
    around: Circumstances<'_>,
) -> Plan {
    let Made { state, mut messages, part, told } = made;
    let stores = state.is_some();
    let size = state.as_ref().map_or(0, Vec::len);
    if size > around.max_result_bytes {
        return too_large(size, received, around);
    }
    let mut plan = match outcome {
        Outcome::Failure { exception, traceback } if !told => {
            let failed = Failed { state: State::Failure, exception, traceback };
            failure(&failed, received, stores, around)
        }
        Outcome::Failure { exception, .. } => {
            let message = Message::Read(received.clone());
            let text = exception.to_string();
            Plan::ended(None, notice(NoticeKind::TaskFailed, &message, &text, around))
        }
        Outcome::Success(_) => Plan::ended(None, Follow::default()),
        Outcome::Retry { .. } => Plan::act(again(&mut messages, received, around)),
        other => super::decide(other, &Message::Read(received.clone()), around),
    };
    plan.result =
        state.map(|bytes| Stored { task_id: received.envelope.headers.id.clone(), bytes });
    plan.follow.messages.extend(messages);
    let part = part.and_then(|member| follow::made_part(received, member, around.celery));
    plan.follow.returns.extend(part);
    plan
}

/// Takes the task's next attempt out of the messages, to be put where it waits for its time; what
/// goes to another queue is published, and waits there.
fn again(messages: &mut Vec<Outgoing>, received: &Received, around: Circumstances<'_>) -> Act {
    let due = |outgoing: &Outgoing| {
        let envelope = Envelope::decode(&outgoing.message).ok()?;
        let own = envelope.headers.id == received.envelope.headers.id;
        let eta = envelope.headers.eta.filter(|_| own && outgoing.queue == around.queue)?;
        let at = eta.resolve(&TimeZone::UTC);
        // One without an offset is in a time zone that only those know who claim it.
        let elsewhere = eta.resolve(&TimeZone::fixed(offset(1)));
        (at == elsewhere).then_some(at)
    };
    let found = messages.iter().enumerate().find_map(|(nth, one)| Some((nth, due(one)?)));
    let Some((nth, at)) = found else { return Act::Done };
    let Outgoing { priority, message, .. } = messages.remove(nth);
    let list = list_number(priority, &around.celery.priority_steps);
    Act::Schedule { at, message: Some((message, Some(list))) }
}

/// What would have followed is dropped: it was not published yet.
fn too_large(size: usize, received: &Arc<Received>, around: Circumstances<'_>) -> Plan {
    let text = format!(
        "the result has {size} bytes, more than worker.max_result_bytes = {}",
        around.max_result_bytes
    );
    let exception = Exception::builtin("ValueError", vec![text.into()]);
    let failed = Failed { state: State::Failure, exception, traceback: None };
    failure(&failed, received, true, around)
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::{Config, config::CeleryConfig};
    use rhubarb_wire::{NewTask, Signature, Time};

    use super::*;
    use crate::{outcome::Ending, plan::tests::around};

    fn received() -> Arc<Received> {
        let mut task = NewTask::new("t", "celery");
        task.headers.id = "id".to_owned();
        task.embed.callbacks = vec![Signature::new("callback")];
        task.embed.chain = vec![Signature::new("second").set_option("task_id", "second")];
        task.embed.chord = Some(Signature::new("body").set_option("task_id", "body"));
        task.headers.group = Some("g".to_owned());
        Arc::new(Received::new(task.into_envelope("d"), 1 << 20))
    }

    fn celery() -> CeleryConfig {
        Config::default().celery
    }

    fn planned(outcome: Outcome, made: Made) -> Plan {
        let ending = Ending { made: Some(Box::new(made)), ..outcome.into() };
        super::super::plan(ending, &Message::Read(received()), around(&celery()))
    }

    fn made() -> Made {
        let next = Outgoing { queue: "celery".into(), priority: 0, message: b"next".to_vec() };
        Made { state: Some(b"{}".to_vec()), messages: vec![next], ..Made::default() }
    }

    #[test]
    fn a_success_stores_and_publishes_what_was_made_and_nothing_else() {
        let part = Some(b"[1]".to_vec());
        let plan = planned(Outcome::Success(1.into()), Made { part, ..made() });
        assert_eq!(plan.result.unwrap().bytes, b"{}");
        assert_eq!(plan.follow.messages, made().messages);
        assert_eq!((plan.follow.returns.len(), &*plan.follow.returns[0].member), (1, &b"[1]"[..]));
        assert!(plan.is_final && plan.act == Act::Done);
    }

    #[test]
    fn a_retry_is_the_message_that_was_made_and_waits_where_its_task_waits() {
        let retry = |messages| {
            let (exception, traceback) = (Exception::retry("Retry in 1s"), None);
            let (after, again) = (std::time::Duration::ZERO, Box::default());
            let outcome = Outcome::Retry { exception, traceback, after, again };
            let plan = planned(outcome, Made { messages, ..made() });
            assert!(!plan.is_final && plan.result.is_some());
            (plan.act, plan.follow.messages.len())
        };
        assert_eq!(retry(made().messages), (Act::Done, 1));
        let at = |eta: &str, queue: &str| {
            let mut envelope = received().envelope.clone();
            envelope.headers.eta = Time::parse(eta);
            Outgoing { queue: queue.into(), priority: 0, message: envelope.encode() }
        };
        let due = at("2026-11-23T22:00:00+00:00", "celery");
        let act = retry(vec![due.clone()]).0;
        let when = "2026-11-23T22:00:00Z".parse().unwrap();
        assert_eq!(act, Act::Schedule { at: when, message: Some((due.message, Some(1))) });
        for other in [at("2026-11-23T22:00:00", "celery"), at("2026-11-23T22:00:00Z", "slow")] {
            assert_eq!(retry(vec![other]), (Act::Done, 1));
        }
    }

    #[test]
    fn a_failure_is_told_to_those_who_wait_unless_they_know() {
        let failed = || Outcome::Failure {
            exception: Exception::builtin("ValueError", vec!["boom".into()]),
            traceback: None,
        };
        let plan = planned(failed(), made());
        assert_eq!(plan.result.unwrap().bytes, b"{}");
        assert_eq!(plan.follow.results[0].task_id, "second");
        assert_eq!(plan.follow.returns.len(), 1);
        let plan = planned(failed(), Made { told: true, ..made() });
        assert!(plan.follow.results.is_empty() && plan.follow.returns.is_empty());
    }

    #[test]
    fn what_wants_no_end_told_still_stores_the_state_that_it_has_set() {
        let plan = planned(Outcome::Ignored, made());
        assert!(plan.result.is_some() && plan.follow.messages.len() == 1);
        let plan = planned(Outcome::HandBack, Made::default());
        assert_eq!((plan.act, plan.result), (Act::Back, None));
    }

    #[test]
    fn a_result_that_is_too_large_is_a_failure() {
        let state = Some(vec![b' '; 20_000]);
        let plan = planned(Outcome::Success(1.into()), Made { state, ..made() });
        let result = String::from_utf8(plan.result.unwrap().bytes).unwrap();
        assert!(result.contains("max_result_bytes"), "{result}");
        assert!(plan.follow.messages.is_empty());
    }
}
