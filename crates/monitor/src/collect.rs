//! Finding everything out: servers and databases at once, each on its one connection.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use redis::{cmd, pipe};
use rhubarb_connection::Role;
use rhubarb_core::clock;
use rhubarb_queue::{Client, inspect};
use rhubarb_settings::Settings;
use tokio::sync::OnceCell;

use crate::{
    ask::{Asked, Missing, is_misconfigured, reason},
    finding,
    info::ServerInfo,
    namespace,
    report::{DatabaseReport, Report, ServerReport, Totals},
    scan::{self, Effort},
    servers::{Database, Server, names},
    slow,
};

/// With more connections than this `CLIENT LIST`, which writes a line for each, is left out.
const LISTED_CLIENTS: u64 = 500;
/// So many names of connections are told apart.
const CLIENT_NAMES: usize = 10;
/// The settings that `INFO` does not tell.
const SETTINGS: [&str; 3] = ["save", "appendfsync", "slowlog-log-slower-than"];

/// What is looked at.
#[derive(Debug)]
pub struct Scope<'a> {
    /// The configuration.
    pub config: &'a Settings,
    /// The servers in use.
    pub servers: &'a [Server],
    /// The queue's read side.
    pub client: &'a Client,
    /// Whether everything is wanted, or the basic numbers.
    pub info: bool,
    /// How much may be looked at.
    pub effort: Effort,
}

/// Finds out what `look` says; what cannot be found out is told in the report.
pub async fn report(look: &Scope<'_>) -> Report {
    // All at once and once each: a server that hangs takes one deadline, however many of its
    // databases are in use.
    let databases = look.servers.iter().flat_map(|server| &server.databases);
    let reached: Vec<Reached<'_>> = join_all(databases.map(Reached::of)).await;
    let queues = OnceCell::new();
    let databases =
        join_all(reached.iter().map(|database| self::database(look, database, &queues)));
    let servers = join_all(look.servers.iter().map(|one| server(look, one, &reached)));
    let has_queue = |one: &Reached<'_>| one.database.serves(Role::Queue) && one.fault.is_none();
    let tasks = async {
        if look.info && reached.iter().any(has_queue) { waiting(look, &queues).await } else { None }
    };
    let ((databases, servers), tasks) = tokio::join!(both(databases, servers), tasks);
    let mut report = Report {
        at: clock::iso(clock::now()),
        totals: Totals::default(),
        servers: Vec::new(),
        databases: Vec::new(),
        queues: None,
        findings: None,
        missing: Vec::new(),
    };
    for (database, missing) in databases {
        report.databases.push(database);
        report.missing.extend(missing);
    }
    for (server, missing) in servers {
        report.servers.push(server);
        report.missing.extend(missing);
    }
    if let Some((queues, missing)) = tasks {
        report.queues = queues;
        report.missing.extend(missing);
    }
    finish(&mut report);
    if look.info {
        report.findings = Some(finding::of(&report));
    }
    report
}

/// A database that was called once.
struct Reached<'a> {
    database: &'a Database,
    fault: Option<rhubarb_connection::Error>,
}

impl<'a> Reached<'a> {
    async fn of(database: &'a Database) -> Self {
        Self { database, fault: database.redis.ready().await.err() }
    }
}

async fn both<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> (A, B) {
    tokio::join!(one, other)
}

/// Fills in what only the whole knows.
fn finish(report: &mut Report) {
    for database in report.databases.iter_mut().filter(|one| one.unreachable.is_none()) {
        let server = report.servers.iter().find(|server| server.server == database.server);
        if let Some(info) = server.and_then(|server| server.info.as_ref()) {
            let keyspace = info.database(database.db);
            database.expires = Some(keyspace.expires);
            database.without_ttl = Some(keyspace.keys.saturating_sub(keyspace.expires));
            database.keys = database.keys.or(Some(keyspace.keys));
        }
    }
    report.add_up();
}

/// Returns the queues that the configuration names.
pub fn configured_queues(config: &Settings) -> Vec<String> {
    let mut queues = config.worker_queues();
    queues.push(config.celery.task_default_queue.clone());
    queues
}

/// The queues' names, once they were looked for, or why they could not be.
type QueueNames = OnceCell<Result<Vec<String>, rhubarb_queue::Error>>;

/// Returns the queues' names: for the basic numbers those that Rhubarb knows, else those of
/// Celery's programs too.
async fn known_queues<'k>(
    look: &Scope<'_>,
    known: &'k QueueNames,
) -> &'k Result<Vec<String>, rhubarb_queue::Error> {
    let configured = configured_queues(look.config);
    known
        .get_or_init(async || {
            if !look.info {
                return inspect::queue_names(look.client, &configured).await;
            }
            // The same keys are looked through once more, for what is in them.
            let effort = look.effort.time() / 2;
            let all = inspect::all_queue_names(look.client, &configured, effort).await?;
            Ok(all.names)
        })
        .await
}

async fn waiting(
    look: &Scope<'_>,
    known: &QueueNames,
) -> Option<(Option<Vec<inspect::QueueInfo>>, Option<Missing>)> {
    let failed = |error: &rhubarb_queue::Error| {
        let place = format!("{}/{}", look.servers[0].name, look.client.queue().db());
        Some((None, Some(queue_missing(place, error))))
    };
    match known_queues(look, known).await {
        Ok(names) => match inspect::queues_named(look.client, names).await {
            Ok(queues) => Some((Some(queues), None)),
            Err(error) => failed(&error),
        },
        Err(error) => failed(error),
    }
}

