//! `check`: whether an installation keeps within bounds, by exit code.

use rhubarb_monitor::{
    bounds::{self, Bounds},
    collect::configured_queues,
    fleet::{self, View},
    servers,
};
use rhubarb_queue::inspect;
use serde::Serialize;

use super::Context;
use crate::{cli::BoundsArgs, error::Error, output::Format};

/// What was found, as JSON shows it.
#[derive(Debug, Serialize)]
struct Checked {
    holds: bool,
    broken: Vec<String>,
}

/// Looks once, and ends without success when a bound does not hold.
pub(crate) async fn check(context: &Context, args: &BoundsArgs) -> Result<(), Error> {
    let Context { config, connections, client } = context;
    let names = match args.queues.is_empty() {
        true => inspect::queue_names(client, &configured_queues(config)).await?,
        false => args.queues.clone(),
    };
    let queues = inspect::queues_named(client, &names).await?;
    let servers = servers::of(connections);
    let view = View { config, connections, servers: &servers, client };
    let fleet = Box::pin(fleet::look(view, &queues)).await;
    let BoundsArgs { workers, max_age, max_waiting, max_late, .. } = *args;
    let bounds = Bounds { workers, max_age, max_waiting, max_late };
    let broken = bounds::broken(&bounds, &fleet, &queues);
    let checked = Checked { holds: broken.is_empty(), broken };
    if checked.holds || args.shown.json {
        Format::of(args.shown.json).show(&checked, |_| "all bounds hold".to_owned())?;
    }
    match checked.holds {
        true => Ok(()),
        false => Err(Error::Failed(checked.broken.join("\n"))),
    }
}
