//! When a failed attempt is tried again.

use std::time::Duration;

/// How often and after what wait a task is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts after the first. Zero: the first error is final.
    pub max_retries: u32,
    /// The upper bound of the first wait; it doubles with each retry.
    pub base: Duration,
    /// No wait is longer. Shorter than `base`: every wait is bounded by it.
    pub cap: Duration,
}

impl RetryPolicy {
    /// Never tries again.
    pub const NEVER: Self = Self { max_retries: 0, base: Duration::ZERO, cap: Duration::ZERO };

    /// Returns how long to wait before the next attempt, or `None` when there is none.
    ///
    /// `retries` counts the retries so far. `random` in `0.0..1.0` places the wait between zero and its
    /// bound (full jitter), so that tasks that failed together do not return together.
    pub fn wait(&self, retries: u32, random: f64) -> Option<Duration> {
        if retries >= self.max_retries {
            return None;
        }
        let doubled = 2_u32.checked_pow(retries).and_then(|n| self.base.checked_mul(n));
        let bound = doubled.unwrap_or(self.cap).min(self.cap);
        Some(bound.mul_f64(random.clamp(0.0, 1.0)))
    }
}

impl Default for RetryPolicy {
    /// Three retries, the waits bounded by 60, 120 and 240 seconds.
    fn default() -> Self {
        Self { max_retries: 3, base: Duration::from_secs(60), cap: Duration::from_secs(3600) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_end_with_the_retries() {
        let policy = RetryPolicy {
            max_retries: 60,
            cap: Duration::from_secs(300),
            ..RetryPolicy::default()
        };
        let check = |retries, seconds: Option<u64>| {
            assert_eq!(policy.wait(retries, 1.0), seconds.map(Duration::from_secs), "{retries}");
        };
        check(0, Some(60));
        check(1, Some(120));
        check(2, Some(240));
        check(3, Some(300));
        check(59, Some(300));
        check(60, None);
        assert_eq!(RetryPolicy::NEVER.wait(0, 1.0), None);
    }

    #[test]
    fn jitter_is_full() {
        let policy = RetryPolicy::default();
        assert_eq!(policy.wait(0, 0.0), Some(Duration::ZERO));
        assert_eq!(policy.wait(1, 0.5), Some(Duration::from_secs(60)));
    }
}
