//! A worker's side of the queue: sets its roles going, and ends them.

use std::{sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use rhubarb_connection::{Connections, Role};
use rhubarb_core::clock;
use rhubarb_queue::{Config, config::WorkerConfig, inspect::Running};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    Backend, Counters,
    backend::Runner,
    broadcasts::{self, Broadcasts, Listener},
    broker::Broker,
    chronicle::{self, Chronicle},
    claim::{self, Caller, Dispatcher},
    control::{self, Control, Unwritten},
    delivery::{Delivery, Settlements},
    ended::{Ended, Ends},
    events::{self, Events},
    floods::Floods,
    foreign::{self, Decider, ForeignTask},
    handout::Handout,
    heartbeat::{self, Keeper},
    held::Held,
    others::Others,
    pulse::Pulse,
    revoked::Revoked,
    room::Room,
    settle,
    settler::Settler,
    shares::Shares,
    signals::Signals,
    slots::Slots,
    tasks::Tasks,
    turns::Turns,
    watchdog::{self, Watched},
};

/// A worker's side of the queue. Made once a process; [`Consumer::new`] sets its roles going.
#[derive(Debug)]
pub struct Consumer {
    runner: Arc<Runner>,
    ends: Arc<Ends>,
    settlements: Settlements,
    pulse: Arc<Pulse>,
    roles: JoinSet<()>,
    deliveries: Option<mpsc::UnboundedReceiver<Delivery>>,
    settling: CancellationToken,
    /// What has no role here ends with it.
    _settling: DropGuard,
}

impl Consumer {
    /// Prepares a worker's side: `id` is unique to this process, `tasks` are those that it can run.
    ///
    /// Its roles begin at once, so that it has to be called inside a tokio runtime. When `draining`
    /// fires, claiming stops.
    pub fn new(
        connections: &Connections,
        config: &Config,
        node: &str,
        id: &str,
        tasks: impl Into<Tasks>,
        draining: CancellationToken,
    ) -> Self {
        let broker = Broker::new(connections, config, (node.to_owned(), id.to_owned()));
        let (events, to_send) = Events::new(config, &broker.queue, node);
        let (chronicle, stories) = Chronicle::new(&config.history);
        let parts = Parts::new(config, broker, tasks.into(), (events, chronicle), draining);
        let (settlements, to_settle) = Settlements::channel();
        let (deliver, deliveries) = mpsc::unbounded_channel();
        let (foreign, to_decide) = mpsc::channel(foreign::WAITING);
        let stop = CancellationToken::new();
        let mut roles = JoinSet::new();
        let ends = Arc::new(Ends::new(parts.events.clone()));
        let settler = parts.settler(connections, config, ends.clone());
        roles.spawn(settle::run(settler, to_settle, stop.clone()));
        let dispatcher = parts.dispatcher(config, settlements.clone(), foreign, deliver);
        let (caller, broadcasts) = (parts.caller(), parts.broadcasts.clone());
        roles.spawn(claim::run(caller, dispatcher, broadcasts, parts.counters.clone()));
        roles.spawn(broadcasts::run(parts.listener()));
        roles.spawn(foreign::run(parts.decider(), to_decide));
        roles.spawn(heartbeat::run(parts.keeper(), stop.clone()));
        let (queue, events) = (parts.broker.queue.clone(), parts.events.clone());
        roles.spawn(events::run(queue, events, to_send, stop.clone()));
        let (broker, chronicle) = (parts.broker.clone(), parts.chronicle.clone());
        roles.spawn(chronicle::run(
            broker,
            chronicle,
            stories,
            config.history.clone(),
            stop.clone(),
        ));
        if config.worker.enable_remote_control {
            roles.spawn(control::run(parts.control(config), stop.clone()));
        } else {
            parts.signals.mingled.cancel();
        }
        if let Err(error) = watchdog::start(parts.watched(), stop.clone()) {
            tracing::warn!(%error, "the watchdog could not be started");
        }
        let (runner, _settling) = (Arc::new(parts.runner()), stop.clone().drop_guard());
        let (deliveries, pulse) = (Some(deliveries), Arc::new(parts.pulse()));
        Self { runner, ends, settlements, pulse, roles, deliveries, settling: stop, _settling }
    }

