//! The tasks that a running worker knows.

use std::{collections::BTreeMap, sync::Arc};

use crate::{blocking::Threads, extract::States, layer::TaskService, registration::Registration};

/// Tasks by name, their aliases, and what they share.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) tasks: BTreeMap<String, Registration>,
    pub(crate) aliases: BTreeMap<String, String>,
    pub(crate) states: Arc<States>,
    /// For blocking handlers.
    pub(crate) threads: Threads,
    /// The layers around all tasks, where there are any.
    pub(crate) layered: Option<TaskService>,
}

impl Registry {
    /// Finds a task by its name or one of its aliases.
    pub(crate) fn find(&self, name: &str) -> Option<&Registration> {
        self.tasks.get(name).or_else(|| self.tasks.get(self.aliases.get(name)?))
    }
}
