//! The kinds of sources, one file each.

pub mod arbeitnow;
pub mod ashby;
pub mod greenhouse;
pub mod html;
pub mod jsonld;
pub mod lever;
pub mod remoteok;
pub mod weworkremotely;
