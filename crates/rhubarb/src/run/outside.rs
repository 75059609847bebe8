//! Messages whose tasks run outside of this process, under the limits that hold here.

use std::{future::Future, sync::Arc};

use rhubarb_consumer::{Delivery, Ending, Outcome};
use rhubarb_queue::wire::Headers;
use tokio_util::sync::CancellationToken;

use super::{HandlerEnd, Inner, Moment, OVER_LIMIT, decide, passed, time_limits};
use crate::{
    outside::{Outside, Run},
    registration::Registration,
};

impl Inner {
    /// Gives a message away and waits for its end, its hard limit, or the end of a stop's patience.
    pub(super) async fn run_outside(
        &self,
        outside: &Arc<dyn Outside>,
        task: &Registration,
        delivery: &Delivery,
    ) -> Ending {
        let Some(_slot) = task.slot() else {
            return Outcome::PutOff { after: OVER_LIMIT.mul_f64(1.0 + fastrand::f64()) }.into();
        };
        self.begin_trace(delivery);
        let headers = &delivery.envelope().headers;
        let limits = time_limits(headers, &self.tasks.limits(&headers.task), &self.defaults);
        let run = self.outside_run(delivery);
        let (begins, soft) = (run.begins.clone(), run.soft_limit.clone());
        let ended = {
            let running = outside.run(run);
            tokio::select! {
                biased;
                ending = running => return ending,
                limit = begun(&begins, passed(&limits, Some(&soft))) => HandlerEnd::TimedOut(limit),
                () = self.stop.hand_back.cancelled() => HandlerEnd::Cancelled,
            }
        };
        let moment = Moment { now: self.client.now(), random: 0.0 };
        decide(ended, headers, &task.retry, moment).into()
    }

    fn outside_run(&self, delivery: &Delivery) -> Run {
        Run {
            received: delivery.received.clone(),
            task: self.registered_name(&delivery.envelope().headers),
            deaths: delivery.deliveries,
            client: (*self.client).clone(),
            begins: CancellationToken::new(),
            soft_limit: CancellationToken::new(),
            stopping: self.stop.began.clone(),
        }
    }

    /// Returns the name behind an alias.
    fn registered_name(&self, headers: &Headers) -> String {
        let registry = &self.registry;
        match registry.tasks.contains_key(&headers.task) {
            true => headers.task.clone(),
            false => registry.aliases.get(&headers.task).unwrap_or(&headers.task).clone(),
        }
    }
}

/// Waits for the second once the first has fired.
async fn begun<T>(begins: &CancellationToken, then: impl Future<Output = T>) -> T {
    begins.cancelled().await;
    then.await
}
