//! Traces: one connected tree, from a Python producer through workers of both kinds.

mod collector;

use std::{collections::BTreeMap, time::Duration};

use redis::AsyncCommands;
use rhubarb_e2e::{eventually::eventually, process::Process, python::Python};
use rhubarb_queue::Publish;
use serde_json::{Value, json};

use self::collector::{Collector, Seen};
use crate::{
    OWN_WORKER,
    probes::{address_in, get},
    shop::{SOON, Shop},
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A shop whose programs send their spans to this collector.
async fn traced_shop(collector: &Collector, more: &str) -> Shop {
    let mut shop = Shop::open_with(more).await;
    shop.installation.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    shop
}

fn python(shop: &Shop, collector: &Collector) -> Option<Python> {
    let mut python = shop.python()?;
    python.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    Some(python)
}

fn own_worker(shop: &Shop) -> Process {
    shop.installation.start("own-worker", OWN_WORKER, &[])
}

fn celery_worker(shop: &Shop, python: &Python) -> Process {
    let line = ["-m", "celery", "-A", "traced", "worker", "-Q", "python", "-P", "solo"];
    Process::start("celery", shop.installation.folder(), python.command(&line))
}

fn names(spans: &[Seen]) -> BTreeMap<&str, usize> {
    let mut names = BTreeMap::new();
    for span in spans {
        *names.entry(span.name.as_str()).or_default() += 1;
    }
    names
}

/// Every span's parent is there, but the first one's.
fn is_connected(spans: &[Seen]) -> bool {
    let known = |id: &str| spans.iter().any(|span| span.id == id);
    spans.iter().filter(|span| !known(&span.parent)).count() == 1
}

async fn ended(shop: &Shop, id: &Value) -> Value {
    let id = id.as_str().expect("an id is printed");
    let result = shop.client().wait(id, SOON, |_| {}).await.unwrap();
    result.unwrap_or_else(|| panic!("{id} has not ended")).result
}

/// Runs a chord of Python's and our tasks by both kinds of workers, and returns all of its spans.
async fn chord() -> Option<Vec<Seen>> {
    let collector = Collector::start().await;
    let shop = traced_shop(&collector, "").await;
    let python = python(&shop, &collector)?;
    let _ours = own_worker(&shop);
    let _pythons = celery_worker(&shop, &python);
    let made = python.run(&["traced.py", "chord"]).await;
    assert_eq!(ended(&shop, &made["id"]).await, json!(172));
    Some(collector.trace(made["trace"].as_str().unwrap(), 15).await)
}

#[tokio::test]
async fn a_chord_over_python_and_our_workers_is_one_connected_trace() {
    let Some(spans) = chord().await else { return };
    let expect = [
        ("request", 1),
        ("apply_async/e2e.add", 3),
        ("run/e2e.add", 3),
        ("apply_async/python.add", 2),
        ("run/python.add", 2),
        ("apply_async/e2e.sum", 1),
        ("run/e2e.sum", 1),
        ("apply_async/python.double", 1),
        ("run/python.double", 1),
    ];
    assert_eq!(names(&spans), BTreeMap::from(expect));
    assert!(is_connected(&spans), "{spans:#?}");
    for run in spans.iter().filter(|span| span.name.starts_with("run/")) {
        let publishing = spans.iter().find(|span| span.id == run.parent).unwrap();
        assert_eq!(publishing.name, run.name.replace("run/", "apply_async/"));
        assert_eq!(publishing.value("messaging.message.id"), run.value("messaging.message.id"));
    }
    let services: Vec<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    for service in ["producer", "python-worker", "e2e-own-worker"] {
        assert!(services.contains(&service), "{services:?}");
    }
}

/// What Celery's instrumentation says of a run, a worker of ours says by the same names.
#[tokio::test]
async fn our_spans_have_the_attributes_of_celerys() {
    let Some(spans) = chord().await else { return };
    let of = |name: &str, service: &str| {
        let span = spans.iter().find(|span| span.name == name && span.service == service);
        span.unwrap_or_else(|| panic!("{name} of {service}: {spans:#?}"))
    };
    for (theirs, own) in [
        (of("run/python.add", "python-worker"), of("run/e2e.add", "e2e-own-worker")),
        (
            of("apply_async/python.add", "producer"),
            of("apply_async/python.double", "e2e-own-worker"),
        ),
    ] {
        let names: Vec<&String> = theirs.attributes.keys().collect();
        for name in &names {
            let own_value = own.attributes.get(*name);
            assert!(own_value.is_some(), "{name} of {}: {:#?}", theirs.name, own.attributes);
        }
        assert_eq!(
            (&theirs.kind, &theirs.attributes["celery.action"]),
            (&own.kind, &own.attributes["celery.action"])
        );
    }
}

#[tokio::test]
async fn each_attempt_of_a_retried_task_is_a_part_of_the_one_before() {
    let collector = Collector::start().await;
    let shop = traced_shop(&collector, "").await;
    let Some(python) = python(&shop, &collector) else { return };
    let worker = own_worker(&shop);

    let made = python.run(&["traced.py", "retried"]).await;
    assert_eq!(ended(&shop, &made["id"]).await, json!(3));
    let trace = made["trace"].as_str().unwrap();
    let spans = collector.trace(trace, 7).await;
    let expect = [("request", 1), ("apply_async/e2e.flaky", 3), ("run/e2e.flaky", 3)];
    assert_eq!(names(&spans), BTreeMap::from(expect));
    assert!(is_connected(&spans), "{spans:#?}");
    let reasons = spans.iter().filter(|span| span.value("celery.retry.reason").contains("not yet"));
    assert_eq!(reasons.count(), 2, "{spans:#?}");

    let made = python.run(&["traced.py", "failed"]).await;
    ended(&shop, &made["id"]).await;
    let spans = collector.trace(made["trace"].as_str().unwrap(), 3).await;
    let run = spans.iter().find(|span| span.name == "run/e2e.fail").unwrap();
    assert!(run.failed.contains("on purpose") && run.events == ["exception"], "{run:#?}");

    let line =
        |log: String| log.lines().find(|line| line.contains("task ended")).map(str::to_owned);
    let line = line(worker.stdout()).unwrap();
    assert!(line.contains(&format!("trace_id={trace}")), "{line}");
}

#[tokio::test]
async fn a_tick_its_scrape_and_each_fetch_are_one_trace_without_secrets() {
    const TICKS: &str = r#"
[schedules.python]
task = "job_scraper.tasks.scrape_specific_keyword"
kwargs = { keyword = "python developer" }
every = 2
"#;
    let collector = Collector::start().await;
    let shop = traced_shop(&collector, TICKS).await;
    let _worker = shop.worker(&[]).await;
    let _beat = shop.installation.beat(&[]);

    let name = "run/job_scraper.tasks.scrape_specific_keyword";
    let spans = eventually(SOON, "a scrape is traced", async || {
        let all = collector.all();
        let run = all.iter().find(|span| span.name == name)?;
        let of = |span: &&Seen| span.trace == run.trace;
        let spans: Vec<Seen> = all.iter().filter(of).cloned().collect();
        (spans.iter().any(|span| span.service == "e2e-beat") && spans.len() > 4).then_some(spans)
    })
    .await;
    assert!(is_connected(&spans), "{spans:#?}");
    let run = spans.iter().find(|span| span.name == name).unwrap();
    let fetches: Vec<&Seen> = spans.iter().filter(|span| span.parent == run.id).collect();
    assert!(!fetches.is_empty());
    for fetch in fetches {
        assert_eq!(fetch.value("server.address"), "127.0.0.1", "{fetch:#?}");
        let told = format!("{fetch:?}");
        assert!(!told.contains('?') && !told.contains("developer"), "{told}");
        assert!(fetch.attributes.contains_key("http.response.status_code"), "{fetch:#?}");
    }
}

#[tokio::test]
async fn a_run_may_be_linked_in_place_of_being_a_part() {
    let collector = Collector::start().await;
    let shop = traced_shop(&collector, "[telemetry]\nspan_links = true").await;
    let _ours = own_worker(&shop);
    let mut task = Publish::new("e2e.echo").arg(1);
    task.options.headers.insert("traceparent".to_owned(), PARENT.into());
    shop.client().publish(&task).await.unwrap();
    let run = eventually(SOON, "it runs", async || {
        collector.all().into_iter().find(|span| span.name == "run/e2e.echo")
    })
    .await;
    assert_eq!((run.links, run.trace != TRACE), (vec![TRACE.to_owned()], true));
}

/// A worker without a collector does not cut a trace.
#[tokio::test]
async fn without_a_collector_a_context_is_passed_on_to_what_follows() {
    let shop = Shop::open().await;
    let worker = own_worker(&shop);
    let next = Publish::new("e2e.echo").queue("unserved");
    let mut task = Publish::new("e2e.echo").arg(1).link(next);
    for (name, value) in [("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "user=7")] {
        task.options.headers.insert(name.to_owned(), value.into());
    }
    shop.client().publish(&task).await.unwrap();
    let mut queue = shop.queue().await;
    let message: Vec<String> = eventually(SOON, "the callback is published", async || {
        let waiting: Vec<String> = queue.clone().lrange("unserved", 0, -1).await.unwrap();
        (!waiting.is_empty()).then_some(waiting)
    })
    .await;
    let _: () = queue.del("unserved").await.unwrap();
    let headers: Value = serde_json::from_str::<Value>(&message[0]).unwrap()["headers"].take();
    let kept = (&headers["traceparent"], &headers["tracestate"], &headers["baggage"]);
    assert_eq!(kept, (&json!(PARENT), &json!("a=1"), &json!("user=7")));
    eventually(SOON, "the log has the trace", async || {
        worker.stdout().contains(&format!("trace_id={TRACE}")).then_some(())
    })
    .await;
}

/// Neither a collector that refuses nor one that never answers holds up a task.
#[tokio::test]
async fn a_broken_collector_holds_up_nobody_and_what_is_lost_is_counted() {
    let collector = Collector::start_silent().await;
    let shop = traced_shop(&collector, "[worker]\nhttp = \"127.0.0.1:0\"\n").await;
    let mut ours = own_worker(&shop);
    let address = address_in(&mut ours, "health and metrics ready", "address=").await;
    let client = shop.client();
    let tasks = (0..6_000).map(|n| Publish::new("e2e.echo").arg(n));
    let ids = client.publish_all(tasks).await.unwrap();
    let last = ids.last().unwrap();
    let done = client.wait(last, Duration::from_secs(60), |_| {}).await.unwrap();
    assert!(done.is_some(), "the tasks run all the same");
    eventually(SOON, "what is dropped is counted", async || {
        let metrics = get(&address, "/metrics").await.1;
        let name = "rhubarb_worker_spans_total{state=\"dropped\"} ";
        let dropped = metrics.lines().find_map(|line| line.strip_prefix(name))?;
        dropped.parse::<f64>().is_ok_and(|n| n >= 1.0).then_some(())
    })
    .await;
}
