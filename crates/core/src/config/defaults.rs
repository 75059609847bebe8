//! What holds where nothing is configured.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{domains::DOMAINS, model::*, schedule::*};
use crate::redact::SafeUrl;

/// The task that the default schedule runs.
const HOURLY: &str = "job_scraper.tasks.scrape_jobs_hourly";

/// The keywords of the hourly scrape, one an hour.
const KEYWORDS: [&str; 20] = [
    "software engineer",
    "data scientist",
    "product manager",
    "full stack developer",
    "machine learning engineer",
    "devops engineer",
    "cloud architect",
    "cybersecurity analyst",
    "business analyst",
    "project manager",
    "sales manager",
    "marketing manager",
    "financial analyst",
    "operations manager",
    "ui ux designer",
    "qa engineer",
    "system administrator",
    "network engineer",
    "database administrator",
    "frontend developer",
];

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Default for Config {
    fn default() -> Self {
        Self {
            redis: RedisConfig::default(),
            celery: CeleryConfig::default(),
            worker: WorkerConfig::default(),
            beat: BeatConfig::default(),
            schedules: default_schedules(),
            task_aliases: BTreeMap::new(),
            scrape: ScrapeConfig::default(),
            sources: default_sources(),
            cache: CacheConfig::default(),
            intake_apalis: Vec::new(),
            log: LogConfig::default(),
            web: WebConfig::default(),
            machine: Machine::default(),
        }
    }
}

impl Default for RedisConfig {
    fn default() -> Self {
        let url: SafeUrl = "redis://127.0.0.1:6379/0".parse().expect("a URL in full");
        Self {
            url,
            layout: Layout::Four,
            urls: BTreeMap::new(),
            dbs: BTreeMap::new(),
            connect_timeout: seconds(5),
            command_timeout: seconds(5),
            ca_file: None,
            ssl_cert_reqs: "required".into(),
            ssl_check_hostname: true,
            ssl_certfile: None,
            ssl_keyfile: None,
        }
    }
}

impl Default for CeleryConfig {
    fn default() -> Self {
        Self {
            global_keyprefix: String::new(),
            priority_steps: vec![0, 3, 6, 9],
            sep: "\u{6}\u{16}".into(),
            task_default_queue: "celery".into(),
            task_default_priority: 0,
            task_routes: Vec::new(),
            result_global_keyprefix: String::new(),
            result_keyprefix_form: KeyprefixForm::Celery5_7,
            result_expires: seconds(86_400),
            result_compression: ResultCompression::None,
            result_compression_min_bytes: 1 << 10,
            max_publish_bytes: 8 << 20,
            publish_patience: seconds(10),
            result_extended: false,
            results_disabled: false,
            task_ignore_result: false,
            task_store_errors_even_if_ignored: false,
            task_track_started: false,
            task_send_sent_event: false,
            task_inherit_parent_priority: false,
            timezone: "UTC".into(),
        }
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            concurrency: 0,
            blocking_threads: 0,
            queues: Vec::new(),
            exclude_queues: Vec::new(),
            lease: seconds(15),
            drain: seconds(25),
            task_time_limit: Duration::ZERO,
            task_soft_time_limit: Duration::ZERO,
            max_deliveries: 5,
            max_message_bytes: 8 << 20,
            max_result_bytes: 8 << 20,
            results_beyond_maxmemory: 8 << 20,
            dead_letters: LetterCaps::default(),
            parked: LetterCaps::default(),
            max_memory: 0,
            poll_interval: seconds(15),
            watchdog: seconds(60),
            hostname: String::new(),
            unknown_tasks: UnknownTasks::Park,
            send_task_events: false,
            send_heartbeats: true,
            enable_remote_control: true,
            mingle: true,
            revoke_expires: seconds(3 * 3600),
        }
    }
}

/// Together with the other kind it leaves room on a Redis of 50 MB; none of it is used where nothing goes wrong.
impl Default for LetterCaps {
    fn default() -> Self {
        Self { count: 10_000, age: seconds(30 * 86_400), bytes: 16 << 20 }
    }
}

impl Default for BeatConfig {
    fn default() -> Self {
        Self {
            timezone: "UTC".into(),
            lease: seconds(10),
            redbeat: true,
            redbeat_key_prefix: "redbeat:".into(),
            alert_url: WebhookUrl::default(),
            ping_url: WebhookUrl::default(),
        }
    }
}

