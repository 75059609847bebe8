//! The report as metrics in Prometheus's text exposition format, version 0.0.4.
//!
//! Labels are bounded: servers, databases and namespaces are the configuration's, queues are
//! capped.

use std::fmt::Write as _;

use crate::{
    number::float,
    report::{DatabaseReport, Report, ServerReport},
};

/// So many queues are told; what a queue is called is up to whoever publishes.
const QUEUES: usize = 100;

/// One metric: its head once, then its samples.
struct Metric<'a> {
    text: &'a mut String,
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    begun: bool,
}

impl Metric<'_> {
    /// Adds a sample; one that is unknown is left out, and so is a metric without any.
    fn sample(&mut self, labels: &[(&str, &str)], value: Option<f64>) {
        let Some(value) = value else { return };
        let Self { text, name, kind, help, .. } = self;
        if !self.begun {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            self.begun = true;
        }
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let braces =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(text, "{name}{braces} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes a report as metrics; ends with a line break.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    servers(&mut text, report);
    databases(&mut text, report);
    totals(&mut text, report);
    queues(&mut text, report);
    findings(&mut text, report);
    text
}

fn metric<'a>(
    text: &'a mut String,
    name: &'static str,
    kind: &'static str,
    help: &'static str,
) -> Metric<'a> {
    Metric { text, name, kind, help, begun: false }
}

type OfServer = fn(&ServerReport) -> Option<f64>;

/// Name, type, help and value of what is told of each server.
const OF_SERVER: [(&str, &str, &str, OfServer); 17] = [
    ("rhubarb_redis_up", "gauge", "Whether the server can be reached.", |s| {
        Some(f64::from(u8::from(s.unreachable.is_none())))
    }),
    ("rhubarb_redis_uptime_seconds", "gauge", "Seconds since the server started.", |s| {
        s.info.as_ref()?.uptime_s.map(float)
    }),
    ("rhubarb_redis_memory_used_bytes", "gauge", "Memory in use.", |s| {
        s.info.as_ref()?.memory.used.map(float)
    }),
    ("rhubarb_redis_memory_peak_bytes", "gauge", "The most memory that was in use.", |s| {
        s.info.as_ref()?.memory.peak.map(float)
    }),
    ("rhubarb_redis_memory_max_bytes", "gauge", "maxmemory; zero means no limit.", |s| {
        s.info.as_ref()?.memory.max.map(float)
    }),
    ("rhubarb_redis_memory_fragmentation_ratio", "gauge", "Resident by used memory.", |s| {
        s.info.as_ref()?.memory.fragmentation
    }),
    ("rhubarb_redis_clients", "gauge", "Connections.", |s| {
        s.info.as_ref()?.clients.connected.map(float)
    }),
    ("rhubarb_redis_clients_max", "gauge", "The most connections that are let in.", |s| {
        s.info.as_ref()?.clients.max.map(float)
    }),
    (
        "rhubarb_redis_clients_blocked",
        "gauge",
        "Connections that wait in a blocking command.",
        |s| s.info.as_ref()?.clients.blocked.map(float),
    ),
    (
        "rhubarb_redis_rejected_connections_total",
        "counter",
        "Connections refused for the limit.",
        |s| s.info.as_ref()?.clients.rejected.map(float),
    ),
    ("rhubarb_redis_commands_total", "counter", "Commands carried out.", |s| {
        s.info.as_ref()?.stats.commands.map(float)
    }),
    ("rhubarb_redis_keyspace_hits_total", "counter", "Lookups that found a key.", |s| {
        s.info.as_ref()?.stats.hits.map(float)
    }),
    ("rhubarb_redis_keyspace_misses_total", "counter", "Lookups that found none.", |s| {
        s.info.as_ref()?.stats.misses.map(float)
    }),
    ("rhubarb_redis_evicted_keys_total", "counter", "Keys that gave way to others.", |s| {
        s.info.as_ref()?.stats.evicted.map(float)
    }),
    ("rhubarb_redis_expired_keys_total", "counter", "Keys whose time was over.", |s| {
        s.info.as_ref()?.stats.expired.map(float)
    }),
    ("rhubarb_redis_appendonly", "gauge", "Whether each write is logged to disk.", |s| {
        s.info.as_ref()?.persistence.appendonly.map(|on| f64::from(u8::from(on)))
    }),
    (
        "rhubarb_redis_unsaved_changes",
        "gauge",
        "Changes since the data was last saved whole.",
        |s| s.info.as_ref()?.persistence.unsaved_changes.map(float),
    ),
];

fn servers(text: &mut String, report: &Report) {
    for (name, kind, help, value) in OF_SERVER {
        let mut metric = metric(text, name, kind, help);
        for server in &report.servers {
            metric.sample(&[("server", &server.server)], value(server));
        }
    }
}

fn databases(text: &mut String, report: &Report) {
    type OfDatabase = fn(&DatabaseReport) -> Option<f64>;
    let of_database: [(_, _, OfDatabase); 3] = [
        ("rhubarb_redis_database_up", "Whether the database can be reached.", |d| {
            Some(f64::from(u8::from(d.unreachable.is_none())))
        }),
        ("rhubarb_redis_database_keys", "Keys of a database.", |d| d.keys.map(float)),
        ("rhubarb_redis_database_expiring_keys", "Keys with a time to live.", |d| {
            d.expires.map(float)
        }),
    ];
    for (name, help, value) in of_database {
        let mut metric = metric(text, name, "gauge", help);
        for database in &report.databases {
            let (db, roles) = (database.db.to_string(), database.roles.join(","));
            let labels = [("server", database.server.as_str()), ("db", &db), ("roles", &roles)];
            metric.sample(&labels, value(database));
        }
    }
    // Without --info nothing was measured, and the totals say the rest.
    if report.findings.is_some() {
        namespaces(text, report);
    }
}

