//! `tasks`: what became of tasks.

use std::time::Duration;

use rhubarb_queue::history::{self, HistoryFilter, StateChange};

use super::Context;
use crate::{
    cli::TasksArgs,
    error::Error,
    output::{self, Format, MORE},
    table::Grid,
};

/// How long the history is searched at the most.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lists the last ends of tasks that are meant.
pub(crate) async fn tasks(context: &Context, args: TasksArgs) -> Result<(), Error> {
    let TasksArgs { state, task, search, since, limit, shown } = args;
    let filter = HistoryFilter { state, task, text: search, since, behind: None };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let depth = context.config.history.ends;
    let found = history::read(&context.client, &filter, limit, depth, PATIENCE).await?;
    Format::of(shown.json).show(&found.changes, |changes| table(changes))?;
    if found.more && found.changes.len() == limit {
        output::note(MORE);
    } else if found.more {
        output::note(&format!("only the newest {} ends were looked at", found.searched));
    }
    Ok(())
}

fn table(changes: &[StateChange]) -> String {
    if changes.is_empty() {
        return "no such task has ended".to_owned();
    }
    let mut grid = Grid::new(&["AT", "STATE", "TASK", "ID", "QUEUE", "MS", "WHAT"])
        .right(&["MS"])
        .whole(&["ID", "STATE"])
        .times(&["AT"])
        .spare(&["QUEUE", "MS", "AT"]);
    for change in changes {
        grid.row([
            change.at.get(..19).unwrap_or(&change.at).to_owned(),
            change.state.clone(),
            change.task.clone(),
            change.id.clone(),
            change.queue.clone(),
            change.runtime_ms.map_or_else(String::new, |ms| format!("{ms:.0}")),
            change.error.clone().or_else(|| change.result.clone()).unwrap_or_default(),
        ]);
    }
    grid.render()
}
