//! The report for a person. Pure.

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_core::clock;

use super::{
    ask::Missing,
    census::{Count, How},
    finding::Finding,
    info::ServerInfo,
    number::{bytes, grouped, length, percent},
    report::{DatabaseReport, Report, ServerReport},
};
use crate::{
    commands::queues::queue_table,
    table::{Grid, clean},
    view,
};

/// What stands where something could not be found out.
const UNKNOWN: &str = "unknown";
/// So many of the groups of keys that belong to nobody are shown.
const GROUPS: usize = 8;

/// Renders the basic numbers.
pub(super) fn basic(report: &Report) -> String {
    let mut parts = vec![numbers(report), databases(report)];
    parts.extend(notes(report));
    parts.join("\n\n")
}

/// Renders everything.
pub(super) fn info(report: &Report) -> String {
    let mut parts = vec![numbers(report)];
    parts.extend(report.servers.iter().map(|one| server(report, one)));
    parts.extend(report.queues.as_ref().map(|queues| queue_table(queues)));
    parts.push(databases(report));
    parts.extend(namespaces(report));
    parts.extend(report.servers.iter().filter_map(slow_log));
    parts.extend(report.findings.as_ref().map(|findings| advice(findings)));
    parts.extend(notes(report));
    parts.join("\n\n")
}

fn row(name: &str, value: &str) -> String {
    format!("{name:<16}{value}")
}

fn numbers(report: &Report) -> String {
    let totals = &report.totals;
    let count = |count: Option<Count>| count.map_or(UNKNOWN.to_owned(), Count::shown);
    let mut lines = vec![
        row("total keys", &count(totals.keys)),
        row("job cache keys", &count(totals.job_cache_keys)),
        row("listing keys", &count(totals.listing_keys)),
        row("session keys", &count(totals.session_keys)),
    ];
    for one in &report.servers {
        let on =
            if report.servers.len() > 1 { format!("  on {}", one.server) } else { String::new() };
        lines.push(row("memory", &(known(report, one, memory) + &on)));
        lines.push(row("clients", &(known(report, one, clients) + &on)));
    }
    lines.join("\n")
}

/// Renders a part of what `INFO` says, or why it is not known.
fn known(
    report: &Report,
    server: &ServerReport,
    part: fn(&ServerInfo) -> Option<String>,
) -> String {
    if server.unreachable.is_some() {
        return "unreachable".to_owned();
    }
    match &server.info {
        Some(info) => part(info).unwrap_or_else(|| UNKNOWN.to_owned()),
        None => why(report, &server.server, "server, memory and clients"),
    }
}

/// Says why something is not known, as shortly as it can be said.
fn why(report: &Report, place: &str, what: &str) -> String {
    let missing = report.missing.iter().find(|one| one.place == place && one.what == what);
    missing.map_or(UNKNOWN.to_owned(), |one| format!("{} ({})", one.reason, one.command))
}

fn memory(info: &ServerInfo) -> Option<String> {
    let memory = &info.memory;
    let mut text = bytes(memory.used?);
    text += &match memory.max {
        Some(0) => ", no limit".to_owned(),
        Some(max) => format!(" of {}", bytes(max)),
        None => String::new(),
    };
    text += &memory.peak.map(|peak| format!(", peak {}", bytes(peak))).unwrap_or_default();
    Some(text)
}

fn clients(info: &ServerInfo) -> Option<String> {
    let of = info.clients.max.map(|max| format!(" of {}", grouped(max)));
    Some(grouped(info.clients.connected?) + &of.unwrap_or_default())
}

fn server(report: &Report, server: &ServerReport) -> String {
    let mut lines = vec![format!("SERVER {} ({})", server.server, server.roles.join(", "))];
    if let Some(why) = &server.unreachable {
        lines.push(row("unreachable", &clean(why)));
        return lines.join("\n");
    }
    match &server.info {
        Some(info) => lines.extend(account(info, &report.at)),
        None => lines.push(row("INFO", &why(report, &server.server, "server, memory and clients"))),
    }
    lines.push(row("settings", &settings(report, server)));
    if let Some(names) = &server.clients_by_name {
        let names: Vec<String> = names.iter().map(|(name, n)| format!("{name} {n}")).collect();
        lines.push(row("clients by name", &names.join(", ")));
    }
    lines.join("\n")
}

