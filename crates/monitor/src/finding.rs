//! What is not as it should be, with what to do about it. Pure.

mod keys;
pub(crate) mod server;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Serialize;

use crate::report::Report;

/// How much a finding matters; the order is from most to least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Tasks, listings or logins are lost, or will be.
    Error,
    /// Somebody should act.
    Warning,
    /// Worth knowing.
    Info,
}

impl Level {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What it is, as a word for programs.
    pub code: &'static str,
    /// The server or database.
    pub place: String,
    /// What was found, in one sentence.
    pub found: String,
    /// What to do, in one sentence.
    pub advice: Cow<'static, str>,
}

impl Finding {
    /// Returns one.
    pub fn new(
        level: Level,
        code: &'static str,
        place: impl Into<String>,
        found: String,
        advice: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { level, code, place: place.into(), found, advice: advice.into() }
    }
}

/// Returns what is not as it should be, what matters most first.
pub fn of(report: &Report) -> Vec<Finding> {
    let mut findings: Vec<Finding> = report.servers.iter().flat_map(server::of).collect();
    findings.extend(keys::of(report));
    findings.sort_by_key(|finding| finding.level);
    findings
}
