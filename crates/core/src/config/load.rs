//! Where the configuration comes from: defaults < file < environment < flags.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use clap::Args;

use super::{
    model::{Config, Role},
    read::Input,
    settings::{self, Row},
    tables,
};

/// The flags that all binaries have.
#[derive(Args, Clone, Debug, Default)]
pub struct CommonArgs {
    /// Configuration file [default: $RHUBARB_CONFIG, else ./rhubarb.toml where there is one]
    #[arg(long, value_name = "PATH", global = true)]
    pub config: Option<PathBuf>,
    /// Print each setting and where it came from, secrets hidden, and exit
    #[arg(long, global = true)]
    pub print_config: bool,
}

impl CommonArgs {
    /// Reads the configuration of this process; `flags` are settings by name (`worker.queues`) that win over all.
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
        load(text.as_deref().map(|text| (path.as_path(), text)), &environment, flags)
    }
}

/// The environment's variables, as far as they are looked at.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    host: String,
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
        let host = gethostname::gethostname().to_string_lossy().into_owned();
        Self { variables: variables.filter_map(text).collect(), host }
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

/// A configuration with where each setting came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What a person should know before relying on it.
    pub warnings: Vec<String>,
    origins: BTreeMap<&'static str, String>,
    tables_from: String,
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
    let mut loading =
        Loading { config: Config::default(), origins: BTreeMap::new(), problems: Vec::new() };
    if let Some((path, text)) = file {
        loading.file(path, text);
    }
    loading.environment(environment);
    for (name, value) in flags {
        if let Some(row) = settings::row(name) {
            loading.set(row, Input::Text(value), "a flag");
        }
    }
    loading.check_pairs();
    if !loading.problems.is_empty() {
        return Err(Problems(loading.problems));
    }
    let warnings = warnings(&loading.config);
    let tables_from =
        file.map_or_else(|| "default".to_owned(), |(path, _)| path.display().to_string());
    Ok(Loaded { config: loading.config, warnings, origins: loading.origins, tables_from })
}

struct Loading {
    config: Config,
    origins: BTreeMap<&'static str, String>,
    problems: Vec<String>,
}

impl Loading {
    fn set(&mut self, row: &'static Row, input: Input<'_>, origin: &str) {
        match (row.set)(&mut self.config, input) {
            Ok(()) => {
                self.origins.insert(row.name, origin.to_owned());
            }
            // A URL may hold a password: what is wrong with it is told without it.
            Err(problem) if row.name.ends_with("url") => {
                self.problems.push(format!("{} (from {origin}): {problem}", row.name));
            }
            Err(problem) => {
                self.problems.push(format!(
                    "{} (from {origin}): {problem}, not {}",
                    row.name,
                    input.shown()
                ));
            }
        }
    }

    fn file(&mut self, path: &Path, text: &str) {
        let shown = path.display().to_string();
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let error: toml::de::Error = error;
                let before = error.span().map_or(0, |span| span.start.min(text.len()));
                let line =
                    text.as_bytes()[..before].iter().filter(|byte| **byte == b'\n').count() + 1;
                self.problems.push(format!("{shown}, line {line}: {}", error.message()));
                return;
            }
        };
        for (section, value) in &table {
            if tables::read(&mut self.config, section, value, &mut self.problems) {
                continue;
            }
            let toml::Value::Table(keys) = value else {
                self.problems.push(format!("{section}: no such section"));
                continue;
            };
            for (key, value) in keys {
                let name = format!("{section}.{key}");
                match settings::row(&name) {
                    Some(row) => self.set(row, Input::Toml(value), &shown),
                    None => self.problems.push(unknown(&name, section)),
                }
            }
        }
    }

    fn environment(&mut self, environment: &Environment) {
        self.config.machine.host.clone_from(&environment.host);
        self.config.machine.dyno = environment.get("DYNO").map(str::to_owned);
        for (variable, setting) in KNOWN_VARIABLES {
            if let (Some(value), Some(row)) = (environment.get(variable), settings::row(setting)) {
                self.set(row, Input::Text(value), variable);
            }
        }
        let ours = environment.variables.iter().filter(|(name, _)| name.starts_with("RHUBARB_"));
        for (name, value) in ours {
            // RHUBARB_TEST_… belongs to the project's own tests.
            if name == "RHUBARB_CONFIG" || name.starts_with("RHUBARB_TEST_") {
                continue;
            }
            match settings::rows().find(|row| row.variable() == *name) {
                Some(row) => self.set(row, Input::Text(value), name),
                None => self
                    .problems
                    .push(format!("{name}: no setting has this name; --print-config lists them")),
            }
        }
    }

    /// Checks what only two settings together tell.
    fn check_pairs(&mut self) {
        let worker = &self.config.worker;
        if worker.watchdog <= worker.lease {
            self.problems.push(format!(
                "worker.watchdog ({} s) has to be longer than worker.lease ({} s)",
                worker.watchdog.as_secs_f64(),
                worker.lease.as_secs_f64()
            ));
        }
        let scrape = &self.config.scrape;
        if scrape.connect_timeout > scrape.request_timeout {
            self.problems.push(format!(
                "scrape.connect_timeout ({} s) must not be longer than scrape.request_timeout ({} s)",
                scrape.connect_timeout.as_secs_f64(), scrape.request_timeout.as_secs_f64()
            ));
        }
    }
}