    /// Returns the apalis backend. There is one; a second call returns none.
    pub fn backend(&mut self) -> Option<Backend> {
        self.deliveries.take().map(|deliveries| Backend::new(deliveries, self.runner.clone()))
    }

    /// Returns what tells each task's end once it is written; only the first call's receiver is
    /// told.
    ///
    /// To be called before the backend is given to apalis. A task's slot stays taken until its
    /// [`Ended`] is dropped.
    pub fn ends(&self) -> mpsc::UnboundedReceiver<Ended> {
        self.settlements.keep_slots();
        self.ends.listen()
    }

    /// Returns the counters.
    pub fn counters(&self) -> &Counters {
        &self.runner.counters
    }

    /// Returns what a health check and a scraper may know.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.pulse.clone()
    }

    /// Returns how many claims are in our hands, running or being ended.
    pub fn held(&self) -> usize {
        self.runner.held.len()
    }

    /// Returns the first `limit` claims in our hands.
    pub fn running(&self, limit: usize) -> Vec<Running> {
        self.runner.held.running(&self.runner.broker.queues, limit)
    }

    /// Returns what fires when remote control asks this worker to stop.
    pub fn stop_asked(&self) -> CancellationToken {
        self.runner.signals.stop_asked.clone()
    }

    /// Ends every claim that is still held (those without an outcome go back), leaves the registry,
    /// and stops.
    ///
    /// To be called after the handlers have ended or were dropped. Tells whether everything could
    /// be written within `deadline`; what could not is given back by the others when our lease
    /// ends.
    pub async fn finish(mut self, deadline: Duration) -> bool {
        self.runner.signals.draining.cancel();
        drop(self.deliveries.take());
        let end = Instant::now() + deadline;
        let emptied =
            tokio::time::timeout_at(end, self.runner.held.wait_until_empty()).await.is_ok();
        if !emptied {
            let n = self.runner.held.len();
            tracing::warn!(
                n,
                "the ends of tasks could not be written in time: they run again elsewhere when our lease ends"
            );
        }
        self.settling.cancel();
        let stopped =
            tokio::time::timeout_at(end, async { while self.roles.join_next().await.is_some() {} })
                .await
                .is_ok();
        emptied && stopped
    }
}

/// The parts of a worker; each role is given those that it uses.
struct Parts {
    broker: Arc<Broker>,
    config: Arc<WorkerConfig>,
    tasks: Tasks,
    held: Arc<Held>,
    slots: Arc<Slots>,
    counters: Arc<Counters>,
    events: Arc<Events>,
    chronicle: Arc<Chronicle>,
    /// What comes by the thousand, and is told as one.
    floods: Arc<Floods>,
    revoked: Arc<Revoked>,
    others: Arc<Others>,
    shares: Arc<Shares>,
    broadcasts: Arc<Broadcasts>,
    room: Arc<Room>,
    signals: Arc<Signals>,
    started_at: Timestamp,
}

impl Parts {
    fn new(
        config: &Config,
        broker: Broker,
        tasks: Tasks,
        (events, chronicle): (Events, Chronicle),
        draining: CancellationToken,
    ) -> Self {
        let concurrency = config.concurrency();
        Self {
            broker: Arc::new(broker),
            config: Arc::new(WorkerConfig { concurrency, ..config.worker.clone() }),
            tasks,
            held: Arc::default(),
            slots: Arc::new(Slots::new(concurrency)),
            counters: Arc::default(),
            events: Arc::new(events),
            chronicle: Arc::new(chronicle),
            floods: Arc::default(),
            revoked: Arc::default(),
            others: Arc::default(),
            shares: Arc::new(Shares::new(&config.share)),
            broadcasts: Arc::default(),
            room: Arc::new(Room::new(config.worker.results_beyond_maxmemory)),
            signals: Arc::new(Signals { draining, ..Signals::default() }),
            started_at: clock::now(),
        }
    }

