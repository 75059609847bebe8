use std::time::Duration;

use rhubarb_jobs::{Ending, ScrapeState, SourceStatus, Status};
use rhubarb_queue::{
    inspect::{Composition, QueueInfo, WorkerInfo, WorkerRecord},
    pauses::Pause,
};
use rhubarb_settings::Settings;

use super::{Examination, Fleet, LateSchedule, Probe};
use crate::finding::{Finding, Level};

fn codes(findings: &[Finding]) -> Vec<(&'static str, &'static str)> {
    findings.iter().map(|finding| (finding.level.name(), finding.code)).collect()
}

fn queue(waiting: u64) -> QueueInfo {
    QueueInfo { name: "mail".into(), waiting, ..QueueInfo::default() }
}

fn worker(queues: &[&str], tasks: &[&str]) -> WorkerInfo {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    WorkerInfo {
        record: WorkerRecord {
            id: "w1".into(),
            node: "rhubarb@host".into(),
            pid: 1,
            version: "0.1.0".into(),
            started_at: String::new(),
            concurrency: 16,
            queues: owned(queues),
            tasks: owned(tasks),
            parameters: std::collections::BTreeMap::new(),
            n_running: 0,
            running: Vec::new(),
            processed: 0,
            late: 0,
            dead: 0,
            parked: 0,
            draining: false,
        },
        alive: true,
        lease_until: String::new(),
    }
}

fn sample(tasks: &[&str]) -> Composition {
    let tasks = tasks.iter().map(|task| ((*task).to_owned(), 1)).collect();
    Composition { queue: "mail".into(), tasks, ..Composition::default() }
}

#[test]
fn a_fleet_that_is_as_it_should_be_gives_no_findings() {
    let fleet = Fleet {
        queues: vec![queue(5)],
        workers: vec![worker(&["mail"], &["mail.send"])],
        waiting: vec![sample(&["mail.send"])],
        schedules: 2,
        led: true,
        ..Fleet::default()
    };
    assert_eq!(codes(&fleet.findings()), []);
}

#[test]
fn a_queue_that_nobody_serves_is_told_with_the_command_that_mends_it() {
    let mut fleet = Fleet {
        queues: vec![queue(1_200)],
        workers: vec![worker(&["celery"], &[])],
        ..Fleet::default()
    };
    let found = fleet.findings();
    assert_eq!(codes(&found), [("warning", "unserved_queue")]);
    assert_eq!(found[0].place, "queue mail");
    assert_eq!(found[0].found, "1,200 tasks wait, and no live worker serves it");
    assert_eq!(found[0].advice, "Start a worker for it (`worker -Q mail`).");
    fleet.python = 2;
    assert_eq!(codes(&fleet.findings()), [("info", "unserved_queue")], "Celery's may serve it");
    fleet.queues = vec![queue(0)];
    assert_eq!(codes(&fleet.findings()), [], "nothing waits");
}

#[test]
fn what_was_never_started_stops_a_release_only_where_tasks_wait_for_it() {
    let mut fleet = Fleet { schedules: 2, ..Fleet::default() };
    assert_eq!(codes(&fleet.findings()), [("info", "not_started")]);
    fleet.queues = vec![queue(3)];
    let found = fleet.findings();
    assert_eq!(codes(&found), [("warning", "not_started")]);
    assert_eq!(found[0].found, "no worker and no beat runs, and 3 tasks wait");
    fleet.python = 1;
    assert_eq!(codes(&fleet.findings()), [("info", "not_started")], "Celery's run them until then");
}

#[test]
fn a_lost_worker_serves_nothing() {
    let lost = WorkerInfo { alive: false, ..worker(&["mail"], &["mail.send"]) };
    let fleet = Fleet { queues: vec![queue(1)], workers: vec![lost], ..Fleet::default() };
    let expect = [("warning", "unserved_queue"), ("info", "lost_workers")];
    assert_eq!(codes(&fleet.findings()), expect);
}

#[test]
fn a_task_that_no_live_worker_registers_is_named_unless_pythons_workers_may_have_it() {
    let mut fleet = Fleet {
        workers: vec![worker(&["mail"], &["mail.send"])],
        waiting: vec![sample(&["mail.send", "shop.a", "shop.b", "shop.c", "shop.d"])],
        ..Fleet::default()
    };
    let found = fleet.findings();
    assert_eq!(codes(&found), [("warning", "unknown_tasks")]);
    let told = "tasks wait that no live worker registers: shop.a, shop.b, shop.c and 1 more";
    assert_eq!(found[0].found, told);
    fleet.python = 1;
    assert_eq!(codes(&fleet.findings()), []);
}

