//! Waiting for many results at once, and groups that are kept under their id.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use rhubarb_wire::{ResultTree, State, TaskResult};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    Client,
    wait::{RESULT_POLL, Read},
};
use crate::{Error, error::redis, piece::Piece, script};

/// How many results are asked for at once.
const BATCH: usize = 100;

/// No further result is read in one answer once this many bytes are.
const PIECE: usize = 4 << 20;

/// How many times what one result may have the results of one canvas may have together.
const JOINED: usize = 4;

/// How a canvas ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Joined {
    /// All went well: a task's value, a group's list of its members' in order.
    Success(Value),
    /// The first of its tasks, in order, that ended otherwise.
    Failed(Box<TaskResult>),
}

impl Client {
    /// Waits until all of a result's tasks ended well, or one did not; `None` when `timeout` passes
    /// first.
    ///
    /// Members of a group are waited for in order, as `GroupResult.join` of Celery does. Where a
    /// step before the task failed that is waited for, and nobody stored that under its id, the
    /// step's failure is told.
    ///
    /// # Cancel safety
    ///
    /// As for [`Client::wait`].
    ///
    /// # Errors
    ///
    /// As for [`Client::result`]; [`Error::Refused`] when the results have more than four times as
    /// much together too.
    pub async fn join(
        &self,
        result: &ResultTree,
        timeout: Duration,
    ) -> Result<Option<Joined>, Error> {
        let deadline = Instant::now() + timeout;
        let tasks = tasks(result);
        let mut values = HashMap::new();
        let mut left = JOINED * self.max_result;
        let mut rest = tasks.as_slice();
        while !rest.is_empty() {
            let (piece, known) = self.next_results(rest).await?;
            for (task, known) in piece.iter().zip(known) {
                let ended = match known.filter(|state| state.result.status.is_final()) {
                    Some(state) => Some(state),
                    None => self.wait_for_step(task, deadline).await?,
                };
                let Some(Read { result, bytes }) = ended else { return Ok(None) };
                if result.status != State::Success {
                    return Ok(Some(Joined::Failed(Box::new(result))));
                }
                left = left.checked_sub(bytes).ok_or_else(|| self.too_large_together(&tasks))?;
                values.insert(task.id.as_str(), result.result);
            }
            rest = &rest[piece.len()..];
        }
        Ok(Some(Joined::Success(value(result, &mut values))))
    }

    fn too_large_together(&self, tasks: &[&ResultTree]) -> Error {
        let (n, max) = (tasks.len(), JOINED * self.max_result);
        Error::Refused(format!(
            "the results of these {n} tasks have more than {max} bytes together and are not joined: \
             read them one by one"
        ))
    }

    /// Waits for a task; the failure of a step before it is its own.
    async fn wait_for_step(
        &self,
        task: &ResultTree,
        deadline: Instant,
    ) -> Result<Option<Read>, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let found = self.sized_end(&task.id, left.min(RESULT_POLL), |_| {}).await?;
            if found.is_some() || left.is_zero() {
                return Ok(found);
            }
            let before = steps_before(task);
            let mut rest = before.as_slice();
            while !rest.is_empty() {
                let (piece, known) = self.next_results(rest).await?;
                let failed = |read: &Read| {
                    let status = &read.result.status;
                    status.is_final() && *status != State::Success
                };
                if let Some(failed) = known.into_iter().flatten().find(failed) {
                    return Ok(Some(failed));
                }
                rest = &rest[piece.len()..];
            }
        }
    }

    /// Tells whether all of a result's tasks have ended, well or not.
    ///
    /// # Errors
    ///
    /// As for [`Client::result`].
    pub async fn ready(&self, result: &ResultTree) -> Result<bool, Error> {
        let tasks = tasks(result);
        let mut rest = tasks.as_slice();
        while !rest.is_empty() {
            let (piece, known) = self.next_results(rest).await?;
            let has_ended = |read: &Option<Read>| {
                read.as_ref().is_some_and(|read| read.result.status.is_final())
            };
            if !known.iter().all(has_ended) {
                return Ok(false);
            }
            rest = &rest[piece.len()..];
        }
        Ok(true)
    }

    /// Counts a group's members that ended well: a group inside a group when all of its members
    /// did.
    ///
    /// # Errors
    ///
    /// As for [`Client::result`].
    pub async fn completed_count(&self, result: &ResultTree) -> Result<usize, Error> {
        let mut done = HashSet::new();
        let all = tasks(result);
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let (piece, known) = self.next_results(rest).await?;
            for (task, read) in piece.iter().zip(known) {
                if read.is_some_and(|read| read.result.status == State::Success) {
                    done.insert(task.id.as_str());
                }
            }
            rest = &rest[piece.len()..];
        }
        let is_done =
            |member: &&ResultTree| tasks(member).iter().all(|task| done.contains(task.id.as_str()));
        let members = result.children.as_deref().unwrap_or(std::slice::from_ref(result));
        Ok(members.iter().filter(is_done).count())
    }

    /// Reads the results of the first of these tasks, at least one: as many as fit into one answer.
    /// Returns those tasks with them.
    async fn next_results<'a>(
        &self,
        tasks: &'a [&'a ResultTree],
    ) -> Result<(&'a [&'a ResultTree], Vec<Option<Read>>), Error> {
        let tasks = &tasks[..tasks.len().min(BATCH)];
        let Some(first) = tasks.first() else { return Ok((tasks, Vec::new())) };
        let keys: Vec<String> = tasks.iter().map(|task| self.result_key(&task.id)).collect();
        let args = [self.max_result, PIECE].map(|n| n.to_string().into_bytes());
        let Piece { values, .. } = self
            .results
            .eval(&script::VALUES, &keys, &args, &[])
            .await
            .map_err(redis(format!("read the results of {} tasks", tasks.len())))?;
        if values.is_empty() {
            return Err(self.too_large(&first.id).await);
        }
        let piece = &tasks[..tasks.len().min(values.len())];
        let read = piece.iter().zip(&values).map(|(task, bytes)| self.read(&task.id, bytes));
        Ok((piece, read.collect::<Result<_, _>>()?))
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
    /// [`Error::Redis`]; [`Error::Malformed`] when what is stored is no group; [`Error::Refused`]
    /// when it is larger than a result may be.
    pub async fn restore_group(&self, id: &str) -> Result<Option<ResultTree>, Error> {
        let max = self.max_result;
        let mut get = ::redis::cmd("GETRANGE");
        get.arg(self.group_key(id, "")).arg(0).arg(max);
        let bytes: Vec<u8> =
            self.results.query(&get).await.map_err(redis(format!("restore group `{id}`")))?;
        if bytes.len() > max {
            return Err(Error::Refused(format!(
                "what is stored as group `{id}` has more than {max} bytes and is not read"
            )));
        }
        let read = || ResultTree::decode(&bytes);
        (!bytes.is_empty()).then(read).transpose().map_err(|error| Error::Malformed {
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
