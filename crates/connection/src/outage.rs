//! What is wrong with a server now: said when it begins, when its reason changes, each minute, and
//! when it is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rhubarb_core::redact::SafeUrl;

use crate::{Backoff, Spell, refusal, spell::NEAR_THE_LIMIT};

/// How many reasons of one outage are told.
const REASONS: usize = 20;

/// What a server refuses as long as it takes no writes at all.
const NO_WRITES: [&str; 3] = ["READONLY", "NOREPLICAS", "MISCONF"];

/// Commands that write whenever they are carried out, and are sent again and again.
const WRITES: [&str; 3] = ["the script reap", "the script heartbeat", "the script settle"];

/// How the names of scripts begin.
const SCRIPT: &str = "the script ";

/// What is wrong with one server and database.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    down: Mutex<Option<Down>>,
    /// Whether the outage lasts until a command is carried out.
    silent: AtomicBool,
    /// By code.
    refusing: Mutex<BTreeMap<String, Refusing>>,
    leaving: Mutex<Leaving>,
}

/// An outage.
#[derive(Debug)]
struct Down {
    spell: Spell,
    reasons: BTreeSet<String>,
    silence: Option<Silence>,
}

/// Commands were not answered in time. That the server takes connections says nothing then: it may
/// answer reads and carry out no writes (`CLIENT PAUSE … WRITE`, a fail-over that is under way).
#[derive(Debug, Default)]
struct Silence {
    /// Those that have not been carried out since. Reads are among them: the server answers none
    /// that stand behind a write on one connection.
    lost: BTreeSet<String>,
    /// Whether a connection was made since.
    stands: bool,
    /// Whether it was told that the server answers some commands only.
    told: bool,
}

/// A refusal that lasts.
#[derive(Debug)]
struct Refusing {
    spell: Spell,
    /// The commands that were refused, at most [`MAX_REFUSED`]: the first may be one that is hardly
    /// ever sent, and so would never tell that it is over.
    commands: Vec<String>,
}

/// So many refused commands are told apart.
const MAX_REFUSED: usize = 16;

/// When a server was last left that cannot serve us: for as long as it cannot, ever more seldom.
#[derive(Debug, Default)]
struct Leaving {
    next: Option<Instant>,
    backoff: Backoff,
}

impl Leaving {
    /// Tells whether to leave it now.
    fn is_due(&mut self, now: Instant) -> bool {
        if self.next.is_some_and(|next| now < next) {
            return false;
        }
        self.next = Some(now + self.backoff.next_wait());
        true
    }
}

impl Outages {
    /// Notes that the server cannot be reached or went away.
    pub(crate) fn down(&self, url: &SafeUrl, db: u32, reason: &str) {
        let now = Instant::now();
        let mut down = lock(&self.down);
        let Some(known) = &mut *down else {
            let (spell, reasons) =
                (Spell::begin(Duration::ZERO, now), BTreeSet::from([reason.to_owned()]));
            *down = Some(Down { spell, reasons, silence: None });
            tracing::warn!(%url, db, reason, "redis is unreachable, trying again");
            return;
        };
        let told = known.spell.again(now);
        let is_new = known.reasons.len() < REASONS && known.reasons.insert(reason.to_owned());
        if is_new || told.is_some() {
            let outage_s = known.spell.lasted(now).as_secs_f64();
            tracing::warn!(%url, db, reason, outage_s, "redis is still unreachable, trying again");
        }
    }

    /// Notes that a command was not answered in time.
    pub(crate) fn silent(&self, url: &SafeUrl, db: u32, command: &str, reason: &str) {
        if !self.is_partly_silent(url, db, command, reason) {
            self.down(url, db, reason);
        }
        if let Some(down) = &mut *lock(&self.down) {
            let silence = down.silence.get_or_insert_default();
            silence.stands = false;
            if silence.lost.len() < REASONS {
                silence.lost.insert(kind(command).to_owned());
            }
            self.silent.store(true, Ordering::Relaxed);
        }
    }

    /// Tells whether the server took a connection since a command was lost, and says so at first
    /// and each minute.
    fn is_partly_silent(&self, url: &SafeUrl, db: u32, command: &str, reason: &str) -> bool {
        let now = Instant::now();
        let mut down = lock(&self.down);
        let Some(Down { spell, silence: Some(silence), .. }) = &mut *down else { return false };
        if !silence.stands {
            return false;
        }
        if spell.again(now).is_some() || !std::mem::replace(&mut silence.told, true) {
            let outage_s = spell.lasted(now).as_secs_f64();
            if silence.lost.contains(SCRIPT) {
                tracing::warn!(%url, db, command, reason, outage_s, "redis answers, but carries out no writes, trying again");
            } else {
                tracing::warn!(%url, db, command, reason, outage_s, "redis answers, but not this command, trying again");
            }
        }
        true
    }

    /// Notes that a connection stands.
    pub(crate) fn up(&self, url: &SafeUrl, db: u32) {
        let mut down = lock(&self.down);
        match &mut *down {
            Some(Down { silence: Some(silence), .. }) => silence.stands = true,
            _ => self.back(url, db, down.take()),
        }
    }

    fn back(&self, url: &SafeUrl, db: u32, down: Option<Down>) {
        self.silent.store(false, Ordering::Relaxed);
        if let Some(down) = down {
            // We connect again only when we have something to say: an idle database's outage is
            // longer than the server's.
            let outage_s = down.spell.lasted(Instant::now()).as_secs_f64();
            tracing::info!(%url, db, outage_s, "redis is back, counted until this database was used again");
        }
    }

