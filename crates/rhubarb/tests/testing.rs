//! Tests of tasks as their authors write them: without Redis, without a worker.
#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

use rhubarb::{
    Timestamp, assert_published,
    canvas::group,
    prelude::*,
    testing::{Eager, End, Given, app},
};

#[task(name = "t.mail", queue = "post")]
async fn mail(to: String, #[default] copy: bool) {
    let _ = (to, copy);
}

#[task(name = "t.sell", max_retries = 2)]
async fn sell(context: TaskContext, item: String) -> Result<u32, TaskError> {
    context.progress(1, 2, "packing").await;
    mail::call(&*item).copy(true).unique_for(Duration::from_secs(9)).send(context.client()).await?;
    match item.as_str() {
        "tea" if context.info().retries < 2 => Err(TaskError::transient("OSError", "no tea")),
        "jam" => Err(TaskError::transient("OSError", "no jam")),
        _ => Ok(context.info().retries),
    }
}

#[task(name = "t.end")]
async fn end(how: String) -> Result<i64, TaskError> {
    Err(match how.as_str() {
        "ignore" => TaskError::Ignore,
        "reject" => TaskError::reject("no such shop"),
        "replace" => TaskError::replace(group(vec![mail::call("Ann").signature()?])),
        "later" => TaskError::put_off(Duration::from_secs(7)),
        "other" => Retry::after(Duration::ZERO).args(vec!["ignore".into()]).into(),
        _ => TaskError::Cancelled,
    })
}

#[task(name = "t.slow", time_limit = Duration::from_millis(20))]
async fn slow() {
    std::future::pending().await
}

#[task(name = "t.count")]
fn count(to: u64) -> u64 {
    to
}

