//! The worker as Celery's clients and Flower show it: statistics, settings, a report.

use std::{sync::atomic::Ordering, time::Duration};

use rhubarb_connection::Role;
use rhubarb_core::redact::SafeUrl;
use rhubarb_queue::Config;
use serde_json::{Map, Value, json};

use super::Control;
use crate::machine;

/// Returns what `celery inspect stats` shows.
pub(super) fn stats(control: &Control) -> Value {
    let counters = &control.counters;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let size = control.slots.size();
    let uptime = control.started_at.duration_until(rhubarb_core::clock::now()).as_secs().max(0);
    let config = &control.config;
    json!({
        "total": counters.by_task(),
        "pid": std::process::id(),
        "clock": control.events.clock.now().to_string(),
        "uptime": uptime,
        "pool": {
            "implementation": "rhubarb",
            "max-concurrency": size,
            "processes": processes(control),
            "max-tasks-per-child": "N/A",
            "put-guarded-by-semaphore": true,
            "timeouts": [seconds(config.task_soft_time_limit), seconds(config.task_time_limit)],
        },
        "broker": broker(control.broker.queue.url(), control.broker.queue.db()),
        // No more is ever claimed than there are free slots.
        "prefetch_count": size,
        "rusage": machine::rusage(),
        "rhubarb": {
            "version": env!("CARGO_PKG_VERSION"),
            "ended": count(&counters.processed),
            "late": count(&counters.late),
            "dead": count(&counters.dead),
            "parked": count(&counters.parked),
            "garbage_commands": count(&counters.garbage),
            "unanswered_commands": count(&counters.unanswered),
            "dropped_events": count(&control.events.dropped),
        },
    })
}

/// The processes that run tasks: the worker's own, and Python's where there are any.
fn processes(control: &Control) -> Vec<u32> {
    let mut all = vec![std::process::id()];
    all.extend(control.tasks.processes());
    all
}

/// A duration as Python writes one that was configured as a whole number.
fn seconds(limit: Duration) -> Value {
    if limit.subsec_nanos() == 0 { json!(limit.as_secs()) } else { json!(limit.as_secs_f64()) }
}

fn broker(url: &SafeUrl, db: u32) -> Value {
    let full = url.expose();
    let user = Some(full.username()).filter(|user| !user.is_empty());
    json!({
        "hostname": full.host_str(),
        "userid": user,
        "virtual_host": db.to_string(),
        "port": full.port().unwrap_or(6379),
        "insist": false,
        "ssl": full.scheme().starts_with("rediss"),
        "transport": "redis",
        "connect_timeout": 4,
        "transport_options": {},
        "login_method": null,
        "uri_prefix": null,
        "heartbeat": 120.0,
        "failover_strategy": "round-robin",
        "alternates": [],
        "credential_provider": null,
    })
}

/// Returns the settings under Celery's names, those of ours that have one. Passwords are hidden.
pub(in super::super) fn settings(config: &Config) -> Map<String, Value> {
    let url = |role| {
        let (url, db) = config.url_for(role);
        url.with_database(db).to_string()
    };
    let (celery, worker) = (&config.celery, &config.worker);
    let seconds = |limit: std::time::Duration| (!limit.is_zero()).then_some(limit.as_secs_f64());
    let settings = json!({
        "broker_url": url(Role::Queue),
        "result_backend": url(Role::Results),
        "timezone": celery.timezone,
        "enable_utc": true,
        "broker_transport_options": {
            "global_keyprefix": celery.global_keyprefix,
            "priority_steps": celery.priority_steps,
            "sep": celery.sep,
        },
        "result_backend_transport_options": {
            "global_keyprefix": celery.result_global_keyprefix,
        },
        "task_default_queue": celery.task_default_queue,
        "task_ignore_result": celery.task_ignore_result,
        "task_store_errors_even_if_ignored": celery.task_store_errors_even_if_ignored,
        "task_track_started": celery.task_track_started,
        "task_send_sent_event": celery.task_send_sent_event,
        "task_inherit_parent_priority": celery.task_inherit_parent_priority,
        "task_acks_late": true,
        "task_reject_on_worker_lost": true,
        "task_time_limit": seconds(worker.task_time_limit),
        "task_soft_time_limit": seconds(worker.task_soft_time_limit),
        "result_expires": celery.result_expires.as_secs(),
        "result_extended": celery.result_extended,
        "worker_concurrency": config.concurrency(),
        "worker_send_task_events": worker.send_task_events,
        "worker_enable_remote_control": worker.enable_remote_control,
        "worker_prefetch_multiplier": 1,
    });
    settings.as_object().cloned().unwrap_or_default()
}

/// Returns what `celery inspect report` shows.
pub(super) fn report(control: &Control) -> String {
    let mut report = format!(
        "\nsoftware -> rhubarb:{} (Celery protocol 2)\nplatform -> system:{} arch:{}\nsettings -> transport:redis\n\n",
        env!("CARGO_PKG_VERSION"),
        machine::system(),
        std::env::consts::ARCH,
    );
    for (name, value) in &control.settings {
        report += &format!("{name}: {}\n", rhubarb_wire::repr(value));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_settings_nor_broker_tell_a_password() {
        let mut config = Config::default();
        config.redis.url = "rediss://user:secret@host:7000/0".parse().unwrap();
        let settings = Value::Object(settings(&config));
        assert!(!settings.to_string().contains("secret"), "{settings}");
        assert!(settings["broker_url"].as_str().unwrap().contains("host:7000"), "{settings}");
        let broker = broker(&config.redis.url, 0);
        assert_eq!((&broker["userid"], &broker["ssl"]), (&json!("user"), &json!(true)));
        assert!(!broker.to_string().contains("secret"), "{broker}");
    }
}
