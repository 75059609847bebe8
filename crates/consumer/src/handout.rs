//! How many bytes Redis may hand out at once.
//!
//! A worker's connection is subscribed to channels, so that Redis ends it when more than a limit
//! waits for it: 32 MB, or 8 MB for a minute, by default; less on small plans. An answer above that
//! never arrives, and nor does the next try. So answers stay below what the server says, or what is
//! usual where it does not say. Where answers are lost all the same, as behind a proxy with limits
//! of its own, smaller ones are asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The setting that limits what waits for a connection.
const SETTING: &str = "client-output-buffer-limit";
/// Redis's own limits of a connection with subscriptions: at any time, and for longer than a
/// minute.
const USUAL: (usize, usize) = (32 << 20, 8 << 20);
/// The least that is asked for at once: more than the ends of a message that is too large.
const LEAST: usize = 128 << 10;
/// How long less is asked for after an answer was lost.
const NARROW: Duration = Duration::from_secs(600);

/// What may be handed out at once.
#[derive(Debug)]
pub(super) struct Handout {
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    allowed: usize,
    /// Less than that, until when.
    narrowed: Option<(usize, Instant)>,
}

impl Default for Handout {
    fn default() -> Self {
        Self { state: Mutex::new(State { allowed: below(USUAL), narrowed: None }) }
    }
}

impl Handout {
    /// Returns how many bytes may be asked for at once.
    pub(super) fn at_once(&self) -> usize {
        self.state().at_once(Instant::now())
    }

    /// Takes what the server said about the setting; nothing where it says nothing.
    pub(super) fn told(&self, said: Option<&HashMap<String, String>>) {
        let limits = said.and_then(|said| said.get(SETTING)).and_then(|value| limits(value));
        self.with(|state| state.allowed = below(limits.unwrap_or(USUAL)));
    }

    /// Asks for less for a while, since an answer of so many bytes was lost; returns how much,
    /// where it is less.
    pub(super) fn lost(&self, bytes: usize) -> Option<usize> {
        let mut narrowed = None;
        self.with(|state| narrowed = state.lost(bytes, Instant::now()));
        narrowed
    }

    fn state(&self) -> State {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn at_once(self, now: Instant) -> usize {
        let narrowed = self.narrowed.filter(|(_, until)| now < *until).map(|(bytes, _)| bytes);
        narrowed.map_or(self.allowed, |bytes| bytes.min(self.allowed))
    }

    fn lost(&mut self, bytes: usize, now: Instant) -> Option<usize> {
        let before = self.at_once(now);
        let less = (bytes.min(before) / 2).max(LEAST);
        if bytes <= LEAST || less >= before {
            return None;
        }
        self.narrowed = Some((less, now + NARROW));
        Some(less)
    }
}

/// Returns the question for the server's limits.
pub(super) fn question() -> ::redis::Cmd {
    let mut ask = ::redis::cmd("CONFIG");
    ask.arg("GET").arg(SETTING);
    ask
}

/// Returns what keeps below both limits, with room for what else the server sends meanwhile.
fn below((hard, soft): (usize, usize)) -> usize {
    (hard / 2).min(soft).max(LEAST)
}

/// Reads the setting: for each class of connections its name, two limits in bytes, and the seconds
/// of the second; 0 is none. Ours have subscriptions, or where those are refused, none.
fn limits(value: &str) -> Option<(usize, usize)> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let mut least = None;
    for class in words.chunks_exact(4).filter(|class| ["normal", "pubsub"].contains(&class[0])) {
        let bytes = |word: &str| word.parse().ok().map(|n| if n == 0 { usize::MAX } else { n });
        let (hard, soft): (usize, usize) = (bytes(class[1])?, bytes(class[2])?);
        least =
            Some(least.map_or((hard, soft), |(h, s): (usize, usize)| (h.min(hard), s.min(soft))));
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_below_the_limits_of_our_class() {
        let check = |value: &str, bytes: Option<usize>| {
            assert_eq!(limits(value).map(below), bytes, "{value}");
        };
        let replica = "slave 268435456 67108864 60";
        check(&format!("normal 0 0 0 {replica} pubsub 33554432 8388608 60"), Some(8 << 20));
        check(&format!("normal 0 0 0 {replica} pubsub 8388608 2097152 60"), Some(2 << 20));
        check(&format!("normal 1048576 0 0 {replica} pubsub 8388608 0 0"), Some(512 << 10));
        check("normal 0 0 0 pubsub 0 0 0", Some(usize::MAX / 2));
        check("normal 0 0 0 pubsub 1000 0 0", Some(LEAST));
        check("", None);
        check("pubsub much more 60", None);
    }

    #[test]
    fn a_lost_answer_is_asked_for_smaller_for_a_while() {
        let now = Instant::now();
        let mut state = State { allowed: below(USUAL), narrowed: None };
        assert_eq!(state.at_once(now), 8 << 20);
        assert_eq!(state.lost(LEAST, now), None, "it was not lost for its size");
        assert_eq!(state.lost(100 << 20, now), Some(4 << 20));
        assert_eq!(state.lost(1 << 20, now), Some(512 << 10));
        assert_eq!(state.at_once(now), 512 << 10);
        while state.lost(512 << 10, now).is_some() {}
        assert_eq!(state.at_once(now), LEAST);
        assert_eq!(state.at_once(now + NARROW), 8 << 20);
    }

    #[test]
    fn what_the_server_says_holds_until_it_says_something_else() {
        let handout = Handout::default();
        let said = HashMap::from([(SETTING.to_owned(), "pubsub 400000 0 0".to_owned())]);
        handout.told(Some(&said));
        assert_eq!(handout.at_once(), 200_000);
        handout.told(None);
        assert_eq!(handout.at_once(), 8 << 20);
    }
}
