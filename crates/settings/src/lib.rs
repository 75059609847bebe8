//! All settings of the three programs together: what is in `rhubarb.toml`.
//!
//! A section is declared by the crate that it configures; here they are put together, and what only
//! several of them tell is checked. This is a crate of its own because it is the one place that
//! sees all of them: the command line, the beat and the product's worker read the same file and
//! tell the same problems. A worker of one's own does not depend on it; it reads the sections of
//! the queue ([`rhubarb_queue::Config`]), and passes over the others.
//!
//! `deploy/rhubarb.toml` and `docs/settings.md` are written from here: `RHUBARB_TEST_BLESS=1 cargo
//! test -p rhubarb-settings`.
//!
//! ```
//! use rhubarb_settings::Settings;
//!
//! let settings = Settings::from_toml("[worker]\nconcurrency = 4\n[beat]\nlease = \"5s\"")?;
//! assert_eq!((settings.worker.concurrency, settings.beat.lease.as_secs()), (4, 5));
//! # Ok::<(), rhubarb_config::Problems>(())
//! ```

mod python;
#[cfg(test)]
mod tests;
mod web;

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use rhubarb_config::{Configuration, Environment, Origins, Problems, from_toml, settings};
use rhubarb_core::config::{LogConfig, TelemetryConfig};
use rhubarb_jobs::CacheConfig;
use rhubarb_queue::{Config, queue_name, schedules::Configured};
use rhubarb_schedule::{BeatConfig, CrontabText, ScheduleConfig, When};
use rhubarb_scrape::config::ScrapeSettings;

pub use python::PythonConfig;
pub use web::{WebConfig, WebToken};

/// Settings with where each came from.
pub type Loaded = rhubarb_config::Loaded<Settings>;

settings! {
    /// Everything that can be configured. `Settings::default()` is what runs with no file and no
    /// environment.
    ///
    /// Those of the queue are its own: `settings.worker` is `settings.engine.worker`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Settings {}
    includes {
        /// The queue's: Redis, Celery's, the worker's, the log's.
        engine: Config = Config::default();
        /// What is scraped.
        scraping: ScrapeSettings = ScrapeSettings::default();
    }
    tables {
        /// The beat.
        beat: BeatConfig = BeatConfig::default();
        /// The schedule. Without any entry two of the product's hold; the template explains every
        /// key of one.
        schedules: BTreeMap<String, Arc<ScheduleConfig>> = default_schedules();
        /// The caches that Django shares.
        cache: CacheConfig = CacheConfig::default();
        /// Python tasks.
        python: PythonConfig = PythonConfig::default();
        /// The dashboard.
        web: WebConfig = WebConfig::default();
    }
}

/// The task that the default schedule runs.
const HOURLY: &str = "job_scraper.tasks.scrape_jobs_hourly";

/// What holds where the file has no entry.
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

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.engine
    }
}

impl DerefMut for Settings {
    fn deref_mut(&mut self) -> &mut Config {
        &mut self.engine
    }
}

impl AsRef<Config> for Settings {
    fn as_ref(&self) -> &Config {
        &self.engine
    }
}

impl AsRef<LogConfig> for Settings {
    fn as_ref(&self) -> &LogConfig {
        &self.engine.log
    }
}

impl AsRef<TelemetryConfig> for Settings {
    fn as_ref(&self) -> &TelemetryConfig {
        &self.engine.telemetry
    }
}

impl Configuration for Settings {
    const MANY: &'static str = "schedules";

    fn surroundings(&mut self, environment: &Environment) {
        self.engine.surroundings(environment);
    }

    fn complete(&mut self, origins: &mut Origins, problems: &mut Vec<String>) {
        self.engine.complete(origins, problems);
        // A platform that gives a port wants to reach it.
        if self.web.bind.is_none() && origins.get("web.port") == Some("PORT") {
            self.web.bind = Some("0.0.0.0".into());
            origins.note("web.bind", "PORT");
        }
        problems.extend(self.scraping.problems());
        problems.extend(queue_name::wrong_in_schedules(&self.schedules, &self.engine.celery));
        problems.extend(self.cache.problems(&self.engine.redis));
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.engine.warnings();
        if self.redis.command_timeout >= self.beat.lease {
            let warning =
                "redis.command_timeout is not below beat.lease: one slow command loses a lease";
            warnings.push(warning.to_owned());
        }
        warnings
    }
}

impl Settings {
    /// Reads settings from a file's text alone.
    ///
    /// # Errors
    ///
    /// All problems at once.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        from_toml(text)
    }

    /// Returns what the file says of schedules.
    pub fn scheduled(&self) -> Configured<'_> {
        Configured { schedules: &self.schedules, beat: &self.beat, celery: &self.engine.celery }
    }
}

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