    fn settler(&self, connections: &Connections, config: &Config, ends: Arc<Ends>) -> Settler {
        let results = connections.role(Role::Results);
        Settler {
            results_here: self.broker.queue.same_database(&results),
            result_expires: config.celery.result_expires,
            broker: self.broker.clone(),
            config: self.config.clone(),
            held: self.held.clone(),
            ends,
            counters: self.counters.clone(),
            chronicle: self.chronicle.clone(),
            floods: self.floods.clone(),
            room: self.room.clone(),
            large_plans: Turns::default(),
            large_joins: Turns::default(),
        }
    }

    fn caller(&self) -> Caller {
        Caller {
            broker: self.broker.clone(),
            config: self.config.clone(),
            handout: Handout::default(),
        }
    }

    fn dispatcher(
        &self,
        config: &Config,
        settlements: Settlements,
        foreign: mpsc::Sender<ForeignTask>,
        deliver: mpsc::UnboundedSender<Delivery>,
    ) -> Dispatcher {
        Dispatcher {
            broker: self.broker.clone(),
            config: self.config.clone(),
            timezone: TimeZone::get(&config.celery.timezone).unwrap_or(TimeZone::UTC),
            tasks: self.tasks.clone(),
            held: self.held.clone(),
            slots: self.slots.clone(),
            settlements,
            revoked: self.revoked.clone(),
            others: self.others.clone(),
            shares: self.shares.clone(),
            events: self.events.clone(),
            signals: self.signals.clone(),
            foreign,
            deliver,
        }
    }

    fn runner(&self) -> Runner {
        Runner {
            broker: self.broker.clone(),
            tasks: self.tasks.clone(),
            held: self.held.clone(),
            revoked: self.revoked.clone(),
            events: self.events.clone(),
            counters: self.counters.clone(),
            signals: self.signals.clone(),
        }
    }

    fn listener(&self) -> Listener {
        Listener {
            broker: self.broker.clone(),
            tasks: self.tasks.clone(),
            broadcasts: self.broadcasts.clone(),
            signals: self.signals.clone(),
        }
    }

    fn decider(&self) -> Decider {
        Decider {
            broker: self.broker.clone(),
            config: self.config.clone(),
            tasks: self.tasks.clone(),
            others: self.others.clone(),
            floods: self.floods.clone(),
            signals: self.signals.clone(),
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            broker: self.broker.clone(),
            config: self.config.clone(),
            tasks: self.tasks.clone(),
            held: self.held.clone(),
            slots: self.slots.clone(),
            counters: self.counters.clone(),
            events: self.events.clone(),
            chronicle: self.chronicle.clone(),
            floods: self.floods.clone(),
            room: self.room.clone(),
            shares: self.shares.clone(),
            signals: self.signals.clone(),
            started_at: self.started_at,
        }
    }

    fn control(&self, config: &Config) -> Control {
        Control {
            broker: self.broker.clone(),
            config: self.config.clone(),
            settings: control::settings(config),
            tasks: self.tasks.clone(),
            held: self.held.clone(),
            slots: self.slots.clone(),
            revoked: self.revoked.clone(),
            unwritten: Unwritten::default(),
            broadcasts: self.broadcasts.clone(),
            counters: self.counters.clone(),
            events: self.events.clone(),
            floods: self.floods.clone(),
            signals: self.signals.clone(),
            started_at: self.started_at,
        }
    }

    fn pulse(&self) -> Pulse {
        Pulse {
            broker: self.broker.clone(),
            config: self.config.clone(),
            held: self.held.clone(),
            slots: self.slots.clone(),
            counters: self.counters.clone(),
            chronicle: self.chronicle.clone(),
            signals: self.signals.clone(),
            started_at: self.started_at,
        }
    }

    fn watched(&self) -> Watched {
        Watched {
            broker: self.broker.clone(),
            config: self.config.clone(),
            held: self.held.clone(),
            slots: self.slots.clone(),
            counters: self.counters.clone(),
            signals: self.signals.clone(),
        }
    }
}
