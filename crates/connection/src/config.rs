//! `[redis]`: which server and database each role uses.

use std::{path::PathBuf, time::Duration};

use rhubarb_config::{
    Input, Shown, Value, Wrong,
    redact::SafeUrl,
    rules::{range, seconds},
    settings, words,
};

settings! {
    /// Where Redis is.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RedisConfig {
        /// One URL for all roles; the database number in it counts for the queue. Also `rediss://`
        /// for TLS, `unix:///path?db=0` for a socket, and
        /// `redis+sentinel://host:26379,host:26379/NAME/0` for sentinels.
        url: SafeUrl = "redis://127.0.0.1:6379/0".parse().expect("a URL in full"),
            from &["REDIS_URL", "REDIS_TLS_URL"];
        /// The databases: "four" has queue 0, cache 1, sessions 2, jobs 3; "two", for servers with
        /// only two databases, has the queue on 0 and all caches on 1; "one", for a server of a
        /// cluster or with one database, has all on 0, told apart by their prefixes.
        layout: Layout = Layout::Four, accepts "\"four\", \"two\" or \"one\"";
        /// The queue's own server, where it differs from the others'.
        queue_url: Option<SafeUrl> = None,
            from &["CELERY_BROKER_URL"], example "\"redis://127.0.0.1:6379/0\"";
        /// The results' own server; without it they are where the queue is. "disabled://" stores no
        /// results at all.
        results_url: Option<ResultsUrl> = None,
            from &["CELERY_RESULT_BACKEND"], example "\"redis://127.0.0.1:6379/0\"";
        /// The server of the general cache.
        cache_url: Option<SafeUrl> = None, example "\"redis://127.0.0.1:6379/1\"";
        /// The server of Django's sessions.
        sessions_url: Option<SafeUrl> = None, example "\"redis://127.0.0.1:6379/2\"";
        /// The server of the listings.
        jobs_url: Option<SafeUrl> = None, example "\"redis://127.0.0.1:6379/3\"";
        /// The queue's own database number. A cache never belongs on it: Django's `cache.clear()`
        /// is FLUSHDB.
        queue_db: Option<u32> = None, accepts NUMBER, example "0";
        /// The results' own database number.
        results_db: Option<u32> = None, accepts NUMBER, example "0";
        /// The database number of the general cache.
        cache_db: Option<u32> = None, accepts NUMBER, example "1";
        /// The database number of Django's sessions.
        sessions_db: Option<u32> = None, accepts NUMBER, example "2";
        /// The database number of the listings.
        jobs_db: Option<u32> = None, accepts NUMBER, example "3";
        /// Sentinels, each as `redis://host:26379`, with their own password where they have one.
        /// The host in each of the other URLs is then the name of a primary, as django-redis has
        /// it.
        sentinels: Vec<SafeUrl> = Vec::new(), example "[\"redis://sentinel-1:26379\"]";
        /// The name of the primary, for a URL of sentinels that has none, as Celery's.
        sentinel_master: Option<String> = None, example "\"mymaster\"";
        /// How long a connection attempt may take.
        connect_timeout: Duration = seconds(5), accepts "100 ms to 60 s", if |d| range(d, 0.1, 60.0);
        /// How long a command may take before its connection counts as lost.
        command_timeout: Duration = seconds(5), accepts "100 ms to 60 s", if |d| range(d, 0.1, 60.0);
        /// For `rediss://`: a PEM file of the only certificates that are trusted, those of
        /// authorities or the server's own. Without it, the system's certificates are trusted. A
        /// parameter of the URL, such as `ssl_cert_reqs=none`, wins over this setting and the next
        /// four.
        ca_file: Option<PathBuf> = None, accepts PEM, example "\"/etc/ssl/redis-ca.pem\"";
        /// For `rediss://`: whether the server's certificate is verified. Heroku's Redis signs its
        /// own, and needs "none".
        ssl_cert_reqs: String = "required".into(),
            accepts "\"none\", \"optional\" or \"required\"", if |text| is_cert_reqs(text);
        /// For `rediss://`: whether the server's certificate has to be for the URL's host.
        ssl_check_hostname: bool = true;
        /// For `rediss://`: a PEM file of our own certificate, for a server that asks for one.
        ssl_certfile: Option<PathBuf> = None, accepts PEM, example "\"/etc/ssl/redis-client.pem\"";
        /// For `rediss://`: a PEM file of the key of our own certificate, which may stand in the
        /// certificate's file.
        ssl_keyfile: Option<PathBuf> = None, accepts PEM, example "\"/etc/ssl/redis-client.key\"";
    }
}

const NUMBER: &str = "a database number, 0 to 15 on most servers,";
const PEM: &str = "the path of a PEM file";

fn is_cert_reqs(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["none", "optional", "required"].contains(&text.trim_start_matches("cert_"))
}

/// The databases' layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// Queue on 0, cache on 1, sessions on 2, jobs on 3.
    #[default]
    Four,
    /// Queue, results and beat on 0; caches, sessions and jobs on 1.
    Two,
    /// All on 0, told apart by their prefixes. Nothing of ours ever flushes a database.
    One,
}
words!(Layout: "four" => Self::Four, "two" => Self::Two, "one" => Self::One);

