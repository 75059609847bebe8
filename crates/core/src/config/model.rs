//! The shapes of the configuration: one struct a section, plain values, no rules.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use super::schedule::{ScheduleConfig, WebhookUrl};
use crate::redact::{Address, SafeUrl};

/// The most blocking handlers at once: half of the threads that tokio has for everything that
/// blocks, names of hosts looked up among it (512 by default).
pub(super) const MAX_BLOCKING_THREADS: usize = 256;

/// Everything that can be configured. `Config::default()` is what runs with no file and no
/// environment.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `[redis]`
    pub redis: RedisConfig,
    /// `[celery]`
    pub celery: CeleryConfig,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[beat]`
    pub beat: BeatConfig,
    /// `[schedules.NAME]`, by name. Without any in the file, the default schedule holds.
    pub schedules: BTreeMap<String, Arc<ScheduleConfig>>,
    /// `[tasks.aliases]`: other task names for ours, alias to target.
    pub task_aliases: BTreeMap<String, String>,
    /// `[scrape]`
    pub scrape: ScrapeConfig,
    /// `[[sources]]`. Without any in the file: RemoteOK, We Work Remotely and Arbeitnow.
    pub sources: Vec<SourceConfig>,
    /// `[cache]`
    pub cache: CacheConfig,
    /// `[[intake.apalis]]`
    pub intake_apalis: Vec<IntakeConfig>,
    /// `[log]`
    pub log: LogConfig,
    /// `[web]`
    pub web: WebConfig,
    /// What the machine says about itself; decides the node name where none is configured.
    pub machine: Machine,
}

/// What the machine says about itself. Not a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// `DYNO`, which Heroku sets: `worker.1`.
    pub dyno: Option<String>,
    /// The host's name.
    pub host: String,
}

/// The dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebConfig {
    /// The port that it listens on; `PORT` in the environment sets it too.
    pub port: u16,
}

/// The databases' layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Queue on 0, cache on 1, sessions on 2, jobs on 3.
    #[default]
    Four,
    /// Queue, results and beat on 0; caches, sessions and jobs on 1.
    Two,
}

/// The part of Rhubarb that a Redis URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Task messages, claims, schedules.
    Queue,
    /// `celery-task-meta-*`.
    Results,
    /// The general cache: status, proxies.
    Cache,
    /// Django's sessions.
    Sessions,
    /// Listings.
    Jobs,
}

/// Where Redis is.
#[derive(Clone, Debug, PartialEq)]
pub struct RedisConfig {
    /// One URL for all roles; the database number in it counts for the queue only. Password hidden
    /// when printed.
    pub url: SafeUrl,
    /// The databases' layout.
    pub layout: Layout,
    /// Each role's own URL where it differs, by the role's name (`queue_url` is at `queue`).
    pub urls: BTreeMap<String, SafeUrl>,
    /// Each role's own database number, by the role's name (`queue_db` is at `queue`).
    pub dbs: BTreeMap<String, u32>,
    /// How long a connection attempt may take.
    pub connect_timeout: Duration,
    /// How long a command may take before its connection counts as lost.
    pub command_timeout: Duration,
    /// A PEM file of the only certificates that `rediss://` trusts: authorities', or servers' own.
    /// Absent means the system's. A URL's own parameters win over this and the following four.
    pub ca_file: Option<PathBuf>,
    /// Whether a server's certificate is verified: `required`, `optional` (the same) or `none`.
    pub ssl_cert_reqs: String,
    /// Whether a server's certificate has to be for the URL's host.
    pub ssl_check_hostname: bool,
    /// A PEM file of our own certificate, for servers that ask for one.
    pub ssl_certfile: Option<PathBuf>,
    /// A PEM file of its key; absent means that the key stands in the certificate's file.
    pub ssl_keyfile: Option<PathBuf>,
}