fn namespaces(text: &mut String, report: &Report) {
    for (name, help) in [
        ("rhubarb_redis_namespace_keys", "Keys of a namespace; perhaps an estimate."),
        ("rhubarb_redis_namespace_bytes", "Memory of a namespace; mostly an estimate."),
        (
            "rhubarb_redis_namespace_keys_without_ttl",
            "Keys that stay for ever; perhaps an estimate.",
        ),
    ] {
        let mut metric = metric(text, name, "gauge", help);
        for database in &report.databases {
            let db = database.db.to_string();
            // What is nobody's has names of somebody else's choice: no labels.
            for one in database.namespaces.iter().filter(|one| one.name != "other") {
                let count = match name {
                    "rhubarb_redis_namespace_keys" => Some(one.keys),
                    "rhubarb_redis_namespace_bytes" => one.bytes,
                    _ => one.without_ttl,
                };
                let labels = [
                    ("server", database.server.as_str()),
                    ("db", &db),
                    ("namespace", &one.name),
                    ("pattern", if one.name == "waiting tasks" { "" } else { &one.pattern }),
                ];
                metric.sample(&labels, count.map(|count| float(count.n)));
            }
        }
    }
}

fn totals(text: &mut String, report: &Report) {
    let totals = &report.totals;
    let help = "Keys by what they are for; perhaps an estimate.";
    let mut metric = metric(text, "rhubarb_keys", "gauge", help);
    for (kind, count) in [
        ("all", totals.keys),
        ("job_cache", totals.job_cache_keys),
        ("listings", totals.listing_keys),
        ("sessions", totals.session_keys),
    ] {
        metric.sample(&[("kind", kind)], count.map(|count| float(count.n)));
    }
}

fn queues(text: &mut String, report: &Report) {
    let Some(queues) = &report.queues else { return };
    let told = &queues[..queues.len().min(QUEUES)];
    for (name, help) in [
        ("rhubarb_queue_waiting", "Tasks that wait."),
        ("rhubarb_queue_running", "Tasks claimed by workers."),
        ("rhubarb_queue_scheduled", "Tasks that wait for their time."),
        ("rhubarb_queue_paused", "Whether claiming is paused."),
    ] {
        let mut metric = metric(text, name, "gauge", help);
        for queue in told.iter().filter(|queue| queue.problem.is_none()) {
            let value = match name {
                "rhubarb_queue_waiting" => queue.waiting,
                "rhubarb_queue_running" => queue.claimed,
                "rhubarb_queue_scheduled" => queue.scheduled,
                _ => u64::from(queue.paused),
            };
            metric.sample(&[("queue", &queue.name)], Some(float(value)));
        }
    }
    let left_out = u64::try_from(queues.len() - told.len()).unwrap_or(u64::MAX);
    metric(text, "rhubarb_queues_left_out", "gauge", "Queues beyond the first hundred.")
        .sample(&[], Some(float(left_out)));
}

fn findings(text: &mut String, report: &Report) {
    let Some(findings) = &report.findings else { return };
    let mut metric =
        metric(text, "rhubarb_findings", "gauge", "Findings of `rhubarb monitor --info`.");
    for level in ["error", "warning", "info"] {
        let n = findings.iter().filter(|finding| finding.level.name() == level).count();
        metric.sample(&[("level", level)], u32::try_from(n).ok().map(f64::from));
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_queue::inspect::QueueInfo;

    use super::*;
    use crate::{census::Count, info::ServerInfo, report::Totals};

    fn queue(name: &str) -> QueueInfo {
        QueueInfo { name: name.into(), waiting: 3, ..QueueInfo::default() }
    }

    fn report() -> Report {
        Report {
            at: String::new(),
            totals: Totals { keys: Some(Count::exact(5)), ..Totals::default() },
            servers: vec![ServerReport {
                server: "h:6379".into(),
                roles: vec!["queue"],
                unreachable: None,
                misconfigured: false,
                info: Some(ServerInfo::parse("used_memory:1000\nkeyspace_hits:7\n")),
                settings: None,
                clients_by_name: None,
                slow_log: None,
            }],
            databases: Vec::new(),
            queues: Some(vec![queue("a\"b\\c\nd")]),
            findings: Some(Vec::new()),
            missing: Vec::new(),
        }
    }

    #[test]
    fn each_metric_has_one_head_and_what_is_unknown_is_left_out() {
        let text = render(&report());
        let count = |line: &str| text.lines().filter(|l| l.starts_with(line)).count();
        assert_eq!(count("# HELP rhubarb_redis_memory_used_bytes "), 1);
        assert_eq!(count("# TYPE rhubarb_redis_keyspace_hits_total counter"), 1);
        assert_eq!(count("rhubarb_redis_memory_used_bytes{server=\"h:6379\"} 1000"), 1);
        assert_eq!(count("rhubarb_keys{kind=\"all\"} 5"), 1);
        assert!(!text.contains("memory_peak") && !text.contains("kind=\"sessions\""), "{text}");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn label_values_are_escaped_and_bounded_in_number() {
        let text = render(&report());
        assert!(text.contains(r#"rhubarb_queue_waiting{queue="a\"b\\c\nd"} 3"#), "{text}");
        let mut many = report();
        many.queues = Some((0..150).map(|n| queue(&n.to_string())).collect());
        let text = render(&many);
        assert_eq!(text.lines().filter(|l| l.starts_with("rhubarb_queue_waiting{")).count(), 100);
        assert!(text.contains("rhubarb_queues_left_out 50"), "{text}");
    }
}