/// Where results are stored.
#[derive(Clone, Debug, PartialEq)]
pub enum ResultsUrl {
    /// Nowhere: `disabled://`.
    Disabled,
    /// There.
    At(SafeUrl),
}

/// Celery's own URL of a result backend that stores nothing.
const DISABLED: &str = "disabled://";

impl Value for ResultsUrl {
    const ACCEPTS: &'static str = "a Redis URL, or \"disabled://\" for no results,";
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        // Celery takes the scheme alone, too.
        if input.text().is_some_and(|text| text.trim_end_matches("://") == "disabled") {
            return Ok(Self::Disabled);
        }
        let more = format!("`{DISABLED}` stores no results, other backends are Celery's alone");
        SafeUrl::read(input).map(Self::At).map_err(|wrong| Some(format!("{}; {more}", wrong?)))
    }
    fn show(&self) -> Shown {
        match self {
            Self::Disabled => DISABLED.to_owned().show(),
            Self::At(url) => url.show(),
        }
    }
}

/// The part of Rhubarb that a Redis URL is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Task messages, claims, schedules.
    Queue,
    /// `celery-task-meta-*`.
    Results,
    /// The general cache: status, proxies.
    Cache,
    /// Django's sessions.
    Sessions,
    /// Listings.
    Jobs,
}
words!(Role: "queue" => Self::Queue, "results" => Self::Results, "cache" => Self::Cache,
    "sessions" => Self::Sessions, "jobs" => Self::Jobs);

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
            (Self::Queue | Self::Results, _) | (_, Layout::One) => 0,
            (_, Layout::Two) | (Self::Cache, _) => 1,
            (Self::Sessions, Layout::Four) => 2,
            (Self::Jobs, Layout::Four) => 3,
        }
    }
}

impl RedisConfig {
    /// Tells whether no result is ever stored.
    pub fn results_disabled(&self) -> bool {
        self.results_url == Some(ResultsUrl::Disabled)
    }

    /// Returns a role's own URL and its own database number.
    fn own(&self, role: Role) -> (Option<&SafeUrl>, Option<u32>) {
        let results = self.results_url.as_ref().and_then(|url| match url {
            ResultsUrl::At(url) => Some(url),
            ResultsUrl::Disabled => None,
        });
        match role {
            Role::Queue => (self.queue_url.as_ref(), self.queue_db),
            Role::Results => (results, self.results_db),
            Role::Cache => (self.cache_url.as_ref(), self.cache_db),
            Role::Sessions => (self.sessions_url.as_ref(), self.sessions_db),
            Role::Jobs => (self.jobs_url.as_ref(), self.jobs_db),
        }
    }

    /// Returns the URL that serves a role, with the role's database in it, and the database's
    /// number.
    ///
    /// The number is the role's own (`jobs_db`), else that in the role's own URL (`jobs_url`), else
    /// the layout's. The number in `redis.url` counts for the queue. Results without settings of
    /// their own are where the queue is.
    pub fn url_for(&self, role: Role) -> (SafeUrl, u32) {
        let (own, db) = self.own(role);
        if role == Role::Results && own.is_none() {
            let (url, of_queue) = self.url_for(Role::Queue);
            let db = db.unwrap_or(of_queue);
            return (url.with_database(db), db);
        }
        let url = own.unwrap_or(&self.url);
        let counts = own.is_some() || role == Role::Queue;
        let db = db.or_else(|| url.database().filter(|_| counts));
        let db = db.unwrap_or_else(|| role.default_database(self.layout));
        (url.with_database(db), db)
    }

    /// Tells whether two roles use the same server and database.
    pub fn share_database(&self, one: Role, other: Role) -> bool {
        self.url_for(one).0 == self.url_for(other).0
    }
}

#[cfg(test)]
mod tests {
    use rhubarb_config::redis_url;

    use super::*;

    fn config(url: &str) -> RedisConfig {
        RedisConfig { url: redis_url(url).unwrap(), ..RedisConfig::default() }
    }

    #[test]
    fn one_url_serves_all_roles_on_the_layouts_databases() {
        let check = |layout, expect: [u32; 5]| {
            let config = RedisConfig { layout, ..config("redis://h:6379") };
            assert_eq!(Role::ALL.map(|role| config.url_for(role).1), expect);
            assert_eq!(config.url_for(Role::Jobs).0.database(), Some(expect[4]));
        };
        check(Layout::Four, [0, 0, 1, 2, 3]);
        check(Layout::Two, [0, 0, 1, 1, 1]);
        check(Layout::One, [0; 5]);
    }

    #[test]
    fn the_number_in_the_url_counts_for_the_queue_and_its_results() {
        let config = config("redis://h:6379/5");
        assert_eq!(Role::ALL.map(|role| config.url_for(role).1), [5, 5, 1, 2, 3]);
    }

    #[test]
    fn a_roles_own_number_goes_before_its_urls() {
        let mut config = config("redis://h");
        config.jobs_url = redis_url("redis://j/7").ok();
        assert_eq!(config.url_for(Role::Jobs).0.to_string(), "redis://j/7");
        config.jobs_db = Some(4);
        assert_eq!(config.url_for(Role::Jobs).0.to_string(), "redis://j/4");
        config.cache_url = redis_url("redis://c").ok();
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
}
