//! `share`: how many of a task's messages our workers take beside Python's.

use std::collections::BTreeMap;

use rhubarb_queue::shares;
use serde::Serialize;

use super::Context;
use crate::{
    cli::{Share, ShareArgs},
    error::Error,
    output::Format,
    table::{Grid, clean},
};

/// A task's share, and who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Held {
    percent: u8,
    from: &'static str,
}

/// Sets a task's share, or shows all.
pub(crate) async fn share(context: &Context, args: ShareArgs) -> Result<(), Error> {
    let ShareArgs { task, percent, shown } = args;
    let Some(share) = percent else {
        if task != "list" {
            let told = format!("`rhubarb share {} PERCENT` says how many of 100", clean(&task));
            return Err(Error::Usage(told));
        }
        let live = shares::load(&context.client).await?;
        return Ok(Format::of(shown.json).show(&held(&context.config.share, live), text)?);
    };
    let percent = match share {
        Share::Percent(percent) => Some(percent),
        Share::Default => None,
    };
    shares::set(&context.client, &task, percent).await?;
    let live = shares::load(&context.client).await?;
    let all = held(&context.config.share, live);
    let now = all.get(&task).copied().unwrap_or(Held { percent: 100, from: "default" });
    Ok(Format::of(shown.json).show(&now, |now| {
        format!("our workers take {} of 100 messages of {}", now.percent, clean(&task))
    })?)
}

fn held(configured: &BTreeMap<String, u8>, live: BTreeMap<String, u8>) -> BTreeMap<String, Held> {
    let of =
        |from: &'static str| move |(task, percent): (String, u8)| (task, Held { percent, from });
    let configured = configured.clone().into_iter().map(of("configuration"));
    configured.chain(live.into_iter().map(of("redis"))).collect()
}

fn text(all: &BTreeMap<String, Held>) -> String {
    if all.is_empty() {
        return "no task has a share: our workers take all that they register".to_owned();
    }
    let mut grid = Grid::new(&["TASK", "PERCENT", "FROM"]).right(&["PERCENT"]);
    for (task, held) in all {
        grid.row([task.clone(), held.percent.to_string(), held.from.to_owned()]);
    }
    grid.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_redis_is_shown_before_the_configuration() {
        let of = |all: &[(&str, u8)]| -> BTreeMap<String, u8> {
            all.iter().map(|(task, percent)| ((*task).to_owned(), *percent)).collect()
        };
        let all = held(&of(&[("a", 10), ("b", 20)]), of(&[("b", 50), ("c", 0)]));
        let expect = "\
TASK  PERCENT  FROM
a          10  configuration
b          50  redis
c           0  redis";
        assert_eq!(text(&all), expect);
        assert!(text(&BTreeMap::new()).starts_with("no task has a share"));
    }
}
