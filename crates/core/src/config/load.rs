//! Where the configuration comes from: defaults < file < environment < flags.

use std::{
    collections::BTreeMap,
    fmt, mem,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Deserialize;
use toml::de::{DeTable, ValueDeserializer};

use super::{
    model::{Config, Role},
    pieces::{Part, Pieces},
    read::Input,
    routes,
    schedules::schedules,
    settings::{self, Row},
    tables,
};
use crate::queue_name;

/// The flags that all binaries have.
#[derive(Args, Clone, Default)]
pub struct CommonArgs {
    /// Configuration file [default: $RHUBARB_CONFIG, else ./rhubarb.toml where there is one]
    #[arg(long, value_name = "PATH", global = true)]
    pub config: Option<PathBuf>,
    /// Print each setting and where it came from, secrets hidden, and exit
    #[arg(long, global = true)]
    pub print_config: bool,
    /// Redis URL for all roles [default: $REDIS_TLS_URL or $REDIS_URL]
    #[arg(long, value_name = "URL", global = true)]
    pub redis_url: Option<String>,
    /// How log lines look: auto, text, logfmt or json [default: auto]
    #[arg(long, value_name = "FORMAT", global = true)]
    pub log_format: Option<String>,
}

impl fmt::Debug for CommonArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, print_config, redis_url, log_format } = self;
        f.debug_struct("CommonArgs")
            .field("config", config)
            .field("print_config", print_config)
            .field("redis_url", &redis_url.as_ref().map(|_| "***"))
            .field("log_format", log_format)
            .finish()
    }
}

impl CommonArgs {
    /// Reads the configuration of this process; `flags` are settings by name (`worker.queues`) that
    /// win over all.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn load(&self, flags: &[(&'static str, String)]) -> Result<Loaded, Problems> {
        let environment = Environment::from_process();
        let file =
            self.config.clone().or_else(|| environment.get("RHUBARB_CONFIG").map(PathBuf::from));
        let (path, required) = match file {
            Some(path) => (path, true),
            None => (PathBuf::from("rhubarb.toml"), false),
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let problem =
                    format!("cannot read the configuration file `{}`: {error}", path.display());
                return Err(Problems(vec![problem]));
            }
        };
        let flags: Vec<_> = self.settings().chain(flags.iter().cloned()).collect();
        load(text.as_deref().map(|text| (path.as_path(), text)), &environment, &flags)
    }

    fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let given = [("redis.url", &self.redis_url), ("log.format", &self.log_format)];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)))
    }
}

/// The environment's variables, as far as they are looked at. Their values are never printed.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    host: String,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Environment {
    /// Reads the process's own. The only place that does.
    pub fn from_process() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the one place that the ban points to"
        )]
        let variables = std::env::vars_os();
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self { variables: variables.filter_map(text).collect(), host: host() }
    }

    /// Makes one of the given variables, on a host named `host`.
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { variables: variables.collect(), host: "host".to_owned() }
    }

    /// Returns a variable that is set and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Returns this machine's name.
fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// Tells whether Kubernetes set this variable: it gives every container the addresses of the
/// services beside it, and those of a service named `rhubarb` or `rhubarb-web` begin as our own
/// variables do.
fn is_service_link(name: &str, value: &str) -> bool {
    ["_SERVICE_HOST", "_SERVICE_PORT", "_TCP_PROTO", "_TCP_PORT", "_TCP_ADDR"]
        .iter()
        .any(|part| name.contains(part))
        || value.starts_with("tcp://")
}

/// A configuration with where each setting came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What a person should know before relying on it.
    pub warnings: Vec<String>,
    origins: BTreeMap<String, String>,
}

/// Everything that is wrong with a configuration, one sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the configuration has {} problem{}",
            self.0.len(),
            if self.0.len() == 1 { "" } else { "s" }
        )?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// The names that people already have, and the settings that they set; later ones win.
const KNOWN_VARIABLES: [(&str, &str); 6] = [
    ("REDIS_URL", "redis.url"),
    ("REDIS_TLS_URL", "redis.url"),
    ("CELERY_BROKER_URL", "redis.queue_url"),
    ("CELERY_RESULT_BACKEND", "redis.results_url"),
    ("PORT", "web.port"),
    ("RUST_LOG", "log.level"),
];

