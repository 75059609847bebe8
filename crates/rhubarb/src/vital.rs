//! The worker's health while it does not work yet, and then.

use std::{pin::Pin, sync::OnceLock};

use rhubarb_consumer::Pulse;
use rhubarb_probe::{Health, Vital};

/// A worker's health from its start on: at first it waits for Redis.
#[derive(Debug, Default)]
pub(crate) struct Begun(OnceLock<std::sync::Arc<Pulse>>);

impl Begun {
    /// Notes that the worker works from now on.
    pub(crate) fn works(&self, pulse: std::sync::Arc<Pulse>) {
        // A worker begins once.
        let _ = self.0.set(pulse);
    }
}

impl Vital for Begun {
    fn live(&self) -> Health {
        self.0.get().map_or(Ok(()), |pulse| pulse.live())
    }

    fn ready(&self) -> Pin<Box<dyn Future<Output = Health> + Send + '_>> {
        match self.0.get() {
            Some(pulse) => pulse.ready(),
            None => Box::pin(std::future::ready(Err("the worker waits for Redis".to_owned()))),
        }
    }

    fn metrics(&self) -> String {
        self.0.get().map(|pulse| pulse.metrics()).unwrap_or_default()
    }
}
