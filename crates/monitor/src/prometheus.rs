//! The report and the fleet as metrics in Prometheus's text exposition format, version 0.0.4.
//!
//! Labels are bounded: servers, databases and namespaces are the configuration's, names of tasks
//! and queues are bounded where they are counted, the rest is capped here.

use rhubarb_core::metrics::{self as m, Exposition, Metric};
use rhubarb_queue::{
    inspect::QueueInfo,
    statistics::{BUCKETS, Histogram, Statistics},
};

use crate::{
    fleet::{self, Fleet},
    number::float,
    report::{DatabaseReport, Report, ServerReport},
};

/// So many queues are told; what a queue is called is up to whoever publishes.
const QUEUES: usize = 100;
/// So many sources are told.
const SOURCES: usize = 500;

/// Writes a report, and what is known of the fleet, as metrics; ends with a line break.
pub fn render(report: &Report, fleet: Option<&Fleet>) -> String {
    let mut text = Exposition::default();
    servers(&mut text, report);
    databases(&mut text, report);
    totals(&mut text, report);
    queues(&mut text, report.queues.as_deref(), fleet);
    if let Some(fleet) = fleet {
        workers(&mut text, fleet, report.queues.as_deref());
        tasks(&mut text, fleet);
        schedules(&mut text, fleet);
        scrape(&mut text, fleet);
    }
    findings(&mut text, report);
    text.into_text()
}

/// The number of a count.
fn count(n: usize) -> Option<f64> {
    u32::try_from(n).ok().map(f64::from)
}

type OfServer = fn(&ServerReport) -> Option<f64>;

/// What is told of each server.
const OF_SERVER: [(&Metric, OfServer); 17] = [
    (&m::REDIS_UP, |s| Some(f64::from(u8::from(s.unreachable.is_none())))),
    (&m::REDIS_UPTIME, |s| s.info.as_ref()?.uptime_s.map(float)),
    (&m::REDIS_MEMORY, |s| s.info.as_ref()?.memory.used.map(float)),
    (&m::REDIS_MEMORY_PEAK, |s| s.info.as_ref()?.memory.peak.map(float)),
    (&m::REDIS_MEMORY_MAX, |s| s.info.as_ref()?.memory.max.map(float)),
    (&m::REDIS_FRAGMENTATION, |s| s.info.as_ref()?.memory.fragmentation),
    (&m::REDIS_CLIENTS, |s| s.info.as_ref()?.clients.connected.map(float)),
    (&m::REDIS_CLIENTS_MAX, |s| s.info.as_ref()?.clients.max.map(float)),
    (&m::REDIS_CLIENTS_BLOCKED, |s| s.info.as_ref()?.clients.blocked.map(float)),
    (&m::REDIS_REJECTED, |s| s.info.as_ref()?.clients.rejected.map(float)),
    (&m::REDIS_COMMANDS, |s| s.info.as_ref()?.stats.commands.map(float)),
    (&m::REDIS_HITS, |s| s.info.as_ref()?.stats.hits.map(float)),
    (&m::REDIS_MISSES, |s| s.info.as_ref()?.stats.misses.map(float)),
    (&m::REDIS_EVICTED, |s| s.info.as_ref()?.stats.evicted.map(float)),
    (&m::REDIS_EXPIRED, |s| s.info.as_ref()?.stats.expired.map(float)),
    (&m::REDIS_APPENDONLY, |s| {
        s.info.as_ref()?.persistence.appendonly.map(|on| f64::from(u8::from(on)))
    }),
    (&m::REDIS_UNSAVED, |s| s.info.as_ref()?.persistence.unsaved_changes.map(float)),
];

fn servers(text: &mut Exposition, report: &Report) {
    for (metric, value) in OF_SERVER {
        let mut samples = text.metric(metric);
        for server in &report.servers {
            samples.add(&[&server.server], value(server));
        }
    }
}

fn databases(text: &mut Exposition, report: &Report) {
    type OfDatabase = fn(&DatabaseReport) -> Option<f64>;
    let of_database: [(_, OfDatabase); 3] = [
        (&m::DATABASE_UP, |d| Some(f64::from(u8::from(d.unreachable.is_none())))),
        (&m::DATABASE_KEYS, |d| d.keys.map(float)),
        (&m::DATABASE_EXPIRING, |d| d.expires.map(float)),
    ];
    for (metric, value) in of_database {
        let mut samples = text.metric(metric);
        for database in &report.databases {
            let (db, roles) = (database.db.to_string(), database.roles.join(","));
            samples.add(&[&database.server, &db, &roles], value(database));
        }
    }
    // Without --info nothing was measured, and the totals say the rest.
    if report.findings.is_some() {
        namespaces(text, report);
    }
}

