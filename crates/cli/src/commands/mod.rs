//! The commands, one file for each group.

use rhubarb_connection::{Connections, Role};
use rhubarb_queue::Client;
use rhubarb_settings::{Loaded, Settings};

use crate::{cli::Command, error::Error};

pub(crate) mod all;
mod cache;
mod check;
mod connections;
pub(crate) mod demo;
mod doctor;
mod enqueue;
mod handover;
mod letters;
mod listings;
pub(crate) mod manual;
mod monitor;
mod pauses;
mod queues;
mod revoke;
pub(crate) mod schedules;
mod sessions;
mod shadow;
mod share;
mod sources;
mod tasks;
mod wait;
pub(crate) mod web;

/// What a command that needs Redis works with.
#[derive(Debug)]
pub(crate) struct Context {
    config: Settings,
    connections: Connections,
    client: Client,
}

impl Context {
    async fn connect(config: Settings, role: Role) -> Result<Self, Error> {
        let connections = Connections::new(&config.redis, "rhubarb-cli")?;
        connections.role(role).ready().await?;
        let client = Client::new(&connections, &config);
        Ok(Self { config, connections, client })
    }
}

/// Runs a command.
pub(crate) async fn run(command: Command, loaded: Loaded) -> Result<(), Error> {
    let Loaded { config, warnings, .. } = loaded;
    let queue = |config| Context::connect(config, Role::Queue);
    match command {
        Command::Demo(args) => Box::pin(demo::run(args.seconds)).await,
        Command::Enqueue(args) => Box::pin(enqueue::enqueue(&queue(config).await?, *args)).await,
        Command::Scrape(args) => enqueue::scrape(&queue(config).await?, args).await,
        Command::Listings(args) => {
            listings::listings(&Context::connect(config, Role::Jobs).await?, &args).await
        }
        Command::Status(shown) => {
            listings::status(&Context::connect(config, Role::Cache).await?, shown).await
        }
        Command::Doctor(args) => doctor::run(&config, &warnings, &args).await,
        Command::Connections(args) => connections::run(&config, &args),
        Command::Monitor(args) => monitor::run(config, &args).await,
        Command::Cache(command) => {
            cache::run(&Context::connect(config, Role::Cache).await?, command).await
        }
        Command::Check(args) => check::check(&queue(config).await?, &args).await,
        Command::Queues(args) => queues::queues(&queue(config).await?, &args).await,
        Command::Pause(args) => pauses::pause(&queue(config).await?, &args).await,
        Command::Resume(args) => pauses::resume(&queue(config).await?, &args).await,
        Command::Purge(args) => pauses::purge(&queue(config).await?, &args).await,
        Command::Workers(shown) => queues::workers(&queue(config).await?, shown).await,
        Command::Task(args) => queues::task(&queue(config).await?, &args).await,
        Command::Tasks(args) => tasks::tasks(&queue(config).await?, args).await,
        Command::Revoke(args) => revoke::revoke(&queue(config).await?, &args).await,
        Command::Dead(command) => letters::dead(&queue(config).await?, command).await,
        Command::Parked(command) => letters::parked(&queue(config).await?, command).await,
        Command::AdoptUnacked(args) => handover::adopt(&queue(config).await?, &args).await,
        Command::HandBack(args) => handover::hand_back(&queue(config).await?, args).await,
        Command::Shadow(args) => shadow::shadow(&queue(config).await?, args).await,
        Command::Share(args) => share::share(&queue(config).await?, args).await,
        Command::Schedules(command) => schedules::run(&config, command).await,
        Command::Sessions(command) => sessions::run(&config, command).await,
        Command::Sources(command) => sources::run(&config, command).await,
        // These need no Redis, or are a process of their own, and have run before.
        Command::Web(_)
        | Command::All { .. }
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
    }
}