/// Asks for another attempt an hour later until it is noon, and tells somebody in five minutes.
#[task(name = "t.noon", max_retries = 9)]
async fn noon(context: TaskContext, at: Timestamp) -> Result<Timestamp, TaskError> {
    if context.now() < at {
        return Err(Retry::after(HOUR).into());
    }
    mail::call("Ann").countdown(MINUTE * 5).send(context.client()).await?;
    Ok(context.now())
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn eager() -> Eager {
    let mut app = app();
    app.add_all([mail::task(), sell::task(), end::task(), slow::task(), count::task()]);
    app.add(noon::task());
    Eager::new(app).unwrap()
}

#[tokio::test]
async fn retries_are_followed_and_what_is_published_is_recorded() {
    let eager = eager();
    let ran = eager.run(sell::call("tea").publish().unwrap()).await;
    assert_eq!((ran.value::<u32>(), ran.waits.len()), (2, 2));
    assert_eq!(eager.published().len(), 3);
    let sent = assert_published!(eager, "t.mail", args = ["tea"], kwargs = {"copy": true});
    assert_eq!(sent.queue, "post");
    assert_published!(eager, "t.mail", kwargs = {"copy": true});
    assert_eq!(eager.states()[0].0, "PROGRESS");
    let ran = eager.run(sell::call("jam").publish().unwrap()).await;
    assert_eq!((ran.exception().exc_type.as_str(), ran.waits.len()), ("OSError", 2));
}

#[tokio::test]
async fn every_end_is_told() {
    let eager = eager();
    let ended = async |how: &str| eager.run(end::call(how).publish().unwrap()).await.end;
    assert_eq!(ended("ignore").await, End::Ignored);
    assert_eq!(ended("replace").await, End::Ignored);
    assert_published!(eager, "t.mail", args = ["Ann"]);
    let rejected = End::Rejected { requeue: false, reason: "no such shop".to_owned() };
    assert_eq!(ended("reject").await, rejected);
    assert_eq!(ended("later").await, End::PutOff(Duration::from_secs(7)));
    assert_eq!(ended("other").await, End::Ignored);
    assert_eq!(ended("stop").await, End::HandedBack);
    assert_eq!(eager.run(Publish::new("t.unknown")).await.end, End::Unknown);
    let slow = eager.run(slow::call().publish().unwrap()).await;
    assert_eq!(slow.exception().exc_type, "TimeLimitExceeded");
    assert_eq!(eager.run(count::call(7).publish().unwrap()).await.value::<u64>(), 7);
}

/// The minute of the day, so that the time that the test itself takes does not count.
fn minute(at: Timestamp) -> i64 {
    at.as_second().rem_euclid(24 * 3600) / 60
}

#[tokio::test]
async fn countdowns_etas_and_retries_move_the_tests_clock_and_nothing_waits() {
    let eager = eager();
    let day: Timestamp = "2031-05-01T00:00:01Z".parse().unwrap();
    eager.set_now(day);
    let twelve = day + HOUR * 12;
    let call = noon::call(twelve).countdown(HOUR * 9).publish().unwrap();
    let ran = eager.run(call).await;
    assert_eq!(ran.waits, [HOUR; 3]);
    let began: Vec<i64> = ran.began.iter().map(|began| minute(*began)).collect();
    assert_eq!(began, [540, 600, 660, 720]);
    assert_eq!(minute(ran.value()), 720);
    let sent = assert_published!(eager, "t.mail");
    assert_eq!(&eta(&sent.message)[..16], "2031-05-01T12:05");
    // A time that is past moves nothing, and one by hand does.
    let ran = eager.run(noon::call(twelve).eta(day).publish().unwrap()).await;
    assert_eq!(minute(ran.value()), 720);
    eager.advance(HOUR);
    assert_eq!(minute(eager.now()), 780);
}

fn eta(message: &[u8]) -> String {
    let message: Value = serde_json::from_slice(message).unwrap();
    message["headers"]["eta"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_call_that_expires_before_its_time_does_not_run() {
    let eager = eager();
    let call = || count::call(7);
    let ends = async |call: Publish| {
        let ran = eager.run(call).await;
        (ran.end, ran.began.len())
    };
    let late = call().countdown(HOUR).expires_in(MINUTE).publish().unwrap();
    assert_eq!(ends(late).await, (End::Expired, 0));
    let past = call().expires(eager.now()).publish().unwrap();
    assert_eq!(ends(past).await, (End::Expired, 0));
    let soon = call().countdown(MINUTE).expires_in(HOUR).publish().unwrap();
    assert_eq!(ends(soon).await, (End::Success(7.into()), 1));
    // One that is retried runs until it expires.
    let eager = self::eager();
    eager.set_now(Timestamp::UNIX_EPOCH);
    let call = noon::call(Timestamp::UNIX_EPOCH + HOUR * 9).expires_in(MINUTE * 150);
    let ran = eager.run(call.publish().unwrap()).await;
    assert_eq!((ran.end, ran.began.len()), (End::Expired, 3));
}

#[tokio::test]
async fn a_context_made_by_hand_has_the_time_that_it_is_given() {
    let at: Timestamp = "2031-05-01T00:00:01Z".parse().unwrap();
    let given = Given::call(Publish::new("t.noon")).at(at);
    assert_eq!(minute(given.context().now()), 0);
}

#[tokio::test]
async fn a_context_made_by_hand_is_a_tasks() {
    let given = Given::call(Publish::new("t.sell").arg("pie")).retries(4).deaths(1);
    let context = given.context();
    let info = context.info();
    assert_eq!((info.retries, info.deaths, info.redelivered), (4, 1, true));
    assert_eq!(context.raw_args().args, r#"["pie"]"#);
    assert_eq!(sell(context.clone(), "pie".to_owned()).await.unwrap(), 4);
    assert_published!(given, "t.mail");
    assert!(!context.is_stopping());
    given.stop();
    given.pass_soft_limit();
    context.stopping().await;
    context.soft_limit().await;
}

#[tokio::test]
#[should_panic(expected = "not published: t.mail, args = [\"Bob\"]; published were 0:")]
async fn what_was_not_published_is_told_with_what_was() {
    assert_published!(eager(), "t.mail", args = ["Bob"]);
}
