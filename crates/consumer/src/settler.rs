//! What those who end claims are given.

use std::{sync::Arc, time::Duration};

use rhubarb_queue::{Error, config::WorkerConfig};

use crate::{
    Counters, broker::Broker, chronicle::Chronicle, ended::Ends, floods::Floods, held::Held,
    letters, room::Room, turns::Turns,
};

/// What ends claims.
#[derive(Debug)]
pub(super) struct Settler {
    pub(super) broker: Arc<Broker>,
    pub(super) config: Arc<WorkerConfig>,
    /// Whether results lie beside the queue, so that the settling script can write them.
    pub(super) results_here: bool,
    pub(super) result_expires: Duration,
    pub(super) held: Arc<Held>,
    pub(super) ends: Arc<Ends>,
    pub(super) counters: Arc<Counters>,
    pub(super) chronicle: Arc<Chronicle>,
    pub(super) floods: Arc<Floods>,
    /// What room results find.
    pub(super) room: Arc<Room>,
    /// The large plans, one after the other.
    pub(super) large_plans: Turns,
    /// The large results of chords' headers, brought together one chord after the other.
    pub(super) large_joins: Turns,
}

impl Settler {
    /// Returns what keeps messages apart.
    pub(super) fn letters(&self) -> letters::Writer<'_> {
        letters::Writer { client: &self.broker.client, config: &self.config, floods: &self.floods }
    }
}

/// Returns why, in its own words.
pub(super) fn source(error: &Error) -> String {
    std::error::Error::source(error).map(ToString::to_string).unwrap_or_default()
}
