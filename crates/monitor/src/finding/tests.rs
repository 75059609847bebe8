use rhubarb_connection::Role;
use rhubarb_settings::Settings;

use super::*;
use crate::{
    census::{Census, Measure},
    info::ServerInfo,
    namespace,
    report::{DatabaseReport, ServerReport, Totals},
    slow::Slow,
};

fn server(roles: &[&'static str], info: &str) -> ServerReport {
    ServerReport {
        server: "h:6379".into(),
        roles: roles.to_vec(),
        unreachable: None,
        misconfigured: false,
        info: Some(ServerInfo::parse(info)),
        managed: false,
        settings: None,
        clients_by_name: None,
        slow_log: None,
    }
}

fn report(servers: Vec<ServerReport>, databases: Vec<DatabaseReport>) -> Report {
    Report {
        at: String::new(),
        totals: Totals::default(),
        servers,
        databases,
        queues: None,
        findings: None,
        missing: Vec::new(),
    }
}

fn codes(report: &Report) -> Vec<(&'static str, &'static str)> {
    of(report).iter().map(|finding| (finding.level.name(), finding.code)).collect()
}

/// A server that is as it should be.
const GOOD: &str = "redis_version:7.2.4\nrole:master\nused_memory:1000\nmaxmemory:1000000\nmaxmemory_policy:noeviction\n\
    used_memory_rss:2000\nmem_fragmentation_ratio:2.0\naof_enabled:1\nevicted_keys:0\nkeyspace_hits:900\n\
    keyspace_misses:200\nconnected_clients:5\nmaxclients:20\nblocked_clients:0\nrejected_connections:0\n";

#[test]
fn a_server_that_is_as_it_should_be_gives_no_findings() {
    assert_eq!(codes(&report(vec![server(&["queue", "jobs"], GOOD)], Vec::new())), []);
}

#[test]
fn a_server_without_caches_has_no_hit_rate_to_be_mended() {
    let misses = GOOD.replace("keyspace_hits:900", "keyspace_hits:1");
    let misses = misses.replace("keyspace_misses:200", "keyspace_misses:2000");
    assert_eq!(codes(&report(vec![server(&["queue", "results"], &misses)], Vec::new())), []);
    for role in ["cache", "sessions", "jobs"] {
        let found = codes(&report(vec![server(&["queue", role], &misses)], Vec::new()));
        assert_eq!(found, [("info", "hit_rate")], "{role}");
    }
}

#[test]
fn each_fault_of_a_server_is_found() {
    for (line, expect) in [
        ("maxmemory_policy:allkeys-lru", ("error", "eviction_policy")),
        ("maxmemory:0", ("warning", "no_maxmemory")),
        ("used_memory:950000", ("error", "memory_short")),
        ("used_memory:800000", ("warning", "memory_short")),
        ("used_memory_rss:900000000", ("warning", "fragmentation")),
        ("aof_enabled:0", ("warning", "no_appendonly")),
        ("rdb_last_bgsave_status:err", ("error", "disk")),
        ("aof_last_write_status:err", ("error", "disk")),
        ("evicted_keys:7", ("error", "evictions")),
        ("keyspace_hits:10\nkeyspace_misses:10000", ("info", "hit_rate")),
        ("connected_clients:18", ("warning", "connections")),
        ("rejected_connections:1", ("warning", "rejected_connections")),
        ("blocked_clients:2", ("info", "blocked_clients")),
        ("redis_version:6.0.9", ("error", "old_version")),
        ("role:slave", ("error", "replica")),
        ("loading:1", ("warning", "loading")),
    ] {
        // The later of two lines holds.
        let info = format!("{GOOD}{line}\n");
        assert_eq!(
            codes(&report(vec![server(&["queue", "cache"], &info)], Vec::new())),
            [expect],
            "{line}"
        );
    }
    let swapped = "used_memory:900000000\nused_memory_rss:300000000\nmem_fragmentation_ratio:0.3\n";
    let swapped = server(&["cache"], swapped);
    assert_eq!(codes(&report(vec![swapped], Vec::new())), [("error", "swapped")]);
}

#[test]
fn what_a_platform_has_set_stops_no_release() {
    let mut managed = server(&["queue"], &format!("{GOOD}maxmemory:0\naof_enabled:0\n"));
    managed.managed = true;
    assert_eq!(codes(&report(vec![managed], Vec::new())), [("info", "no_appendonly")]);
}

#[test]
fn what_only_matters_to_the_queue_is_no_finding_on_a_server_of_caches() {
    let info = format!("{GOOD}maxmemory_policy:allkeys-lru\naof_enabled:0\n");
    assert_eq!(codes(&report(vec![server(&["cache", "jobs"], &info)], Vec::new())), []);
}

#[test]
fn slow_commands_are_told_by_the_worst() {
    let slow = |us, command: &str| Slow {
        at: String::new(),
        unix_s: 0,
        us,
        command: command.into(),
        client: None,
    };
    let mut one = server(&["queue"], GOOD);
    one.slow_log = Some(vec![slow(900, "GET a"), slow(45_000, "KEYS *"), slow(11_000, "DEL x")]);
    let findings = of(&report(vec![one], Vec::new()));
    assert!(
        findings[0].found.contains("2 of the 3")
            && findings[0].found.contains("`KEYS *` for 45 ms")
    );
    assert!(findings[0].advice.contains("SCAN"));
}

fn database(roles: &[Role], keys: &[(&str, Measure)]) -> DatabaseReport {
    let mut census = Census::new(namespace::of(&Settings::default(), roles, &[]));
    for (key, measure) in keys {
        let at = census.see(key.as_bytes(), true).unwrap();
        census.measured(at, key.as_bytes(), *measure);
    }
    census.complete();
    DatabaseReport {
        server: "h:6379".into(),
        db: 1,
        roles: roles.iter().map(|role| role.name()).collect(),
        unreachable: None,
        misconfigured: false,
        keys: None,
        expires: None,
        without_ttl: None,
        looked_at: Some(1),
        whole: true,
        namespaces: census.report(None),
    }
}

#[test]
fn keys_that_stay_for_ever_and_large_ones_are_found_in_caches_only() {
    let measure = |bytes, expires| Measure { bytes: Some(bytes), expires: Some(expires) };
    let caches = database(
        &[Role::Cache, Role::Jobs],
        &[
            ("jobs:1:jobs:a", measure(2 << 20, true)),
            ("jobs:1:other", measure(10, false)),
            ("foreign:1", measure(9 << 20, false)),
        ],
    );
    let findings = of(&report(Vec::new(), vec![caches]));
    let codes: Vec<&str> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["no_ttl", "large_key"]);
    assert!(
        findings[0].found.starts_with("cached keys without a time to live: 1 (cache jobs)"),
        "{}",
        findings[0].found
    );
    assert!(findings[1].found.contains("`jobs:1:jobs:a` takes 2.0 MiB"), "{}", findings[1].found);
    let queue = database(&[Role::Queue], &[("celery-task-meta-1", measure(2 << 20, false))]);
    assert_eq!(of(&report(Vec::new(), vec![queue])), []);
}

#[test]
fn a_key_that_stays_for_ever_is_found_by_the_servers_count_where_no_look_found_it() {
    let with_lasting = |roles: &[Role]| {
        let database = DatabaseReport { without_ttl: Some(1), ..database(roles, &[]) };
        of(&report(Vec::new(), vec![database]))
    };
    let findings = with_lasting(&[Role::Cache]);
    assert_eq!(findings[0].code, "no_ttl");
    assert!(
        findings[0].found.starts_with("keys without a time to live: 1,"),
        "{}",
        findings[0].found
    );
    assert_eq!(with_lasting(&[Role::Queue, Role::Results]), [], "a queue's lists have none");
}

#[test]
fn a_shared_database_is_found_by_what_one_flush_would_take() {
    let codes = |roles: &[Role]| codes(&report(Vec::new(), vec![database(roles, &[])]));
    assert_eq!(codes(&[Role::Queue, Role::Cache]), [("error", "shared_with_queue")]);
    assert_eq!(
        codes(&[Role::Cache, Role::Sessions, Role::Jobs]),
        [("info", "shared_with_sessions")]
    );
    assert_eq!(codes(&[Role::Cache, Role::Jobs]), []);
    assert_eq!(codes(&[Role::Queue, Role::Results]), []);
}
