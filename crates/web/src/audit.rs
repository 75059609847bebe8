//! Who did what: a line for every change, in the log and in Redis.

use rhubarb_queue::audit;

use crate::{door::Visitor, site::Site, words};

/// Leaves a line. That Redis does not keep it fails no change: the log has it.
pub(crate) async fn note(site: &Site, visitor: &Visitor, did: &'static str, what: &str) {
    let what = words::text(what, 200);
    tracing::info!(who = visitor.name, from = %visitor.from, did, what, "changed");
    let from = visitor.from.to_string();
    if let Err(error) = audit::keep(site.client(), &visitor.name, &from, (did, &what)).await {
        tracing::warn!(%error, "who changed what stands in the log only");
    }
}
