//! Every metric, described once: its name, kind, labels and words. What is served, the page
//! `docs/metrics.md`, the dashboard and the alerts in `deploy/` are held to it by tests.
//!
//! It is text written by hand and no metrics library: what is served are numbers of a moment that
//! stand in Redis or in a worker's counters already. A library's registry would hold them a second
//! time, and would have to be told of each task as it ends.

use std::fmt::{self, Write as _};

/// The media type of the text.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, but for a restart.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many fell into which range.
    Histogram,
}

impl MetricKind {
    /// Returns Prometheus' word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Who serves a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `rhubarb web`, of the whole installation, from Redis; `rhubarb monitor --prometheus` too.
    Web,
    /// Each worker, of itself.
    Worker,
    /// Each beat, of itself.
    Beat,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with its unit at the end.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it is.
    pub help: &'static str,
    /// Who serves it.
    pub by: By,
}

macro_rules! metrics {
    ($(#[doc = $help:literal] $id:ident: $by:ident $kind:ident $name:literal [$($label:literal),*];)*) => {
        $(
            #[doc = $help]
            pub const $id: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                labels: &[$($label),*],
                help: $help.trim_ascii(),
                by: By::$by,
            };
        )*
        /// All of them, in the order of the page.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    /// Tasks that wait in a queue.
    QUEUE_WAITING: Web Gauge "rhubarb_queue_waiting" ["queue"];
    /// Tasks of a queue that workers have claimed.
    QUEUE_RUNNING: Web Gauge "rhubarb_queue_running" ["queue"];
    /// Tasks of a queue that wait for their time: ETA, countdown, retry.
    QUEUE_SCHEDULED: Web Gauge "rhubarb_queue_scheduled" ["queue"];
    /// Whether claiming from a queue is paused.
    QUEUE_PAUSED: Web Gauge "rhubarb_queue_paused" ["queue"];
    /// How long the next task of a queue waits at least; see below.
    QUEUE_OLDEST: Web Gauge "rhubarb_queue_oldest_waiting_seconds" ["queue"];
    /// Slots of the live workers that serve a queue, those that are stopping left out.
    QUEUE_SLOTS: Web Gauge "rhubarb_queue_slots" ["queue"];
    /// Running and waiting tasks of a queue, by the slots that serve it; by one where none does.
    QUEUE_LOAD: Web Gauge "rhubarb_queue_load_ratio" ["queue"];
    /// Queues beyond the first hundred, which are not told.
    QUEUES_LEFT_OUT: Web Gauge "rhubarb_queues_left_out" [];
    /// Running and waiting tasks of all queues by all slots: what an autoscaler follows.
    LOAD: Web Gauge "rhubarb_load_ratio" [];
    /// Workers by state: live, draining, or lost with tasks not given back yet.
    WORKERS: Web Gauge "rhubarb_workers" ["state"];
    /// Slots of all live workers.
    SLOTS: Web Gauge "rhubarb_slots" [];
    /// Slots of all live workers in which a task is.
    SLOTS_USED: Web Gauge "rhubarb_slots_used" [];
    /// Changes of tasks' states by workers of ours: ends, retries, dead letters, parked tasks.
    TASKS: Web Counter "rhubarb_tasks_total" ["queue", "task", "state"];
    /// How long handlers ran.
    TASK_RUNTIME: Web Histogram "rhubarb_task_runtime_seconds" ["task"];
    /// How long tasks of our own publishers waited from being published, or due, to being claimed.
    TASK_WAIT: Web Histogram "rhubarb_task_wait_seconds" ["task"];
    /// Claims of tasks with which a worker had died before.
    REDELIVERED: Web Counter "rhubarb_redelivered_total" [];
    /// Ends that came after the lease, and changed nothing: the task runs again.
    LATE_ENDS: Web Counter "rhubarb_late_acknowledgements_total" [];
    /// Ends that are missing in the history because Redis refused them.
    UNRECORDED: Web Counter "rhubarb_unrecorded_total" [];
    /// Dead letters that are kept.
    DEAD: Web Gauge "rhubarb_dead_letters" [];
    /// Parked tasks: those whose name no live worker knows.
    PARKED: Web Gauge "rhubarb_parked_tasks" [];
    /// Schedules by state: on, off or paused.
    SCHEDULES: Web Gauge "rhubarb_schedules" ["state"];
    /// How late a schedule's task was published the last time.
    SCHEDULE_LATENESS: Web Gauge "rhubarb_schedule_lateness_seconds" ["schedule"];
    /// For how long a schedule that is due has not been published.
    SCHEDULE_OVERDUE: Web Gauge "rhubarb_schedule_overdue_seconds" ["schedule"];
    /// Which beat leads, by its node; none while nobody does.
    BEAT_LEADER: Web Gauge "rhubarb_beat_leader" ["node"];
    /// Sources of the last scrape, by name and how each ended.
    SCRAPE_SOURCE: Web Gauge "rhubarb_scrape_source" ["source", "state"];
    /// Listings of the last scrape's keyword: all that are cached, new ones, and closed ones.
    SCRAPE_LISTINGS: Web Gauge "rhubarb_scrape_listings" ["kind"];
    /// When the last scrape began or ended, seconds since 1970.
    SCRAPE_TIME: Web Gauge "rhubarb_scrape_timestamp_seconds" [];
    /// Whether the server can be reached.
    REDIS_UP: Web Gauge "rhubarb_redis_up" ["server"];
    /// How long a server takes to answer a PING of ours.
    REDIS_ROUND_TRIP: Web Gauge "rhubarb_redis_round_trip_seconds" ["server"];
    /// Seconds since the server started.
    REDIS_UPTIME: Web Gauge "rhubarb_redis_uptime_seconds" ["server"];
    /// Memory in use.
    REDIS_MEMORY: Web Gauge "rhubarb_redis_memory_used_bytes" ["server"];
    /// The most memory that was in use.
    REDIS_MEMORY_PEAK: Web Gauge "rhubarb_redis_memory_peak_bytes" ["server"];
    /// maxmemory; zero means no limit.
    REDIS_MEMORY_MAX: Web Gauge "rhubarb_redis_memory_max_bytes" ["server"];
    /// Resident by used memory.
    REDIS_FRAGMENTATION: Web Gauge "rhubarb_redis_memory_fragmentation_ratio" ["server"];
    /// Connections.
    REDIS_CLIENTS: Web Gauge "rhubarb_redis_clients" ["server"];
    /// The most connections that are let in.
    REDIS_CLIENTS_MAX: Web Gauge "rhubarb_redis_clients_max" ["server"];
    /// Connections that wait in a blocking command.
    REDIS_CLIENTS_BLOCKED: Web Gauge "rhubarb_redis_clients_blocked" ["server"];
    /// Connections refused for the limit.
    REDIS_REJECTED: Web Counter "rhubarb_redis_rejected_connections_total" ["server"];
    /// Commands carried out.
    REDIS_COMMANDS: Web Counter "rhubarb_redis_commands_total" ["server"];
    /// Lookups that found a key.
    REDIS_HITS: Web Counter "rhubarb_redis_keyspace_hits_total" ["server"];
    /// Lookups that found none.
    REDIS_MISSES: Web Counter "rhubarb_redis_keyspace_misses_total" ["server"];
    /// Keys that gave way to others.
    REDIS_EVICTED: Web Counter "rhubarb_redis_evicted_keys_total" ["server"];
    /// Keys whose time was over.
    REDIS_EXPIRED: Web Counter "rhubarb_redis_expired_keys_total" ["server"];
    /// Whether each write is logged to disk.
    REDIS_APPENDONLY: Web Gauge "rhubarb_redis_appendonly" ["server"];
    /// Changes since the data was last saved whole.
    REDIS_UNSAVED: Web Gauge "rhubarb_redis_unsaved_changes" ["server"];
    /// Whether the database can be reached.
    DATABASE_UP: Web Gauge "rhubarb_redis_database_up" ["server", "db", "roles"];
    /// Keys of a database.
    DATABASE_KEYS: Web Gauge "rhubarb_redis_database_keys" ["server", "db", "roles"];
    /// Keys with a time to live.
    DATABASE_EXPIRING: Web Gauge "rhubarb_redis_database_expiring_keys" ["server", "db", "roles"];
    /// Keys of a namespace; perhaps an estimate.
    NAMESPACE_KEYS: Web Gauge "rhubarb_redis_namespace_keys" ["server", "db", "namespace", "pattern"];
    /// Memory of a namespace; mostly an estimate.
    NAMESPACE_BYTES: Web Gauge "rhubarb_redis_namespace_bytes" ["server", "db", "namespace", "pattern"];
    /// Keys of a namespace that stay for ever; perhaps an estimate.
    NAMESPACE_WITHOUT_TTL: Web Gauge "rhubarb_redis_namespace_keys_without_ttl" ["server", "db", "namespace", "pattern"];
    /// Keys by what they are for; perhaps an estimate.
    KEYS: Web Gauge "rhubarb_keys" ["kind"];
    /// Findings of `rhubarb monitor --info`.
    FINDINGS: Web Gauge "rhubarb_findings" ["level"];
    /// Tasks that this worker runs at once.
    WORKER_SLOTS: Worker Gauge "rhubarb_worker_slots" [];
    /// Slots of this worker that are not free.
    WORKER_SLOTS_USED: Worker Gauge "rhubarb_worker_slots_used" [];
    /// Claims that this worker holds, running or being ended.
    WORKER_CLAIMS: Worker Gauge "rhubarb_worker_claims" [];
    /// Whether this worker is stopping.
    WORKER_DRAINING: Worker Gauge "rhubarb_worker_draining" [];
    /// How long ago this worker began to work.
    WORKER_UPTIME: Worker Gauge "rhubarb_worker_uptime_seconds" [];
    /// How long ago this worker's claim loop turned; it stands while all slots are taken.
    WORKER_STANDS: Worker Gauge "rhubarb_worker_claim_loop_age_seconds" [];
    /// Looks at the queues that Redis has answered.
    WORKER_ROUNDS: Worker Counter "rhubarb_worker_looks_total" [];
    /// Ends that came after the lease, and changed nothing.
    WORKER_LATE: Worker Counter "rhubarb_worker_late_acknowledgements_total" [];
    /// Messages that this worker made dead letters.
    WORKER_DEAD: Worker Counter "rhubarb_worker_dead_letters_total" [];
    /// Messages that this worker parked.
    WORKER_PARKED: Worker Counter "rhubarb_worker_parked_total" [];
    /// Handlers that this worker has begun.
    WORKER_STARTED: Worker Counter "rhubarb_worker_started_total" ["task"];
    /// Changes of tasks' states by this worker, up to its last heartbeat.
    WORKER_TASKS: Worker Counter "rhubarb_worker_tasks_total" ["queue", "task", "state"];
    /// How long handlers ran in this worker, up to its last heartbeat.
    WORKER_RUNTIME: Worker Histogram "rhubarb_worker_task_runtime_seconds" ["task"];
    /// How long tasks of our own publishers waited for this worker, up to its last heartbeat.
    WORKER_WAIT: Worker Histogram "rhubarb_worker_task_wait_seconds" ["task"];
    /// Spans of this worker's traces: exported, or dropped because the collector does not keep up.
    WORKER_SPANS: Worker Counter "rhubarb_worker_spans_total" ["state"];
    /// Whether this beat leads.
    BEAT_LEADING: Beat Gauge "rhubarb_beat_leading" [];
    /// Schedules that are on, as the leading beat knows them.
    BEAT_SCHEDULES: Beat Gauge "rhubarb_beat_schedules" [];
    /// How long ago this beat looked at its schedules.
    BEAT_STANDS: Beat Gauge "rhubarb_beat_loop_age_seconds" [];
    /// Spans of this beat's traces: exported, or dropped because the collector does not keep up.
    BEAT_SPANS: Beat Counter "rhubarb_beat_spans_total" ["state"];
}

/// Metrics as text, as Prometheus reads it.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a metric; all its samples follow at once. One without any is left out.
    pub fn metric(&mut self, metric: &'static Metric) -> Samples<'_> {
        Samples { text: &mut self.text, metric, begun: false }
    }

    /// Returns the text; it ends with a line break.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A metric that is being written.
#[derive(Debug)]
pub struct Samples<'a> {
    text: &'a mut String,
    metric: &'static Metric,
    begun: bool,
}

impl Samples<'_> {
    /// Adds a sample by the values of its labels; one that is unknown is left out.
    ///
    /// # Panics
    ///
    /// In tests, when there are more or fewer labels than the metric has.
    pub fn add(&mut self, labels: &[&str], value: impl Into<Option<f64>>) {
        if let Some(value) = value.into() {
            self.begin();
            self.line("", labels, None, &value);
        }
    }

    /// Adds a histogram: how many fell at or below each end but above the one before, with what is
    /// above all ends last; and their sum in the metric's unit.
    pub fn histogram(&mut self, labels: &[&str], ends: &[f64], counts: &[u64], sum: f64) {
        self.begin();
        let mut total = 0;
        for (at, count) in counts.iter().enumerate() {
            total += count;
            let end = ends.get(at).map_or("+Inf".to_owned(), ToString::to_string);
            self.line("_bucket", labels, Some(&end), &total);
        }
        self.line("_sum", labels, None, &sum);
        self.line("_count", labels, None, &total);
    }

    fn begin(&mut self) {
        let Metric { name, kind, help, .. } = self.metric;
        if !self.begun {
            let kind = kind.name();
            let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            self.begun = true;
        }
    }

    fn line(&mut self, part: &str, labels: &[&str], end: Option<&str>, value: &dyn fmt::Display) {
        let Metric { name, labels: names, .. } = self.metric;
        debug_assert_eq!(names.len(), labels.len(), "labels of {name}");
        let all = names.iter().copied().zip(labels.iter().copied());
        let all = all.chain(end.map(|end| ("le", end)));
        let _ = write!(self.text, "{name}{part}");
        let mut before = '{';
        for (name, value) in all {
            let _ = write!(self.text, "{before}{name}=\"{}\"", escaped(value));
            before = ',';
        }
        let close = if before == ',' { "}" } else { "" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Returns the table of the metrics that somebody serves, in Markdown.
pub fn table(by: By) -> String {
    let mut text = "| metric | kind | labels | what it is |\n|---|---|---|---|\n".to_owned();
    for metric in ALL.iter().filter(|metric| metric.by == by) {
        let labels: Vec<String> = metric.labels.iter().map(|name| format!("`{name}`")).collect();
        let (name, kind, labels) = (metric.name, metric.kind.name(), labels.join(", "));
        let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {} |", metric.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    #[test]
    fn names_say_their_unit_and_kind_and_stand_once() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        for Metric { name, kind, help, labels, .. } in ALL {
            let plain = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(plain(name) && labels.iter().all(|label| plain(label)), "{name}");
            assert!(name.starts_with("rhubarb_") && help.ends_with('.'), "{name}: {help}");
            assert_eq!(*kind == MetricKind::Counter, name.ends_with("_total"), "{name}");
            assert!(!["_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end)), "{name}");
        }
    }

    #[test]
    fn a_metric_has_one_head_and_one_without_samples_is_left_out() {
        let mut text = Exposition::default();
        let mut waiting = text.metric(&QUEUE_WAITING);
        waiting.add(&["a\"b\\c\nd"], 3.0);
        waiting.add(&["b"], 0.5);
        text.metric(&LOAD).add(&[], 2.0);
        text.metric(&QUEUE_PAUSED).add(&["a"], None);
        let expect = "# HELP rhubarb_queue_waiting Tasks that wait in a queue.\n\
                      # TYPE rhubarb_queue_waiting gauge\n\
                      rhubarb_queue_waiting{queue=\"a\\\"b\\\\c\\nd\"} 3\n\
                      rhubarb_queue_waiting{queue=\"b\"} 0.5\n";
        let text = text.into_text();
        assert!(text.starts_with(expect), "{text}");
        assert!(text.ends_with("\nrhubarb_load_ratio 2\n") && !text.contains("paused"), "{text}");
    }

    #[test]
    fn a_histogram_counts_up_to_its_ends() {
        let mut text = Exposition::default();
        text.metric(&TASK_RUNTIME).histogram(&["t"], &[0.5, 1.0], &[2, 0, 1], 7.25);
        let lines: Vec<String> = text.into_text().lines().skip(2).map(str::to_owned).collect();
        let expect = [
            "rhubarb_task_runtime_seconds_bucket{task=\"t\",le=\"0.5\"} 2",
            "rhubarb_task_runtime_seconds_bucket{task=\"t\",le=\"1\"} 2",
            "rhubarb_task_runtime_seconds_bucket{task=\"t\",le=\"+Inf\"} 3",
            "rhubarb_task_runtime_seconds_sum{task=\"t\"} 7.25",
            "rhubarb_task_runtime_seconds_count{task=\"t\"} 3",
        ];
        assert_eq!(lines, expect);
    }

    /// A file of the project.
    fn file(path: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
    }

    #[test]
    fn the_page_of_metrics_is_what_the_description_says() {
        let path = file("docs/metrics.md");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut expect = text.clone();
        for (by, whose) in
            [(By::Web, "the installation"), (By::Worker, "a worker"), (By::Beat, "a beat")]
        {
            let (begin, end) = (format!("<!-- of {whose} -->\n"), "<!-- end -->\n");
            let (before, rest) = expect.split_once(&begin).unwrap();
            let (_, after) = rest.split_once(end).unwrap();
            expect = format!("{before}{begin}{}{end}{after}", table(by));
        }
        if rhubarb_config::Environment::from_process().get("RHUBARB_TEST_BLESS").is_some() {
            std::fs::write(path, expect).unwrap();
        } else {
            assert!(text == expect, "run it with RHUBARB_TEST_BLESS=1");
        }
    }

    /// The words of a text that could be a metric of ours, parts of histograms without their ends.
    fn named(text: &str) -> BTreeSet<&str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let words = words.filter(|word| word.starts_with("rhubarb_"));
        words
            .map(|word| {
                let ends = ["_bucket", "_sum", "_count"];
                ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word)
            })
            .collect()
    }

    #[test]
    fn every_query_of_the_dashboard_and_of_the_alerts_names_a_metric_that_exists() {
        let known: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        for path in ["deploy/grafana/rhubarb.json", "deploy/prometheus/alerts.yml"] {
            let text = std::fs::read_to_string(file(path)).unwrap();
            let named = named(&text);
            assert!(named.len() > 5, "{path}: {named:?}");
            let unknown: Vec<_> = named.difference(&known).collect();
            assert!(unknown.is_empty(), "{path}: {unknown:?}");
        }
    }
}
