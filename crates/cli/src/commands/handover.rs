//! `adopt-unacked` and `hand-back`: the way in from Python workers, and the way out to them.

use rhubarb_queue::{
    adopt::{self, Adopted, Adoption},
    hand_back::{self, HandBack, HandedBack},
};

use super::Context;
use crate::{
    cli::{AdoptArgs, HandBackArgs},
    error::Error,
    output::Format,
    table::{Grid, clean},
};

/// How many entries that stay are shown one by one.
const SHOWN: usize = 20;

/// Puts what dead Python workers had not acknowledged back on its queues.
pub(crate) async fn adopt(context: &Context, args: &AdoptArgs) -> Result<(), Error> {
    let &AdoptArgs { older_than, limit, dry_run, shown } = args;
    let adopted = adopt::adopt(&context.client, Adoption { older_than, limit, dry_run }).await?;
    Format::of(shown.json).show(&adopted, |adopted| adopted_text(adopted, dry_run))?;
    match adopted.n_left {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{n} entries make no message and stay in `unacked`"))),
    }
}

fn adopted_text(adopted: &Adopted, dry_run: bool) -> String {
    let moved: u64 = adopted.moved.values().sum();
    let done = if dry_run { "would go back" } else { "went back" };
    let mut lines = vec![format!("{moved} unacknowledged tasks {done}")];
    if moved > 0 {
        let mut grid = Grid::new(&["QUEUE", "TASKS"]).right(&["TASKS"]);
        for (queue, n) in &adopted.moved {
            grid.row([queue.clone(), n.to_string()]);
        }
        lines.push(grid.render());
    }
    if adopted.gone > 0 {
        lines.push(format!("{} were acknowledged or delivered anew meanwhile", adopted.gone));
    }
    for left in adopted.left.iter().take(SHOWN) {
        lines.push(clean(&format!("left: {}: {}", left.tag, left.reason)));
    }
    if adopted.n_left > SHOWN as u64 {
        lines.push(format!("left: {} more", adopted.n_left - SHOWN as u64));
    }
    lines.join("\n")
}

/// Returns claims, scheduled and parked tasks to their queues.
pub(crate) async fn hand_back(context: &Context, args: HandBackArgs) -> Result<(), Error> {
    let HandBackArgs { queues, dry_run, shown } = args;
    let back = hand_back::hand_back(&context.client, &HandBack { queues, dry_run }).await?;
    Format::of(shown.json).show(&back, |back| back_text(back, dry_run))?;
    match back.unreadable {
        0 => Ok(()),
        n => Err(Error::Failed(format!("{n} parked tasks cannot be read and stay"))),
    }
}

fn back_text(back: &HandedBack, dry_run: bool) -> String {
    let done = if dry_run { "would go back" } else { "went back" };
    let mut grid = Grid::new(&["QUEUE", "CLAIMED", "SCHEDULED", "PARKED"]).right(&[
        "CLAIMED",
        "SCHEDULED",
        "PARKED",
    ]);
    let mut all = 0;
    for (queue, returned) in &back.queues {
        all += returned.claimed + returned.scheduled + returned.parked;
        grid.row([
            queue.clone(),
            returned.claimed.to_string(),
            returned.scheduled.to_string(),
            returned.parked.to_string(),
        ]);
    }
    let mut lines = vec![format!("{all} tasks {done} to their queues")];
    if !back.queues.is_empty() {
        lines.push(grid.render());
    }
    match back.dead {
        0 => {}
        1 => lines.push("1 dead letter stays; `rhubarb dead list` shows it".to_owned()),
        n => lines.push(format!("{n} dead letters stay; `rhubarb dead list` shows them")),
    }
    if let Some(reason) = &back.refused {
        lines.push(clean(&format!("the real run would be refused now: {reason}")));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rhubarb_queue::{adopt::Left, hand_back::Returned};

    use super::*;

    #[test]
    fn what_was_adopted_is_told_by_queue_and_what_stays_with_its_reason() {
        let adopted = Adopted {
            moved: BTreeMap::from([("celery".to_owned(), 12), ("mail".to_owned(), 1)]),
            gone: 2,
            n_left: 1,
            left: vec![Left { tag: "t1".into(), reason: "it names no queue".into() }],
        };
        let expect = "\
13 unacknowledged tasks went back
QUEUE   TASKS
celery     12
mail        1
2 were acknowledged or delivered anew meanwhile
left: t1: it names no queue";
        assert_eq!(adopted_text(&adopted, false), expect);
        assert_eq!(adopted_text(&Adopted::default(), true), "0 unacknowledged tasks would go back");
    }

    #[test]
    fn what_was_handed_back_is_told_by_queue_and_the_dead_are_named() {
        let returned = Returned { claimed: 3, scheduled: 20, parked: 1 };
        let back = HandedBack {
            queues: BTreeMap::from([("celery".to_owned(), returned)]),
            unreadable: 0,
            dead: 4,
            refused: None,
        };
        let expect = "\
24 tasks went back to their queues
QUEUE   CLAIMED  SCHEDULED  PARKED
celery        3         20       1
4 dead letters stay; `rhubarb dead list` shows them";
        assert_eq!(back_text(&back, false), expect);
        let back = HandedBack { dead: 1, refused: Some("w1 is alive".to_owned()), ..back };
        let expect = "\
24 tasks would go back to their queues
QUEUE   CLAIMED  SCHEDULED  PARKED
celery        3         20       1
1 dead letter stays; `rhubarb dead list` shows it
the real run would be refused now: w1 is alive";
        assert_eq!(back_text(&back, true), expect);
    }
}
