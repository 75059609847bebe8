use std::sync::LazyLock;

use rhubarb_queue::{Config, config::CeleryConfig, notice};
use rhubarb_wire::{Envelope, NewTask, Signature};
use serde_json::json;

use super::*;
use crate::{notices::Notices, outcome::Revocation, tasks::ResultPolicy};

fn celery() -> CeleryConfig {
    Config::default().celery
}

/// Told of everything.
static NOTICES: LazyLock<Notices> = LazyLock::new(|| {
    let told = "[notify]\nurl = \"https://alerts.example/\"\n";
    Notices::new(&Config::from_toml(told).unwrap())
});

/// Told of nothing.
static SILENCE: LazyLock<Notices> = LazyLock::new(|| Notices::new(&Config::default()));

pub(super) fn around(celery: &CeleryConfig) -> Circumstances<'_> {
    Circumstances {
        now: "2026-11-23T21:53:30Z".parse().unwrap(),
        queue: "celery",
        worker: "w@h",
        celery,
        max_message_bytes: 100_000,
        max_result_bytes: 10_000,
        max_canvas_bytes: rhubarb_queue::canvas::max_bytes_in_worker(0),
        forward_to: None,
        tag: "fresh",
        reply_to: "client",
        origin: "gen1@h",
        children: &[],
        errbacks_called: &[],
        notices: &SILENCE,
    }
}

fn task() -> NewTask {
    let mut task = NewTask::new("t", "celery");
    task.headers.id = "id".to_owned();
    task.reply_to = "r".to_owned();
    let sig = |name: &str| Signature::new(name).set_option("task_id", name);
    task.embed.callbacks = vec![Signature::new("callback")];
    task.embed.errbacks = vec![Signature::new("errback")];
    task.embed.chain = vec![sig("third"), sig("second")];
    task.embed.chord = Some(sig("body"));
    task.headers.group = Some("g".to_owned());
    task.headers.group_index = Some(4);
    task
}

fn received(envelope: Envelope) -> Arc<Received> {
    Arc::new(Received::new(envelope, 1 << 20))
}

fn planned(outcome: Outcome, received: &Arc<Received>, celery: &CeleryConfig) -> Plan {
    plan(outcome.into(), &Message::Read(received.clone()), around(celery))
}

fn failure() -> Outcome {
    let exception = Exception::builtin("ValueError", vec!["boom".into()]);
    Outcome::Failure { exception, traceback: Some("where".to_owned()) }
}

fn sent(plan: &Plan) -> Vec<(String, Envelope)> {
    let decode = |one: &Outgoing| (one.queue.clone(), Envelope::decode(&one.message).unwrap());
    plan.follow.messages.iter().map(decode).collect()
}

fn stored(stored: &Stored) -> TaskResult {
    TaskResult::decode(&stored.bytes).unwrap()
}

