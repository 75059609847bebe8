//! What the tests of all crates start: a Redis server of one test's own, a web site, other
//! programs.
//!
//! A dependency of tests only. `rhubarb-demo` starts them as it starts its own; here is what only
//! tests need: a panic for what goes wrong, fail-overs, a memory of what was asked. The rest of the
//! end-to-end tests' harness is in `rhubarb-e2e`.
//!
//! `RHUBARB_TEST_REDIS`, an absolute path, chooses the server (Redis 6.2 or later, Valkey);
//! otherwise it is `redis-server` or `valkey-server`, on the `PATH` or where packages put it.
//!
//! ```no_run
//! # async fn example() {
//! use rhubarb_testbed::redis_server::RedisServer;
//! let server = RedisServer::start().await;
//! assert_eq!(server.command("DBSIZE").await, redis::Value::Int(0));
//! # }
//! ```
//!
//! Modules: [`eventually`] waits, [`process`] a program that runs while the test does,
//! [`redis_server`] a Redis server, [`site`] a web site.

pub mod eventually;
pub mod process;
pub mod redis_server;
pub mod site;
