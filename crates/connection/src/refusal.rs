//! What a server refuses, what that means, and whether its connection is left for another.
//!
//! After a fail-over the old primary may live on as a replica, with our connections open: it
//! answers, and serves us no more. A connection is therefore ended, and a new one dialled, when an
//! answer says so. A name that leads elsewhere by now, or a proxy, takes the new connection to the
//! server that does serve us.
//!
//! | code | the connection | because |
//! |---|---|---|
//! | `READONLY`, `UNBLOCKED` | is left at once | the server has become a replica |
//! | `MOVED`, `CLUSTERDOWN` | is left at once | the node has lost our keys' slots |
//! | `NOAUTH` | is left at once | a new one logs in again |
//! | `LOADING`, `MASTERDOWN`, `NOREPLICAS`, `MISCONF` | is left after [`PATIENCE`] | most often it passes; else this is the old primary, cut off from the others |
//! | `OOM`, `BUSY`, `TRYAGAIN`, `NOPERM` | is kept | the server is the right one, and a new connection would be told the same |

use std::time::Duration;

/// How long a refusal may last that most often passes by itself.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It is kept.
    Stay,
    /// It is left at once.
    Leave,
    /// It is left once the refusal has lasted for [`PATIENCE`].
    Wait,
}

/// A refusal that is logged once for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    /// What it means, as a part of a sentence about the server.
    pub(crate) meaning: &'static str,
    /// What a person can do about it.
    advice: &'static str,
    /// Whether it passes by itself; else somebody has to mend it.
    passes: bool,
    then: Then,
}

/// Server error codes as of Redis 7.0.
static REFUSALS: [Refusal; 13] = [
    passing("LOADING", "it is loading its data", "it answers when that is done", Then::Wait),
    passing(
        "READONLY",
        "it is a replica, which takes no writes",
        "use the URL of its primary",
        Then::Leave,
    ),
    passing("UNBLOCKED", "it has just become a replica", "use the URL of its primary", Then::Leave),
    passing(
        "MASTERDOWN",
        "it is a replica that has lost its primary",
        "use the URL of its primary, or wait for it",
        Then::Wait,
    ),
    passing(
        "OOM",
        "it is out of memory (maxmemory)",
        "free memory, or raise maxmemory",
        Then::Stay,
    ),
    passing(
        "MISCONF",
        "it cannot save to disk and takes no writes",
        "see its log and its disk",
        Then::Wait,
    ),
    passing(
        "NOREPLICAS",
        "it has too few replicas to take writes",
        "see its replicas and min-replicas-to-write",
        Then::Wait,
    ),
    passing(
        "BUSY",
        "a script is running for too long",
        "wait, or end the script by SCRIPT KILL",
        Then::Stay,
    ),
    passing("TRYAGAIN", "its cluster is moving the slot", "wait", Then::Stay),
    passing("CLUSTERDOWN", "its cluster is down", "see its nodes", Then::Leave),
    lasting(
        "MOVED",
        "another node of its cluster has the key",
        "put all keys into one slot by prefixes with a hash tag (docs/cluster.md), or give the URL \
         of a server that is no cluster",
        Then::Leave,
    ),
    lasting(
        "NOPERM",
        "its access list (ACL) forbids our user this command or key",
        "allow it by ACL SETUSER",
        Then::Stay,
    ),
    lasting("NOAUTH", "it wants a user or password now", "put them into the URL", Then::Leave),
];

const fn passing(
    code: &'static str,
    meaning: &'static str,
    advice: &'static str,
    then: Then,
) -> Refusal {
    Refusal { code, meaning, advice, passes: true, then }
}

const fn lasting(
    code: &'static str,
    meaning: &'static str,
    advice: &'static str,
    then: Then,
) -> Refusal {
    Refusal { code, meaning, advice, passes: false, then }
}

impl Refusal {
    /// Tells whether the connection is left once the refusal has lasted for this long.
    pub(crate) fn leaves_after(&self, lasted: Duration) -> bool {
        match self.then {
            Then::Stay => false,
            Then::Leave => true,
            Then::Wait => lasted >= PATIENCE,
        }
    }
}

/// Returns a refusal that is known; none for any other code.
pub(crate) fn known(code: &str) -> Option<&'static Refusal> {
    REFUSALS.iter().find(|refusal| refusal.code == code)
}

/// Returns what a known refusal means and what to do about it, as one part of a sentence.
pub(crate) fn explained(code: &str) -> Option<String> {
    let Refusal { meaning, advice, .. } = known(code)?;
    Some(format!("{meaning} ({code}): {advice}"))
}

/// Tells whether a refusal passes by itself.
pub(crate) fn passes(code: &str) -> bool {
    known(code).is_some_and(|refusal| refusal.passes)
}

/// Tells whether a refusal says that another server serves us, so that its connection is left at
/// once.
pub(crate) fn leaves_at_once(code: &str) -> bool {
    known(code).is_some_and(|refusal| refusal.then == Then::Leave)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_that_is_known_says_what_to_do() {
        for Refusal { code, meaning, advice, .. } in &REFUSALS {
            assert_eq!(explained(code).unwrap(), format!("{meaning} ({code}): {advice}"));
            assert!(!meaning.is_empty() && !advice.is_empty(), "{code}");
        }
        assert_eq!(explained("WRONGTYPE"), None);
    }

    #[test]
    fn a_server_that_cannot_serve_us_is_left_and_one_that_soon_can_is_waited_for() {
        let check = |code: &str, at_once: bool, in_the_end: bool| {
            let refusal = known(code).unwrap();
            assert_eq!(refusal.leaves_after(Duration::ZERO), at_once, "{code}");
            assert_eq!(refusal.leaves_after(PATIENCE), in_the_end, "{code}");
            assert_eq!(leaves_at_once(code), at_once, "{code}");
        };
        for code in ["READONLY", "UNBLOCKED", "CLUSTERDOWN", "MOVED", "NOAUTH"] {
            check(code, true, true);
        }
        for code in ["LOADING", "MASTERDOWN", "NOREPLICAS", "MISCONF"] {
            check(code, false, true);
        }
        for code in ["OOM", "BUSY", "TRYAGAIN", "NOPERM"] {
            check(code, false, false);
        }
    }
}