fn namespaces(text: &mut Exposition, report: &Report) {
    use crate::census::{Count, NamespaceReport};
    type OfNamespace = fn(&NamespaceReport) -> Option<Count>;
    let of_namespace: [(_, OfNamespace); 3] = [
        (&m::NAMESPACE_KEYS, |one| Some(one.keys)),
        (&m::NAMESPACE_BYTES, |one| one.bytes),
        (&m::NAMESPACE_WITHOUT_TTL, |one| one.without_ttl),
    ];
    for (metric, value) in of_namespace {
        let mut samples = text.metric(metric);
        for database in &report.databases {
            let db = database.db.to_string();
            // What is nobody's has names of somebody else's choice: no labels.
            for one in database.namespaces.iter().filter(|one| one.name != "other") {
                let pattern = if one.name == "waiting tasks" { "" } else { &one.pattern };
                let labels = [database.server.as_str(), &db, &one.name, pattern];
                samples.add(&labels, value(one).map(|count| float(count.n)));
            }
        }
    }
}

fn totals(text: &mut Exposition, report: &Report) {
    let totals = &report.totals;
    let mut samples = text.metric(&m::KEYS);
    for (kind, count) in [
        ("all", totals.keys),
        ("job_cache", totals.job_cache_keys),
        ("listings", totals.listing_keys),
        ("sessions", totals.session_keys),
    ] {
        samples.add(&[kind], count.map(|count| float(count.n)));
    }
}

fn queues(text: &mut Exposition, queues: Option<&[QueueInfo]>, fleet: Option<&Fleet>) {
    type OfQueue = fn(&QueueInfo) -> f64;
    let Some(queues) = queues else { return };
    let told = &queues[..queues.len().min(QUEUES)];
    let usable = || told.iter().filter(|queue| queue.problem.is_none());
    let of_queue: [(_, OfQueue); 4] = [
        (&m::QUEUE_WAITING, |queue| float(queue.waiting)),
        (&m::QUEUE_RUNNING, |queue| float(queue.claimed)),
        (&m::QUEUE_SCHEDULED, |queue| float(queue.scheduled)),
        (&m::QUEUE_PAUSED, |queue| f64::from(u8::from(queue.paused))),
    ];
    for (metric, value) in of_queue {
        let mut samples = text.metric(metric);
        usable().for_each(|queue| samples.add(&[&queue.name], value(queue)));
    }
    if let Some(fleet) = fleet {
        let mut oldest = text.metric(&m::QUEUE_OLDEST);
        for queue in usable() {
            let age = fleet.oldest.get(&queue.name).copied().unwrap_or_default();
            // Of one that waits and could not be looked at nothing is known.
            let is_known = queue.waiting == 0 || fleet.oldest.contains_key(&queue.name);
            oldest.add(&[&queue.name], is_known.then_some(age.as_secs_f64()));
        }
        if fleet.workers.is_some() {
            let mut slots = text.metric(&m::QUEUE_SLOTS);
            usable()
                .for_each(|queue| slots.add(&[&queue.name], count(fleet.slots_of(&queue.name))));
            let mut load = text.metric(&m::QUEUE_LOAD);
            usable().for_each(|queue| {
                load.add(&[&queue.name], fleet::load([queue], fleet.slots_of(&queue.name)));
            });
        }
    }
    text.metric(&m::QUEUES_LEFT_OUT).add(&[], count(queues.len() - told.len()));
}

fn workers(text: &mut Exposition, fleet: &Fleet, queues: Option<&[QueueInfo]>) {
    let Some(workers) = &fleet.workers else { return };
    let mut samples = text.metric(&m::WORKERS);
    let live = |draining| {
        workers.iter().filter(|one| one.alive && one.record.draining == draining).count()
    };
    samples.add(&["live"], count(live(false)));
    samples.add(&["draining"], count(live(true)));
    let lost = workers.iter().filter(|one| !one.alive && one.record.n_running > 0).count();
    samples.add(&["lost"], count(lost));
    text.metric(&m::SLOTS).add(&[], count(fleet.slots()));
    let used = fleet.claiming().map(|one| one.record.n_running.min(one.record.concurrency)).sum();
    text.metric(&m::SLOTS_USED).add(&[], count(used));
    text.metric(&m::LOAD).add(&[], queues.map(|queues| fleet::load(queues, fleet.slots())));
}

fn tasks(text: &mut Exposition, fleet: &Fleet) {
    text.metric(&m::DEAD).add(&[], fleet.dead.map(float));
    text.metric(&m::PARKED).add(&[], fleet.parked.map(float));
    let Some(counted) = &fleet.counted else { return };
    let mut ends = text.metric(&m::TASKS);
    for ((queue, task, state), n) in &counted.ends {
        ends.add(&[queue, task, state], float(*n));
    }
    for (metric, of) in [(&m::TASK_RUNTIME, &counted.run), (&m::TASK_WAIT, &counted.wait)] {
        let mut samples = text.metric(metric);
        for (task, Histogram { counts, sum_us }) in of {
            samples.histogram(&[task], &BUCKETS, counts, float(*sum_us) / 1e6);
        }
    }
    let counts = |counted: &Statistics, what: &str| counted.counts.get(what).copied().unwrap_or(0);
    for (metric, what) in
        [(&m::REDELIVERED, "redelivered"), (&m::LATE_ENDS, "late"), (&m::UNRECORDED, "unrecorded")]
    {
        text.metric(metric).add(&[], float(counts(counted, what)));
    }
}

