//! Tasks that run outside of this process: whole messages are given away, and their ends come back.
//!
//! For crates of ours that know another kind of runtime (`rhubarb-python`). Claim, lease, limits,
//! revocations and the stop stay here.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;
pub use rhubarb_consumer::{Ending, Made, Outcome, Processes, Received};
use rhubarb_queue::Client;
use tokio_util::sync::CancellationToken;

/// What runs tasks outside of this process.
pub trait Outside: fmt::Debug + Send + Sync + 'static {
    /// Runs a message to its end.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has to end what runs: its hard limit has passed, it was terminated, or it is
    /// handed back.
    fn run(&self, run: Run) -> BoxFuture<'static, Ending>;
}

/// One run of a message.
#[derive(Clone, Debug)]
pub struct Run {
    /// The message.
    pub received: Arc<Received>,
    /// The name under which its task is registered, where the message has an alias.
    pub task: String,
    /// How often a process or a worker died with it before.
    pub deaths: u32,
    /// The worker's client, for what the task publishes, stores and reads.
    pub client: Client,
    /// To be fired when it begins: its limits count from then on.
    pub begins: CancellationToken,
    /// Fires when its soft limit passes.
    pub soft_limit: CancellationToken,
    /// Fires when the worker claims no more.
    pub stopping: CancellationToken,
}
