//! The programs of `tests/interop`: real Celery, Django and django-redis on the other side of
//! Redis.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{file, process::clean_command};

/// A Python that has the packages of one of `interop/`'s lists, and the addresses it works on.
#[derive(Clone, Debug)]
pub struct Python {
    program: PathBuf,
    redis: String,
    environment: Vec<(String, String)>,
}

impl Python {
    /// Returns the Python that `tests/run.sh` prepared, set up for a Redis server (its URL without
    /// a database).
    ///
    /// `None`, and a loud line, where `RHUBARB_TEST_PYTHON` is not set: the test that asked is left
    /// out then.
    pub fn for_redis(url: &str) -> Option<Self> {
        Self::named("RHUBARB_TEST_PYTHON", url)
    }

    /// Returns the Python with the newest Django (`interop/requirements-django6.txt`), set up in
    /// the same way.
    ///
    /// `None`, and a loud line, where `RHUBARB_TEST_PYTHON_DJANGO6` is not set: Django 6 needs
    /// Python 3.12.
    pub fn with_newest_django(url: &str) -> Option<Self> {
        Self::named("RHUBARB_TEST_PYTHON_DJANGO6", url)
    }

    /// Returns the Python with the oldest Celery (`interop/requirements-5.4.txt`), set up in the
    /// same way.
    ///
    /// `None`, and a loud line, where `RHUBARB_TEST_PYTHON_OLD` is not set.
    pub fn with_oldest_celery(url: &str) -> Option<Self> {
        Self::named("RHUBARB_TEST_PYTHON_OLD", url)
    }

    /// Returns the Python that drives a browser (`interop/requirements-web.txt`), set up in the same
    /// way.
    ///
    /// `None`, and a loud line, where `RHUBARB_TEST_PYTHON_WEB` is not set: no Chromium is here.
    ///
    /// Pictures of the pages go to the folder `RHUBARB_TEST_SCREENSHOTS`, where it is set.
    pub fn with_browser(url: &str) -> Option<Self> {
        let mut python = Self::named("RHUBARB_TEST_PYTHON_WEB", url)?;
        #[expect(
            clippy::disallowed_methods,
            reason = "a setting of the harness, not of the product"
        )]
        if let Ok(folder) = std::env::var("RHUBARB_TEST_SCREENSHOTS") {
            python.set("RHUBARB_TEST_SCREENSHOTS", &folder);
        }
        Some(python)
    }

    fn named(variable: &str, url: &str) -> Option<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "a setting of the harness, not of the product"
        )]
        let Ok(program) = std::env::var(variable) else {
            eprintln!("LEFT OUT: {variable} is not set; run tests/run.sh, which prepares it");
            return None;
        };
        let redis = url.trim_end_matches("/0").to_owned();
        Some(Self { program: program.into(), redis, environment: Vec::new() })
    }

    /// Returns the interpreter's path.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Sets an environment variable for all programs that it runs from now on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Returns a command that runs the interpreter in `interop/` with these arguments.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = clean_command(&self.program);
        command.current_dir(file("interop")).args(args);
        // The interpreter would write its caches into the tree.
        command.envs([("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONUNBUFFERED", "1")]);
        command.envs([("DJANGO_SETTINGS_MODULE", "hire_voo_ai.settings"), ("REDIS", &self.redis)]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a program of `interop/` to its end and returns the JSON that it printed last.
    ///
    /// # Panics
    /// When it fails or prints no JSON; its standard error is in the message.
    pub async fn run(&self, args: &[&str]) -> Value {
        let output = tokio::process::Command::from(self.command(args))
            .kill_on_drop(true)
            .output()
            .await
            .unwrap_or_else(|e| panic!("cannot run {}: {e}", self.program.display()));
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            output.status.success(),
            "{args:?} ended with {}:\n{stdout}{stderr}",
            output.status
        );
        let last = stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last)
            .unwrap_or_else(|e| panic!("{args:?} printed no JSON ({e}):\n{stdout}{stderr}"))
    }
}
