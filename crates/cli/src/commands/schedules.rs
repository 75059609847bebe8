//! `schedules`: what is scheduled, by whom, what became of it, when it runs next; and changing it.

mod edit;
mod flags;
mod import;
mod list;
mod next;

use rhubarb_connection::Connections;
use rhubarb_queue::{
    Client,
    schedules::{All, Live, RedBeat, Schedules},
};
use rhubarb_settings::Settings;

pub(crate) use self::next::{next, next_table};

use crate::{cli::SchedulesCommand, error::Error, output};

/// Runs a command on the schedules.
pub(crate) async fn run(config: &Settings, command: SchedulesCommand) -> Result<(), Error> {
    let connections = Connections::new(&config.redis, "rhubarb-cli")?;
    let store = Store::new(config, &connections);
    match command {
        SchedulesCommand::List(shown) => list::run(&store, shown).await,
        SchedulesCommand::Next(args) => next::run(&store, args).await,
        SchedulesCommand::Add(args) => edit::add(&store, &args).await,
        SchedulesCommand::Set(args) => edit::set(&store, &args).await,
        SchedulesCommand::Remove(arg) => edit::remove(&store, &arg.name).await,
        SchedulesCommand::Pause(args) => edit::pause(&store, &args).await,
        SchedulesCommand::Resume(arg) => edit::resume(&store, &arg.name).await,
        SchedulesCommand::Run(arg) => edit::run(&store, &arg.name).await,
        SchedulesCommand::Import(args) => import::import(&store, &args).await,
    }
}

/// The schedules of the file and of Redis.
#[derive(Debug)]
struct Store<'a> {
    config: &'a Settings,
    client: Client,
    schedules: Schedules,
}

impl<'a> Store<'a> {
    fn new(config: &'a Settings, connections: &Connections) -> Self {
        let client = Client::new(connections, config);
        Self { config, schedules: Schedules::new(&client), client }
    }

    /// Returns all schedules there are.
    async fn all(&self) -> Result<All, Error> {
        let all = All::read(&self.client, self.config.scheduled()).await?;
        if all.redbeat_leads {
            output::note("a beat of Python's RedBeat leads: its entries are left to it");
        }
        Ok(all)
    }

    /// Returns those of the file alone, with a word about it and the error, where Redis cannot be
    /// reached.
    async fn all_or_file(&self) -> Result<(All, Option<Error>), Error> {
        match self.all().await {
            Ok(all) => Ok((all, None)),
            Err(Error::Queue(error)) if error.is_unreachable() => {
                output::note("Redis cannot be reached: only the file's schedules are shown");
                let of_file =
                    All::of(self.config.scheduled(), Live::default(), &RedBeat::default());
                Ok((of_file, Some(Error::Queue(error))))
            }
            Err(error) => Err(error),
        }
    }
}
