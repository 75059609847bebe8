//! What a process says of its servers when it has started: the two worst findings.
//!
//! The configuration's own warnings were said before. Here each server is asked for its numbers and
//! settings, on a connection that the process has anyway.

use std::time::Duration;

use redis::cmd;
use rhubarb_connection::{Connections, Role};
use tokio::time::timeout;

use crate::{
    ask::Asked,
    collect,
    finding::{Finding, Level, server},
    info::ServerInfo,
    report::ServerReport,
    servers::{self, Database, Server, names},
};

/// How many findings are said.
const SAID: usize = 2;
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Says the two worst findings on the servers of these roles, each on a line with what to do; none
/// where nothing is wrong, and none of a server that does not answer within 10 s: its connection
/// says that by itself.
///
/// # Cancel safety
///
/// Nothing is left behind by dropping it.
pub async fn tell(connections: &Connections, roles: &[Role]) {
    let mut findings = Vec::new();
    for server in servers::of(connections) {
        let is_used = |one: &&Database| roles.iter().any(|role| one.serves(*role));
        if let Some(database) = server.databases.iter().find(is_used) {
            let asked = timeout(PATIENCE, of(&server, database)).await;
            findings.extend(asked.unwrap_or_default());
        }
    }
    for finding in worst(findings) {
        let Finding { level, code, place, found, advice } = finding;
        match level {
            Level::Error => tracing::error!(code, server = place, "{found}. {advice}"),
            Level::Warning | Level::Info => {
                tracing::warn!(code, server = place, "{found}. {advice}");
            }
        }
    }
}

/// Asks a server what its numbers say; nothing where it refuses that.
async fn of(server: &Server, database: &Database) -> Vec<Finding> {
    let mut asked = Asked::new(&database.redis, server.name.clone());
    let Some(text) = asked.ask::<String>("server", &cmd("INFO")).await else { return Vec::new() };
    let settings = collect::settings(&mut asked).await;
    let report = ServerReport {
        server: server.name.clone(),
        roles: names(&server.roles()),
        unreachable: None,
        misconfigured: false,
        info: Some(ServerInfo::parse(&text)),
        managed: settings.is_none(),
        settings,
        clients_by_name: None,
        slow_log: None,
    };
    server::of(&report)
}

/// Returns those to be said: the worst of them, errors first; what is only worth knowing is not.
fn worst(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.retain(|finding| finding.level <= Level::Warning);
    findings.sort_by_key(|finding| finding.level);
    findings.truncate(SAID);
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_worst_are_said_and_what_is_only_worth_knowing_is_not() {
        let finding = |level, code| Finding::new(level, code, "s", String::new(), "");
        let (warning, info) = (Level::Warning, Level::Info);
        let all = vec![
            finding(info, "a"),
            finding(warning, "b"),
            finding(warning, "c"),
            finding(Level::Error, "d"),
        ];
        let codes: Vec<&str> = worst(all).iter().map(|finding| finding.code).collect();
        assert_eq!(codes, ["d", "b"]);
        assert!(worst(vec![finding(info, "a")]).is_empty());
    }
}
