//! How tasks that run outside of this process are registered, and what their application says of the
//! worker.

use std::{sync::Arc, time::Duration};

use rhubarb_consumer::Processes;
use rhubarb_queue::Config;

use crate::{
    app::App,
    outside::Outside,
    registration::{Function, Registration},
};

/// Celery's name for the queue of those who name none.
const DEFAULT_QUEUE: &str = "celery";

#[doc(hidden)]
impl App {
    /// Tells whether a task of this name is registered.
    pub fn has(&self, name: &str) -> bool {
        self.tasks.contains_key(name)
    }

    /// Returns where processes are noted that run tasks, for remote control.
    pub fn processes(&self) -> Processes {
        self.processes.clone()
    }

    /// Registers a task that runs outside of this process, in the place of one that there may be.
    pub fn outside(&mut self, name: &str, outside: Arc<dyn Outside>) -> &mut Registration {
        self.tasks.remove(name);
        let function = Function::Outside(outside);
        let registration = self.register(name.to_owned(), function, |_| Vec::new(), None);
        // It is told by whoever runs it.
        registration.track_started(false)
    }

    /// Sets which queues are served where the settings leave it open.
    pub fn queues_unless_set(&mut self, queues: &[String]) {
        let worker = &mut self.config.worker;
        let by_default = self.config.celery.task_default_queue == DEFAULT_QUEUE;
        if worker.queues.is_empty() && by_default && !queues.is_empty() {
            worker.queues = queues.to_vec();
        }
    }

    /// Sets how long results are kept where the settings leave it open.
    pub fn result_expires_unless_set(&mut self, expires: Duration) {
        let celery = &mut self.config.celery;
        if celery.result_expires == Config::default().celery.result_expires {
            celery.result_expires = expires;
        }
    }

    /// Sets how many tasks run at once where the settings leave it open.
    pub fn concurrency_unless_set(&mut self, tasks: usize) {
        let concurrency = &mut self.config.worker.concurrency;
        if *concurrency == 0 {
            *concurrency = tasks;
        }
    }
}

#[doc(hidden)]
impl Registration {
    /// Sets its time limits and rate, each where there is one.
    pub fn limits_of(
        &mut self,
        soft: Option<Duration>,
        hard: Option<Duration>,
        rate: Option<&str>,
    ) -> &mut Self {
        if let Some(soft) = soft {
            self.soft_time_limit(soft);
        }
        if let Some(hard) = hard {
            self.time_limit(hard);
        }
        if let Some(rate) = rate {
            self.rate_limit(rate);
        }
        self
    }
}
