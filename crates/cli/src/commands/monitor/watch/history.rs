//! What was seen so far, as far back as a chart is wide. Pure.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use rhubarb_queue::inspect::QueueInfo;

use super::super::{
    info::{ServerInfo, rate},
    number::float,
    servers::{Server, names},
};

/// So many points are remembered: more than a wide terminal's chart has columns.
const POINTS: usize = 300;
/// A rate is taken over at least so long, so that it is no flicker.
const RATE: Duration = Duration::from_secs(5);
/// Workers tell what they have processed every few seconds: their rate needs a longer time.
const TASK_RATE: Duration = Duration::from_secs(15);

/// Something that was seen.
#[derive(Debug)]
pub(super) enum Update {
    /// A server.
    Server {
        /// Which one.
        number: usize,
        /// When.
        at: Instant,
        /// What it said, or why it could not be reached.
        seen: Result<Seen, String>,
    },
    /// The queues.
    Queues {
        /// When.
        at: Instant,
        /// What is in them, or why that is not known.
        seen: Result<QueueSeen, String>,
    },
}

/// What a server said.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Its account of itself.
    pub(super) info: Option<Box<ServerInfo>>,
    /// Why there is none.
    pub(super) why: Option<String>,
    /// Keys of the databases in use.
    pub(super) keys: Option<u64>,
    /// Whether a database's keys are missing in that.
    pub(super) partly: bool,
}

/// What the queues hold.
#[derive(Clone, Debug)]
pub(super) struct QueueSeen {
    /// Each queue.
    pub(super) queues: Vec<QueueInfo>,
    /// Each worker with what it has processed and whether it lives; absent when they were not asked
    /// for.
    pub(super) workers: Option<Vec<(String, u64, bool)>>,
}

/// The points of one chart, the newest last; absent ones are unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Series(VecDeque<Option<f64>>);

impl Series {
    fn add(&mut self, point: Option<f64>) {
        if self.0.len() == POINTS {
            self.0.pop_front();
        }
        self.0.push_back(point);
    }

    /// Returns the newest point.
    pub(super) fn newest(&self) -> Option<f64> {
        self.0.back().copied().flatten()
    }

    /// Returns the newest points, at most so many, the oldest first.
    pub(super) fn last(&self, n: usize) -> impl Iterator<Item = Option<f64>> {
        self.0.iter().skip(self.0.len().saturating_sub(n)).copied()
    }
}

/// Something that only grows, from which a rate is taken.
#[derive(Clone, Debug)]
struct Counter<T> {
    over: Duration,
    seen: VecDeque<(Instant, T)>,
}

impl<T: Copy> Counter<T> {
    fn new(over: Duration) -> Self {
        Self { over, seen: VecDeque::new() }
    }

    /// Adds what it stands at and returns the change and its time since about `over` ago.
    fn add(&mut self, at: Instant, value: T) -> Option<(T, Duration)> {
        self.seen.push_back((at, value));
        while self.seen.get(1).is_some_and(|(second, _)| at.duration_since(*second) >= self.over) {
            self.seen.pop_front();
        }
        let (first, before) = *self.seen.front()?;
        let time = at.duration_since(first);
        (!time.is_zero()).then_some((before, time))
    }

    fn forget(&mut self) {
        self.seen.clear();
    }
}

/// One server's past.
#[derive(Debug)]
pub(super) struct ServerHistory {
    /// `host:port`.
    pub(super) name: String,
    /// The roles that it serves.
    pub(super) roles: Vec<&'static str>,
    /// What it said last.
    pub(super) seen: Option<Seen>,
    /// Since when it cannot be reached, and why.
    pub(super) down: Option<(Instant, String)>,
    /// Bytes in use.
    pub(super) memory: Series,
    /// Connections.
    pub(super) clients: Series,
    /// Hits by lookups of the last seconds.
    pub(super) hit_rate: Series,
    /// Commands a second.
    pub(super) commands: Series,
    lookups: Counter<(u64, u64)>,
    commands_so_far: Counter<u64>,
}

/// The queues' past.
#[derive(Debug)]
pub(super) struct QueueHistory {
    /// What they held last.
    pub(super) queues: Vec<QueueInfo>,
    /// Since when that is not known, and why.
    pub(super) down: Option<(Instant, String)>,
    /// Live workers, once they are known.
    pub(super) workers: Option<usize>,
    /// Waiting tasks of all queues.
    pub(super) waiting: Series,
    /// Tasks a second, of our own workers.
    pub(super) tasks: Series,
    processed: HashMap<String, u64>,
    so_far: u64,
    tasks_so_far: Counter<u64>,
}

