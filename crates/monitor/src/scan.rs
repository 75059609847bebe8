//! Looking through the keys of a database, for a bounded time and never long at once.

use std::time::Duration;

use redis::{cmd, pipe};
use tokio::time::{Instant, timeout_at};

use crate::{
    ask::Asked,
    census::{Census, Measure},
    namespace::Namespace,
};

/// How many keys one `SCAN` looks at: a quarter of a millisecond of the server's time.
const SCAN_COUNT: usize = 500;
/// How many keys are measured in one write.
const AT_ONCE: usize = 100;
/// How many elements of a collection `MEMORY USAGE` looks at.
const SAMPLES: usize = 5;
/// Of a namespace of known keys so many are asked for.
const KNOWN: usize = 1000;
/// A command that is under way at the end may take so much longer.
const GRACE: Duration = Duration::from_millis(200);
/// Keys of each database for each second of effort.
const KEYS_PER_SECOND: u32 = 250_000;

/// How much may be looked at.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// For how long.
    time: Duration,
    /// Until when.
    until: Instant,
    /// How many keys of each database.
    keys: u64,
    /// Whether keys are measured too.
    measure: bool,
}

impl Effort {
    /// Returns what begins now and takes so long.
    pub fn new(time: Duration, measure: bool) -> Self {
        let keys = time.as_millis() * u128::from(KEYS_PER_SECOND) / 1000;
        let keys = u64::try_from(keys).unwrap_or(u64::MAX);
        Self { time, until: Instant::now() + time, keys, measure }
    }

    /// Returns for how long.
    pub fn time(&self) -> Duration {
        self.time
    }

    fn is_spent(&self, seen: u64) -> bool {
        seen >= self.keys || Instant::now() >= self.until
    }
}

/// What may be measured; each ends when the server refuses it.
#[derive(Clone, Copy, Debug)]
struct Meter {
    memory: bool,
    ttl: bool,
}

/// Counts the keys of a database by namespace.
///
/// # Cancel safety
/// Nothing is written; dropping it loses the count.
pub async fn census(asked: &mut Asked<'_>, namespaces: Vec<Namespace>, effort: Effort) -> Census {
    let mut census = Census::new(namespaces);
    // What was counted before a command hung is worth showing.
    let _ = timeout_at(effort.until + GRACE, async {
        let mut meter = Meter { memory: effort.measure, ttl: effort.measure };
        count_known(asked, &mut census, &mut meter).await;
        look(asked, &mut census, &mut meter, effort).await;
    })
    .await;
    census
}

async fn look(asked: &mut Asked<'_>, census: &mut Census, meter: &mut Meter, effort: Effort) {
    let mut cursor = 0_u64;
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("COUNT").arg(SCAN_COUNT);
        let Some((next, keys)) = asked.ask::<(u64, Vec<Vec<u8>>)>("keys by namespace", &scan).await
        else {
            return;
        };
        let mut chosen = Vec::new();
        for key in keys {
            let at = census.see(&key, meter.memory || meter.ttl);
            chosen.extend(at.map(|at| (at, key)));
        }
        for batch in chosen.chunks(AT_ONCE) {
            measure(asked, census, meter, batch).await;
        }
        if next == 0 {
            census.complete();
            return;
        }
        if effort.is_spent(census.seen()) {
            return;
        }
        cursor = next;
    }
}

async fn measure(
    asked: &mut Asked<'_>,
    census: &mut Census,
    meter: &mut Meter,
    batch: &[(usize, Vec<u8>)],
) {
    let mut bytes: Option<Vec<Option<u64>>> = None;
    if meter.memory {
        let mut commands = pipe();
        for (_, key) in batch {
            commands.cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(SAMPLES);
        }
        bytes = asked.ask_all("memory by namespace", &commands).await;
        meter.memory = bytes.is_some();
    }
    let mut lives: Option<Vec<i64>> = None;
    if meter.ttl {
        let mut commands = pipe();
        for (_, key) in batch {
            commands.cmd("PTTL").arg(key);
        }
        lives = asked.ask_all("keys without TTL", &commands).await;
        meter.ttl = lives.is_some();
    }
    for (idx, (at, key)) in batch.iter().enumerate() {
        let bytes = bytes.as_ref().and_then(|bytes| bytes.get(idx).copied().flatten());
        let life = lives.as_ref().and_then(|lives| lives.get(idx).copied());
        // -2: the key has gone since.
        let expires = life.filter(|life| *life != -2).map(|life| life != -1);
        census.measured(*at, key, Measure { bytes, expires });
    }
}

/// Asks for the keys of namespaces that are a few known keys: a part of a scan says nothing of
/// them.
async fn count_known(asked: &mut Asked<'_>, census: &mut Census, meter: &mut Meter) {
    for (at, keys) in census.known_keys() {
        let mut commands = pipe();
        let keys: Vec<Vec<u8>> = keys.into_iter().take(KNOWN).collect();
        for key in &keys {
            commands.cmd("EXISTS").arg(key);
        }
        let Some(found) = asked.ask_all::<Vec<bool>>("keys by namespace", &commands).await else {
            return;
        };
        let there = keys.into_iter().zip(found).filter(|(_, is_there)| *is_there);
        let there: Vec<(usize, Vec<u8>)> = there.map(|(key, _)| (at, key)).collect();
        census.counted(at, u64::try_from(there.len()).unwrap_or(u64::MAX));
        for batch in there.chunks(AT_ONCE) {
            measure(asked, census, meter, batch).await;
        }
    }
}
