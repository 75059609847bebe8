//! Which server and database each role uses.

use super::{
    model::{Config, Layout, MAX_BLOCKING_THREADS, Role},
    node,
};
use crate::redact::SafeUrl;

impl Role {
    /// All roles, in the order of their databases.
    pub const ALL: [Self; 5] =
        [Self::Queue, Self::Results, Self::Cache, Self::Sessions, Self::Jobs];

    /// Returns its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Results => "results",
            Self::Cache => "cache",
            Self::Sessions => "sessions",
            Self::Jobs => "jobs",
        }
    }

    const fn default_database(self, layout: Layout) -> u32 {
        match (self, layout) {
            (Self::Queue | Self::Results, _) => 0,
            (_, Layout::Two) | (Self::Cache, _) => 1,
            (Self::Sessions, Layout::Four) => 2,
            (Self::Jobs, Layout::Four) => 3,
        }
    }
}

impl Config {
    /// Returns the URL that serves a role, with the role's database in it, and the database's number.
    ///
    /// The number is the role's own (`jobs_db`), else that in the role's own URL (`jobs_url`), else the layout's. The
    /// number in `redis.url` counts for the queue. Results without settings of their own are where the queue is.
    pub fn url_for(&self, role: Role) -> (SafeUrl, u32) {
        let redis = &self.redis;
        let own = redis.urls.get(role.name());
        if role == Role::Results && own.is_none() {
            let (url, db) = self.url_for(Role::Queue);
            let db = redis.dbs.get(role.name()).copied().unwrap_or(db);
            return (url.with_database(db), db);
        }
        let url = own.unwrap_or(&redis.url);
        let counts = own.is_some() || role == Role::Queue;
        let db = redis.dbs.get(role.name()).copied();
        let db = db.or_else(|| url.database().filter(|_| counts));
        let db = db.unwrap_or_else(|| role.default_database(redis.layout));
        (url.with_database(db), db)
    }

    /// Tells whether two roles use the same server and database.
    pub fn share_database(&self, one: Role, other: Role) -> bool {
        self.url_for(one).0 == self.url_for(other).0
    }

    /// Returns the node's name: the one configured, else `rhubarb@$DYNO`, else `rhubarb@host`.
    ///
    /// A configured name without `@` gets the host's name; `%h`, `%n`, `%d`, `%i`, `%I` and `%%` are Celery's.
    pub fn node_name(&self) -> String {
        let host = self.machine.dyno.as_deref().unwrap_or(&self.machine.host);
        let pattern = &self.worker.hostname;
        // One that means nothing is refused when the configuration is read.
        node::expand(pattern, host).unwrap_or_else(|| pattern.clone())
    }

    /// Returns the queues that a worker serves: those configured, else the default one, without those excluded.
    pub fn worker_queues(&self) -> Vec<String> {
        let mut queues = match self.worker.queues.as_slice() {
            [] => vec![self.celery.task_default_queue.clone()],
            queues => queues.to_vec(),
        };
        queues.retain(|queue| !self.worker.exclude_queues.contains(queue));
        queues
    }

    /// Returns how many tasks a worker runs at once: as configured, else 8 for each core, for the work is I/O-bound.
    pub fn concurrency(&self) -> usize {
        match self.worker.concurrency {
            0 => 8 * std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        }
    }

    /// Returns how many blocking handlers a worker runs at once: as configured, else as many as tasks.
    pub fn blocking_threads(&self) -> usize {
        match self.worker.blocking_threads {
            0 => self.concurrency().min(MAX_BLOCKING_THREADS),
            n => n,
        }
    }

    /// Makes an id for this boot of the process, `<node>:<pid>:<nonce>`; call it once and keep it.
    ///
    /// The nonce tells a restarted container from its predecessor: both have the same name and the process id 1.
    pub fn process_id(&self) -> String {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        format!("{}:{}:{}", self.node_name(), std::process::id(), &nonce[..8])
    }
}

#[cfg(test)]
mod tests {
    use super::{super::redis_url::parse, *};

    fn config(url: &str) -> Config {
        let mut config = Config::default();
        config.redis.url = parse(url).unwrap();
        config
    }

    #[test]
    fn one_url_serves_all_roles_on_the_layouts_databases() {
        let check = |layout, expect: [u32; 5]| {
            let mut config = config("redis://h:6379");
            config.redis.layout = layout;
            assert_eq!(Role::ALL.map(|role| config.url_for(role).1), expect);
            assert_eq!(config.url_for(Role::Jobs).0.database(), Some(expect[4]));
        };
        check(Layout::Four, [0, 0, 1, 2, 3]);
        check(Layout::Two, [0, 0, 1, 1, 1]);
    }

    #[test]
    fn the_number_in_the_url_counts_for_the_queue_and_its_results() {
        let config = config("redis://h:6379/5");
        assert_eq!(Role::ALL.map(|role| config.url_for(role).1), [5, 5, 1, 2, 3]);
    }

    #[test]
    fn a_roles_own_number_goes_before_its_urls() {
        let mut config = config("redis://h");
        config.redis.urls.insert("jobs".into(), parse("redis://j/7").unwrap());
        assert_eq!(config.url_for(Role::Jobs).0.to_string(), "redis://j/7");
        config.redis.dbs.insert("jobs".into(), 4);
        assert_eq!(config.url_for(Role::Jobs).0.to_string(), "redis://j/4");
        config.redis.urls.insert("cache".into(), parse("redis://c").unwrap());
        assert_eq!(config.url_for(Role::Cache).0.to_string(), "redis://c/1");
        assert!(!config.share_database(Role::Cache, Role::Jobs));
    }

    #[test]
    fn sockets_are_taken_in_both_spellings() {
        let check = |given: &str, expect: &str| {
            assert_eq!(config(given).url_for(Role::Queue).0.expose().as_str(), expect);
        };
        check("unix:///run/redis.sock?db=2", "unix:///run/redis.sock?db=2");
        check("redis+socket:///run/redis.sock?virtual_host=2", "unix:///run/redis.sock?db=2");
        check("socket:///run/redis.sock", "unix:///run/redis.sock?db=0");
    }

    #[test]
    fn the_node_name_is_the_dynos_or_the_hosts() {
        let mut config = Config::default();
        config.machine.host = "box".into();
        assert_eq!(config.node_name(), "rhubarb@box");
        config.machine.dyno = Some("worker.1".into());
        assert_eq!(config.node_name(), "rhubarb@worker.1");
        config.worker.hostname = "w1@%h".into();
        assert_eq!(config.node_name(), "w1@worker.1");
        config.worker.hostname = "w1".into();
        assert_eq!(config.node_name(), "w1@worker.1");
        assert_ne!(config.process_id(), config.process_id());
    }
}
