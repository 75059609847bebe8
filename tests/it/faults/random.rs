//! Everything at once: a seeded random schedule of faults under load, and an oracle at the end.
//!
//! `RHUBARB_FAULT_SECONDS` makes it longer, `RHUBARB_FAULT_SEED` does a run again.

use std::{collections::BTreeMap, time::Duration};

use redis::AsyncCommands;
use rhubarb_queue::{
    inspect,
    letter::{self, LetterKind},
};

use super::{
    field::Field,
    oracle::{Place, Verdict, judge},
    schedule::{Fault, schedule},
};

/// How long the faults of one run take where the environment says nothing.
const SECONDS: u64 = 45;
/// How long the field may take, once all is healed, until nothing waits any more.
const QUIET: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "they are no settings of Rhubarb's but the test's")]
fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_faults_lose_nothing_and_stop_nobody() {
    let seed = from_environment("RHUBARB_FAULT_SEED").unwrap_or_else(|| fastrand::u64(..100_000));
    let seconds = from_environment("RHUBARB_FAULT_SECONDS").unwrap_or(SECONDS);
    println!("random faults: RHUBARB_FAULT_SEED={seed} RHUBARB_FAULT_SECONDS={seconds}");
    let mut field = Field::new().await;
    if !field.turns_clocks() {
        println!("LEFT OUT: clock steps; libfaketime is not installed");
    }
    let producer = tokio::spawn(field.load.clone().run(seed));
    let mut done: BTreeMap<&str, usize> = BTreeMap::new();
    for step in schedule(seed, Duration::from_secs(seconds)) {
        if matches!(step.fault, Fault::ClockStep(..)) && !field.turns_clocks() {
            continue;
        }
        println!("  {:?} for {:?}", step.fault, step.lasts);
        field.step(&step).await;
        *done.entry(step.fault.kind()).or_default() += 1;
    }
    field.load.stop();
    producer.await.unwrap();
    field.quiet(QUIET).await;
    look(&mut field).await;

    let mut verdict = judge(&field.facts);
    verdict.violations.append(&mut field.violations);
    report(&field, &done, &verdict);
    if !verdict.violations.is_empty() {
        println!("logs: {}", field.keep().display());
        panic!("{} violations at seed {seed}: {:#?}", verdict.violations.len(), verdict.violations);
    }
}

/// Notes where each task has ended.
async fn look(field: &mut Field) {
    let (ledger, _) = field.ledger.read("-").await;
    field.facts.ledger = ledger;
    field.facts.sent = field.load.sent();
    let client = field.load.client().clone();
    let mut redis = field.redis.connect(0).await;
    for sent in &field.facts.sent {
        let stored: Option<Vec<u8>> = redis.get(client.result_key(&sent.id)).await.unwrap();
        let state = stored.map(|bytes| {
            rhubarb_wire::TaskResult::decode(&bytes).expect("a stored result").status.to_string()
        });
        let letter = |kind| letter::find(&client, kind, &sent.id);
        let dead = letter(LetterKind::Dead).await.unwrap().map(|letter| letter.reason);
        let parked = letter(LetterKind::Parked).await.unwrap().is_some();
        field.facts.places.insert(sent.id.clone(), Place { state, dead, parked });
    }
    // Nothing of ours may be left but what is kept on purpose.
    let queues = inspect::queues(&client, &[]).await.unwrap();
    for queue in queues.iter().filter(|queue| queue.waiting + queue.claimed + queue.scheduled > 0) {
        field.violations.push(format!("left on a queue: {queue:?}"));
    }
}

fn report(field: &Field, done: &BTreeMap<&str, usize>, verdict: &Verdict) {
    println!("faults:");
    for (kind, n) in done {
        println!("  {n:>5}  {kind}");
    }
    println!("workers' logs:");
    for (what, line) in [
        ("outages begun", "redis is unreachable"),
        ("outages over", "redis is back"),
        ("redeliveries (worker's lease ended)", "gave back the tasks of a worker"),
        ("claims whose answer was lost, given back", "a claim whose answer was lost"),
        ("late acknowledgements that changed nothing", "a late acknowledgement changed"),
    ] {
        println!("  {:>5}  {what}", field.lines_with(line));
    }
    println!("tasks: {} published, {} runs", field.facts.sent.len(), verdict.runs);
    for (place, n) in &verdict.places {
        println!("  {n:>5}  {place}");
    }
    println!("duplicates: {}", verdict.duplicates.values().sum::<usize>());
    for (why, n) in &verdict.duplicates {
        println!("  {n:>5}  {why}");
    }
    let lost = verdict.violations.iter().filter(|why| why.contains("lost")).count();
    println!("lost: {lost}, violations: {}", verdict.violations.len());
}
