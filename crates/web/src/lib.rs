//! The dashboard of an installation, over HTTP: pages for people, health and metrics for machines.
//!
//! [`serve`] answers until it is told to stop. Everything is read through the read sides of the
//! other crates, on one connection for each database, whatever the number of open pages: what a
//! page shows is looked up at most once a moment ([`glance`]). Redis may be gone: pages stay up,
//! and say since when.
//!
//! What it deliberately does not do: it runs no task, knows no Redis key, fetches nothing from
//! elsewhere, and opens no door without a key beyond this machine.
//!
//! To add a route, see [`router`]; a page, [`page`]; a test, `tests/web.rs`.
//!
//! Modules: [`router`] every route, [`site`] what they share, [`glance`] one look for all who ask,
//! [`door`] tokens, [`django`] Django's login, [`access`] who may, [`guard`] what holds for every
//! request, [`problem`] the one kind of error and [`shown`] how it is told, [`page`] pages, [`api`]
//! the same for programs, [`timetable`] all schedules, [`editing`] live ones, [`caching`] caches
//! and sessions, [`why`] a task does not run, [`words`] from outside, `audit` who did what,
//! [`looks`] the pages' looks at Redis and [`board`] what stays of them, [`chart`] bars, [`live`]
//! events for open pages, [`asset`] files in the binary, [`health`] health and metrics, [`server`]
//! connections.

pub mod access;
pub mod api;
pub mod asset;
mod audit;
pub mod board;
pub mod caching;
pub mod chart;
pub mod django;
pub mod door;
pub mod editing;
pub mod glance;
pub mod guard;
pub mod health;
pub mod live;
pub mod looks;
pub mod page;
pub mod problem;
pub mod router;
pub mod seal;
pub mod server;
pub mod shown;
pub mod site;
pub mod timetable;
pub mod why;
pub mod words;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rhubarb_connection::Connections;
use rhubarb_core::shutdown::Shutdown;
use rhubarb_settings::Settings;
use tokio::net::TcpListener;

pub use site::Site;

/// Why the dashboard does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It would be open to everyone who reaches this machine.
    #[error(
        "web.bind is {0}, beyond this machine, and nobody could be told from anybody: set \
         web.read_tokens or web.write_tokens (`rhubarb web --new-token NAME` makes one), or \
         web.django_operators"
    )]
    Open(IpAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A URL or certificate of the configuration.
    #[error(transparent)]
    Connection(#[from] rhubarb_connection::Error),
    /// A cache of the configuration.
    #[error(transparent)]
    Cache(#[from] rhubarb_cache::Error),
    /// The cache of Django's sessions.
    #[error("web.django_sessions: {0}")]
    Sessions(#[from] rhubarb_cache::sessions::SessionError),
}

/// Serves the dashboard until `shutdown` begins, and then until what was begun is answered.
///
/// # Errors
///
/// It could not start; once it has, nothing ends it but `shutdown`.
pub async fn serve(config: Settings, shutdown: &Shutdown) -> Result<(), Error> {
    let connections = Connections::new(&config.redis, "rhubarb-web")?;
    serve_on(config, connections, shutdown).await
}

/// As [`serve`], on connections that the process has already and that others use too.
///
/// # Errors
///
/// As for [`serve`].
pub async fn serve_on(
    config: Settings,
    connections: Connections,
    shutdown: &Shutdown,
) -> Result<(), Error> {
    let bound = bind_on(config, connections, shutdown).await?;
    tracing::info!(url = bound.url(), "dashboard ready");
    rhubarb_core::process::ready();
    bound.run().await;
    tracing::info!("stopped");
    Ok(())
}

/// A dashboard that listens, and answers once it [runs](Self::run).
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    site: Site,
}

/// Listens.
///
/// # Errors
///
/// As for [`serve`].
pub async fn bind(config: Settings, shutdown: &Shutdown) -> Result<Bound, Error> {
    let connections = Connections::new(&config.redis, "rhubarb-web")?;
    bind_on(config, connections, shutdown).await
}

async fn bind_on(
    config: Settings,
    connections: Connections,
    shutdown: &Shutdown,
) -> Result<Bound, Error> {
    let address = address(&config)?;
    let site = Site::new(config, connections, shutdown.clone())?;
    let listener =
        TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let address = listener.local_addr().unwrap_or(address);
    Ok(Bound { listener, address, site })
}

impl Bound {
    /// Returns where it is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until it is told to stop.
    pub async fn run(self) {
        let shutdown = self.site.shutdown().clone();
        server::run(self.listener, router::new(self.site), &shutdown).await;
    }
}

/// Returns where to listen.
fn address(config: &Settings) -> Result<SocketAddr, Error> {
    let bind = config.web.bind.as_deref().and_then(|text| text.parse().ok());
    let ip: IpAddr = bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if door::are_none(&config.web) && !ip.is_loopback() {
        return Err(Error::Open(ip));
    }
    Ok(SocketAddr::new(ip, config.web.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_this_machine_it_does_not_start_without_a_way_in() {
        let mut config = Settings::default();
        assert_eq!(address(&config).unwrap().to_string(), "127.0.0.1:8080");
        for open in ["0.0.0.0", "::", "10.0.0.1"] {
            config.web.bind = Some(open.to_owned());
            let told = address(&config).unwrap_err().to_string();
            assert!(told.contains("web.write_tokens"), "{told}");
        }
        let (_, token) = door::new_token("me");
        config.web.read_tokens = vec![token];
        assert_eq!(address(&config).unwrap().to_string(), "10.0.0.1:8080");
    }
}
