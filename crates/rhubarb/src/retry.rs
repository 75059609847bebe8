//! When and how a failed attempt is tried again.

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_consumer::Again;
use rhubarb_queue::wire::Exception;
use serde_json::{Map, Value};

use crate::failure::Raised;

/// Asks for another attempt, as Celery's `retry()` does: the same id, one more retry, its own
/// parent.
///
/// What follows the task, its group, limits and priority stay. Without anything said, the next
/// attempt is due as the task's [`RetryPolicy`] has it, and the state RETRY tells no reason.
///
/// ```
/// use std::time::Duration;
///
/// use rhubarb::{Retry, TaskError};
///
/// async fn fetch() -> Result<String, TaskError> {
///     Err(Retry::after(Duration::from_secs(30)).because("TimeoutError", "no answer").max_retries(10).into())
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retry {
    pub(crate) after: Option<Duration>,
    pub(crate) raised: Option<Raised>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) again: Again,
}

impl Retry {
    /// As the task's policy has it.
    pub fn by_policy() -> Self {
        Self::default()
    }

    /// After this long.
    pub fn after(wait: Duration) -> Self {
        Self { after: Some(wait), ..Self::default() }
    }

    /// At this time.
    pub fn at(time: Timestamp) -> Self {
        let again = Again { at: Some(time), ..Again::default() };
        Self { again, ..Self::default() }
    }

    /// Says why, with a Python exception class (`builtins`) and a message: what RETRY tells, and
    /// FAILURE when no retry is left. Without it that FAILURE is a `MaxRetriesExceededError`.
    #[must_use]
    #[track_caller]
    pub fn because(self, exc_type: &str, message: impl Into<String>) -> Self {
        self.raising(Exception::builtin(exc_type, vec![Value::String(message.into())]))
    }

    /// Says why, with any Python exception.
    #[must_use]
    #[track_caller]
    pub fn raising(self, exception: Exception) -> Self {
        Self { raised: Some(Raised::here(exception)), ..self }
    }

    /// Lets this attempt be followed by others as long as there were fewer retries, in place of the
    /// policy's number.
    #[must_use]
    pub fn max_retries(self, max_retries: u32) -> Self {
        Self { max_retries: Some(max_retries), ..self }
    }

    /// Gives the next attempt other positional arguments.
    #[must_use]
    pub fn args(mut self, args: Vec<Value>) -> Self {
        self.again.args = Some(args);
        self
    }

    /// Gives the next attempt other keyword arguments.
    #[must_use]
    pub fn kwargs(mut self, kwargs: Map<String, Value>) -> Self {
        self.again.kwargs = Some(kwargs);
        self
    }

    /// Sends the next attempt to another queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.again.queue = Some(queue.into());
        self
    }

    /// Gives the next attempt another priority, 0 for the most urgent.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.again.priority = Some(priority);
        self
    }
}

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
    /// `retries` counts the retries so far. `random` in `0.0..1.0` places the wait between zero and
    /// its bound (full jitter), so that tasks that failed together do not return together.
    pub fn wait(&self, retries: u32, random: f64) -> Option<Duration> {
        if retries >= self.max_retries {
            return None;
        }
        Some(self.bound(retries).mul_f64(random.clamp(0.0, 1.0)))
    }

    /// Returns the longest that the next attempt waits after so many retries.
    pub fn bound(&self, retries: u32) -> Duration {
        let doubled = 2_u32.checked_pow(retries).and_then(|n| self.base.checked_mul(n));
        doubled.unwrap_or(self.cap).min(self.cap)
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
