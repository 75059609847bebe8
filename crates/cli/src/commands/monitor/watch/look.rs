//! Asking again and again: each server by itself, so that one that hangs holds up no other.

use std::time::{Duration, Instant};

use redis::cmd;
use rhubarb_connection::Redis;
use rhubarb_queue::{Client, inspect};
use rhubarb_settings::Settings;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    super::{
        ask::{is_misconfigured, reason},
        collect::{configured_queues, queue_missing},
        info::ServerInfo,
        servers::Server,
    },
    Updates,
    history::{QueueSeen, Seen, Update},
};

/// How often the workers' records are read: they write them every two seconds, and each may be
/// kilobytes.
const WORKERS: Duration = Duration::from_secs(5);
/// For how long queues are looked for that only Celery's programs use; once, since it looks at many
/// keys.
const EFFORT: Duration = Duration::from_secs(1);
/// What was not taken by the view waits here; whoever looks waits for it.
const UPDATES: usize = 16;

/// Those who look; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Looking {
    updates: Updates,
    tasks: JoinSet<()>,
}

impl Looking {
    /// Waits for what is seen next; none when those who look have ended, which they do only by a
    /// fault of ours.
    pub(super) async fn next(&mut self) -> Option<Update> {
        tokio::select! {
            update = self.updates.recv() => update,
            _ = self.tasks.join_next() => None,
        }
    }
}

/// Begins to look at the servers and at the queue.
pub(super) fn begin(
    config: &Settings,
    servers: Vec<Server>,
    client: Client,
    every: Duration,
) -> Looking {
    let (sender, updates) = mpsc::channel(UPDATES);
    let mut tasks = JoinSet::new();
    for (number, server) in servers.into_iter().enumerate() {
        tasks.spawn(look_at_server(number, server, every, sender.clone()));
    }
    let place = format!("db {}", client.queue().db());
    let queues = Queues { client, configured: configured_queues(config), place, looked: false };
    tasks.spawn(look_at_queues(queues, every, sender));
    Looking { updates, tasks }
}

async fn look_at_server(
    number: usize,
    server: Server,
    every: Duration,
    updates: mpsc::Sender<Update>,
) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let seen = server_now(&server).await;
        if updates.send(Update::Server { number, at: Instant::now(), seen }).await.is_err() {
            return;
        }
    }
}

async fn server_now(server: &Server) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let mut reached = Err("no database".to_owned());
    for place in &server.databases {
        match place.redis.query::<u64>(&cmd("DBSIZE")).await {
            Ok(keys) => seen.keys = Some(seen.keys.unwrap_or(0) + keys),
            // Its other databases would take as long to say the same.
            Err(error) if error.is_unreachable() && !is_misconfigured(&error) => {
                return Err(reason(&error));
            }
            Err(error) if unreached(&error) => {
                reached = reached.or(Err(reason(&error)));
                continue;
            }
            Err(_) => seen.partly = true,
        }
        if reached.is_err() {
            account(&place.redis, &mut seen).await?;
            reached = Ok(());
        }
    }
    reached.map(|()| seen)
}

/// Asks for the server's account of itself.
async fn account(redis: &Redis, seen: &mut Seen) -> Result<(), String> {
    match redis.query::<String>(&cmd("INFO")).await {
        Ok(text) => seen.info = Some(Box::new(ServerInfo::parse(&text))),
        Err(error) if unreached(&error) => return Err(reason(&error)),
        Err(error) => seen.why = Some(format!("INFO {}", reason(&error))),
    }
    Ok(())
}

fn unreached(error: &rhubarb_connection::Error) -> bool {
    error.is_unreachable() || matches!(error, rhubarb_connection::Error::NoDatabase { .. })
}

/// The queue's read side.
struct Queues {
    client: Client,
    configured: Vec<String>,
    place: String,
    /// Whether queues of Celery's were looked for.
    looked: bool,
}

async fn look_at_queues(mut queues: Queues, every: Duration, updates: mpsc::Sender<Update>) {
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked_workers: Option<Instant> = None;
    loop {
        tick.tick().await;
        let due = asked_workers.is_none_or(|at| at.elapsed() >= WORKERS);
        let seen = queues.now(due).await;
        if due && seen.is_ok() {
            asked_workers = Some(Instant::now());
        }
        if updates.send(Update::Queues { at: Instant::now(), seen }).await.is_err() {
            return;
        }
    }
}

impl Queues {
    async fn now(&mut self, with_workers: bool) -> Result<QueueSeen, String> {
        let place = self.place.clone();
        let told = |error| {
            let missing = queue_missing(place, &error);
            format!("{} {}", missing.command, missing.reason).trim().to_owned()
        };
        if !self.looked
            && let Ok(all) = inspect::all_queue_names(&self.client, &self.configured, EFFORT).await
        {
            (self.configured, self.looked) = (all.names, true);
        }
        let queues = inspect::queues(&self.client, &self.configured).await.map_err(told)?;
        let workers = if with_workers {
            // Without them the rest is still worth showing.
            inspect::workers(&self.client).await.ok().map(|workers| {
                workers
                    .into_iter()
                    .map(|one| (one.record.id, one.record.processed, one.alive))
                    .collect()
            })
        } else {
            None
        };
        Ok(QueueSeen { queues, workers })
    }
}
