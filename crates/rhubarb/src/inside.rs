//! Tasks that run inside another one.

use std::sync::Arc;

use rhubarb_queue::wire::Exception;

use crate::{
    args::Arguments, context::TaskContext, errback::FailedTask, error::TaskError, extract::Call,
    output::TaskResult, slot::Slot,
};

impl TaskContext {
    /// Runs another registered task inside this one, as Python calls a task's function.
    pub(crate) async fn call(
        &self,
        name: &str,
        arguments: Arguments,
        failed: Option<Arc<FailedTask>>,
    ) -> TaskResult {
        let registry = self.registry();
        let Some(task) = registry.find(name) else {
            return Err(TaskError::raise(Exception::not_registered(name)));
        };
        let thread = task.thread(&registry.threads).await;
        let call = Call::new(arguments, self.inside(name, failed), registry.states.clone());
        task.run(call, thread, Slot::default(), registry.layered.as_ref()).await
    }
}
