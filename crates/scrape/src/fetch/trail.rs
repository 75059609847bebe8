//! What a run of a source asks for, to tell whether the source has what it had.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rhubarb_core::hex::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::stored::{Head, Stored};

/// What is known of the one page that a source consists of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// What was asked for.
    key: String,
    /// The hash of its body.
    digest: String,
    /// By what the site can be asked whether it still is so; none where it gave nothing for that.
    head: Option<Head>,
}

/// The trail of one run of a source.
#[derive(Debug, Default)]
pub struct Trail {
    known: Option<Known>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pages: usize,
    /// All pages that came, in their order.
    all: Sha256,
    first: Option<First>,
    /// What is known holds, with what is known of it now.
    holds: Option<Known>,
}

/// The page that came first.
#[derive(Debug)]
struct First {
    key: String,
    digest: String,
    /// Kept for all once a second one comes: a source of one page is kept as what was read of it.
    stored: Option<Stored>,
}

/// What follows from a page that came.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The page that came before it and was not kept yet, by its key.
    pub(super) first: Option<(String, Stored)>,
    /// The page itself, where it is to be kept.
    pub(super) own: Option<Stored>,
    /// Whether it is what is known.
    pub(super) is_known: bool,
}

/// Returns the hash of a body.
pub(super) fn digest(body: &Bytes) -> String {
    hex(&Sha256::digest(body)[..16])
}

impl Trail {
    /// Begins a trail; `known` is what the run before ended with.
    pub fn new(known: Option<Known>) -> Self {
        Self { known, state: Mutex::default() }
    }

    /// Returns what is known now, if the source has what it had.
    pub fn unchanged(&self) -> Option<Known> {
        self.state().holds.clone()
    }

    /// Returns the hash of all pages that came, and what is known of the page if it is the only
    /// one.
    pub fn end(&self) -> (String, Option<Known>) {
        let mut state = self.state();
        let first = state.first.take().filter(|_| state.pages == 1);
        let known = first.map(|First { key, digest, stored }| {
            let head = stored.map(|stored| stored.head);
            Known { key, digest, head }
        });
        (hex(&state.all.clone().finalize()[..16]), known)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves a state that is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begins_with(&self, key: &str) -> Option<&Known> {
        let known = self.known.as_ref().filter(|known| known.key == key)?;
        (self.state().pages == 0).then_some(known)
    }

    /// Returns what is known of what is asked for, without a body.
    pub(super) fn known(&self, key: &str) -> Option<Stored> {
        let head = self.begins_with(key)?.head.clone()?;
        Some(Stored { head, body: Bytes::new() })
    }

    /// Notes that an answer holds; tells whether it is what is known.
    pub(super) fn holds(&self, key: &str, kept: &Stored) -> bool {
        let Some(known) = self.begins_with(key) else { return false };
        let known = Known { head: Some(kept.head.clone()), ..known.clone() };
        self.state().holds = Some(known);
        true
    }

    /// Notes a page that came.
    pub(super) fn came(&self, key: String, digest: String, stored: Option<Stored>) -> Step {
        let known = self.begins_with(&key).filter(|known| known.digest == digest).cloned();
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(known) = known {
            let head = stored.map(|stored| stored.head);
            state.holds = Some(Known { head, ..known });
            return Step { is_known: true, ..Step::default() };
        }
        state.pages += 1;
        state.all.update(&key);
        state.all.update(&digest);
        let Some(first) = &mut state.first else {
            state.first = Some(First { key, digest, stored });
            return Step::default();
        };
        let first = first.stored.take().map(|stored| (first.key.clone(), stored));
        Step { first, own: stored, is_known: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(trail: &Trail, key: &str, body: &'static str) -> bool {
        trail.came(key.into(), digest(&Bytes::from_static(body.as_bytes())), None).is_known
    }

    #[test]
    fn a_source_of_one_page_that_comes_again_is_known() {
        let trail = Trail::default();
        assert!(!came(&trail, "a", "hello"));
        let (first, known) = trail.end();
        assert!(known.is_some());
        let again = Trail::new(known.clone());
        assert!(came(&again, "a", "hello") && again.unchanged().is_some());
        let other = Trail::new(known.clone());
        assert!(!came(&other, "a", "hullo") && other.unchanged().is_none());
        assert_ne!(other.end().0, first);
        let elsewhere = Trail::new(known);
        assert!(!came(&elsewhere, "b", "hello"));
    }

    #[test]
    fn several_pages_have_one_hash_and_none_of_them_is_known_alone() {
        let read = |bodies: [&'static str; 2]| {
            let trail = Trail::default();
            assert!(!came(&trail, "a", bodies[0]) && !came(&trail, "b", bodies[1]));
            trail.end()
        };
        let (hash, known) = read(["x", "y"]);
        assert_eq!(
            (known, read(["x", "y"]).0 == hash, read(["x", "z"]).0 == hash),
            (None, true, false)
        );
    }
}