fn schedules(text: &mut Exposition, fleet: &Fleet) {
    text.metric(&m::BEAT_LEADER)
        .add(&[fleet.leader.as_deref().unwrap_or_default()], fleet.leader.as_ref().map(|_| 1.0));
    let Some(schedules) = &fleet.schedules else { return };
    let mut states = text.metric(&m::SCHEDULES);
    for state in ["on", "off", "paused"] {
        states.add(&[state], count(schedules.iter().filter(|one| one.state == state).count()));
    }
    let mut late = text.metric(&m::SCHEDULE_LATENESS);
    schedules.iter().for_each(|one| late.add(&[&one.name], one.late.as_secs_f64()));
    let mut overdue = text.metric(&m::SCHEDULE_OVERDUE);
    schedules.iter().for_each(|one| overdue.add(&[&one.name], one.overdue.as_secs_f64()));
}

fn scrape(text: &mut Exposition, fleet: &Fleet) {
    let Some(status) = &fleet.scrape else { return };
    let mut sources = text.metric(&m::SCRAPE_SOURCE);
    for (source, ended) in status.sources.iter().take(SOURCES) {
        sources.add(&[source, &ended.word()], 1.0);
    }
    let mut listings = text.metric(&m::SCRAPE_LISTINGS);
    for (kind, n) in [("cached", status.jobs_count), ("new", status.new), ("closed", status.closed)]
    {
        listings.add(&[kind], float(n));
    }
    let at = status.last_scraped.parse::<jiff::Timestamp>().ok();
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
    let seconds = at.map(|at| at.as_millisecond() as f64 / 1e3);
    text.metric(&m::SCRAPE_TIME).add(&[], seconds);
}

fn findings(text: &mut Exposition, report: &Report) {
    let Some(findings) = &report.findings else { return };
    let mut samples = text.metric(&m::FINDINGS);
    for level in ["error", "warning", "info"] {
        let n = findings.iter().filter(|finding| finding.level.name() == level).count();
        samples.add(&[level], count(n));
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
                managed: false,
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
        let text = render(&report(), None);
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
        let text = render(&report(), None);
        assert!(text.contains(r#"rhubarb_queue_waiting{queue="a\"b\\c\nd"} 3"#), "{text}");
        let mut many = report();
        many.queues = Some((0..150).map(|n| queue(&n.to_string())).collect());
        let text = render(&many, None);
        assert_eq!(text.lines().filter(|l| l.starts_with("rhubarb_queue_waiting{")).count(), 100);
        assert!(text.contains("rhubarb_queues_left_out 50"), "{text}");
    }

    #[test]
    fn the_fleet_is_told_with_what_an_autoscaler_follows() {
        let mut counted = Statistics::default();
        counted.ends("celery", "shop.add", "SUCCESS", 2);
        let mut took = Histogram::default();
        took.add(std::time::Duration::from_millis(70));
        counted.runs("shop.add", &took);
        let fleet = Fleet {
            counted: Some(counted),
            oldest: [("celery".to_owned(), std::time::Duration::from_secs(9))].into(),
            workers: Some(Vec::new()),
            dead: Some(4),
            leader: Some("rhubarb@host".to_owned()),
            ..Fleet::default()
        };
        let mut report = report();
        report.queues = Some(vec![queue("celery"), queue("unseen")]);
        let text = render(&report, Some(&fleet));
        for line in [
            "rhubarb_queue_oldest_waiting_seconds{queue=\"celery\"} 9",
            "rhubarb_queue_load_ratio{queue=\"celery\"} 3",
            "rhubarb_load_ratio 6",
            "rhubarb_tasks_total{queue=\"celery\",task=\"shop.add\",state=\"SUCCESS\"} 2",
            "rhubarb_task_runtime_seconds_bucket{task=\"shop.add\",le=\"0.1\"} 1",
            "rhubarb_task_runtime_seconds_sum{task=\"shop.add\"} 0.07",
            "rhubarb_dead_letters 4",
            "rhubarb_redelivered_total 0",
            "rhubarb_beat_leader{node=\"rhubarb@host\"} 1",
        ] {
            assert_eq!(text.lines().filter(|l| *l == line).count(), 1, "{line} in {text}");
        }
        assert!(!text.contains("waiting_seconds{queue=\"unseen\"}"), "{text}");
    }
}
