//! The configuration of all three binaries: what can be set, and what holds when it is not.

mod domains;
mod model;
mod pieces;
mod schedule;

mod defaults;
mod load;
mod node;
mod places;
mod read;
mod redis_url;
mod routes;
mod schedules;
mod settings;
mod tables;
mod urls;

pub use domains::{DOMAINS, Domain, Holds};
pub use load::{CommonArgs, Environment, Loaded, Problems, load};
pub use model::*;
pub use redis_url::deadline_of;
pub use schedule::*;
pub use schedules::check_name;