/// Everything's past.
#[derive(Debug)]
pub(super) struct History {
    /// How often it is looked at.
    pub(super) every: Duration,
    /// The servers, the queue's first.
    pub(super) servers: Vec<ServerHistory>,
    /// The queues.
    pub(super) queues: QueueHistory,
}

impl History {
    /// Returns one in which nothing was seen.
    pub(super) fn new(servers: &[Server], every: Duration) -> Self {
        Self {
            every,
            servers: servers.iter().map(ServerHistory::new).collect(),
            queues: QueueHistory {
                queues: Vec::new(),
                down: None,
                workers: None,
                waiting: Series::default(),
                tasks: Series::default(),
                processed: HashMap::new(),
                so_far: 0,
                tasks_so_far: Counter::new(TASK_RATE),
            },
        }
    }

    /// Adds what was seen.
    pub(super) fn take(&mut self, update: Update) {
        match update {
            Update::Server { number, at, seen } => {
                if let Some(server) = self.servers.get_mut(number) {
                    server.take(at, seen);
                }
            }
            Update::Queues { at, seen } => self.queues.take(at, seen),
        }
    }
}

impl ServerHistory {
    fn new(server: &Server) -> Self {
        Self {
            name: server.name.clone(),
            roles: names(&server.roles()),
            seen: None,
            down: None,
            memory: Series::default(),
            clients: Series::default(),
            hit_rate: Series::default(),
            commands: Series::default(),
            lookups: Counter::new(RATE),
            commands_so_far: Counter::new(RATE),
        }
    }

    fn take(&mut self, at: Instant, seen: Result<Seen, String>) {
        let seen = match seen {
            Ok(seen) => {
                self.down = None;
                Some(seen)
            }
            Err(why) => {
                let since = self.down.as_ref().map_or(at, |(since, _)| *since);
                self.down = Some((since, why));
                // After a restart it counts from zero.
                self.lookups.forget();
                self.commands_so_far.forget();
                None
            }
        };
        let info = seen.as_ref().and_then(|seen| seen.info.as_ref());
        self.memory.add(info.and_then(|info| info.memory.used).map(float));
        self.clients.add(info.and_then(|info| info.clients.connected).map(float));
        let hits = info.and_then(|info| info.stats.hits.zip(info.stats.misses));
        self.hit_rate.add(hits.and_then(|(hits, misses)| {
            let ((hits0, misses0), _) = self.lookups.add(at, (hits, misses))?;
            rate(hits.checked_sub(hits0)?, misses.checked_sub(misses0)?)
        }));
        let commands = info.and_then(|info| info.stats.commands);
        self.commands.add(commands.and_then(|now| {
            let (before, time) = self.commands_so_far.add(at, now)?;
            Some(float(now.checked_sub(before)?) / time.as_secs_f64())
        }));
        if seen.is_some() {
            self.seen = seen;
        }
    }
}

