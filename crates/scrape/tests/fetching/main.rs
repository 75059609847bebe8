//! Fetching as a whole: against a local server, and against what was recorded from real sites.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod answers;
mod caching;
mod manners;
mod oddities;
mod server;
mod through_proxies;

mod recorded;
mod robots_compared;