fn default_schedules() -> BTreeMap<String, Arc<ScheduleConfig>> {
    let entry = |minute: &str, hour: &str| {
        let text = CrontabText {
            minute: CrontabText::field(minute),
            hour: CrontabText::field(hour),
            ..CrontabText::default()
        };
        Arc::new(ScheduleConfig {
            task: HOURLY.into(),
            when: When::Crontab(text.into()),
            ..ScheduleConfig::default()
        })
    };
    BTreeMap::from([
        ("scrape_jobs_hourly".into(), entry("0", "*")),
        ("scrape_jobs_every_fourth_hour".into(), entry("30", "*/4")),
    ])
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        let agent = concat!("rhubarb/", env!("CARGO_PKG_VERSION"), " (job listings)");
        Self {
            keywords: KEYWORDS.map(String::from).to_vec(),
            timezone: "UTC".into(),
            fresh_for: seconds(600),
            user_agent: agent.into(),
            min_interval: seconds(1),
            connect_timeout: seconds(10),
            request_timeout: seconds(30),
            source_timeout: seconds(120),
            max_body_bytes: 16 << 20,
            max_redirects: 5,
            allow_downgrade: false,
            obey_robots: true,
            allow_private: Vec::new(),
            allow_private_proxies: Vec::new(),
            match_description: false,
            proxy_lists: Vec::new(),
            proxies_required: false,
            concurrent_sources: 4,
        }
    }
}

impl SourceConfig {
    /// Returns a source of the kind with everything else at its default.
    pub fn new(kind: SourceKind) -> Self {
        Self {
            name: kind.name().into(),
            kind,
            enabled: true,
            base_url: None,
            board: None,
            company: None,
            max_pages: 5,
            urls: Vec::new(),
            selectors: Selectors::default(),
        }
    }
}

impl SourceKind {
    /// All kinds, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Greenhouse,
        Self::Lever,
        Self::Ashby,
        Self::RemoteOk,
        Self::WeWorkRemotely,
        Self::Arbeitnow,
        Self::JsonLd,
        Self::Html,
    ];

    /// Returns its name in the file (`type`) and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Greenhouse => "greenhouse",
            Self::Lever => "lever",
            Self::Ashby => "ashby",
            Self::RemoteOk => "remoteok",
            Self::WeWorkRemotely => "weworkremotely",
            Self::Arbeitnow => "arbeitnow",
            Self::JsonLd => "jsonld",
            Self::Html => "html",
        }
    }

    /// Tells whether it reads one company's board, which then has to be named.
    pub const fn needs_board(self) -> bool {
        matches!(self, Self::Greenhouse | Self::Lever | Self::Ashby)
    }

    /// Tells whether it reads pages that have to be named.
    pub const fn needs_urls(self) -> bool {
        matches!(self, Self::JsonLd | Self::Html)
    }
}

fn default_sources() -> Vec<SourceConfig> {
    [SourceKind::RemoteOk, SourceKind::WeWorkRemotely, SourceKind::Arbeitnow]
        .map(SourceConfig::new)
        .into()
}

impl AliasConfig {
    /// Returns an alias as django-redis has it where nothing is set: 300 seconds, pickle, version 1.
    pub fn new(role: Role, prefix: &str) -> Self {
        Self {
            role,
            prefix: prefix.into(),
            version: 1,
            timeout: Some(seconds(300)),
            serializer: Serializer::Pickle,
            compressor: Compressor::None,
            ignore_exceptions: false,
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        let [listings, details, status, proxies, responses, users] = &DOMAINS;
        let alias = |role, prefix, timeout| AliasConfig {
            timeout: Some(seconds(timeout)),
            ..AliasConfig::new(role, prefix)
        };
        Self {
            aliases: BTreeMap::from([
                ("default".into(), alias(Role::Cache, "hire_voo_ai", 300)),
                ("sessions".into(), alias(Role::Sessions, "session", 1_209_600)),
                ("jobs".into(), alias(Role::Jobs, "jobs", 3_600)),
            ]),
            listings: vec![listings.target()],
            status: status.target(),
            proxies: proxies.target(),
            details: details.target(),
            responses: responses.target(),
            users: users.target(),
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".into() }
    }
}

impl Default for WebConfig {
    fn default() -> Self {
        Self { port: 8080 }
    }
}