#[test]
fn a_success_publishes_what_follows_and_lists_it() {
    let (celery, received) = (celery(), received(task().into_envelope("d")));
    let plan = planned(Outcome::Success(json!(7)), &received, &celery);
    let sent = sent(&plan);
    let names: Vec<&str> = sent.iter().map(|(_, one)| one.headers.task.as_str()).collect();
    assert_eq!(names, ["callback", "second"]);
    let second = &sent[1].1;
    let body = second.body(10_000).unwrap();
    assert_eq!((second.headers.id.as_str(), &body.args), ("second", &vec![json!(7)]));
    assert_eq!(body.embed.chain.len(), 1);
    let result = stored(plan.result.as_ref().unwrap());
    assert_eq!(result.children[0][0][0], json!(sent[0].1.headers.id));
    assert_eq!(result.children[1], json!([["second", null], null]));
    let part = &plan.follow.returns[0];
    assert_eq!(part.member, br#"[1, "id", "SUCCESS", 7]"#);
    assert_eq!((part.group.as_str(), part.index), ("g", Some(4)));
}

#[test]
fn ids_that_nobody_gave_are_the_same_when_a_message_is_run_again() {
    let celery = celery();
    let callback = |tag: &str| {
        let received = received(task().into_envelope(tag));
        let plan = planned(Outcome::Success(json!(7)), &received, &celery);
        sent(&plan)[0].1.headers.id.clone()
    };
    assert_eq!(callback("d"), callback("d"));
    assert_ne!(callback("d"), callback("another message of the same task"));
}

#[test]
fn a_failure_is_told_to_the_rest_of_the_chain_to_the_chord_and_to_errbacks() {
    let (celery, received) = (celery(), received(task().into_envelope("d")));
    let plan = planned(failure(), &received, &celery);
    let sent = sent(&plan);
    assert_eq!(sent.len(), 1);
    let errback = &sent[0].1;
    assert_eq!(errback.headers.task, "errback");
    assert_eq!(errback.body(10_000).unwrap().args, [json!("id")]);
    assert_eq!(errback.headers.parent_id.as_deref(), Some("id"));
    let own = stored(plan.result.as_ref().unwrap());
    let told: Vec<TaskResult> = plan.follow.results.iter().map(stored).collect();
    assert_eq!(
        told.iter().map(|one| one.task_id.as_str()).collect::<Vec<_>>(),
        ["third", "second"]
    );
    for one in told {
        assert_eq!((&one.result, &one.traceback), (&own.result, &own.traceback));
    }
    assert_eq!(plan.follow.returns.len(), 1);
}

#[test]
fn a_revoked_task_fails_its_chain_and_chord_and_calls_no_errback() {
    let (celery, received) = (celery(), received(task().into_envelope("d")));
    let plan = planned(Outcome::Revoked(Revocation::Expired), &received, &celery);
    assert!(plan.follow.messages.is_empty());
    assert_eq!(stored(&plan.follow.results[0]).status, State::Revoked);
    assert!(
        plan.follow.returns[0]
            .member
            .starts_with(br#"[1, "id", "REVOKED", {"exc_type": "TaskRevokedError""#)
    );
}

#[test]
fn a_task_that_ignores_its_end_or_rejects_its_message_is_told_to_nobody() {
    let (celery, received) = (celery(), received(task().into_envelope("d")));
    let ignored = planned(Outcome::Ignored, &received, &celery);
    assert_eq!(ignored, Plan::ended(None, Follow::default()));
    let reject = |requeue| Outcome::Rejected { requeue, reason: "no such shop".to_owned() };
    let rejected = planned(reject(false), &received, &celery);
    let letter = rejected.letter.as_ref().unwrap();
    assert_eq!((letter.kind, letter.reason.as_str()), (LetterKind::Dead, "no such shop"));
    assert_eq!(Plan { letter: None, ..rejected }, ignored);
    let back = planned(reject(true), &received, &celery);
    let Act::Schedule { message: Some((bytes, None)), .. } = &back.act else { panic!("{back:?}") };
    let again = Envelope::decode(bytes).unwrap();
    assert!(again.is_redelivered() && !received.envelope.is_redelivered());
    assert_eq!((again.headers.retries, &again.body), (0, &received.envelope.body));
    assert_eq!((&back.result, &back.follow, back.is_final), (&None, &Follow::default(), false));
}

#[test]
fn a_result_that_is_too_large_fails_and_nothing_follows_it_as_a_success() {
    let (celery, received) = (celery(), received(task().into_envelope("d")));
    let plan = planned(Outcome::Success(json!("x".repeat(20_000))), &received, &celery);
    assert_eq!(stored(plan.result.as_ref().unwrap()).status, State::Failure);
    assert_eq!(sent(&plan)[0].1.headers.task, "errback");
    assert_eq!(plan.follow.results.len(), 2);
}

#[test]
fn a_large_failure_is_told_on_in_few_words() {
    let (celery, received) = (celery(), received(task().into_envelope("d")));
    let exception = Exception::builtin("ValueError", vec!["x".repeat(1 << 20).into()]);
    let plan = planned(Outcome::Failure { exception, traceback: None }, &received, &celery);
    let own = stored(plan.result.as_ref().unwrap()).exception().unwrap();
    assert!(own.exc_message[0].as_str().unwrap().contains("max_result_bytes"));
    assert!(plan.follow.results.iter().all(|one| one.bytes.len() < 1000));
}

#[test]
fn whose_results_are_stored_is_said_by_the_call_then_the_registration_then_the_settings() {
    let check = |call, task: Option<bool>, setting, expect: bool| {
        let mut new = NewTask::new("t", "celery");
        new.headers.ignore_result = call;
        let stores = ResultPolicy { ignore_result: task, ..ResultPolicy::default() };
        let received = Received::new(new.into_envelope("d"), 1 << 20);
        let received = Arc::new(received.told(stores, Vec::new()));
        let celery = CeleryConfig { task_ignore_result: setting, ..celery() };
        let is_stored = planned(Outcome::Success(json!(1)), &received, &celery).result.is_some();
        assert_eq!(is_stored, expect, "{call:?} {task:?} {setting}");
        let failure_is_stored = planned(failure(), &received, &celery).result.is_some();
        assert_eq!(failure_is_stored, expect, "{call:?} {task:?} {setting}");
        let loud = CeleryConfig { task_store_errors_even_if_ignored: true, ..celery };
        assert!(planned(failure(), &received, &loud).result.is_some());
    };
    check(None, None, false, true);
    check(None, None, true, false);
    check(None, Some(true), false, false);
    check(None, Some(false), true, true);
    check(Some(true), Some(false), false, false);
    check(Some(false), Some(true), true, true);
}

#[test]
fn a_retry_stays_in_its_queue_or_goes_to_another_with_what_changed() {
    let celery = celery();
    let retry = |again: Again| {
        let received = received(task().into_envelope("d"));
        let exception = Exception::builtin("OSError", vec![]);
        let after = Duration::from_secs(30);
        planned(
            Outcome::Retry { exception, traceback: None, after, again: again.into() },
            &received,
            &celery,
        )
    };
    let Act::Schedule { at, message: Some((message, None)) } = retry(Again::default()).act else {
        panic!("not scheduled")
    };
    assert_eq!(at, "2026-11-23T21:54:00Z".parse().unwrap());
    assert_eq!(Envelope::decode(&message).unwrap().headers.retries, 1);
    let urgent = Again { priority: Some(3), args: Some(vec![json!(2)]), ..Again::default() };
    let Act::Schedule { message: Some((message, Some(2))), .. } = retry(urgent).act else {
        panic!("not scheduled on the second list")
    };
    let next = Envelope::decode(&message).unwrap();
    let body = next.body(10_000).unwrap();
    assert_eq!((body.args, body.embed.chain.len()), (vec![json!(2)], 2));
    assert_eq!(next.headers.argsrepr.as_deref(), Some("(2,)"));
    let elsewhere = Again { queue: Some("slow".to_owned()), ..Again::default() };
    let plan = retry(elsewhere);
    assert_eq!((&plan.act, plan.is_final), (&Act::Done, false));
    let (queue, next) = sent(&plan).remove(0);
    assert_eq!((queue.as_str(), next.headers.id.as_str()), ("slow", "id"));
    assert_eq!(stored(plan.result.as_ref().unwrap()).status, State::Retry);
}

/// The notice goes with the end: in the same script, or before it.
#[test]
fn a_failure_for_good_and_a_dead_letter_tell_of_themselves_once_each() {
    let celery = celery();
    let told = |outcome: Outcome, id: &str| {
        let mut task = task();
        task.headers.id = id.to_owned();
        task.headers.task = format!("t.{id}");
        let received = received(task.into_envelope("tag"));
        let around = Circumstances { notices: &NOTICES, ..around(&celery) };
        let plan = plan(outcome.into(), &Message::Read(received), around);
        let sent = sent(&plan).into_iter().map(|(_, envelope)| envelope);
        let notices = sent.filter(|envelope| envelope.headers.task == notice::TASK);
        let kind = |envelope: Envelope| {
            assert_eq!(envelope.headers.parent_id.as_deref(), Some(id));
            let body = envelope.body(1 << 20).unwrap();
            body.kwargs["notice"]["kind"].as_str().unwrap().to_owned()
        };
        notices.map(kind).collect::<Vec<_>>()
    };
    assert_eq!(told(failure(), "1"), ["task.failed"]);
    let exception = Exception::builtin("ValueError", vec![]);
    let dead = Outcome::Dead { reason: "too many deaths".into(), exception: exception.clone() };
    assert_eq!(told(dead, "2"), ["task.dead"]);
    let rejected = Outcome::Rejected { reason: "no".into(), requeue: false };
    assert_eq!(told(rejected, "3"), ["task.dead"]);
    for (id, quiet) in
        [Outcome::Success(json!(1)), Outcome::Ignored, Outcome::HandBack].into_iter().enumerate()
    {
        assert_eq!(told(quiet, &format!("q{id}")), Vec::<String>::new());
    }
}