fn settings(report: &Report, server: &ServerReport) -> String {
    let Some(settings) = &server.settings else { return why(report, &server.server, "settings") };
    let shown = |(name, value): (&String, &String)| {
        let value = if value.is_empty() { "off" } else { value };
        format!("{name} {}", clean(value))
    };
    settings.iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn account(info: &ServerInfo, now: &str) -> Vec<String> {
    let stats = &info.stats;
    let n = |n: Option<u64>| n.map_or(UNKNOWN.to_owned(), grouped);
    let uptime = info.uptime_s.map(|s| format!(", up {}", length(Duration::from_secs(s))));
    let version = info.version.as_deref().unwrap_or(UNKNOWN);
    vec![
        row("version", &format!("{} {version}{}", info.software, uptime.unwrap_or_default())),
        row("role", &role(info)),
        row("persistence", &persistence(info, now)),
        row(
            "memory",
            &format!(
                "{}, policy {}, fragmentation {}",
                memory(info).unwrap_or_else(|| UNKNOWN.to_owned()),
                info.memory.policy.as_deref().unwrap_or(UNKNOWN),
                info.memory.fragmentation.map_or(UNKNOWN.to_owned(), |ratio| format!("{ratio:.2}")),
            ),
        ),
        row(
            "clients",
            &format!(
                "{} of {}, {} blocked, {} refused",
                n(info.clients.connected),
                n(info.clients.max),
                n(info.clients.blocked),
                n(info.clients.rejected),
            ),
        ),
        row(
            "hit rate",
            &format!(
                "{}: {} hits, {} misses",
                stats.hit_rate.map_or("none yet".to_owned(), percent),
                n(stats.hits),
                n(stats.misses),
            ),
        ),
        row("keys gone", &format!("{} evicted, {} expired", n(stats.evicted), n(stats.expired))),
        row(
            "commands",
            &format!("{} a second, {} in all", n(stats.commands_per_s), n(stats.commands)),
        ),
    ]
}

fn role(info: &ServerInfo) -> String {
    // Redis's own words are older than the trade's.
    let role = match info.role.as_deref() {
        Some("master") => "primary",
        Some("slave") => "replica",
        Some(other) => other,
        None => UNKNOWN,
    };
    let mode = info.mode.as_deref().filter(|mode| *mode != "standalone");
    let replicas = info.replicas.filter(|n| *n > 0).map(|n| format!(", {n} replicas"));
    format!(
        "{}{}{}",
        clean(role),
        mode.map(|mode| format!(", {}", clean(mode))).unwrap_or_default(),
        replicas.unwrap_or_default()
    )
}

fn persistence(info: &ServerInfo, now: &str) -> String {
    let persistence = &info.persistence;
    let append = match persistence.appendonly {
        Some(true) => "appendonly on",
        Some(false) => "appendonly off",
        None => "appendonly unknown",
    };
    let now = now.parse::<Timestamp>().ok().map(|now| now.as_second());
    let saved = persistence.last_save.zip(now).map(|(saved, now)| {
        let ago = u64::try_from(now).unwrap_or_default().saturating_sub(saved);
        format!(", last saved {} ago", length(Duration::from_secs(ago)))
    });
    let status = persistence.last_save_status.as_deref().filter(|status| *status != "ok");
    format!(
        "{append}{}{}{}",
        saved.unwrap_or_default(),
        status.map(|status| format!(" ({})", clean(status))).unwrap_or_default(),
        persistence
            .unsaved_changes
            .map(|n| format!(", {} changes since", grouped(n)))
            .unwrap_or_default(),
    )
}

fn databases(report: &Report) -> String {
    let mut grid = Grid::new(&["DATABASE", "ROLES", "KEYS", "EXPIRING", "LOOKED AT"])
        .right(&["KEYS", "EXPIRING"]);
    for one in &report.databases {
        let unknown = if one.unreachable.is_some() { "unreachable" } else { UNKNOWN };
        grid.row([
            one.name(),
            one.roles.join(", "),
            one.keys.map_or(unknown.to_owned(), grouped),
            one.expires.map_or_else(String::new, grouped),
            looked_at(one),
        ]);
    }
    grid.render()
}

fn looked_at(database: &DatabaseReport) -> String {
    match database.looked_at {
        Some(_) if database.whole => "all".to_owned(),
        Some(seen) => grouped(seen),
        None => String::new(),
    }
}

fn namespaces(report: &Report) -> Option<String> {
    let mut grid = Grid::new(&["DATABASE", "NAMESPACE", "KEYS", "BYTES", "WITHOUT TTL", "PATTERN"])
        .right(&["KEYS", "BYTES", "WITHOUT TTL"])
        .spare(&["WITHOUT TTL"]);
    let mut any = false;
    for database in &report.databases {
        let nobodys = database.namespaces.iter().filter(|one| one.name == "other").skip(GROUPS);
        let hidden: Count = nobodys.map(|one| one.keys).sum();
        let there = database.namespaces.iter().filter(|one| one.keys.n > 0);
        let mut n_nobodys = 0;
        for one in there {
            n_nobodys += usize::from(one.name == "other");
            if one.name == "other" && n_nobodys > GROUPS {
                continue;
            }
            any = true;
            grid.row([
                database.name(),
                one.name.clone(),
                one.keys.shown(),
                one.bytes.map_or_else(String::new, Count::shown_bytes),
                one.without_ttl.map_or_else(String::new, Count::shown),
                shown_pattern(&one.pattern),
            ]);
        }
        if hidden.n > 0 {
            let more = "more names".to_owned();
            grid.row([
                database.name(),
                "other".into(),
                hidden.shown(),
                String::new(),
                String::new(),
                more,
            ]);
        }
    }
    any.then(|| grid.render())
}

/// The lists of a queue have control characters in their names, and there may be many.
fn shown_pattern(pattern: &str) -> String {
    let text = pattern.replace("\u{6}\u{16}", "\u{b7}");
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn slow_log(server: &ServerReport) -> Option<String> {
    let log = server.slow_log.as_ref().filter(|log| !log.is_empty())?;
    let mut grid = Grid::new(&["SLOW COMMAND", "MS", "AT", "CLIENT"])
        .right(&["MS"])
        .times(&["AT"])
        .spare(&["CLIENT"]);
    for entry in log {
        grid.row([
            entry.command.clone(),
            format!("{}.{}", entry.us / 1000, entry.us % 1000 / 100),
            entry.at.clone(),
            entry.client.clone().unwrap_or_default(),
        ]);
    }
    Some(grid.render())
}

fn advice(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "no findings: all that could be looked at is as it should be".to_owned();
    }
    format!("FINDINGS\n{}", view::findings(findings))
}

/// Says what the numbers rest on, and what could not be found out.
fn notes(report: &Report) -> Option<String> {
    let mut lines = Vec::new();
    let counts = report.databases.iter().flat_map(|one| &one.namespaces);
    let worst = counts
        .flat_map(|one| [Some(one.keys), one.bytes, one.without_ttl])
        .flatten()
        .map(|count| count.how)
        .max();
    if worst.is_some_and(|how| how > How::Exact) {
        lines.push("~ an estimate from the keys looked at; --effort S looks at more.".to_owned());
    }
    let unreachable =
        report.databases.iter().filter_map(|one| Some((one.name(), one.unreachable.as_ref()?)));
    lines
        .extend(unreachable.map(|(name, why)| format!("{name} cannot be reached: {}", clean(why))));
    lines.extend(report.missing.iter().map(|missing| {
        let Missing { place, what, command, reason } = missing;
        let by = if command.is_empty() { String::new() } else { format!(" ({command})") };
        format!("{place} {}: {what}{by}", clean(reason))
    }));
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Renders what stands at the head of each report of a series.
pub(super) fn heading(report: &Report) -> String {
    let at = report.at.parse::<Timestamp>().map(|at| at.strftime("%H:%M:%S").to_string());
    format!("--- {}", at.unwrap_or_else(|_| clock::iso(clock::now())))
}

#[cfg(test)]
mod tests {
    use rhubarb_connection::Role;
    use rhubarb_settings::Settings;

    use rhubarb_monitor::{census::Census, namespace, report::Totals};

    use super::*;

    fn report(missing: Vec<Missing>, info: Option<ServerInfo>) -> Report {
        let mut census = Census::new(namespace::of(&Settings::default(), &Role::ALL, &[]));
        for n in 0..10 {
            census.see(format!("jobs:1:jobs:{n}").as_bytes(), false);
        }
        let roles = Role::ALL.map(Role::name).to_vec();
        let mut report = Report {
            at: "2026-11-24T23:30:00+00:00".into(),
            totals: Totals::default(),
            servers: vec![ServerReport {
                server: "h:6379".into(),
                roles: roles.clone(),
                unreachable: None,
                misconfigured: false,
                info,
                managed: false,
                settings: None,
                clients_by_name: None,
                slow_log: None,
            }],
            databases: vec![DatabaseReport {
                server: "h:6379".into(),
                db: 0,
                roles,
                unreachable: None,
                misconfigured: false,
                keys: Some(12_345),
                expires: None,
                without_ttl: None,
                looked_at: Some(census.seen()),
                whole: false,
                namespaces: census.report(Some(12_345)),
            }],
            queues: None,
            findings: None,
            missing,
        };
        report.add_up();
        report
    }

    #[test]
    fn an_estimate_is_marked_and_explained() {
        let info = "used_memory:1048576\nmaxmemory:0\nconnected_clients:3\nmaxclients:20\n";
        let shown = basic(&report(Vec::new(), Some(ServerInfo::parse(info))));
        let expect = "\
total keys      12,345
job cache keys  ~12,300
listing keys    ~12,300
session keys    ~0
memory          1.0 MiB, no limit
clients         3 of 20

DATABASE  ROLES                                    KEYS  EXPIRING  LOOKED AT
h:6379/0  queue, results, cache, sessions, jobs  12,345         -  10

~ an estimate from the keys looked at; --effort S looks at more.";
        assert_eq!(shown, expect);
    }

    #[test]
    fn what_is_not_permitted_is_said_where_it_is_missed_and_at_the_end() {
        let missing = Missing {
            place: "h:6379".into(),
            what: "server, memory and clients",
            command: "INFO".into(),
            reason: "not permitted".into(),
        };
        let shown = info(&report(vec![missing], None));
        for expect in [
            "memory          not permitted (INFO)",
            "clients         not permitted (INFO)",
            "INFO            not permitted (INFO)",
            "h:6379 not permitted: server, memory and clients (INFO)",
        ] {
            assert!(shown.contains(expect), "no `{expect}` in\n{shown}");
        }
    }
}
