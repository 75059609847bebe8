//! `dead` and `parked`: messages that were kept apart.

use std::collections::HashSet;

use rhubarb_queue::{
    inspect,
    letter::{self, Attempt, Kind, Letter},
    replay::replay,
};

use super::Context;
use crate::{
    cli::{Chosen, DeadCommand, ParkedCommand, Shown, TaskArgs},
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
};

/// How many letters are read at once.
const BATCH: usize = 1_000;

/// Runs a command on the dead letters.
pub(crate) async fn dead(context: &Context, command: DeadCommand) -> Result<(), Error> {
    match command {
        DeadCommand::List(shown) => list(context, Kind::Dead, shown).await,
        DeadCommand::Show(args) => show(context, &args).await,
        DeadCommand::Retry(chosen) => each(context, Kind::Dead, chosen, Change::Replay).await,
        DeadCommand::Drop(chosen) => each(context, Kind::Dead, chosen, Change::Drop).await,
    }
}

/// Runs a command on the parked tasks.
pub(crate) async fn parked(context: &Context, command: ParkedCommand) -> Result<(), Error> {
    match command {
        ParkedCommand::List(shown) => list(context, Kind::Parked, shown).await,
        ParkedCommand::Replay(chosen) => each(context, Kind::Parked, chosen, Change::Replay).await,
    }
}

/// What is done with a letter.
#[derive(Clone, Copy, Debug)]
enum Change {
    Replay,
    Drop,
}

impl Change {
    async fn apply(
        self,
        context: &Context,
        kind: Kind,
        id: &str,
    ) -> Result<bool, rhubarb_queue::Error> {
        match self {
            Self::Replay => replay(&context.client, kind, id).await,
            Self::Drop => letter::drop_letter(context.client.queue(), kind, id).await,
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Replay => "put back",
            Self::Drop => "dropped",
        }
    }
}

async fn list(context: &Context, kind: Kind, shown: Shown) -> Result<(), Error> {
    let letters = inspect::letters(&context.client, kind, BATCH).await?;
    Ok(Format::of(shown.json).show(&letters, |letters| letter_table(kind, letters))?)
}

fn letter_table(kind: Kind, letters: &[Letter]) -> String {
    if letters.is_empty() {
        return format!("no {} tasks", name(kind));
    }
    let mut grid = Grid::new(&["ID", "TASK", "QUEUE", "SINCE", "REASON"]);
    for letter in letters {
        grid.row([
            letter.id.clone(),
            letter.task.clone().unwrap_or_default(),
            letter.queue.clone(),
            letter.at.clone(),
            letter.reason.clone(),
        ]);
    }
    grid.render()
}

async fn show(context: &Context, args: &TaskArgs) -> Result<(), Error> {
    let letter = letter::find(context.client.queue(), Kind::Dead, &args.id).await?;
    let letter = letter.ok_or_else(|| unknown(Kind::Dead, &args.id))?;
    Ok(Format::of(args.shown.json).show(&letter, letter_lines)?)
}

fn letter_lines(letter: &Letter) -> String {
    let mut lines = Vec::new();
    for (name, value) in [
        ("id", letter.id.clone()),
        ("task", letter.task.clone().unwrap_or_else(|| "-".to_owned())),
        ("queue", letter.queue.clone()),
        ("since", letter.at.clone()),
        ("reason", letter.reason.clone()),
        ("size", format!("{} bytes", letter.size)),
        ("deaths", letter.deliveries.to_string()),
    ] {
        lines.push(format!("{name:<8}{}", clean(&value)));
    }
    for attempt in &letter.history {
        let Attempt { at, worker, error } = attempt;
        lines.push(clean(&format!("attempt {at} on {worker}: {error}")));
    }
    if let Some(message) = letter.message.as_ref().or(letter.headers.as_ref()) {
        lines.push(format!("message {}", clean(message)));
    }
    lines.join("\n")
}

async fn each(context: &Context, kind: Kind, chosen: Chosen, change: Change) -> Result<(), Error> {
    if let Some(id) = chosen.id {
        return match change.apply(context, kind, &id).await? {
            true => Ok(output::print(&format!("{} {}", clean(&id), change.done()))?),
            false => Err(unknown(kind, &id)),
        };
    }
    let (changed, refused) = all(context, kind, change).await?;
    output::print(&format!("{changed} {} tasks {}", name(kind), change.done()))?;
    match refused {
        0 => Ok(()),
        _ => Err(Error::Failed(format!("{refused} of them were refused and stay"))),
    }
}

/// Changes all letters, a batch at a time and each once: a live worker may park again what was just replayed.
///
/// Returns how many were changed, and how many refused.
async fn all(context: &Context, kind: Kind, change: Change) -> Result<(u64, u64), Error> {
    let (mut changed, mut refused) = (0, 0);
    let mut tried = HashSet::new();
    loop {
        let mut letters = inspect::letters(&context.client, kind, BATCH).await?;
        letters.retain(|letter| tried.insert(letter.id.clone()));
        if letters.is_empty() {
            return Ok((changed, refused));
        }
        for letter in letters {
            match change.apply(context, kind, &letter.id).await {
                Ok(there) => changed += u64::from(there),
                Err(rhubarb_queue::Error::Refused(reason)) => {
                    output::note(&clean(&reason));
                    refused += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn unknown(kind: Kind, id: &str) -> Error {
    Error::Failed(format!("no {} task has the id {}", name(kind), clean(id)))
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Dead => "dead",
        Kind::Parked => "parked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            id: "t1".into(),
            kind: Kind::Dead,
            reason: "the body is not base64".into(),
            queue: "celery".into(),
            task: None,
            at: "2026-11-24T00:00:00+00:00".into(),
            size: 120,
            sha256: String::new(),
            message: Some("{\"body\": \"?\"}".into()),
            message_base64: None,
            headers: None,
            deliveries: 2,
            history: vec![Attempt {
                at: "2026-11-23T23:59:00+00:00".into(),
                worker: "w1".into(),
                error: "its lease ended".into(),
            }],
        }
    }

    #[test]
    fn letters_are_listed_with_their_reason() {
        let expect = "\
ID  TASK  QUEUE   SINCE                      REASON
t1  -     celery  2026-11-24T00:00:00+00:00  the body is not base64";
        assert_eq!(letter_table(Kind::Dead, &[letter()]), expect);
        assert_eq!(letter_table(Kind::Parked, &[]), "no parked tasks");
    }

    #[test]
    fn a_letter_shows_its_history_and_message() {
        let expect = "\
id      t1
task    -
queue   celery
since   2026-11-24T00:00:00+00:00
reason  the body is not base64
size    120 bytes
deaths  2
attempt 2026-11-23T23:59:00+00:00 on w1: its lease ended
message {\"body\": \"?\"}";
        assert_eq!(letter_lines(&letter()), expect);
    }
}