impl QueueHistory {
    fn take(&mut self, at: Instant, seen: Result<QueueSeen, String>) {
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                let since = self.down.as_ref().map_or(at, |(since, _)| *since);
                self.down = Some((since, why));
                self.waiting.add(None);
                self.tasks.add(None);
                return;
            }
        };
        self.down = None;
        self.waiting.add(Some(float(seen.queues.iter().map(|queue| queue.waiting).sum())));
        self.queues = seen.queues;
        let rate = match seen.workers {
            Some(workers) => self.rate(at, &workers),
            // Between two looks at the workers the rate stands.
            None => self.tasks.newest(),
        };
        self.tasks.add(rate);
    }

    fn rate(&mut self, at: Instant, workers: &[(String, u64, bool)]) -> Option<f64> {
        self.workers = Some(workers.iter().filter(|(_, _, alive)| *alive).count());
        for (id, processed, _) in workers {
            // What a worker had processed before it was first seen was processed before this view
            // began, or nearly.
            let before = self.processed.insert(id.clone(), *processed).unwrap_or(*processed);
            self.so_far += processed.saturating_sub(before);
        }
        self.processed.retain(|id, _| workers.iter().any(|(known, _, _)| known == id));
        let (before, time) = self.tasks_so_far.add(at, self.so_far)?;
        Some(float(self.so_far - before) / time.as_secs_f64())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use rhubarb_connection::{Connections, RedisConfig};

    use super::*;
    use crate::commands::monitor::servers;

    pub(in super::super) fn history() -> History {
        let connections = Connections::new(&RedisConfig::default(), "test").unwrap();
        History::new(&servers::of(&connections), Duration::from_secs(1))
    }

    pub(in super::super) fn seen(info: &str) -> Result<Seen, String> {
        Ok(Seen { info: Some(Box::new(ServerInfo::parse(info))), keys: Some(5), ..Seen::default() })
    }

    pub(in super::super) fn queue(name: &str, waiting: u64) -> QueueInfo {
        QueueInfo { name: name.into(), waiting, claimed: 2, scheduled: 1, ..QueueInfo::default() }
    }

    fn at(start: Instant, s: u64) -> Instant {
        start + Duration::from_secs(s)
    }

    #[tokio::test]
    async fn rates_are_of_the_last_seconds_and_start_anew_after_a_restart() {
        let (mut history, start) = (history(), Instant::now());
        let server = &mut history.servers[0];
        let info = |commands: u64, hits: u64, misses: u64| {
            seen(&format!(
                "total_commands_processed:{commands}\nkeyspace_hits:{hits}\nkeyspace_misses:{misses}\n"
            ))
        };
        server.take(start, info(1_000, 10, 10));
        assert_eq!((server.commands.newest(), server.hit_rate.newest()), (None, None));
        server.take(at(start, 1), info(1_100, 13, 11));
        assert_eq!((server.commands.newest(), server.hit_rate.newest()), (Some(100.0), Some(0.75)));
        for s in 2..=20 {
            server.take(at(start, s), info(1_100, 13, 11));
        }
        assert_eq!((server.commands.newest(), server.hit_rate.newest()), (Some(0.0), None));
        server.take(at(start, 21), info(5, 0, 0));
        assert_eq!(server.commands.newest(), None, "it counts from zero again");
        server.take(at(start, 40), info(25, 0, 0));
        assert!(server.commands.newest().is_some());
    }

    #[tokio::test]
    async fn an_outage_leaves_a_gap_and_is_as_old_as_its_beginning() {
        let (mut history, start) = (history(), Instant::now());
        let server = &mut history.servers[0];
        server.take(start, seen("used_memory:7\n"));
        server.take(at(start, 1), Err("refused".into()));
        server.take(at(start, 2), Err("refused again".into()));
        assert_eq!(server.down, Some((at(start, 1), "refused again".into())));
        server.take(at(start, 3), seen("used_memory:8\n"));
        assert_eq!(server.down, None);
        let points: Vec<_> = server.memory.last(9).collect();
        assert_eq!(points, [Some(7.0), None, None, Some(8.0)]);
    }

    #[tokio::test]
    async fn tasks_a_second_are_those_of_all_workers_also_of_one_that_comes_or_goes() {
        let (mut history, start) = (history(), Instant::now());
        let queues = &mut history.queues;
        let mut take = |s, workers: &[(&str, u64, bool)]| {
            let workers = workers.iter().map(|(id, n, alive)| ((*id).to_owned(), *n, *alive));
            let seen =
                QueueSeen { queues: vec![queue("celery", 3)], workers: Some(workers.collect()) };
            queues.take(at(start, s), Ok(seen));
            (queues.tasks.newest(), queues.workers)
        };
        assert_eq!(take(0, &[("a", 1_000, true)]), (None, Some(1)));
        assert_eq!(take(5, &[("a", 1_050, true), ("b", 10, true)]), (Some(10.0), Some(2)));
        assert_eq!(take(10, &[("a", 1_050, false), ("b", 60, true)]), (Some(10.0), Some(1)));
        assert_eq!(take(15, &[("b", 60, true)]).1, Some(1));
        assert_eq!(queues.waiting.newest(), Some(3.0));
    }

    #[test]
    fn no_more_is_remembered_than_a_chart_can_show() {
        let mut series = Series::default();
        (0..1_000).for_each(|n| series.add(Some(float(n))));
        assert_eq!(series.last(usize::MAX).count(), POINTS);
        assert_eq!(series.last(2).collect::<Vec<_>>(), [Some(998.0), Some(999.0)]);
    }
}
