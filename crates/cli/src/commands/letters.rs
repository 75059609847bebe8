//! `dead` and `parked`: messages that were kept apart.

use rhubarb_queue::{
    inspect,
    letter::{self, Attempt, Letter, LetterFilter, LetterKind},
    replay::{replay, replay_all},
};

use super::{Context, pauses::confirmed};
use crate::{
    cli::{Chosen, DeadCommand, DropArgs, FilterArgs, LettersArgs, ParkedCommand, TaskArgs},
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
};

/// Runs a command on the dead letters.
pub(crate) async fn dead(context: &Context, command: DeadCommand) -> Result<(), Error> {
    match command {
        DeadCommand::List(args) => list(context, LetterKind::Dead, args).await,
        DeadCommand::Show(args) => show(context, LetterKind::Dead, &args).await,
        DeadCommand::Retry(chosen) => bring_back(context, LetterKind::Dead, chosen).await,
        DeadCommand::Drop(args) => forget(context, LetterKind::Dead, args).await,
    }
}

/// Runs a command on the parked tasks.
pub(crate) async fn parked(context: &Context, command: ParkedCommand) -> Result<(), Error> {
    match command {
        ParkedCommand::List(args) => list(context, LetterKind::Parked, args).await,
        ParkedCommand::Show(args) => show(context, LetterKind::Parked, &args).await,
        ParkedCommand::Replay(chosen) => bring_back(context, LetterKind::Parked, chosen).await,
        ParkedCommand::Drop(args) => forget(context, LetterKind::Parked, args).await,
    }
}

impl From<FilterArgs> for LetterFilter {
    fn from(args: FilterArgs) -> Self {
        let FilterArgs { task, queue, reason, older_than } = args;
        Self { task, queue, reason, older_than }
    }
}

async fn list(context: &Context, kind: LetterKind, args: LettersArgs) -> Result<(), Error> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let letters = inspect::letters(&context.client, kind, &args.filter.into(), limit).await?;
    Ok(Format::of(args.shown.json).show(&letters, |letters| letter_table(kind, letters))?)
}

fn letter_table(kind: LetterKind, letters: &[Letter]) -> String {
    if letters.is_empty() {
        return format!("no {}s", name(kind));
    }
    let mut grid = Grid::new(&["ID", "TASK", "QUEUE", "SINCE", "REASON"])
        .whole(&["ID"])
        .times(&["SINCE"])
        .spare(&["QUEUE", "SINCE"]);
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

async fn show(context: &Context, kind: LetterKind, args: &TaskArgs) -> Result<(), Error> {
    let letter = letter::find(&context.client, kind, &args.id).await?;
    let letter = letter.ok_or_else(|| unknown(kind, &args.id))?;
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
        ("deaths", format!("{} (workers that died with it)", letter.deliveries)),
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

async fn bring_back(context: &Context, kind: LetterKind, chosen: Chosen) -> Result<(), Error> {
    if let Some(id) = chosen.id {
        let moved = replay(&context.client, kind, &id).await?;
        return one(kind, &id, moved, "put back");
    }
    let replayed = replay_all(&context.client, kind, &chosen.filter.into()).await?;
    for reason in &replayed.refused {
        output::note(&clean(reason));
    }
    output::print(&format!("{} put back", counted(kind, replayed.moved as u64)))?;
    match replayed.n_refused {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{n} of them were refused and stay"))),
    }
}

async fn forget(context: &Context, kind: LetterKind, args: DropArgs) -> Result<(), Error> {
    let DropArgs { chosen, yes } = args;
    let question = format!("Forget all {}s?", name(kind));
    if chosen.all && !yes && !confirmed(&question)? {
        return Err(Error::Failed("nothing was dropped".to_owned()));
    }
    if let Some(id) = chosen.id {
        let dropped = letter::drop_letter(&context.client, kind, &id).await?;
        return one(kind, &id, dropped, "dropped");
    }
    let ids = letter::ids(&context.client, kind, &chosen.filter.into()).await?;
    let n = letter::drop_letters(&context.client, kind, &ids).await?;
    Ok(output::print(&format!("{} dropped", counted(kind, n as u64)))?)
}

fn one(kind: LetterKind, id: &str, there: bool, done: &str) -> Result<(), Error> {
    match there {
        true => Ok(output::print(&format!("{} {done}", clean(id)))?),
        false => Err(unknown(kind, id)),
    }
}

fn unknown(kind: LetterKind, id: &str) -> Error {
    let (name, id) = (name(kind), clean(id));
    let list = match kind {
        LetterKind::Dead => "dead",
        LetterKind::Parked => "parked",
    };
    Error::Failed(format!("no {name} has the id {id}; `rhubarb {list} list` shows them"))
}

/// Says how many, such as `2 dead letters`.
fn counted(kind: LetterKind, n: u64) -> String {
    let name = name(kind);
    if n == 1 { format!("1 {name}") } else { format!("{n} {name}s") }
}

fn name(kind: LetterKind) -> &'static str {
    match kind {
        LetterKind::Dead => "dead letter",
        LetterKind::Parked => "parked task",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            id: "t1".into(),
            kind: LetterKind::Dead,
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
        assert_eq!(letter_table(LetterKind::Dead, &[letter()]), expect);
        assert_eq!(letter_table(LetterKind::Parked, &[]), "no parked tasks");
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
deaths  2 (workers that died with it)
attempt 2026-11-23T23:59:00+00:00 on w1: its lease ended
message {\"body\": \"?\"}";
        assert_eq!(letter_lines(&letter()), expect);
    }
}