#[test]
fn a_pause_is_told_while_tasks_wait_behind_it() {
    let pause = Pause { since: "2026-11-23T22:00:00Z".into(), note: None };
    let paused = QueueInfo { paused: true, pause: Some(pause), ..queue(3) };
    let workers = vec![worker(&["mail"], &[])];
    let fleet = Fleet { queues: vec![paused], workers, ..Fleet::default() };
    let found = fleet.findings();
    assert_eq!(codes(&found), [("warning", "paused_queue")]);
    assert_eq!(found[0].found, "it is paused since 2026-11-23T22:00:00Z, and 3 tasks wait");
}

#[test]
fn schedules_without_a_beat_are_told_once_and_late_ones_each() {
    let late = vec![LateSchedule { name: "hourly".into(), by: Duration::from_secs(90) }];
    let workers = vec![worker(&["mail"], &[])];
    let mut fleet = Fleet { schedules: 3, late, workers, ..Fleet::default() };
    let found = fleet.findings();
    assert_eq!(codes(&found), [("warning", "no_beat")]);
    assert_eq!(found[0].found, "no beat leads: 3 schedules publish nothing");
    fleet.led = true;
    let found = fleet.findings();
    assert_eq!(codes(&found), [("warning", "late_schedule")]);
    assert_eq!(found[0].found, "its tick is 90 s late");
}

#[test]
fn what_is_stranded_is_counted() {
    let mut fleet =
        Fleet { stranded: 2, unacked: 3, dead: 1, parked: 4, led: true, ..Fleet::default() };
    let expect = [
        ("warning", "stranded_claims"),
        ("warning", "unacked"),
        ("warning", "parked_tasks"),
        ("info", "dead_letters"),
    ];
    assert_eq!(codes(&fleet.findings()), expect);
    fleet.python = 1;
    let unacked = fleet.findings().iter().any(|finding| finding.code == "unacked");
    assert!(!unacked, "a Celery worker that runs holds what it has not acknowledged");
}

#[test]
fn workers_of_two_versions_are_told() {
    let mut newer = worker(&["mail"], &[]);
    newer.record.version = "0.2.0".into();
    let fleet = Fleet { workers: vec![worker(&["mail"], &[]), newer], ..Fleet::default() };
    assert_eq!(codes(&fleet.findings()), [("info", "mixed_versions")]);
}

#[test]
fn a_source_that_ended_badly_says_what_it_said() {
    let mut broken = SourceStatus::new(Ending::Blocked, 0);
    broken.error = Some("it asks for a login".into());
    let good = SourceStatus::new(Ending::Found, 3);
    let status = Status {
        last_scraped: String::new(),
        keyword: "rust".into(),
        jobs_count: 3,
        status: ScrapeState::Partial,
        error: None,
        sources: [("acme".to_owned(), broken), ("good".to_owned(), good)].into(),
        new: 0,
        closed: 0,
    };
    let fleet = Fleet { status: Some(status), led: true, ..Fleet::default() };
    let found = fleet.findings();
    assert_eq!(codes(&found), [("warning", "broken_source")]);
    assert_eq!((&*found[0].place, &*found[0].found), ("source acme", "it asks for a login"));
    assert_eq!(found[0].advice, "Try it step by step: `rhubarb sources check acme`.");
}

#[test]
fn what_a_server_cannot_do_is_an_error_and_what_is_odd_a_warning() {
    let probe = Probe {
        server: "h:6379".into(),
        is_queue: true,
        round_trip: Duration::from_millis(80),
        skew: Some(Duration::from_secs(60)),
        cluster: true,
        timeout: Some(10),
        forbidden: vec![("EVALSHA", "not permitted".into()), ("PUBLISH", "not permitted".into())],
    };
    let mut config = Settings::default();
    let found = probe.findings(&config);
    let expect = [
        ("error", "forbidden_commands"),
        ("error", "cluster"),
        ("warning", "idle_timeout"),
        ("info", "far_away"),
        ("warning", "clock_skew"),
    ];
    assert_eq!(codes(&found), expect);
    let told = "it refuses EVALSHA, PUBLISH, which a worker needs: not permitted";
    assert_eq!(found[0].found, told);
    config.celery.global_keyprefix = "{shop}:".into();
    let found = probe.findings(&config);
    assert!(!codes(&found).contains(&("error", "cluster")), "all keys are in one slot");
    let heroku = Probe { timeout: Some(300), is_queue: true, ..Probe::default() };
    assert_eq!(codes(&heroku.findings(&config)), []);
}

#[test]
fn warnings_count_where_strictness_is_asked_for_and_what_is_only_worth_knowing_never() {
    let with = |level| Examination {
        at: String::new(),
        findings: vec![Finding::new(level, "x", "p", String::new(), "")],
        missing: Vec::new(),
    };
    for (level, plain, strict) in
        [(Level::Error, true, true), (Level::Warning, false, true), (Level::Info, false, false)]
    {
        let examined = with(level);
        assert_eq!((examined.is_ill(false), examined.is_ill(true)), (plain, strict), "{level:?}");
    }
}
