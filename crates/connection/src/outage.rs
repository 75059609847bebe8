//! What is wrong with a server now, said once when it begins and once when it is over.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use rhubarb_core::redact::SafeUrl;

/// Refusals that pass by themselves, with what a person should know of them.
///
/// Server error codes as of Redis 7.0.
const PASSING: [(&str, &str); 9] = [
    ("LOADING", "it is loading its data"),
    ("READONLY", "it is a replica, which takes no writes"),
    ("MASTERDOWN", "it is a replica that has lost its primary"),
    ("OOM", "it is out of memory (maxmemory)"),
    ("MISCONF", "it cannot save to disk and takes no writes"),
    ("NOREPLICAS", "it has too few replicas to take writes"),
    ("BUSY", "a script is running for too long"),
    ("TRYAGAIN", "its cluster is moving the slot"),
    ("CLUSTERDOWN", "its cluster is down"),
];

/// Refusals that somebody has to mend, and that last until then.
const LASTING: [(&str, &str); 2] = [
    ("NOPERM", "its access list (ACL) does not allow our user to"),
    ("NOAUTH", "it wants a user or password now"),
];

/// What a person can do about a refusal, by code.
const ADVICE: [(&str, &str); 11] = [
    ("LOADING", "it answers when that is done"),
    ("READONLY", "use the URL of its primary"),
    ("MASTERDOWN", "use the URL of its primary, or wait for it"),
    ("OOM", "free memory, or raise maxmemory"),
    ("MISCONF", "see its log and its disk"),
    ("NOREPLICAS", "see its replicas and min-replicas-to-write"),
    ("BUSY", "wait, or end the script by SCRIPT KILL"),
    ("TRYAGAIN", "wait"),
    ("CLUSTERDOWN", "see its nodes"),
    ("NOPERM", "allow it by ACL SETUSER"),
    ("NOAUTH", "put them into the URL"),
];

/// Returns what a known refusal means and what to do about it, as one part of a sentence.
pub(crate) fn explained(code: &str) -> Option<String> {
    let meaning = meaning(code)?;
    let (_, advice) = ADVICE.iter().find(|(known, _)| *known == code)?;
    Some(format!("{meaning} ({code}): {advice}"))
}

/// Tells whether a refusal passes by itself.
pub(crate) fn passes(code: &str) -> bool {
    PASSING.iter().any(|(passing, _)| *passing == code)
}

/// Says what a refusal means that is logged once for as long as it lasts; none for any other.
pub(crate) fn meaning(code: &str) -> Option<&'static str> {
    PASSING.iter().chain(&LASTING).find(|(known, _)| *known == code).map(|(_, meaning)| *meaning)
}

/// What is wrong with one server and database.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    down: Mutex<Option<Instant>>,
    /// By code: since when, and the command that was refused first.
    refusing: Mutex<BTreeMap<String, (Instant, String)>>,
}

impl Outages {
    /// Notes that the server cannot be reached or went away.
    pub(crate) fn down(&self, url: &SafeUrl, db: u32, reason: &str) {
        let mut down = lock(&self.down);
        if down.is_none() {
            *down = Some(Instant::now());
            tracing::warn!(%url, db, reason, "redis is unreachable, trying again");
        }
    }

    /// Notes that a connection stands.
    pub(crate) fn up(&self, url: &SafeUrl, db: u32) {
        if let Some(since) = lock(&self.down).take() {
            // We connect again only when we have something to say: an idle database's outage is longer than the server's.
            let outage_s = since.elapsed().as_secs_f64();
            tracing::info!(%url, db, outage_s, "redis is back, counted until this database was used again");
        }
    }

    /// Notes a refusal.
    pub(crate) fn refused(&self, url: &SafeUrl, db: u32, code: &str, command: &str) {
        let Some(meaning) = meaning(code) else { return };
        let mut refusing = lock(&self.refusing);
        if !refusing.contains_key(code) {
            refusing.insert(code.to_owned(), (Instant::now(), command.to_owned()));
            tracing::warn!(%url, db, code, reason = meaning, command, "redis refuses commands, trying again");
        }
    }

    /// Tells whether anything is refused, so that an answer is worth a look.
    pub(crate) fn is_refusing(&self) -> bool {
        !lock(&self.refusing).is_empty()
    }

    /// Notes that a command was answered: a refusal is over when what was refused is carried out.
    pub(crate) fn answered(&self, url: &SafeUrl, db: u32, command: &str) {
        lock(&self.refusing).retain(|code, (since, refused)| {
            // Whoever loads refuses everything, so that any answer ends it.
            let over = refused == command || code == "LOADING";
            if over {
                let outage_s = since.elapsed().as_secs_f64();
                tracing::info!(%url, db, code, outage_s, "redis takes commands again");
            }
            !over
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_that_is_known_says_what_to_do() {
        for (code, meaning) in PASSING.iter().chain(&LASTING) {
            let explained = explained(code).unwrap();
            assert!(explained.starts_with(&format!("{meaning} ({code}): ")), "{explained}");
        }
        assert_eq!(explained("WRONGTYPE"), None);
    }

    #[test]
    fn a_refusal_is_over_when_what_was_refused_is_carried_out() {
        let url: SafeUrl = "redis://h".parse().unwrap();
        let outages = Outages::default();
        outages.refused(&url, 0, "WRONGTYPE", "GET");
        assert!(!outages.is_refusing(), "waiting does not cure it");
        outages.refused(&url, 0, "READONLY", "the script claim");
        outages.answered(&url, 0, "GET");
        assert!(outages.is_refusing(), "a replica answers reads");
        outages.answered(&url, 0, "the script claim");
        assert!(!outages.is_refusing());
        outages.refused(&url, 0, "LOADING", "the script claim");
        outages.answered(&url, 0, "GET");
        assert!(!outages.is_refusing());
    }
}
