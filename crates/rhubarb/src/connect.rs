//! The producer's side: where Redis is, and a client.

use rhubarb_config::Problems;
use rhubarb_connection::{Connections, Error};
use rhubarb_core::config::CommonArgs;
use rhubarb_queue::{Client, Config};

/// Reads this process's configuration as a worker does: `$RHUBARB_CONFIG` or `rhubarb.toml`, then
/// the environment (`REDIS_URL`, `RHUBARB_…`).
///
/// # Errors
///
/// All problems at once.
pub fn configuration() -> Result<Config, Problems> {
    CommonArgs::default().load(&[]).map(|loaded| loaded.config)
}

/// Makes a client that publishes tasks and waits for results; nothing is sent before its first use.
///
/// # Errors
///
/// A Redis URL that cannot be used.
pub fn connect(config: &Config) -> Result<Client, Error> {
    Ok(Client::new(&Connections::new(&config.redis, "rhubarb-client")?, config))
}
