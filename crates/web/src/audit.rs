//! Who did what: a line in the log for every change.

use crate::{door::Visitor, words};

/// Leaves a line in the log.
pub(crate) fn note(visitor: &Visitor, did: &'static str, what: &str) {
    let what = words::text(what, 200);
    tracing::info!(who = visitor.name, from = %visitor.from, did, what, "changed");
}
