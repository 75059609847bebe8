//! Whether an installation is fit to run: the report's own findings, and what the queues, the
//! workers, the schedules, the sources and the settings say beside them.
//!
//! It only reads, as all of this crate does: a look by the doctor changes nothing of a queue.

mod fleet;
mod gather;
mod probe;
mod settings;
#[cfg(test)]
mod tests;

use rhubarb_connection::Layout;
use rhubarb_jobs::Caches;
use serde::Serialize;

pub use self::{
    fleet::{Fleet, LateSchedule},
    probe::Probe,
};
use crate::{
    ask::Missing,
    collect::{self, Scope},
    finding::{Finding, Level},
};

/// What the doctor found.
#[derive(Clone, Debug, Serialize)]
pub struct Examination {
    /// When: ISO 8601 text in UTC.
    pub at: String,
    /// What is not as it should be, what matters most first.
    pub findings: Vec<Finding>,
    /// What could not be found out.
    pub missing: Vec<Missing>,
}

impl Examination {
    /// Tells whether somebody has to act: on an error, or if `strict` on a warning too.
    pub fn is_ill(&self, strict: bool) -> bool {
        let worst = if strict { Level::Warning } else { Level::Error };
        self.findings.iter().any(|finding| finding.level <= worst)
    }
}

/// Examines an installation; `warnings` are those of its configuration.
///
/// Without `running`, the caches that hold the scraping status, only the servers and the settings
/// are examined: what runs and waits may be what a deployment is there to mend.
///
/// What Redis refuses is noted in `missing` and stops nothing else.
pub async fn examine(
    look: &Scope<'_>,
    running: Option<&Caches>,
    warnings: &[String],
) -> Examination {
    let report = collect::report(look).await;
    let mut findings = report.findings.unwrap_or_default();
    let mut missing = report.missing;
    findings.extend(settings::of(look.config, warnings, &report.servers));
    for server in look.servers {
        if let Some(probe) = Probe::of(server, &mut missing).await {
            findings.extend(probe.findings(look.config));
        }
    }
    let reached = report.servers.first().is_some_and(|server| server.unreachable.is_none());
    if let Some(caches) = running.filter(|_| reached) {
        let queues = report.queues.unwrap_or_default();
        let fleet = gather::fleet(look, caches, queues, &mut missing).await;
        findings.extend(fleet.findings());
    }
    if look.config.redis.layout == Layout::One {
        findings.iter_mut().for_each(shared_on_purpose);
    }
    findings.sort_by_key(|finding| finding.level);
    Examination { at: report.at, findings, missing }
}

/// Where one database holds everything by choice, this is what to know about it.
fn shared_on_purpose(finding: &mut Finding) {
    if finding.code == "shared_with_queue" {
        finding.level = Level::Info;
        finding.advice = "Never call cache.clear() there; `rhubarb cache clear` goes by prefix. \
                          Django's user may be kept from it: ACL SETUSER NAME -flushdb."
            .into();
    }
}
