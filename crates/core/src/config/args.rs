//! The flags that all binaries have.

use std::{fmt, path::PathBuf};

use clap::Args;
use rhubarb_config::{Configuration, Environment, Loaded, Problems, load};

/// Under which heading they stand in each command's help.
const HEADING: &str = "Configuration";

/// The flags that all binaries have.
#[derive(Args, Clone, Default)]
pub struct CommonArgs {
    /// Configuration file [default: $RHUBARB_CONFIG, else ./rhubarb.toml where there is one]
    #[arg(long, value_name = "PATH", global = true, help_heading = HEADING)]
    pub config: Option<PathBuf>,
    /// Print each setting and where it came from, without secrets, and exit
    #[arg(long, global = true, help_heading = HEADING)]
    pub print_config: bool,
    /// Redis URL for all roles [default: $REDIS_TLS_URL, else $REDIS_URL]
    #[arg(long, value_name = "URL", global = true, help_heading = HEADING)]
    pub redis_url: Option<String>,
    /// How log lines look: auto, text, logfmt or json [default: auto]
    #[arg(long, value_name = "FORMAT", global = true, help_heading = HEADING)]
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
    pub fn load<C: Configuration>(
        &self,
        flags: &[(&'static str, String)],
    ) -> Result<Loaded<C>, Problems> {
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

    /// Returns the flags that were given, as settings.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, String)> {
        let given = [("redis.url", &self.redis_url), ("log.format", &self.log_format)];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)))
    }
}