fn unknown(name: &str, section: &str) -> String {
    let known: Vec<&str> = settings::rows()
        .filter_map(|row| row.name.strip_prefix(section)?.strip_prefix('.'))
        .collect();
    if known.is_empty() {
        return format!("{name}: no such section");
    }
    format!("{name}: no such setting; known here: {}", known.join(", "))
}

fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for role in [Role::Cache, Role::Sessions, Role::Jobs] {
        if config.share_database(Role::Queue, role) {
            warnings.push(format!(
                "the {} shares the queue's database {}: Django's cache.clear() is FLUSHDB and would empty the queue",
                role.name(), config.url_for(role).1
            ));
        }
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
        let environment = Environment::of(&[]);
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
                "{} = {}  # {origin}; {} accepted",
                row.name,
                (row.show)(&self.config),
                row.accepts.trim_end_matches(',')
            )?;
        }
        let config = &self.config;
        let from = &self.tables_from;
        for (name, schedule) in &config.schedules {
            writeln!(f, "schedules.{name} = {} {:?}  # {from}", schedule.task, schedule.when)?;
        }
        for source in &config.sources {
            let off = if source.enabled { "" } else { " (disabled)" };
            writeln!(f, "sources.{} = {}{off}  # {from}", source.name, source.kind.name())?;
        }
        for (name, alias) in &config.cache.aliases {
            writeln!(
                f,
                "cache.aliases.{name} = {}:{} on {}  # {from}",
                alias.prefix,
                alias.version,
                alias.role.name()
            )?;
        }
        for target in &config.cache.listings {
            writeln!(f, "cache.listings = {} in {}  # {from}", target.key, target.alias)?;
        }
        for intake in &config.intake_apalis {
            writeln!(f, "intake.apalis = {} to {}  # {from}", intake.queue, intake.task)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "# warning: {warning}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Config::from_toml(text).map_or_else(|problems| problems.0, |_| Vec::new())
    }

    #[test]
    fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
        let text = "[worker]\nconcurrency = 2\nlease = \"20s\"\nqueues = [\"a\"]";
        let environment = Environment::of(&[
            ("RHUBARB_WORKER_CONCURRENCY", "3"),
            ("RHUBARB_WORKER_QUEUES", "b,c"),
        ]);
        let file = Some((Path::new("x.toml"), text));
        let loaded = load(file, &environment, &[("worker.queues", "d".to_owned())]).unwrap();
        let worker = &loaded.config.worker;
        assert_eq!((worker.concurrency, worker.lease.as_secs()), (3, 20));
        assert_eq!(worker.queues, ["d"]);
        let printed = loaded.to_string();
        for line in [
            "worker.concurrency = 3  # RHUBARB_WORKER_CONCURRENCY",
            "worker.lease = 20  # x.toml",
            "worker.queues = [\"d\"]  # a flag",
            "beat.lease = 10  # default",
        ] {
            assert!(printed.contains(line), "{line} in {printed}");
        }
    }

    #[test]
    fn the_names_that_people_already_have_are_read() {
        let environment = Environment::of(&[
            ("REDIS_URL", "redis://one:1"),
            ("REDIS_TLS_URL", "rediss://two:2"),
            ("CELERY_RESULT_BACKEND", "redis://three:3/7"),
            ("PORT", "5000"),
            ("DYNO", "worker.1"),
        ]);
        let config = load(None, &environment, &[]).unwrap().config;
        assert_eq!(config.redis.url.expose().as_str(), "rediss://two:2");
        assert_eq!(config.url_for(Role::Results).1, 7);
        assert_eq!((config.web.port, config.node_name().as_str()), (5000, "rhubarb@worker.1"));
    }

    #[test]
    fn all_problems_are_told_at_once_with_name_and_range() {
        let found = problems(
            "[worker]\nconcurrency = 5000\nlaese = 1\ndrain = \"soon\"\n[nonsense]\na = 1\n[schedules.x]\ntask = \"t\"\ncrontab = { minute = \"5/20\" }\n\
             [[sources]]\ntype = \"greenhouse\"\n[celery]\ntimezone = \"Mars/Base\"",
        );
        for part in [
            "worker.concurrency",
            "0 to 1000",
            "worker.laese",
            "worker.drain",
            "nonsense",
            "schedules.x.crontab",
            "sources[0].board",
            "celery.timezone",
        ] {
            assert!(found.iter().any(|problem| problem.contains(part)), "{part}: {found:?}");
        }
    }

    #[test]
    fn another_kind_of_broker_is_refused_in_one_sentence_without_its_password() {
        for url in ["amqp://user:hunter2@h//", "django-db", "rpc://"] {
            let environment = Environment::of(&[("CELERY_RESULT_BACKEND", url)]);
            let problems = load(None, &environment, &[]).unwrap_err().to_string();
            assert!(
                problems.contains("CELERY_RESULT_BACKEND") && !problems.contains("hunter2"),
                "{problems}"
            );
        }
    }

    #[test]
    fn an_unknown_variable_of_ours_is_reported() {
        let environment =
            Environment::of(&[("RHUBARB_WORKER_CONCURENCY", "3"), ("RHUBARB_TEST_PYTHON", "p")]);
        let problems = load(None, &environment, &[]).unwrap_err();
        assert_eq!(problems.0.len(), 1, "{problems}");
    }

    #[test]
    fn a_syntax_error_names_file_and_line() {
        assert!(problems("[worker]\n= 3")[0].contains("rhubarb.toml, line 2"));
    }

    #[test]
    fn a_password_is_never_printed() {
        let environment = Environment::of(&[("REDIS_URL", "redis://:hunter2@h")]);
        let loaded = load(None, &environment, &[]).unwrap();
        assert!(!format!("{loaded}{loaded:?}").contains("hunter2"));
    }

    #[test]
    fn caches_on_the_queues_database_are_warned_about() {
        let environment = Environment::of(&[("RHUBARB_REDIS_JOBS_DB", "0")]);
        assert!(load(None, &environment, &[]).unwrap().warnings[0].contains("FLUSHDB"));
    }

    #[test]
    fn the_example_file_is_right_and_names_every_setting() {
        let text = include_str!("../../../../deploy/rhubarb.toml");
        let config = Config::from_toml(text).unwrap();
        assert_eq!(config.scrape.keywords.len(), 20);
        for row in settings::rows() {
            let (section, key) = row.name.split_once('.').unwrap();
            assert!(text.contains(&format!("[{section}]")), "{section}");
            let line =
                |line: &str| line.trim_start_matches(['#', ' ']).starts_with(&format!("{key} ="));
            assert!(text.lines().any(line), "{} is not in deploy/rhubarb.toml", row.name);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_never_more_than_problems(text in "\\PC{0,200}", value in "\\PC{0,30}") {
            let _ = Config::from_toml(&text);
            let _ = Config::from_toml(&format!("[worker]\nconcurrency = {value}"));
            for row in settings::rows() {
                let _ = load(None, &Environment::of(&[(&row.variable(), &value)]), &[]);
            }
        }
    }
}
