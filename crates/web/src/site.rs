//! What all requests share.

use std::{sync::Arc, time::Duration};

use rhubarb_connection::Connections;
use rhubarb_core::shutdown::Shutdown;
use rhubarb_jobs::Caches;
use rhubarb_monitor::{
    collect::{self, Scope},
    fleet::{self, Fleet, View},
    report::Report,
    scan::Effort,
    servers::{self, Server},
};
use rhubarb_queue::{Client, audit};
use rhubarb_settings::Settings;
use tokio::sync::OnceCell;

use crate::{
    board::Boards,
    django::Django,
    door::Doors,
    glance::{Glance, Seen},
    problem::Problem,
    seal::{self, Seal},
};

/// How long one look at the installation serves everybody.
const FRESH: Duration = Duration::from_secs(2);
/// For how long keys are looked through in one look.
const EFFORT: Duration = Duration::from_millis(200);

/// What all requests share; cheap to clone.
#[derive(Clone, Debug)]
pub struct Site(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Settings,
    connections: Connections,
    client: Client,
    servers: Vec<Server>,
    doors: Doors,
    django: Option<Django>,
    seal: OnceCell<Seal>,
    shutdown: Shutdown,
    report: Glance<Report>,
    fleet: Glance<Fleet>,
    caches: Caches,
    boards: Boards,
}

impl Site {
    /// Prepares everything; nothing is sent before the first request.
    ///
    /// # Errors
    ///
    /// A cache's configuration that cannot work.
    pub fn new(
        config: Settings,
        connections: Connections,
        shutdown: Shutdown,
    ) -> Result<Self, crate::Error> {
        Ok(Self(Arc::new(Shared {
            client: Client::new(&connections, &config),
            servers: servers::of(&connections),
            doors: Doors::new(&config.web),
            django: Django::new(&config, &connections)?,
            seal: OnceCell::new(),
            report: Glance::new(FRESH),
            boards: Boards::default(),
            fleet: Glance::new(FRESH),
            caches: Caches::new(&config.cache, &connections)?,
            connections,
            config,
            shutdown,
        })))
    }

    /// Returns the configuration.
    pub fn config(&self) -> &Settings {
        &self.0.config
    }

    /// Returns the connections: one for each database, shared by all requests.
    pub fn connections(&self) -> &Connections {
        &self.0.connections
    }

    /// Returns the queue's client.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// Returns the caches.
    pub fn caches(&self) -> &Caches {
        &self.0.caches
    }

    /// Returns what the pages have seen.
    pub fn boards(&self) -> &Boards {
        &self.0.boards
    }

    /// Returns the ways in.
    pub fn doors(&self) -> &Doors {
        &self.0.doors
    }

    /// Returns Django's own login as a way in, where it is one.
    pub fn django(&self) -> Option<&Django> {
        self.0.django.as_ref()
    }

    /// Returns what seals logins; Redis is asked for it once. Where it does not answer then, this
    /// process seals its own, which end with it.
    pub async fn seal(&self) -> &Seal {
        let asked = async || {
            let fresh = seal::fresh();
            let shared = audit::web_key(&self.0.client, &fresh).await;
            Seal::new(&shared.unwrap_or(fresh))
        };
        self.0.seal.get_or_init(asked).await
    }

    /// Returns when to stop: an answer that goes on, as of server-sent events, ends with it.
    pub fn shutdown(&self) -> &Shutdown {
        &self.0.shutdown
    }

    /// Returns a look at the whole installation that is a few seconds old at the most, or the last
    /// one there was.
    ///
    /// # Errors
    ///
    /// None was finished yet.
    pub async fn report(&self) -> Result<Seen<Report>, Problem> {
        let site = self.clone();
        let look = async move {
            let Shared { config, servers, client, .. } = &*site.0;
            let effort = Effort::new(EFFORT, true);
            collect::report(&Scope { config, servers, client, info: true, effort }).await
        };
        let seen = self.0.report.get(look).await;
        seen.ok_or_else(|| Problem::unavailable("Redis has not answered yet"))
    }

    /// Returns a look at who works and what became of tasks, as old as [`Site::report`]'s.
    ///
    /// # Errors
    ///
    /// None was finished yet.
    pub async fn fleet(&self) -> Result<Seen<Fleet>, Problem> {
        let queues = self.report().await?.what.queues.clone().unwrap_or_default();
        let site = self.clone();
        let look = async move {
            let Shared { config, connections, servers, client, .. } = &*site.0;
            Box::pin(fleet::look(View { config, connections, servers, client }, &queues)).await
        };
        let seen = self.0.fleet.get(look).await;
        seen.ok_or_else(|| Problem::unavailable("Redis has not answered yet"))
    }
}
