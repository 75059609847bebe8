//! Waiting for many results at once, and groups that are kept under their id.

use std::{collections::HashMap, time::Duration};

use rhubarb_wire::{ResultTree, State, TaskResult};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Client,
    wait::{RESULT_POLL, decode},
};
use crate::{Error, error::redis};

/// How many results are read at once.
const BATCH: usize = 100;

/// How a canvas ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Joined {
    /// All went well: a task's value, a group's list of its members' in order.
    Success(Value),
    /// The first of its tasks, in order, that ended otherwise.
    Failed(Box<TaskResult>),
}

impl Client {
    /// Waits until all of a result's tasks ended well, or one did not; `None` when `timeout` passes first.
    ///
    /// Members of a group are waited for in order, as `GroupResult.join` of Celery does. Where a step before the task
    /// failed that is waited for, and nobody stored that under its id, the step's failure is told.
    ///
    /// # Cancel safety
    ///
    /// As for [`Client::wait`].
    ///
    /// # Errors
    ///
    /// As for [`Client::result`].
    pub async fn join(
        &self,
        result: &ResultTree,
        timeout: Duration,
    ) -> Result<Option<Joined>, Error> {
        let deadline = Instant::now() + timeout;
        let tasks = tasks(result);
        let mut values = HashMap::new();
        for batch in tasks.chunks(BATCH) {
            let known = self.results_of(batch).await?;
            for (task, known) in batch.iter().zip(known) {
                let ended = match known.filter(|state| state.status.is_final()) {
                    Some(state) => Some(state),
                    None => self.wait_for_step(task, deadline).await?,
                };
                match ended {
                    None => return Ok(None),
                    Some(state) if state.status == State::Success => {
                        values.insert(task.id.as_str(), state.result);
                    }
                    Some(failed) => return Ok(Some(Joined::Failed(Box::new(failed)))),
                }
            }
        }
        Ok(Some(Joined::Success(value(result, &mut values))))
    }

    /// Waits for a task; the failure of a step before it is its own.
    async fn wait_for_step(
        &self,
        task: &ResultTree,
        deadline: Instant,
    ) -> Result<Option<TaskResult>, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let found = self.wait(&task.id, left.min(RESULT_POLL), |_| {}).await?;
            if found.is_some() || left.is_zero() {
                return Ok(found);
            }
            let before = steps_before(task);
            let states = self.results_of(&before).await?;
            let failed =
                |state: &TaskResult| state.status.is_final() && state.status != State::Success;
            if let Some(failed) = states.into_iter().flatten().find(failed) {
                return Ok(Some(failed));
            }
        }
    }

    /// Tells whether all of a result's tasks have ended, well or not.
    ///
    /// # Errors
    ///
    /// As for [`Client::result`].
    pub async fn ready(&self, result: &ResultTree) -> Result<bool, Error> {
        for batch in tasks(result).chunks(BATCH) {
            let states = self.results_of(batch).await?;
            if !states.iter().all(|state| state.as_ref().is_some_and(|s| s.status.is_final())) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Counts a group's members that ended well: a group inside a group when all of its members did.
    ///
    /// # Errors
    ///
    /// As for [`Client::result`].
    pub async fn completed_count(&self, result: &ResultTree) -> Result<usize, Error> {
        let mut done = HashMap::new();
        for batch in tasks(result).chunks(BATCH) {
            for (task, state) in batch.iter().zip(self.results_of(batch).await?) {
                let ok = state.is_some_and(|state| state.status == State::Success);
                done.insert(task.id.clone(), ok);
            }
        }
        let is_done = |member: &&ResultTree| {
            tasks(member).iter().all(|task| done.get(&task.id).copied().unwrap_or_default())
        };
        let members = result.children.as_deref().unwrap_or(std::slice::from_ref(result));
        Ok(members.iter().filter(is_done).count())
    }

    /// Reads many results.
    async fn results_of(&self, tasks: &[&ResultTree]) -> Result<Vec<Option<TaskResult>>, Error> {
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = ::redis::cmd("MGET");
        for task in tasks {
            get.arg(self.result_key(&task.id));
        }
        let stored: Vec<Option<Vec<u8>>> = self
            .results
            .query(&get)
            .await
            .map_err(redis(format!("read the results of {} tasks", tasks.len())))?;
        let read = |(task, bytes): (&&ResultTree, Option<Vec<u8>>)| {
            bytes.map(|bytes| decode(&task.id, &bytes)).transpose()
        };
        tasks.iter().zip(stored).map(read).collect()
    }

    /// Keeps a group under its id, as Celery's `GroupResult.save` does, for `result_expires`.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn save_group(&self, group: &ResultTree) -> Result<(), Error> {
        let expires = self.celery.result_expires.as_secs().max(1);
        let mut set = ::redis::cmd("SET");
        set.arg(self.group_key(&group.id, "")).arg(group.encode()).arg("EX").arg(expires);
        self.results.query(&set).await.map_err(redis(format!("save group `{}`", group.id)))
    }

    /// Reads a group that was kept under its id, by us or by Celery; `None` when there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`], or [`Error::Malformed`] when what is stored is no group.
    pub async fn restore_group(&self, id: &str) -> Result<Option<ResultTree>, Error> {
        let get = ::redis::cmd("GET").arg(self.group_key(id, "")).to_owned();
        let stored: Option<Vec<u8>> =
            self.results.query(&get).await.map_err(redis(format!("restore group `{id}`")))?;
        let read = |bytes: Vec<u8>| ResultTree::decode(&bytes);
        stored.map(read).transpose().map_err(|error| Error::Malformed {
            what: format!("group `{id}`"),
            reason: error.to_string(),
        })
    }

    /// Forgets a group that was kept; its members' results stay.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`].
    pub async fn delete_group(&self, id: &str) -> Result<(), Error> {
        let delete = ::redis::cmd("DEL").arg(self.group_key(id, "")).to_owned();
        let _: u64 =
            self.results.query(&delete).await.map_err(redis(format!("forget group `{id}`")))?;
        Ok(())
    }
}

/// The tasks of a result in order: itself, or those of a group's members.
fn tasks(result: &ResultTree) -> Vec<&ResultTree> {
    match &result.children {
        None => vec![result],
        Some(members) => members.iter().flat_map(tasks).collect(),
    }
}

/// The tasks that come before a result, the nearest first; groups are passed over.
fn steps_before(result: &ResultTree) -> Vec<&ResultTree> {
    let parents = std::iter::successors(result.parent.as_deref(), |one| one.parent.as_deref());
    parents.filter(|one| one.children.is_none()).collect()
}

fn value(result: &ResultTree, values: &mut HashMap<&str, Value>) -> Value {
    match &result.children {
        Some(members) => members.iter().map(|member| value(member, values)).collect(),
        None => values.get(result.id.as_str()).cloned().unwrap_or_default(),
    }
}
