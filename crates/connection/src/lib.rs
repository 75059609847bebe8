//! Redis connections for every role: one multiplexed connection to each server and database, which
//! comes back by itself.
//!
//! A [`Redis`] is a cheap handle. It connects on first use, gives each command a deadline, and
//! after a loss the next command connects again; whoever has to go on for ever waits with a
//! [`Backoff`] between tries. A connection is also left when an answer says that its server cannot
//! serve us, as a primary's does after a fail-over (see [`refusal`]). One log line says that a
//! server went away and one that it is back, with the outage's length; between them a line tells
//! each new reason, and one a minute that it lasts. After each connect the name is set, tracking is
//! armed and the subscriptions are made again; [`Push::Connected`] and
//! [`Invalidation::Connected`] tell
//! those who hold state on the connection (armed keys) that it is gone.
//!
//! What it deliberately does not do: it never sends a command twice. Whether a command whose reply
//! was cut may be repeated is known only to the one who sent it.
//!
//! ```no_run
//! # async fn example(config: &rhubarb_connection::RedisConfig) -> Result<(), rhubarb_connection::Error> {
//! use rhubarb_connection::{Connections, Role};
//! let connections = Connections::new(config, "rhubarb-example")?;
//! let queue = connections.role(Role::Queue);
//! let waiting: u64 = queue.query(redis::cmd("LLEN").arg("celery")).await?;
//! # Ok(()) }
//! ```
//!
//! Modules: `config` the section `[redis]`, [`address`] URLs to addresses and TLS, [`backoff`]
//! waiting between tries, `pages` walks by `SCAN` that end, [`push`] what the server sends unasked,
//! [`inbox`] one channel's messages, `meter` what an answer may take, [`error`] what can go wrong,
//! [`spell`] what comes and goes, `sentinel` who says
//! where the primary is.

pub mod address;
pub mod backoff;
mod config;
mod dial;
pub mod error;
pub mod inbox;
mod link;
pub mod memory;
mod meter;
mod outage;
mod pages;
pub mod push;
mod refusal;
mod script;
mod sentinel;
pub mod spell;
mod stream;
mod tls;

use std::{collections::HashMap, fmt, sync::Arc};

pub use backoff::Backoff;
pub use config::{Layout, RedisConfig, ResultsUrl, Role};
pub use error::{Error, wants_password};
pub use inbox::{Heard, Inbox};
use link::Siblings;
pub use link::{Options, Redis};
pub use pages::Pages;
pub use push::{Invalidation, Push};
pub use script::Script;
pub use spell::{Spell, Telling};

/// The connections of one process: one for each server and database in use, whatever asks for it.
#[derive(Clone)]
pub struct Connections {
    by_role: Arc<HashMap<Role, Redis>>,
}

impl Connections {
    /// Prepares the connections of all roles; nothing is sent before first use.
    ///
    /// `name` is what `CLIENT LIST` shows. The queue's connection has tracking switched on, so that
    /// an idle worker is woken by the server.
    ///
    /// # Errors
    ///
    /// A URL that cannot be understood, or a certificate file that cannot be read: a configuration
    /// error.
    pub fn new(config: &RedisConfig, name: &str) -> Result<Self, Error> {
        let mut by_role = HashMap::new();
        let mut made: HashMap<(String, u32), Redis> = HashMap::new();
        let mut servers: HashMap<String, Arc<Siblings>> = HashMap::new();
        for role in [Role::Queue, Role::Results, Role::Cache, Role::Sessions, Role::Jobs] {
            let (url, db) = config.url_for(role);
            let key = (url.expose().to_string(), db);
            let redis = match made.get(&key) {
                Some(redis) => redis.clone(),
                None => {
                    let options = Options { name: name.to_owned(), tracking: role == Role::Queue };
                    let server = url.with_database(0).expose().to_string();
                    let siblings = servers.entry(server).or_default();
                    let redis = Redis::beside(siblings, &url, db, config, options)?;
                    made.insert(key, redis.clone());
                    redis
                }
            };
            by_role.insert(role, redis);
        }
        Ok(Self { by_role: Arc::new(by_role) })
    }

    /// Returns the connection that serves a role.
    pub fn role(&self, role: Role) -> Redis {
        self.by_role[&role].clone()
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.by_role.iter()).finish()
    }
}

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
