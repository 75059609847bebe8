//! What Django and our cache library are to each other: the same values, the same answers, the same
//! locks.

mod calls;
mod cli;
mod flight;
mod locks;
mod many;
mod told;
mod values;

use rhubarb_cache::{AliasConfig, Cache};
use rhubarb_connection::{Connections, Redis, Role};
use rhubarb_e2e::redis_server::RedisServer;
use rhubarb_queue::Config;

/// Returns a cache on database 1.
fn cache(server: &RedisServer, alias: AliasConfig) -> Cache {
    Cache::new(alias, connection(server))
}

fn connection(server: &RedisServer) -> Redis {
    let mut config = Config::default();
    config.redis.url = server.url(0).parse().unwrap();
    Connections::new(&config.redis, "e2e").unwrap().role(Role::Cache)
}
