//! The first page: what is wrong and how to mend it, queues, servers.

use std::sync::Arc;

use askama::Template;
use axum::{extract::State, response::Html};
use rhubarb_monitor::{finding::Finding, report::Report};

use super::{Frame, html};
use crate::{access::Reader, problem::Problem, site::Site};

/// So many queues are shown.
const QUEUES: usize = 50;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    report: Arc<Report>,
    age_s: u64,
}

impl OverviewPage {
    fn findings(&self) -> &[Finding] {
        self.report.findings.as_deref().unwrap_or_default()
    }

    /// Returns the queues that are shown: name, waiting, running, scheduled, paused.
    fn queues(&self) -> Vec<(String, u64, u64, u64, bool)> {
        let queues = self.report.queues.as_deref().unwrap_or_default().iter().take(QUEUES);
        let row = |queue: &rhubarb_queue::inspect::QueueInfo| {
            let name = super::text(&queue.name, 100);
            (name, queue.waiting, queue.claimed, queue.scheduled, queue.paused)
        };
        queues.map(row).collect()
    }

    fn queues_left_out(&self) -> usize {
        self.report.queues.as_ref().map_or(0, |queues| queues.len().saturating_sub(QUEUES))
    }

    /// Returns the servers: name, roles, what is wrong, memory in MB.
    fn servers(&self) -> Vec<(&str, String, Option<&str>, Option<u64>)> {
        let row = |server: &'_ rhubarb_monitor::report::ServerReport| {
            let used = server.info.as_ref().and_then(|info| info.memory.used);
            (server.roles.join(", "), used.map(|bytes| bytes / 1_000_000))
        };
        let all = self.report.servers.iter();
        all.map(|server| {
            let (roles, used) = row(server);
            (server.server.as_str(), roles, server.unreachable.as_deref(), used)
        })
        .collect()
    }
}

/// Shows it.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
) -> Result<Html<String>, Problem> {
    let seen = site.report().await?;
    html(&OverviewPage {
        frame: Frame::new(&site, &visitor, "/", "Overview"),
        report: seen.what,
        age_s: seen.at.elapsed().as_secs(),
    })
}
