//! `pause`, `resume` and `purge`: what an operator does to a whole queue.

use std::io::{self, IsTerminal};

use rhubarb_queue::{inspect, pauses};
use serde::Serialize;

use super::Context;
use crate::{
    cli::{PauseArgs, PurgeArgs, QueueArg},
    error::Error,
    output::{self, Format},
    table::clean,
};

/// What `pause` and `resume` print as JSON.
#[derive(Debug, Serialize)]
struct Held<'a> {
    queue: &'a str,
    paused: bool,
    /// Whether it was otherwise before.
    changed: bool,
}

/// Pauses a queue.
pub(crate) async fn pause(context: &Context, args: &PauseArgs) -> Result<(), Error> {
    let ran = pauses::pause(&context.client, &args.queue, args.note.as_deref()).await?;
    tell_if_unknown(context, &args.queue).await?;
    let held = Held { queue: &args.queue, paused: true, changed: ran };
    Ok(Format::of(args.shown.json).show(&held, |held| {
        let told = if ran { "is paused" } else { "was paused already; its note is the new one" };
        format!("queue {} {told}", clean(held.queue))
    })?)
}

/// Resumes a queue.
pub(crate) async fn resume(context: &Context, args: &QueueArg) -> Result<(), Error> {
    let was_paused = pauses::resume(&context.client, &args.queue).await?;
    if !was_paused {
        tell_if_unknown(context, &args.queue).await?;
    }
    let held = Held { queue: &args.queue, paused: false, changed: was_paused };
    Ok(Format::of(args.shown.json).show(&held, |held| {
        let told = if was_paused { "goes on" } else { "was not paused" };
        format!("queue {} {told}", clean(held.queue))
    })?)
}

/// Throws away what waits, after asking.
pub(crate) async fn purge(context: &Context, args: &PurgeArgs) -> Result<(), Error> {
    let queue = clean(&args.queue);
    if !args.yes && !confirmed(&format!("Throw away everything that waits in queue {queue}?"))? {
        return Err(Error::Failed("nothing was thrown away".to_owned()));
    }
    tell_if_unknown(context, &args.queue).await?;
    let gone = pauses::purge(&context.client, &args.queue, args.scheduled).await?;
    Ok(Format::of(args.shown.json).show(&gone, |gone| {
        let scheduled = args.scheduled.then(|| format!(", {} scheduled", gone.scheduled));
        format!("thrown away: {} waiting{}", gone.waiting, scheduled.unwrap_or_default())
    })?)
}

/// Says that nobody has heard of a queue, whose name may be mistyped.
async fn tell_if_unknown(context: &Context, queue: &str) -> Result<(), Error> {
    let ours = &context.config.worker.queues;
    if ours.iter().any(|known| known == queue) || inspect::is_known(&context.client, queue).await? {
        return Ok(());
    }
    let workers = inspect::workers(&context.client).await?;
    if workers.iter().all(|worker| worker.record.queues.iter().all(|served| served != queue)) {
        output::note(&format!(
            "note: nobody knows a queue {}; `rhubarb queues` lists those that are known",
            clean(queue)
        ));
    }
    Ok(())
}

/// Asks the person at the terminal; without one nobody can agree.
pub(crate) fn confirmed(question: &str) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::Usage("not a terminal to ask on: add --yes to agree".to_owned()));
    }
    output::note(&format!("{question} [y/N]"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
