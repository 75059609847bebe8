//! The settings of every program that takes part in the queue: where Redis is, Celery's own, the
//! worker's.
//!
//! The worker's sections stand here and not in `rhubarb-consumer`, because those who publish and
//! operate have to know them too (a lease, a cap, a queue) and must not be able to claim.

mod celery;
mod history;
mod node;
mod notify;
pub mod queue_name;
mod routes;
mod worker;

use std::collections::BTreeMap;

use rhubarb_config::{Configuration, Environment, Origins, Problems, from_toml, settings};
use rhubarb_connection::{Layout, RedisConfig, Role};
use rhubarb_core::{
    config::{LogConfig, TelemetryConfig},
    redact::SafeUrl,
};

use crate::slot::hash_tag;

pub use self::{
    celery::{CeleryConfig, KeyprefixForm, ResultCompression},
    history::HistoryConfig,
    notify::{NoticeForm, NotifyConfig},
    routes::{Route, Routes},
    worker::{LetterCaps, UnknownTasks, WorkerConfig},
};

settings! {
    /// What a worker, and a program that publishes, can be told. `Config::default()` is what runs
    /// with no file and no environment.
    ///
    /// A file may also have the sections of the other programs; they are left alone.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Config {}
    tables {
        /// Where Redis is.
        redis: RedisConfig = RedisConfig::default();
        /// Celery's own settings, as the Django application has them.
        celery: CeleryConfig = CeleryConfig::default();
        /// The worker.
        worker: WorkerConfig = WorkerConfig::default();
        /// What is kept of tasks that have ended.
        history: HistoryConfig = HistoryConfig::default();
        /// Who is told when something goes wrong.
        notify: NotifyConfig = NotifyConfig::default();
        /// What there is to know of tasks.
        tasks: TasksConfig = TasksConfig::default();
        /// How many of 100 tasks of a name our workers take of a queue that Python's workers serve
        /// too; the others are left for those. `rhubarb share` changes it live.
        share: BTreeMap<String, u8> = BTreeMap::new(), examples "# \"shop.add\" = 10\n";
        /// Other ways in.
        intake: IntakeConfigs = IntakeConfigs::default();
        /// Logging.
        log: LogConfig = LogConfig::default();
        /// Traces.
        telemetry: TelemetryConfig = TelemetryConfig::default();
    }
    fields {
        /// What the machine says about itself; decides the node name where none is configured.
        machine: Machine = Machine::default();
    }
}

settings! {
    /// What there is to know of tasks.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TasksConfig {}
    tables {
        /// Other names for our tasks, for producers that call them differently.
        aliases: BTreeMap<String, String> = BTreeMap::new(),
            examples "# \"scraper.hourly\" = \"job_scraper.tasks.scrape_jobs_hourly\"\n";
    }
}

settings! {
    /// Other ways in.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IntakeConfigs {}
    tables {
        /// Queues of stock apalis-redis whose tasks move into ours: a JSON object becomes keyword
        /// arguments, an array positional ones.
        apalis: Vec<IntakeConfig> = Vec::new();
    }
}

settings! {
    /// One `[[intake.apalis]]` entry: a queue of stock apalis-redis whose tasks move into ours.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct IntakeConfig {
        /// The queue's name in `apalis_redis::Config`.
        queue: String = String::new(), example "\"scrapes\"", required true;
        /// The task that its payloads become arguments of.
        task: String = String::new(),
            example "\"job_scraper.tasks.scrape_specific_keyword\"", required true;
    }
}

/// What the machine says about itself. Not a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// `DYNO`, which Heroku sets: `worker.1`.
    pub dyno: Option<String>,
    /// The host's name.
    pub host: String,
}

impl Configuration for Config {
    const MANY: &'static str = "schedules";
    const OTHERS: &'static [&'static str] =
        &["beat", "schedules", "scrape", "sources", "cache", "python", "web"];

    fn surroundings(&mut self, environment: &Environment) {
        self.machine.host.clone_from(&environment.host);
        self.machine.dyno = environment.get("DYNO").map(str::to_owned);
    }

    fn complete(&mut self, origins: &mut Origins, problems: &mut Vec<String>) {
        self.celery.results_disabled = self.redis.results_disabled();
        // Where only the broker's URL is given, the caches are on its server too rather than on
        // this machine.
        if let (Some(url), None) = (&self.redis.queue_url, origins.get("redis.url")) {
            self.redis.url = url.clone();
            let origin = origins.get("redis.queue_url").unwrap_or_default().to_owned();
            origins.note("redis.url", &origin);
        }
        if self.worker_queues().is_empty() {
            problems.push("worker.exclude_queues: no queue is left to serve".to_owned());
        }
        problems.extend(queue_name::wrong_names(self));
        problems.extend(crate::shares::problems(&self.share));
    }

    fn warnings(&self) -> Vec<String> {
        let shared = [Role::Cache, Role::Sessions, Role::Jobs].into_iter();
        // One who chose to have all of it in one database knows.
        let shared = shared.filter(|_| self.redis.layout != Layout::One);
        let mut warnings: Vec<String> = shared.filter_map(|cache| self.shared(cache)).collect();
        warnings.extend(self.two_slots());
        let mut warn = |holds: bool, warning: &str| {
            warnings.extend(holds.then(|| warning.to_owned()));
        };
        warn(
            self.redis.command_timeout >= self.worker.lease,
            "redis.command_timeout is not below worker.lease: one slow command loses a lease",
        );
        warn(
            self.worker.max_result_bytes > self.worker.max_message_bytes,
            "worker.max_result_bytes is above worker.max_message_bytes: a result that a chain passes \
             on may be refused",
        );
        warn(
            self.worker.drain.as_secs() >= 30,
            "worker.drain is 30 s or more: Heroku kills a process 30 s after SIGTERM",
        );
        warnings
    }
}