/// Celery's own settings, as the Django application has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CeleryConfig {
    /// `global_keyprefix` of the transport options; in front of every key of Celery's and ours.
    pub global_keyprefix: String,
    /// The priority steps; a message's list is that of the greatest step not above its priority.
    pub priority_steps: Vec<u8>,
    /// Between a queue's name and its step.
    pub sep: String,
    /// The queue for tasks that name none.
    pub task_default_queue: String,
    /// The priority of tasks that name none, 0 (most urgent) to 255.
    pub task_default_priority: u8,
    /// The queue and the priority of tasks that name none, by name: see [`CeleryConfig::route`].
    pub task_routes: Vec<Route>,
    /// `global_keyprefix` of `result_backend_transport_options`, as it is written there.
    pub result_global_keyprefix: String,
    /// Which version of Celery's clients reads the results: how it joins that prefix.
    pub result_keyprefix_form: KeyprefixForm,
    /// How long results are kept.
    pub result_expires: Duration,
    /// How the results of successful tasks are compressed; readers are told in the result itself.
    pub result_compression: ResultCompression,
    /// Only results of at least this size are compressed, bytes.
    pub result_compression_min_bytes: usize,
    /// The greatest message that is published, bytes; a larger one is refused before anything is
    /// sent.
    pub max_publish_bytes: usize,
    /// How long publishing waits for a Redis that is out of memory before it fails; zero for not at
    /// all.
    pub publish_patience: Duration,
    /// Whether a result also tells the task's name, arguments, worker, retries and queue.
    pub result_extended: bool,
    /// Whether no result is ever stored, whatever a call asks for: `redis.results_url` is
    /// `disabled://`.
    pub results_disabled: bool,
    /// Whether no task stores a result unless its call asks for it.
    pub task_ignore_result: bool,
    /// Whether failures of tasks whose results are ignored are stored all the same.
    pub task_store_errors_even_if_ignored: bool,
    /// Whether the state STARTED is stored; costs a round trip a task.
    pub task_track_started: bool,
    /// Whether publishing a task also sends the event `task-sent`.
    pub task_send_sent_event: bool,
    /// Whether tasks that a task publishes take its priority where they name none.
    pub task_inherit_parent_priority: bool,
    /// Celery's `timezone`: that of an ETA without offset.
    pub timezone: String,
}

/// How a version of Celery joins the prefix of results and a key's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyprefixForm {
    /// Celery 5.7: with `_`, unless the prefix ends in one of `:_-.`.
    #[default]
    Celery5_7,
    /// Celery 5.4: always with `_`.
    Celery5_4,
}

/// How results are compressed, by Celery's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResultCompression {
    /// Not at all.
    #[default]
    None,
    /// zlib; `gzip` is kombu's other name for it.
    Zlib,
    /// bzip2.
    Bzip2,
    /// Zstandard; Celery's clients need the package `zstandard` to read it.
    Zstd,
}

/// Where tasks of a name, or of a pattern of names, go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name, or a shell pattern where it has a `*`.
    pub pattern: String,
    /// The queue; absent means `task_default_queue`.
    pub queue: Option<String>,
    /// The priority; absent means `task_default_priority`.
    pub priority: Option<u8>,
}

/// The worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Tasks at once. The work is I/O-bound; zero means 8 for each core.
    pub concurrency: usize,
    /// How many blocking handlers run at once, each on a thread; zero means as many as tasks.
    pub blocking_threads: usize,
    /// The queues to serve, in order; empty means `task_default_queue`.
    pub queues: Vec<String>,
    /// Queues that are not served although `queues` names them.
    pub exclude_queues: Vec<String>,
    /// How long a worker may be silent before others take its tasks. Shorter: tasks of a paused
    /// worker run twice.
    pub lease: Duration,
    /// How long running tasks may go on after SIGTERM before they are handed back. Heroku kills
    /// after 30 s.
    pub drain: Duration,
    /// A task's hard time limit where its registration and message name none; zero means none.
    pub task_time_limit: Duration,
    /// After how long a task is asked to end where its registration and message name nothing; zero
    /// means never.
    pub task_soft_time_limit: Duration,
    /// How often a message may be delivered before it counts as one that kills workers.
    pub max_deliveries: u32,
    /// The greatest message that is run; a larger one goes to the dead letters as headers, size and
    /// hash.
    pub max_message_bytes: usize,
    /// The greatest result that is stored; a larger one is a FAILURE that says so.
    pub max_result_bytes: usize,
    /// How far results may take a Redis that is out of memory beyond its `maxmemory`, bytes; beyond
    /// that, one that is larger than its task's message is a FAILURE that says so.
    pub results_beyond_maxmemory: usize,
    /// How much is kept of messages that can never run: `max_dead_letters`, `_age` and `_bytes`.
    pub dead_letters: LetterCaps,
    /// How much is kept of messages whose task nobody knows: `max_parked`, `_age` and `_bytes`.
    pub parked: LetterCaps,
    /// The resident memory over which the worker finishes what it runs and exits with 0, for its
    /// platform to start it again, bytes; zero means never.
    pub max_memory: usize,
    /// How often queues are looked at when no wake-up came.
    pub poll_interval: Duration,
    /// How long nothing may succeed, or no claim be tried, before the process is ended; zero means
    /// never.
    pub watchdog: Duration,
    /// The node name; empty means `rhubarb@$DYNO` or `rhubarb@host`.
    pub hostname: String,
    /// What to do with tasks that no live worker knows.
    pub unknown_tasks: UnknownTasks,
    /// Whether task events are sent from the start; remote control can switch them on and off.
    pub send_task_events: bool,
    /// Whether the worker tells `celery events` and Flower of itself: online, a heartbeat every 2
    /// s, offline.
    pub send_heartbeats: bool,
    /// Whether remote control (`celery inspect`, `celery control`, Flower) is answered.
    pub enable_remote_control: bool,
    /// Whether the other workers are asked at the start what they know as revoked, before the first
    /// claim.
    pub mingle: bool,
    /// How long a revocation is kept.
    pub revoke_expires: Duration,
}

