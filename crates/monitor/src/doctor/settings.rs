//! What in the configuration hurts, by itself or on these servers. Pure.

use rhubarb_settings::Settings;

use crate::{
    finding::{Finding, Level},
    number::bytes,
    report::ServerReport,
};

/// Returns what is not as it should be.
pub(super) fn of(config: &Settings, warnings: &[String], servers: &[ServerReport]) -> Vec<Finding> {
    let place = "configuration";
    let mut findings: Vec<Finding> = warnings
        .iter()
        .map(|warning| {
            let advice = "Change one of the settings that it names.";
            Finding::new(Level::Warning, "settings", place, warning.clone(), advice)
        })
        .collect();
    findings.extend(servers.first().and_then(|queue| kept(config, queue)));
    findings
}

/// Tells when what may be kept beside the tasks fills half of the queue's server.
fn kept(config: &Settings, queue: &ServerReport) -> Option<Finding> {
    let max = queue.info.as_ref()?.memory.max.filter(|max| *max > 0)?;
    let kept = (config.worker.max_dead_letters_bytes + config.worker.max_parked_bytes) as u64;
    if kept <= max / 2 {
        return None;
    }
    let found = format!(
        "dead letters and parked tasks may take {} of the {} that {} has",
        bytes(kept),
        bytes(max),
        queue.server
    );
    let advice =
        "Lower worker.max_dead_letters_bytes and worker.max_parked_bytes, or get a larger plan.";
    Some(Finding::new(Level::Info, "kept_too_much", "configuration", found, advice))
}
