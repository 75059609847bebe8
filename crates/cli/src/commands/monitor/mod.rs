//! `monitor`: what Django's `redis_monitor` command showed, and more, without ever holding Redis
//! up.
//!
//! `rhubarb_monitor` finds out; here is how it is shown to a person (`text`), watched (`watch`) and
//! cleared (`clear`).

mod clear;
mod text;
mod watch;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use rhubarb_connection::Connections;
use rhubarb_monitor::{
    ask, census,
    collect::{self, Scope},
    finding, info, number, prometheus,
    report::{self, DatabaseReport, Report},
    scan::Effort,
    servers::{self, Server},
};
use rhubarb_queue::Client;
use rhubarb_settings::Settings;

use super::Context;
use crate::{cli::MonitorArgs, error::Error, output};

/// How often the live view looks where nothing is said.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the form that was asked for.
pub(crate) async fn run(config: Settings, args: &MonitorArgs) -> Result<(), Error> {
    let connections = Connections::new(&config.redis, "rhubarb-monitor")?;
    let client = Client::new(&connections, &config);
    let servers = servers::of(&connections);
    let context = Context { config, connections, client };
    if args.watch {
        return watch(&context, servers, args).await;
    }
    let look = || Scope {
        config: &context.config,
        servers: &servers,
        client: &context.client,
        info: args.info,
        effort: Effort::new(args.effort, args.info),
    };
    if args.clear {
        return clear::clear(&context, &look(), args.yes, args.json).await;
    }
    let Some(interval) = args.interval else {
        let report = collect::report(&look()).await;
        print(&report, args)?;
        return reached(&report);
    };
    let mut tick = tokio::time::interval(interval);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // An outage is told in the series, and does not end it.
        print(&collect::report(&look()).await, args)?;
    }
}

async fn watch(context: &Context, servers: Vec<Server>, args: &MonitorArgs) -> Result<(), Error> {
    if !io::stdout().is_terminal() {
        let advice = "--watch needs a terminal: --json --interval 1 is for programs";
        return Err(Error::Usage(advice.to_owned()));
    }
    let interval = args.interval.unwrap_or(WATCH_INTERVAL);
    watch::run(&context.config, servers, context.client.clone(), interval).await
}

fn print(report: &Report, args: &MonitorArgs) -> Result<(), Error> {
    let text = if args.prometheus {
        prometheus::render(report, None).trim_end().to_owned()
    } else if args.json && args.interval.is_some() {
        serde_json::to_string(report).map_err(io::Error::from)?
    } else if args.json {
        serde_json::to_string_pretty(report).map_err(io::Error::from)?
    } else {
        let body = if args.info { text::info(report) } else { text::basic(report) };
        match args.interval {
            Some(_) => format!("{}\n{body}\n", text::heading(report)),
            None => body,
        }
    };
    Ok(output::print(&text)?)
}

/// Ends with exit code 4 when a database could not be reached, or with 3 when the configuration is
/// at fault for each that was not: what was printed is not the whole.
fn reached(report: &Report) -> Result<(), Error> {
    let missed: Vec<&DatabaseReport> =
        report.databases.iter().filter(|one| one.unreachable.is_some()).collect();
    let Some(first) = missed.iter().find(|one| !one.misconfigured).or(missed.first()) else {
        return Ok(());
    };
    let others = missed.len() - 1;
    let more = if others > 0 { format!(" and {others} more databases") } else { String::new() };
    let told = format!("cannot reach {}{more}", first.name());
    if !first.misconfigured {
        return Err(Error::Unreached(told));
    }
    let why = first.unreachable.as_deref().unwrap_or_default();
    Err(Error::Configuration(format!("{told}: {why}")))
}