/// How much is kept of messages that were set apart; what is over gives way, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LetterCaps {
    /// So many.
    pub count: usize,
    /// So long.
    pub age: Duration,
    /// So many bytes, all records together.
    pub bytes: usize,
}

/// What happens to a task whose name this worker does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum UnknownTasks {
    /// Keep it apart, show it, let it be replayed (`park`).
    #[default]
    Park,
    /// Move it to this queue (`forward:QUEUE`).
    Forward(String),
}

/// The beat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeatConfig {
    /// The time zone of schedules that name none (IANA).
    pub timezone: String,
    /// How long a silent leader stays leader. Shorter: fail-over is faster, a slow network loses
    /// the lead.
    pub lease: Duration,
    /// Whether the entries of Python's RedBeat on the queue's database are obeyed; they are never
    /// written.
    pub redbeat: bool,
    /// RedBeat's `redbeat_key_prefix`.
    pub redbeat_key_prefix: String,
    /// The address that is told when a schedule is later than its `alert_after`, and when it no
    /// longer is.
    pub alert_url: WebhookUrl,
    /// The address that is told every minute that the leader publishes and nothing is late: a dead
    /// man's switch there raises the alarm when it hears nothing.
    pub ping_url: WebhookUrl,
}

/// Scraping and fetching.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeConfig {
    /// The keywords of `scrape_jobs_hourly`: that of hour h is `keywords[h % len]`.
    pub keywords: Vec<String>,
    /// The time zone of that hour (IANA).
    pub timezone: String,
    /// A keyword whose listings are younger than this is not fetched again.
    pub fresh_for: Duration,
    /// The user agent; says who asks and how to reach them.
    pub user_agent: String,
    /// At least this long between two requests to one host.
    pub min_interval: Duration,
    /// Connecting may take this long.
    pub connect_timeout: Duration,
    /// One request, body included, may take this long.
    pub request_timeout: Duration,
    /// One source, all its pages included, may take this long.
    pub source_timeout: Duration,
    /// A body may be this long after decompression.
    pub max_body_bytes: usize,
    /// Redirects followed.
    pub max_redirects: usize,
    /// Whether a redirect may lead from https to http.
    pub allow_downgrade: bool,
    /// Whether robots.txt is obeyed.
    pub obey_robots: bool,
    /// Hosts (`host` or `host:port`) in private or loopback networks that may be fetched all the
    /// same; `*` allows all.
    pub allow_private: Vec<String>,
    /// Proxies (`host` or `host:port`) in private or loopback networks that may be used all the
    /// same; `*` allows all.
    pub allow_private_proxies: Vec<String>,
    /// Whether keywords are also looked for in descriptions.
    pub match_description: bool,
    /// URLs of proxy lists, one proxy a line.
    pub proxy_lists: Vec<Address>,
    /// Whether a scrape without a proxy is put off.
    pub proxies_required: bool,
    /// Sources fetched at once in one scrape.
    pub concurrent_sources: usize,
}

/// What kind of source it is, and so how it is asked and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SourceKind {
    /// Greenhouse's job board API, one board.
    Greenhouse,
    /// Lever's postings API, one site.
    Lever,
    /// Ashby's job posting API, one board.
    Ashby,
    /// RemoteOK's API.
    RemoteOk,
    /// We Work Remotely's RSS.
    WeWorkRemotely,
    /// Arbeitnow's job board API.
    Arbeitnow,
    /// Pages with schema.org JSON-LD `JobPosting`.
    JsonLd,
    /// A list page with detail pages, read by CSS selectors.
    Html,
}

