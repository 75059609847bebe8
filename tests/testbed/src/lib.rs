//! What the tests of all crates start: a Redis server of one test's own, and other programs.
//!
//! A dependency of tests only. It knows nothing of Rhubarb; the rest of the end-to-end tests' harness
//! is in `rhubarb-e2e`.
//!
//! `RHUBARB_TEST_REDIS`, an absolute path, chooses the server (Redis 6.2 or later, Valkey); otherwise it
//! is `redis-server` or `valkey-server` on the `PATH`.
//!
//! ```no_run
//! # async fn example() {
//! use rhubarb_testbed::redis_server::RedisServer;
//! let server = RedisServer::start().await;
//! assert_eq!(server.command("DBSIZE").await, redis::Value::Int(0));
//! # }
//! ```
//!
//! Modules: [`eventually`] the only place that polls, [`process`] a program that runs while the test
//! does, [`redis_server`] a Redis server.

pub mod eventually;
pub mod process;
pub mod redis_server;