impl AsRef<Self> for Config {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl AsRef<LogConfig> for Config {
    fn as_ref(&self) -> &LogConfig {
        &self.log
    }
}

impl AsRef<TelemetryConfig> for Config {
    fn as_ref(&self) -> &TelemetryConfig {
        &self.telemetry
    }
}

impl Config {
    /// Reads a configuration from a file's text alone.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        from_toml(text)
    }

    /// Warns of a cache on a database of the queue.
    fn shared(&self, cache: Role) -> Option<String> {
        let mut tasks = [Role::Queue, Role::Results].into_iter();
        let tasks = tasks.find(|tasks| self.share_database(*tasks, cache))?;
        Some(format!(
            "redis.{0}_db: the {0} shares database {1} with the {2}: Django's cache.clear() is FLUSHDB \
             and would empty it",
            cache.name(),
            self.url_for(cache).1,
            tasks.name()
        ))
    }

    /// Warns of results outside of the one slot that the queue's prefix is for.
    fn two_slots(&self) -> Option<String> {
        let celery = &self.celery;
        let tag = hash_tag(&celery.global_keyprefix)?;
        let is_beside = self.share_database(Role::Queue, Role::Results)
            && hash_tag(&celery.result_global_keyprefix) != Some(tag);
        (is_beside && !self.redis.results_disabled()).then(|| {
            format!(
                "celery.result_global_keyprefix has not the hash tag {{{tag}}} of \
                 celery.global_keyprefix: on a cluster no result can be stored; set it here, and \
                 Celery's result_backend_transport_options"
            )
        })
    }

    /// Returns the URL that serves a role, and its database: see [`RedisConfig::url_for`].
    pub fn url_for(&self, role: Role) -> (SafeUrl, u32) {
        self.redis.url_for(role)
    }

    /// Tells whether two roles use the same server and database.
    pub fn share_database(&self, one: Role, other: Role) -> bool {
        self.redis.share_database(one, other)
    }

    /// Returns the node's name: the one configured, else `rhubarb@$DYNO`, else `rhubarb@host`.
    ///
    /// A configured name without `@` gets the host's name; `%h`, `%n`, `%d`, `%i`, `%I` and `%%`
    /// are Celery's.
    pub fn node_name(&self) -> String {
        let host = self.machine.dyno.as_deref().unwrap_or(&self.machine.host);
        let pattern = &self.worker.hostname;
        // One that means nothing is refused when the configuration is read.
        node::expand(pattern, host).unwrap_or_else(|| pattern.clone())
    }

    /// Returns the queues that a worker serves: those configured, else the default one, without
    /// those excluded.
    pub fn worker_queues(&self) -> Vec<String> {
        let mut queues = match self.worker.queues.as_slice() {
            [] => vec![self.celery.task_default_queue.clone()],
            queues => queues.to_vec(),
        };
        queues.retain(|queue| !self.worker.exclude_queues.contains(queue));
        queues
    }

    /// Returns how many tasks a worker runs at once: as configured, else 8 for each core, for the
    /// work is I/O-bound.
    pub fn concurrency(&self) -> usize {
        match self.worker.concurrency {
            0 => 8 * std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// Returns how many blocking handlers a worker runs at once: as configured, else as many as
    /// tasks.
    pub fn blocking_threads(&self) -> usize {
        match self.worker.blocking_threads {
            0 => self.concurrency().min(worker::MAX_BLOCKING_THREADS),
            n => n,
        }
    }

    /// Makes an id for this boot of the process, `<node>:<pid>:<nonce>`; call it once and keep it.
    ///
    /// The nonce tells a restarted container from its predecessor: both have the same name and the
    /// process id 1.
    pub fn process_id(&self) -> String {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        format!("{}:{}:{}", self.node_name(), std::process::id(), &nonce[..8])
    }
}