/// One `[[sources]]` entry.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceConfig {
    /// Its name in listings and status; by default the kind, with `:board` where it has one.
    pub name: String,
    /// The kind (`type` in the file).
    pub kind: SourceKind,
    /// Whether it is scraped.
    pub enabled: bool,
    /// The base URL in place of the kind's own, without a trailing slash.
    pub base_url: Option<Address>,
    /// The board, site or account (Greenhouse, Lever, Ashby).
    pub board: Option<String>,
    /// The company's name where the payload has none.
    pub company: Option<String>,
    /// Pages fetched at the most.
    pub max_pages: u32,
    /// The pages to read (JSON-LD, HTML); `{keyword}` stands for the URL-encoded keyword.
    pub urls: Vec<Address>,
    /// What to read where (HTML).
    pub selectors: Selectors,
}

/// CSS selectors of an HTML source. A selector may end in `@attr` to take an attribute instead of
/// the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// One listing on the list page.
    pub item: String,
    /// Inside the item (or the detail page): the title.
    pub title: Option<String>,
    /// The link to the detail page; the item's own `href` when absent.
    pub link: Option<String>,
    /// The company.
    pub company: Option<String>,
    /// The location.
    pub location: Option<String>,
    /// The salary.
    pub salary: Option<String>,
    /// The publishing date.
    pub date: Option<String>,
    /// Tags; every match is one.
    pub tags: Option<String>,
    /// The link to the next list page.
    pub next_page: Option<String>,
    /// The detail page's fields by name (`title`, `company`, `location`, `salary`, `date`, `tags`,
    /// `description`,
    /// `employment_type`); the detail page is fetched only when this is not empty.
    pub detail: BTreeMap<String, String>,
}

/// How Django serialises cache values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Serializer {
    /// django-redis's default.
    #[default]
    Pickle,
    /// `django_redis.serializers.json.JSONSerializer`.
    Json,
    /// `django_redis.serializers.msgpack.MSGPackSerializer`.
    MsgPack,
}

/// How Django compresses cache values. Reading goes by each value's magic, whatever is set here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compressor {
    /// django-redis's default: not at all.
    #[default]
    None,
    /// `django_redis.compressors.zlib.ZlibCompressor`.
    Zlib,
    /// `django_redis.compressors.gzip.GzipCompressor`.
    Gzip,
    /// `django_redis.compressors.lzma.LzmaCompressor`.
    Lzma,
    /// `django_redis.compressors.lz4.Lz4Compressor`.
    Lz4,
    /// `django_redis.compressors.zstd.ZStdCompressor`.
    Zstd,
}

/// One of Django's cache aliases.
#[derive(Clone, Debug, PartialEq)]
pub struct AliasConfig {
    /// The role whose connection serves it.
    pub role: Role,
    /// `KEY_PREFIX`.
    pub prefix: String,
    /// `VERSION`.
    pub version: u32,
    /// `TIMEOUT`; absent means for ever.
    pub timeout: Option<Duration>,
    /// `SERIALIZER`.
    pub serializer: Serializer,
    /// `COMPRESSOR`.
    pub compressor: Compressor,
    /// `IGNORE_EXCEPTIONS`: with a Redis that fails, reads find nothing and writes are left out.
    pub ignore_exceptions: bool,
}

/// A key in an alias, with its own timeout.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheTarget {
    /// The alias's name.
    pub alias: String,
    /// The logical key; `{keyword_slug}` stands for the keyword's slug.
    pub key: String,
    /// How long the value is kept; absent means the alias's timeout.
    pub timeout: Option<Duration>,
}

/// The caches that Django shares.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheConfig {
    /// `[cache.aliases.NAME]`: `default`, `sessions` and `jobs`, and what is added.
    pub aliases: BTreeMap<String, AliasConfig>,
    /// `[[cache.listings]]`: where listings are written; the first is read from.
    pub listings: Vec<CacheTarget>,
    /// `[cache.status]`
    pub status: CacheTarget,
    /// `[cache.proxies]`
    pub proxies: CacheTarget,
    /// `[cache.details]`
    pub details: CacheTarget,
    /// `[cache.responses]`
    pub responses: CacheTarget,
    /// `[cache.users]`
    pub users: CacheTarget,
}

/// One `[[intake.apalis]]` entry: a queue of stock apalis-redis whose tasks move into ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntakeConfig {
    /// The queue's name in `apalis_redis::Config`.
    pub queue: String,
    /// The task that its payloads become arguments of.
    pub task: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `Text` on a terminal, `Logfmt` elsewhere.
    #[default]
    Auto,
    /// Readable lines.
    Text,
    /// `key=value`, one line an event.
    Logfmt,
    /// One JSON object an event.
    Json,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The format.
    pub format: LogFormat,
    /// A level or an `EnvFilter` directive list; `RUST_LOG` overrides it.
    pub level: String,
}