/// Says why the queues could not be looked at.
pub fn queue_missing(place: String, error: &rhubarb_queue::Error) -> Missing {
    let cause = std::error::Error::source(error)
        .and_then(|cause| cause.downcast_ref::<rhubarb_connection::Error>());
    match cause {
        Some(cause) => crate::ask::missing(&place, "queues", cause),
        None => {
            Missing { place, what: "queues", command: String::new(), reason: error.to_string() }
        }
    }
}

async fn database(
    look: &Scope<'_>,
    reached: &Reached<'_>,
    known: &QueueNames,
) -> (DatabaseReport, Vec<Missing>) {
    let Reached { database, fault } = reached;
    let mut report = DatabaseReport {
        server: database.server.clone(),
        db: database.redis.db(),
        roles: names(&database.roles),
        unreachable: fault.as_ref().map(reason),
        misconfigured: fault.as_ref().is_some_and(is_misconfigured),
        keys: None,
        expires: None,
        without_ttl: None,
        looked_at: None,
        whole: false,
        namespaces: Vec::new(),
    };
    if report.unreachable.is_some() {
        return (report, Vec::new());
    }
    let mut asked = Asked::new(&database.redis, database.name());
    report.keys = asked.ask("keys", &cmd("DBSIZE")).await;
    let caches = [Role::Cache, Role::Sessions, Role::Jobs];
    // The basic numbers are all of caches and sessions; the queue's keys are for --info.
    if look.info || caches.iter().any(|role| database.serves(*role)) {
        let configured = configured_queues(look.config);
        let queues = match database.serves(Role::Queue) {
            true => known_queues(look, known).await.as_ref().unwrap_or(&configured),
            false => &Vec::new(),
        };
        let namespaces = namespace::of(look.config, &database.roles, queues);
        let census = scan::census(&mut asked, namespaces, look.effort).await;
        if census.seen() > 0 || census.is_whole() {
            report.looked_at = Some(census.seen());
            report.whole = census.is_whole();
            report.namespaces = census.report(report.keys);
        }
    }
    (report, asked.into_missing())
}

async fn server(
    look: &Scope<'_>,
    server: &Server,
    reached: &[Reached<'_>],
) -> (ServerReport, Vec<Missing>) {
    let mut report = ServerReport {
        server: server.name.clone(),
        roles: names(&server.roles()),
        unreachable: None,
        misconfigured: false,
        info: None,
        managed: false,
        settings: None,
        clients_by_name: None,
        slow_log: None,
    };
    let here: Vec<&Reached<'_>> =
        reached.iter().filter(|one| one.database.server == server.name).collect();
    // The first database that lets us in.
    let Some(Reached { database, .. }) = here.iter().find(|one| one.fault.is_none()) else {
        let faults = || here.iter().filter_map(|one| one.fault.as_ref());
        report.unreachable = faults().next_back().map(reason);
        report.misconfigured = faults().all(is_misconfigured);
        return (report, Vec::new());
    };
    let mut asked = Asked::new(&database.redis, server.name.clone());
    let text: Option<String> = asked.ask("server, memory and clients", &cmd("INFO")).await;
    report.info = text.map(|text| ServerInfo::parse(&text));
    if look.info {
        report.settings = settings(&mut asked).await;
        report.managed = report.settings.is_none();
        report.slow_log = slow::read(&mut asked).await;
        let connected = report.info.as_ref().and_then(|info| info.clients.connected);
        if connected.is_some_and(|connected| connected <= LISTED_CLIENTS) {
            report.clients_by_name = clients(&mut asked).await;
        }
    }
    (report, asked.into_missing())
}

pub(crate) async fn settings(asked: &mut Asked<'_>) -> Option<BTreeMap<String, String>> {
    let mut commands = pipe();
    for name in SETTINGS {
        commands.cmd("CONFIG").arg("GET").arg(name);
    }
    let found: Vec<BTreeMap<String, String>> = asked.ask_all("settings", &commands).await?;
    Some(found.into_iter().flatten().collect())
}

async fn clients(asked: &mut Asked<'_>) -> Option<Vec<(String, usize)>> {
    let text: String = asked.ask("clients by name", cmd("CLIENT").arg("LIST")).await?;
    Some(by_name(&text))
}

/// Counts the lines of `CLIENT LIST` by name, or by library where there is none.
fn by_name(text: &str) -> Vec<(String, usize)> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let field = |name: &str| {
            let found = line.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            found.filter(|value| !value.is_empty())
        };
        let name = field("name").or_else(|| field("lib-name")).unwrap_or("without a name");
        *names.entry(rhubarb_core::shown::clean(name)).or_default() += 1;
    }
    let mut names: Vec<(String, usize)> = names.into_iter().collect();
    names.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let others: usize = names.iter().skip(CLIENT_NAMES).map(|(_, n)| n).sum();
    names.truncate(CLIENT_NAMES);
    names.extend((others > 0).then(|| ("others".to_owned(), others)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_by_name_within_bounds() {
        let text = "id=1 addr=a:1 name=rhubarb-worker age=1\nid=2 addr=a:2 name=rhubarb-worker age=1\n\
                    id=3 addr=a:3 name= lib-name=redis-py\nid=4 addr=a:4 name=\n\n";
        let expect = [("rhubarb-worker", 2), ("redis-py", 1), ("without a name", 1)];
        assert_eq!(by_name(text), expect.map(|(name, n)| (name.to_owned(), n)));
        let many: String = (0..50).map(|n| format!("id={n} name=n{n}\n")).collect();
        let names = by_name(&many);
        assert_eq!((names.len(), names.last().unwrap()), (11, &("others".to_owned(), 40)));
    }
}