/// Puts a configuration together from a file's text, an environment and flags.
///
/// # Errors
///
/// All problems at once.
pub fn load(
    file: Option<(&Path, &str)>,
    environment: &Environment,
    flags: &[(&'static str, String)],
) -> Result<Loaded, Problems> {
    let mut loading = Loading {
        config: Config::default(),
        origins: BTreeMap::new(),
        problems: Vec::new(),
        others: BTreeMap::new(),
    };
    if let Some((path, text)) = file {
        loading.file(path, text);
    }
    loading.environment(environment);
    for (name, value) in flags {
        if let Some(row) = settings::row(name) {
            loading.set(row, Input::Text(value), "a flag");
        }
    }
    loading.problems.extend(mem::take(&mut loading.others).into_values());
    loading.follow_the_broker();
    loading.check_pairs();
    queue_name::check_all(&loading.config, &mut loading.problems);
    tables::check_targets(&loading.config, &mut loading.problems);
    if !loading.problems.is_empty() {
        return Err(Problems(loading.problems));
    }
    let warnings = warnings(&loading.config);
    Ok(Loaded { config: loading.config, warnings, origins: loading.origins })
}

struct Loading {
    config: Config,
    origins: BTreeMap<String, String>,
    problems: Vec<String>,
    /// What is wrong with variables that other programs read too, by setting: nothing, where it is
    /// set otherwise.
    others: BTreeMap<&'static str, String>,
}

impl Loading {
    fn set(&mut self, row: &'static Row, input: Input<'_>, origin: &str) {
        match (row.set)(&mut self.config, input) {
            Ok(()) => {
                self.origins.insert(row.name.to_owned(), origin.to_owned());
                self.others.remove(row.name);
            }
            Err(problem) => {
                let problem = format!("{} (from {origin}): {problem}", row.name);
                if KNOWN_VARIABLES.iter().any(|(variable, _)| *variable == origin) {
                    self.others.insert(row.name, problem);
                } else {
                    self.problems.push(problem);
                }
            }
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let shown = path.display().to_string();
        let pieces = Pieces::of(text);
        self.part(&pieces.rest, &shown);
        for schedule in pieces.schedules() {
            self.part(&schedule, &shown);
        }
    }

    fn part(&mut self, part: &Part<'_>, shown: &str) {
        let text = part.text();
        let table = match DeTable::parse(&text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let line = part.line(error.span().map_or(0, |span| span.start));
                self.problems.push(format!("{shown}, line {line}: {}", error.message()));
                return;
            }
        };
        for (section, value) in table {
            let section = section.into_inner().into_owned();
            if section == "schedules" {
                if self.origins.insert(section, shown.to_owned()).is_none() {
                    self.config.schedules.clear();
                }
                schedules(&mut self.config, value.into_inner(), &mut self.problems);
                continue;
            }
            let value = match toml::Value::deserialize(ValueDeserializer::from(value)) {
                Ok(value) => value,
                Err(error) => {
                    self.problems.push(format!("{shown}, {section}: {}", error.message()));
                    continue;
                }
            };
            for target in ["status", "proxies", "details", "responses", "users"] {
                if let Some(value) = value.get(target).filter(|_| section == "cache") {
                    self.section(&format!("cache.{target}"), value, shown);
                }
            }
            if tables::read(&mut self.config, &section, &value, &mut self.problems) {
                self.origins.insert(section, shown.to_owned());
            } else {
                self.section(&section, &value, shown);
            }
        }
    }

    fn section(&mut self, section: &str, value: &toml::Value, origin: &str) {
        let toml::Value::Table(keys) = value else {
            let problem = if settings::is_section(section) {
                "a table is expected"
            } else {
                "no such section"
            };
            self.problems.push(format!("{section}: {problem}"));
            return;
        };
        for (key, value) in keys {
            let name = format!("{section}.{key}");
            match settings::row(&name) {
                Some(row) => self.set(row, Input::Toml(value), origin),
                None if name == "celery.task_routes" => {
                    self.config.celery.task_routes = routes::read(value, &mut self.problems);
                    self.origins.insert(name, origin.to_owned());
                }
                None => self.problems.push(unknown(&name, section)),
            }
        }
    }

    fn environment(&mut self, environment: &Environment) {
        self.config.machine.host.clone_from(&environment.host);
        self.config.machine.dyno = environment.get("DYNO").map(str::to_owned);
        let (log, known) = KNOWN_VARIABLES.split_last().expect("a list of six");
        self.known(environment, known);
        let ours = environment.variables.iter().filter(|(name, _)| name.starts_with("RHUBARB_"));
        for (name, value) in ours {
            // RHUBARB_TEST_… belongs to the project's own tests.
            let is_other = name == "RHUBARB_CONFIG" || name.starts_with("RHUBARB_TEST_");
            if is_other || is_service_link(name, value) {
                continue;
            }
            match settings::rows().find(|row| row.variable() == *name) {
                Some(row) => self.set(row, Input::Text(value), name),
                None => self
                    .problems
                    .push(format!("{name}: no setting has this name; --print-config lists them")),
            }
        }
        // RUST_LOG says more than a setting: it is there for this one run.
        self.known(environment, std::slice::from_ref(log));
    }

    fn known(&mut self, environment: &Environment, variables: &[(&str, &str)]) {
        for (variable, setting) in variables {
            if let (Some(value), Some(row)) = (environment.get(variable), settings::row(setting)) {
                self.set(row, Input::Text(value), variable);
            }
        }
    }

    /// Where only the broker's URL is given, the caches are on its server too rather than on this
    /// machine.
    fn follow_the_broker(&mut self) {
        let broker = self.config.redis.urls.get("queue").cloned();
        if let Some(url) = broker.filter(|_| !self.origins.contains_key("redis.url")) {
            self.config.redis.url = url;
            let origin = self.origins.get("redis.queue_url").cloned().unwrap_or_default();
            self.origins.insert("redis.url".to_owned(), origin);
        }
    }

    /// Checks what only two settings together tell.
    fn check_pairs(&mut self) {
        let scrape = &self.config.scrape;
        if scrape.request_timeout > scrape.source_timeout {
            self.problems.push(format!(
                "scrape.request_timeout ({} s) must not be longer than scrape.source_timeout ({} s)",
                scrape.request_timeout.as_secs_f64(), scrape.source_timeout.as_secs_f64()
            ));
        }
        if scrape.connect_timeout > scrape.request_timeout {
            self.problems.push(format!(
                "scrape.connect_timeout ({} s) must not be longer than scrape.request_timeout ({} s)",
                scrape.connect_timeout.as_secs_f64(), scrape.request_timeout.as_secs_f64()
            ));
        }
        if self.config.worker_queues().is_empty() {
            let problem = "worker.exclude_queues: no queue is left to serve";
            self.problems.push(problem.to_owned());
        }
    }
}

fn unknown(name: &str, section: &str) -> String {
    if !settings::is_section(section) {
        return format!("{name}: no such section");
    }
    let known: Vec<&str> = settings::rows()
        .filter_map(|row| row.name.strip_prefix(section)?.strip_prefix('.'))
        .collect();
    format!("{name}: no such setting; known here: {}", known.join(", "))
}

fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for cache in [Role::Cache, Role::Sessions, Role::Jobs] {
        let tasks = [Role::Queue, Role::Results].into_iter();
        if let Some(tasks) = tasks.into_iter().find(|tasks| config.share_database(*tasks, cache)) {
            warnings.push(format!(
                "redis.{0}_db: the {0} shares database {1} with the {2}: Django's cache.clear() is FLUSHDB and would \
                 empty it",
                cache.name(),
                config.url_for(cache).1,
                tasks.name()
            ));
        }
    }
    if config.redis.command_timeout >= config.worker.lease.min(config.beat.lease) {
        warnings.push(
            "redis.command_timeout is not below worker.lease and beat.lease: one slow command loses a lease".to_owned(),
        );
    }
    if config.worker.max_result_bytes > config.worker.max_message_bytes {
        warnings.push(
            "worker.max_result_bytes is above worker.max_message_bytes: a result that a chain passes on may be refused"
                .to_owned(),
        );
    }
    if config.worker.drain.as_secs() >= 30 {
        warnings.push(
            "worker.drain is 30 s or more: Heroku kills a process 30 s after SIGTERM".to_owned(),
        );
    }
    warnings
}

impl Config {
    /// Reads a configuration from a file's text alone.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        let environment = Environment { host: host(), ..Environment::default() };
        load(Some((Path::new("rhubarb.toml"), text)), &environment, &[]).map(|loaded| loaded.config)
    }
}