    /// Notes a refusal; tells whether the connection is to be left, since this server cannot serve
    /// us.
    pub(crate) fn refused(&self, url: &SafeUrl, db: u32, code: &str, command: &str) -> bool {
        let Some(known) = refusal::known(code) else { return false };
        let now = Instant::now();
        let reason = known.meaning;
        let mut refusing = lock(&self.refusing);
        let lasted = match refusing.get_mut(code) {
            None => {
                let quiet = if code == "OOM" { NEAR_THE_LIMIT } else { Duration::ZERO };
                let (spell, commands) = (Spell::begin(quiet, now), vec![command.to_owned()]);
                tracing::warn!(%url, db, code, reason, command, "redis refuses commands, trying again");
                refusing.insert(code.to_owned(), Refusing { spell, commands });
                Duration::ZERO
            }
            Some(Refusing { spell, commands }) => {
                if commands.len() < MAX_REFUSED && !commands.iter().any(|one| one == command) {
                    commands.push(command.to_owned());
                }
                if let Some(lasted) = spell.again(now) {
                    let outage_s = lasted.as_secs_f64();
                    tracing::warn!(%url, db, code, reason, command, outage_s, "redis still refuses commands, trying again");
                }
                spell.lasted(now)
            }
        };
        drop(refusing);
        known.leaves_after(lasted) && lock(&self.leaving).is_due(now)
    }

    /// Tells whether anything is refused or was not answered, so that an answer is worth a look.
    pub(crate) fn is_refusing(&self) -> bool {
        self.silent.load(Ordering::Relaxed) || !lock(&self.refusing).is_empty()
    }

    /// Notes that a command was answered: a refusal or a silence is over when what was refused or
    /// lost is carried out.
    pub(crate) fn answered(&self, url: &SafeUrl, db: u32, command: &str) {
        self.heard(url, db, command);
        let now = Instant::now();
        let mut refusing = lock(&self.refusing);
        refusing.retain(|code, refusing| {
            // Whoever loads refuses everything, so that any answer ends it; whoever takes one write
            // takes all.
            let carried_out = refusing.commands.iter().any(|one| one == command)
                || code == "LOADING"
                || NO_WRITES.contains(&code.as_str()) && WRITES.contains(&command);
            let over = carried_out.then(|| refusing.spell.over(now)).flatten();
            // What was refused may never be sent again.
            let over = over.or_else(|| refusing.spell.faded(now));
            if let Some(outage) = over {
                let outage_s = outage.as_secs_f64();
                tracing::info!(%url, db, code, outage_s, "redis takes commands again");
            }
            over.is_none()
        });
        if refusing.is_empty() {
            *lock(&self.leaving) = Leaving::default();
        }
    }

    /// Ends a silence when all that was lost is carried out again, or none was lost for long.
    fn heard(&self, url: &SafeUrl, db: u32, command: &str) {
        let mut down = lock(&self.down);
        let Some(Down { spell, silence: Some(silence), .. }) = &mut *down else { return };
        silence.lost.remove(kind(command));
        if silence.lost.is_empty() || spell.faded(Instant::now()).is_some() {
            self.back(url, db, down.take());
        }
    }
}

/// Returns what is carried out when this command is: what pauses writes pauses all scripts.
fn kind(command: &str) -> &str {
    if command.starts_with(SCRIPT) { SCRIPT } else { command }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_over_when_what_was_refused_is_carried_out() {
        let url: SafeUrl = "redis://h".parse().unwrap();
        let outages = Outages::default();
        assert!(!outages.refused(&url, 0, "WRONGTYPE", "GET"));
        assert!(!outages.is_refusing(), "waiting does not cure it");
        assert!(outages.refused(&url, 0, "READONLY", "the script claim"));
        outages.answered(&url, 0, "GET");
        assert!(outages.is_refusing(), "a replica answers reads");
        outages.answered(&url, 0, "the script claim");
        assert!(!outages.is_refusing());
        outages.refused(&url, 0, "NOREPLICAS", "SADD+PUBLISH");
        outages.answered(&url, 0, "the script peek");
        assert!(outages.is_refusing(), "what only reads is carried out all the time");
        outages.answered(&url, 0, "the script reap");
        assert!(!outages.is_refusing(), "a write is carried out");
        assert!(!outages.refused(&url, 0, "LOADING", "the script claim"));
        outages.answered(&url, 0, "GET");
        assert!(!outages.is_refusing());
        assert!(!outages.refused(&url, 0, "OOM", "the script claim"));
        outages.answered(&url, 0, "the script claim");
        assert!(outages.is_refusing(), "near its limit it takes one and refuses the next");
    }

    #[test]
    fn a_silence_is_over_when_what_was_lost_is_carried_out() {
        let url: SafeUrl = "redis://h".parse().unwrap();
        let outages = Outages::default();
        let is_silent = || outages.is_refusing();
        let lost = |command| outages.silent(&url, 0, command, "timed out");
        for _ in 0..3 {
            lost("the script claim");
            outages.up(&url, 0);
            outages.answered(&url, 0, "GET");
            assert!(is_silent(), "it answers reads");
        }
        outages.answered(&url, 0, "the script reap");
        assert!(!is_silent());
        lost("the script claim");
        lost("GET");
        outages.down(&url, 0, "connection refused");
        outages.up(&url, 0);
        outages.answered(&url, 0, "GET");
        assert!(is_silent(), "it stood behind the script");
        outages.answered(&url, 0, "the script reap");
        assert!(!is_silent());
        outages.down(&url, 0, "connection refused");
        assert!(!is_silent(), "no command was lost");
    }

    #[test]
    fn a_server_that_stays_a_replica_is_left_ever_more_seldom() {
        let begun = Instant::now();
        let mut leaving = Leaving::default();
        let left = (0..6_000).filter(|n| leaving.is_due(begun + *n * Duration::from_millis(10)));
        let left = left.count();
        assert!((12..=30).contains(&left), "{left} times in a minute");
    }
}
