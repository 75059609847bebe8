//! Waiting for a task, with its progress on standard error.

use std::time::Duration;

use rhubarb_queue::{
    Client,
    client::Joined,
    inspect,
    letter::{self, LetterKind},
    wire::{ResultTree, State, TaskResult},
};
use serde_json::Value;

use crate::{error::Error, progress::Progress, table::clean};

/// How often it is looked whether the task was parked.
const LOOK: Duration = Duration::from_secs(1);

/// Waits for a task's value, showing what it reports on the way.
///
/// # Errors
/// [`Error::Task`] when it ended otherwise than well, [`Error::Failed`] when it did not end in
/// time.
pub(crate) async fn result(
    client: &Client,
    id: &str,
    timeout: Duration,
    what: &str,
) -> Result<TaskResult, Error> {
    let mut progress = Progress::start(what);
    let mut retry = None;
    let waiting = client.wait(id, timeout, |state| match state.status {
        State::Custom(_) => progress.report(&state.result),
        State::Retry => {
            let why = reason(state);
            progress.say(&format!("it is to be tried again: {why}"));
            retry = Some(why);
        }
        _ => retry = None,
    });
    let waited = Box::pin(unless_parked(client, id, waiting)).await;
    progress.end();
    match waited?? {
        Some(result) if result.status == State::Success => Ok(result),
        Some(result) => Err(failure(id, &result)),
        None => Err(late(client, id, timeout, retry).await),
    }
}

/// Waits for the value of a whole canvas: of a group, the list of its members'.
///
/// # Errors
/// As for [`result`]; the task that is named is the first that did not end well.
pub(crate) async fn canvas(
    client: &Client,
    tree: &ResultTree,
    timeout: Duration,
    what: &str,
) -> Result<Value, Error> {
    let progress = Progress::start(what);
    let joined = Box::pin(unless_parked(client, &tree.id, client.join(tree, timeout))).await;
    progress.end();
    match joined?? {
        Some(Joined::Success(value)) => Ok(value),
        Some(Joined::Failed(failed)) => Err(failure(&failed.task_id, &failed)),
        None => Err(late(client, &tree.id, timeout, None).await),
    }
}

/// Waits, until it is seen that nobody runs the task: then there will be no end to wait for.
async fn unless_parked<T>(
    client: &Client,
    id: &str,
    waiting: impl Future<Output = T>,
) -> Result<T, Error> {
    let mut looks = tokio::time::interval(LOOK);
    let parked = async {
        loop {
            looks.tick().await;
            // A look that fails tells nothing; the wait itself says what is wrong with Redis.
            if let Ok(Some(letter)) = letter::find(client, LetterKind::Parked, id).await {
                return letter;
            }
        }
    };
    tokio::select! {
        biased;
        waited = waiting => Ok(waited),
        letter = parked => Err(Error::Failed(clean(&format!(
            "task {id} is parked: {}; it runs once a worker knows it, and `rhubarb parked replay {id}` puts it back now",
            letter.reason
        )))),
    }
}

fn failure(id: &str, result: &TaskResult) -> Error {
    Error::Task { id: id.to_owned(), state: result.status.to_string(), reason: reason(result) }
}

fn reason(result: &TaskResult) -> String {
    clean(&result.exception().map_or_else(|| result.result.to_string(), |e| e.to_string()))
}

/// Says that the time is over, and why nothing may have happened.
async fn late(client: &Client, id: &str, timeout: Duration, retry: Option<String>) -> Error {
    let nobody = match inspect::workers(client).await {
        Ok(workers) => !workers.iter().any(|worker| worker.alive),
        Err(_) => false,
    };
    let hint = if nobody { "; no Rhubarb worker is running" } else { "" };
    let retry =
        retry.map(|why| format!("; it waits to be tried again ({why})")).unwrap_or_default();
    let seconds = timeout.as_secs_f64();
    Error::Failed(format!(
        "task {id} has no result after {seconds} s and is not cancelled{retry}{hint}; \
         look again with `rhubarb task {id}`"
    ))
}
