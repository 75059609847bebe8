//! What is asked of a worker and changes nothing.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    Answer, Control, about,
    command::Arguments,
    mingle,
    show::{self, MAX_SHOWN},
};
use crate::machine;

/// Answers a question; none when it is none that is known.
pub(super) fn answer(
    control: &Arc<Control>,
    method: &str,
    arguments: &Arguments<'_>,
) -> Option<Answer> {
    Some(match method {
        "ping" => Answer::ok("pong"),
        "clock" => Answer::Now(json!({ "clock": control.events.clock.now() })),
        "active" | "dump_active" => Answer::Now(held(control, true)),
        "reserved" | "dump_reserved" => Answer::Now(held(control, false)),
        "scheduled" | "dump_schedule" => scheduled(control),
        "query_task" => query_task(control, arguments),
        "revoked" | "dump_revoked" => Answer::Now(revoked(control)),
        "registered" | "dump_tasks" => Answer::Now(registered(control, arguments)),
        "active_queues" => Answer::Now(active_queues(control)),
        "stats" => Answer::Now(about::stats(control)),
        "conf" | "dump_conf" => Answer::Now(Value::Object(control.settings.clone())),
        "report" => Answer::ok(about::report(control)),
        "memsample" => Answer::Now(json!(format!("{}kB", machine::resident_kb()))),
        "hello" => hello(control, arguments),
        _ => return None,
    })
}

/// The tasks in our hands that run, or that wait to run.
fn held(control: &Control, active: bool) -> Value {
    let seen = control.held.seen();
    let wanted = seen.iter().filter(|seen| seen.began.is_some() == active);
    wanted.take(MAX_SHOWN).map(|seen| show::seen(control, seen)).collect()
}

fn scheduled(control: &Arc<Control>) -> Answer {
    let control = control.clone();
    Answer::later(async move {
        match show::scheduled(&control).await {
            Ok(found) => found.iter().map(|one| one.entry(&control)).collect(),
            Err(error) => json!({ "error": error.to_string() }),
        }
    })
}

fn revoked(control: &Control) -> Value {
    control.revoked.ids(control.broker.now()).iter().map(|id| json!(&**id)).collect()
}

/// Looks for tasks in our hands and among what is scheduled on our queues.
fn query_task(control: &Arc<Control>, arguments: &Arguments<'_>) -> Answer {
    let ids = match arguments.ids("query_task", "ids") {
        Ok(ids) => ids,
        Err(wrong) => return Answer::error(wrong),
    };
    let mut found = Map::new();
    for seen in control.held.seen() {
        let id = &seen.received.envelope.headers.id;
        if ids.contains(id) {
            let state = if seen.began.is_some() { "active" } else { "reserved" };
            found.insert(id.clone(), json!([state, show::seen(control, &seen)]));
        }
    }
    if ids.iter().all(|id| found.contains_key(id)) {
        return Answer::Now(Value::Object(found));
    }
    let control = control.clone();
    Answer::later(async move {
        // Without Redis we know as much as a Celery worker does.
        for one in show::scheduled(&control).await.unwrap_or_default() {
            if ids.iter().any(|id| id == one.id()) && !found.contains_key(one.id()) {
                found.insert(one.id().to_owned(), json!(["scheduled", one.info(&control)]));
            }
        }
        Value::Object(found)
    })
}

/// The names of the tasks, each with those of the asked attributes that it has.
fn registered(control: &Control, arguments: &Arguments<'_>) -> Value {
    let items: Vec<&str> = match arguments.get("taskinfoitems") {
        Some(Value::Array(items)) if !items.is_empty() => {
            items.iter().filter_map(Value::as_str).collect()
        }
        _ => vec!["exchange", "routing_key", "rate_limit"],
    };
    let describe = |name: &str| {
        let limits = control.tasks.limits(name);
        let seconds = |limit: Option<std::time::Duration>| {
            limit.filter(|limit| !limit.is_zero()).map(|limit| limit.as_secs_f64().to_string())
        };
        let known = |item: &&str| match *item {
            "name" => Some(name.to_owned()),
            "rate_limit" => limits.rate.as_ref().map(ToString::to_string),
            "time_limit" => seconds(limits.hard),
            "soft_time_limit" => seconds(limits.soft),
            _ => None,
        };
        let fields: Vec<String> =
            items.iter().filter_map(|item| Some(format!("{item}={}", known(item)?))).collect();
        if fields.is_empty() { name.to_owned() } else { format!("{name} [{}]", fields.join(" ")) }
    };
    let builtins = arguments.flag("builtins");
    let names = control.tasks.names().filter(|name| builtins || !name.starts_with("celery."));
    names.map(describe).collect()
}

/// The queues that are served, with all that kombu tells of a queue.
fn active_queues(control: &Control) -> Value {
    let queue = |name: String| {
        json!({
            "name": name,
            "exchange": {
                "name": name, "type": "direct", "arguments": null, "durable": true, "passive": false,
                "auto_delete": false, "delivery_mode": null, "no_declare": false,
            },
            "routing_key": name, "queue_arguments": null, "binding_arguments": null,
            "consumer_arguments": null, "durable": true, "exclusive": false, "auto_delete": false,
            "no_ack": false, "alias": null, "bindings": [], "no_declare": null, "expires": null,
            "message_ttl": null, "max_length": null, "max_length_bytes": null, "max_priority": null,
        })
    };
    control.broker.queues.names().into_iter().map(queue).collect()
}

/// Greets a worker that has just started: takes over what it knows as revoked, and tells what we
/// know.
fn hello(control: &Arc<Control>, arguments: &Arguments<'_>) -> Answer {
    if arguments.text("from_node") == Some(&control.broker.node) {
        return Answer::Now(Value::Null);
    }
    if let Some(told) = arguments.get("revoked") {
        control.revoke(mingle::ids(told));
    }
    Answer::Now(json!({ "revoked": revoked(control), "clock": control.events.clock.forward() }))
}
