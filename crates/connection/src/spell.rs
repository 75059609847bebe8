//! A condition that comes and goes, told as one.

use std::time::{Duration, Instant};

/// How often a condition that lasts is told of again.
const REMINDER: Duration = Duration::from_secs(60);

/// For how long a server must not have been out of memory until that is over: near its limit it
/// takes what is small.
pub const NEAR_THE_LIMIT: Duration = Duration::from_secs(60);

/// What is to be told of a condition now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telling {
    /// It has begun.
    Begins,
    /// It goes on, for this long by now; told once a minute.
    GoesOn(Duration),
}

/// One spell of a condition: told when it begins, each minute while it lasts, and once when it has
/// stayed away.
///
/// A server near its limit of memory refuses one command and takes the next, over and over: that is
/// one spell, not hundreds.
#[derive(Clone, Debug)]
pub struct Spell {
    /// For how long the condition has to stay away until the spell counts as over.
    quiet: Duration,
    since: Instant,
    last: Instant,
    told: Instant,
}

impl Spell {
    /// Begins one, at `now`, that is over when the condition has not come for `quiet`.
    pub fn begin(quiet: Duration, now: Instant) -> Self {
        Self { quiet, since: now, last: now, told: now }
    }

    /// Notes in `spell` that the condition holds; returns what is to be told of it.
    pub fn note(spell: &mut Option<Self>, quiet: Duration, now: Instant) -> Option<Telling> {
        let Some(spell) = spell else {
            *spell = Some(Self::begin(quiet, now));
            return Some(Telling::Begins);
        };
        spell.again(now).map(Telling::GoesOn)
    }

    /// Notes that the condition holds; returns for how long by now, if that is to be told.
    pub fn again(&mut self, now: Instant) -> Option<Duration> {
        self.last = now;
        if now.duration_since(self.told) < REMINDER {
            return None;
        }
        self.told = now;
        Some(self.lasted(now))
    }

    /// Returns for how long it has lasted.
    pub fn lasted(&self, now: Instant) -> Duration {
        now.duration_since(self.since)
    }

    /// Tells whether it has not come for so long that it is over whatever else is known: how long
    /// it was.
    pub fn faded(&self, now: Instant) -> Option<Duration> {
        (now.duration_since(self.last) >= REMINDER).then(|| self.last.duration_since(self.since))
    }

    /// Tells whether it is over, given that the condition does not hold now: how long it was.
    pub fn over(&self, now: Instant) -> Option<Duration> {
        let away = now.duration_since(self.last) >= self.quiet;
        let until = if self.quiet.is_zero() { now } else { self.last };
        away.then(|| until.duration_since(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_condition_that_comes_and_goes_is_told_when_it_begins_and_each_minute() {
        let begun = Instant::now();
        let mut spell = None;
        let mut told = Vec::new();
        for n in 0..130 {
            let now = begun + n * S;
            told.extend(Spell::note(&mut spell, 30 * S, now).map(|telling| (n, telling)));
            assert_eq!(spell.as_ref().unwrap().over(now + S / 2), None);
        }
        let goes_on = |n| (n, Telling::GoesOn(n * S));
        assert_eq!(told, [(0, Telling::Begins), goes_on(60), goes_on(120)]);
        let spell = spell.unwrap();
        assert_eq!(spell.over(begun + 158 * S), None);
        assert_eq!(spell.over(begun + 159 * S), Some(129 * S), "until it was last seen");
    }

    #[test]
    fn without_a_quiet_time_it_is_over_at_once() {
        let begun = Instant::now();
        let spell = Spell::begin(Duration::ZERO, begun);
        assert_eq!(spell.over(begun + 3 * S), Some(3 * S));
        assert_eq!(
            (spell.faded(begun + 59 * S), spell.faded(begun + 60 * S)),
            (None, Some(Duration::ZERO))
        );
    }
}
