//! What the roles of a worker tell each other.

use std::sync::atomic::AtomicBool;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Signals from one role to another.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    /// Fires when claiming is to end.
    pub(crate) draining: CancellationToken,
    /// Fires when remote control asks the worker to stop.
    pub(crate) stop_asked: CancellationToken,
    /// Fires when the others have told what they know as revoked, or cannot: the first claim waits
    /// for it.
    pub(crate) mingled: CancellationToken,
    /// Told when queues or slots have changed.
    pub(crate) changed: Notify,
    /// Told when a heartbeat is wanted at once.
    pub(crate) beat_wanted: Notify,
    /// Whether broadcasts are heard, so that revocations need not be read again.
    pub(crate) hears: AtomicBool,
}
