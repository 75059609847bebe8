//! Where results still find room in a Redis that is out of memory.
//!
//! What ends a task frees its message first, after which Redis takes the result however full it is.
//! So a bound is kept here: once Redis holds `worker.results_beyond_maxmemory` more than its
//! `maxmemory`, a result that is larger than the message that it ends is a FAILURE that says so.
//! Redis is asked how full it is before much is written, not for each result.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use rhubarb_connection::{Redis, Spell, Telling};

/// For how long an answer holds.
const FRESH: Duration = Duration::from_millis(200);
/// What part of the room may be written before it is asked for again: other workers write, too.
const PART: i64 = 32;
/// The most that is written without asking again, bytes.
const MOST: i64 = 64 << 20;
/// A result of so many bytes is stored in any case.
const SMALL: usize = 1024;
/// How long Redis must have had memory until the spell is over.
const QUIET: Duration = Duration::from_secs(5);

/// What is known of the room.
#[derive(Debug)]
pub(super) struct Room {
    /// How far results may go beyond `maxmemory`, bytes.
    beyond: u64,
    /// How much may be written before Redis is asked again, bytes.
    budget: AtomicI64,
    last: tokio::sync::Mutex<Option<Look>>,
    spell: Mutex<Option<Spell>>,
}

/// How full Redis was.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    memory: Option<Memory>,
    /// How much has been allowed since.
    spent: u64,
}

/// What Redis says of its memory, bytes; `max` is zero where it has no bound, or evicts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Memory {
    used: u64,
    max: u64,
}

impl Room {
    pub(super) fn new(beyond: usize) -> Self {
        Self {
            beyond: beyond as u64,
            budget: AtomicI64::new(0),
            last: tokio::sync::Mutex::default(),
            spell: Mutex::default(),
        }
    }

    /// Tells whether so many bytes may be written without asking.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let take = |budget: i64| (bytes <= budget).then(|| budget - bytes);
        bytes == 0 || self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Asks for room for a result of so many bytes, whose task's message frees `freed`.
    ///
    /// # Errors
    ///
    /// There is none, in words for whoever reads the result. Where Redis does not say, there is.
    pub(super) async fn ask(
        &self,
        redis: &Redis,
        bytes: usize,
        freed: usize,
    ) -> Result<(), String> {
        let mut last = self.last.lock().await;
        let look = match last.take().filter(|look| look.at.elapsed() < FRESH) {
            Some(look) => look,
            None => self.look(redis).await,
        };
        let look = last.insert(look);
        let Some(memory) = look.memory else {
            self.budget.store(MOST, Ordering::Relaxed);
            return Ok(());
        };
        let room = memory.room(self.beyond).saturating_sub(look.spent);
        if bytes as u64 <= room {
            let budget = i64::try_from(room - bytes as u64).unwrap_or(i64::MAX) / PART;
            let budget = budget.min(MOST);
            look.spent += bytes as u64 + budget.unsigned_abs();
            self.budget.store(budget, Ordering::Relaxed);
            return Ok(());
        }
        self.budget.store(0, Ordering::Relaxed);
        if bytes <= freed.max(SMALL) {
            return Ok(());
        }
        Err(format!(
            "the result has {bytes} bytes, and Redis is out of memory: it holds {} of {} bytes (maxmemory), and \
             results may go {} beyond (worker.results_beyond_maxmemory)",
            memory.used, memory.max, self.beyond
        ))
    }

    /// Looks again while Redis is out of memory, so that its end is told.
    pub(super) async fn watch(&self, redis: &Redis) {
        if self.spell().is_some() {
            let mut last = self.last.lock().await;
            *last = Some(self.look(redis).await);
        }
    }

    async fn look(&self, redis: &Redis) -> Look {
        let mut info = ::redis::cmd("INFO");
        info.arg("memory");
        // Without an answer nothing is known, and settling waits for Redis by itself.
        let said: Option<String> = redis.query_quietly(&info).await.ok().flatten();
        let memory = said.as_deref().and_then(Memory::read);
        if let Some(memory) = memory {
            self.tell(memory);
        }
        Look { at: Instant::now(), memory, spent: 0 }
    }

    fn spell(&self) -> std::sync::MutexGuard<'_, Option<Spell>> {
        self.spell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, Memory { used, max }: Memory) {
        let (now, mut spell, beyond) = (Instant::now(), self.spell(), self.beyond);
        if max > 0 && used >= max {
            match Spell::note(&mut spell, QUIET, now) {
                Some(Telling::Begins) => {
                    tracing::warn!(
                        used,
                        maxmemory = max,
                        beyond,
                        "redis is out of memory: results go beyond its maxmemory, so far"
                    );
                }
                Some(Telling::GoesOn(lasts)) => {
                    let lasts_s = lasts.as_secs();
                    tracing::warn!(
                        used,
                        maxmemory = max,
                        beyond,
                        lasts_s,
                        "redis is still out of memory"
                    );
                }
                None => {}
            }
        } else if let Some(lasted) = spell.as_ref().and_then(|spell| spell.over(now)) {
            *spell = None;
            let lasted_s = lasted.as_secs();
            tracing::info!(used, maxmemory = max, lasted_s, "redis has memory for results again");
        }
    }
}

impl Memory {
    fn read(info: &str) -> Option<Self> {
        let fields: HashMap<&str, &str> =
            info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let number = |name| fields.get(name)?.parse().ok();
        let evicts = fields.get("maxmemory_policy").is_some_and(|policy| *policy != "noeviction");
        let max = if evicts { 0 } else { number("maxmemory")? };
        Some(Self { used: number("used_memory")?, max })
    }

    /// How much fits up to so many bytes beyond the bound.
    fn room(self, beyond: u64) -> u64 {
        match self.max {
            0 => u64::MAX / 2,
            max => max.saturating_add(beyond).saturating_sub(self.used),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_what_is_left_up_to_the_bound_beyond_maxmemory() {
        let info = |policy: &str| {
            format!("# Memory\r\nused_memory:300\r\nmaxmemory:200\r\nmaxmemory_policy:{policy}\r\n")
        };
        let full = Memory::read(&info("noeviction")).unwrap();
        assert_eq!(full, Memory { used: 300, max: 200 });
        assert_eq!((full.room(100), full.room(150)), (0, 50));
        assert_eq!(Memory::read(&info("allkeys-lru")).unwrap().max, 0, "it evicts");
        assert_eq!(Memory { used: 300, max: 0 }.room(0), u64::MAX / 2);
        assert_eq!(Memory::read("used_memory:1"), None);
    }

    #[test]
    fn what_is_within_the_budget_is_not_asked_for() {
        let room = Room::new(0);
        assert!(room.takes(0) && !room.takes(1));
        room.budget.store(10, Ordering::Relaxed);
        assert!(room.takes(6) && !room.takes(5) && room.takes(4) && !room.takes(1));
    }
}
