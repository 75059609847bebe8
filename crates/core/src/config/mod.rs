//! The configuration of all three binaries: what can be set, and what holds when it is not.

mod model;

mod defaults;
mod load;
mod read;
mod routes;
mod settings;
mod tables;
mod urls;

pub use load::{CommonArgs, Environment, Loaded, Problems, load};
pub use model::*;