/// Each setting, what holds and where it came from; secrets hidden. Not a file to be read again.
impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in settings::rows() {
            let origin = self.origins.get(row.name).map_or("default", String::as_str);
            writeln!(
                f,
                "{} = {}  # {origin}; accepts {}",
                row.name,
                (row.show)(&self.config),
                row.accepts.trim_end_matches(',')
            )?;
        }
        let config = &self.config;
        let from = |section: &str| self.origins.get(section).map_or("default", String::as_str);
        for route in &config.celery.task_routes {
            let from = from("celery.task_routes");
            let queue = route.queue.as_ref().unwrap_or(&config.celery.task_default_queue);
            let priority = route.priority.unwrap_or(config.celery.task_default_priority);
            let pattern = &route.pattern;
            writeln!(
                f,
                "celery.task_routes.{pattern:?} = {queue:?}, priority {priority}  # {from}"
            )?;
        }
        for (name, schedule) in &config.schedules {
            let from = from("schedules");
            writeln!(f, "schedules.{name} = {} {:?}  # {from}", schedule.task, schedule.when)?;
        }
        for source in &config.sources {
            let from = from("sources");
            let off = if source.enabled { "" } else { " (disabled)" };
            writeln!(f, "sources.{} = {}{off}  # {from}", source.name, source.kind.name())?;
        }
        for (name, alias) in &config.cache.aliases {
            let (from, role) = (from("cache"), alias.role.name());
            writeln!(
                f,
                "cache.aliases.{name} = {}:{} on {role}  # {from}",
                alias.prefix, alias.version
            )?;
        }
        for target in &config.cache.listings {
            let from = from("cache");
            writeln!(f, "cache.listings = {} in {}  # {from}", target.key, target.alias)?;
        }
        for intake in &config.intake_apalis {
            let from = from("intake");
            writeln!(f, "intake.apalis = {} to {}  # {from}", intake.queue, intake.task)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "# warning: {warning}"))
    }
}

#[cfg(test)]
mod tests;
