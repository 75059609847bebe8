//! The configuration of all three binaries: what can be set, and what holds when it is not.

mod model;

mod defaults;
mod urls;

pub use model::*;
