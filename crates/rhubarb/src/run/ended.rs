//! What an attempt's end means for its task. Pure.

use std::time::Duration;

use jiff::Timestamp;
use rhubarb_consumer::Outcome;
use rhubarb_queue::wire::{Exception, Headers};
use serde_json::Value;

use crate::{
    error::TaskError,
    failure::Raised,
    output::TaskResult,
    panics::Panic,
    retry::{Retry, RetryPolicy},
};

/// How one attempt ended.
#[derive(Debug)]
pub(super) enum HandlerEnd {
    Returned(TaskResult),
    Panicked(String, Option<Panic>),
    TimedOut(Duration),
    SoftlyTimedOut,
    Cancelled,
}

/// When a retry is decided on, and by what luck.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    /// The jitter, in `0.0..1.0`.
    pub(super) random: f64,
}

/// Decides what an attempt's end means for its task.
pub(super) fn decide(
    ended: HandlerEnd,
    headers: &Headers,
    policy: &RetryPolicy,
    moment: Moment,
) -> Outcome {
    let failure = |raised: Raised| Outcome::Failure {
        traceback: raised.traceback(&headers.task),
        exception: raised.exception,
    };
    match ended {
        HandlerEnd::Returned(Ok(value)) => Outcome::Success(value),
        HandlerEnd::Returned(Err(TaskError::Failed(raised))) => failure(raised),
        HandlerEnd::Returned(Err(TaskError::Transient(raised))) => {
            match policy.wait(headers.retries, moment.random) {
                Some(after) => Outcome::Retry {
                    traceback: raised.traceback(&headers.task),
                    exception: raised.exception,
                    after,
                    again: Box::default(),
                },
                None => failure(raised),
            }
        }
        HandlerEnd::Returned(Err(TaskError::Retry(retry))) => {
            again(*retry, headers, policy, moment)
        }
        HandlerEnd::Returned(Err(TaskError::PutOff { after })) => Outcome::PutOff { after },
        HandlerEnd::Returned(Err(TaskError::Ignore)) => Outcome::Ignored,
        HandlerEnd::Returned(Err(TaskError::Reject { requeue, reason })) => {
            Outcome::Rejected { requeue, reason }
        }
        // One that was called inside another task has no place of its own.
        HandlerEnd::Returned(Err(TaskError::Replace(_))) => {
            let text = Value::String("a task that another one calls cannot be replaced".to_owned());
            failure(Exception::builtin("RuntimeError", vec![text]).into())
        }
        HandlerEnd::Returned(Err(TaskError::Cancelled)) | HandlerEnd::Cancelled => {
            Outcome::HandBack
        }
        HandlerEnd::Panicked(message, place) => {
            let message = Value::String(format!("the task panicked: {message}"));
            failure(Raised::by_panic(Exception::builtin("RuntimeError", vec![message]), place))
        }
        HandlerEnd::SoftlyTimedOut => failure(Exception::soft_time_limit_exceeded().into()),
        HandlerEnd::TimedOut(limit) => {
            failure(Exception::time_limit_exceeded(limit.as_secs_f64()).into())
        }
    }
}

/// Decides what a task that asks for another attempt gets: that, or its own reason as a failure.
fn again(retry: Retry, headers: &Headers, policy: &RetryPolicy, moment: Moment) -> Outcome {
    let Retry { after, raised, max_retries, again } = retry;
    if headers.retries >= max_retries.unwrap_or(policy.max_retries) {
        let raised = raised.unwrap_or_else(|| exhausted(headers).into());
        let traceback = raised.traceback(&headers.task);
        return Outcome::Failure { exception: raised.exception, traceback };
    }
    let until = |at: Timestamp| Duration::try_from(at.duration_since(moment.now)).ok();
    let after = after
        .or_else(|| again.at.map(|at| until(at).unwrap_or_default()))
        .unwrap_or_else(|| policy.bound(headers.retries).mul_f64(moment.random));
    let traceback = raised.as_ref().and_then(|raised| raised.traceback(&headers.task));
    let exception = raised.map_or_else(
        || Exception::retry(&format!("Retry in {}s", after.as_secs_f64())),
        |raised| raised.exception,
    );
    Outcome::Retry { exception, traceback, after, again: again.into() }
}

fn exhausted(headers: &Headers) -> Exception {
    Exception::max_retries_exceeded(&format!(
        "Can't retry {}[{}] args:{} kwargs:{}",
        headers.task,
        headers.id,
        headers.argsrepr.as_deref().unwrap_or_default(),
        headers.kwargsrepr.as_deref().unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exception() -> Exception {
        Exception::builtin("OSError", vec!["gone".into()])
    }

    const MOMENT: Moment = Moment { now: Timestamp::UNIX_EPOCH, random: 0.5 };

    fn headers(retries: u32) -> Headers {
        Headers {
            retries,
            argsrepr: Some("(1,)".into()),
            kwargsrepr: Some("{}".into()),
            ..Headers::new("t", "7")
        }
    }

    fn decided(ended: HandlerEnd, retries: u32) -> Outcome {
        decide(ended, &headers(retries), &RetryPolicy::default(), MOMENT)
    }

    fn returned(error: TaskError) -> HandlerEnd {
        HandlerEnd::Returned(Err(error))
    }

    fn failure(exception: Exception) -> Outcome {
        Outcome::Failure { exception, traceback: None }
    }

    #[test]
    fn each_end_has_its_outcome() {
        let check = |ended, retries, expect| {
            assert_eq!(decided(ended, retries), expect, "after {retries} retries");
        };
        let retry = |seconds| Outcome::Retry {
            exception: exception(),
            traceback: None,
            after: Duration::from_secs(seconds),
            again: Box::default(),
        };
        let five = Duration::from_secs(5);
        check(HandlerEnd::Returned(Ok(1.into())), 0, Outcome::Success(1.into()));
        check(returned(TaskError::Failed(exception().into())), 0, failure(exception()));
        check(returned(TaskError::Transient(exception().into())), 0, retry(30));
        check(returned(TaskError::Transient(exception().into())), 2, retry(120));
        check(returned(TaskError::put_off(five)), 9, Outcome::PutOff { after: five });
        check(returned(TaskError::Cancelled), 0, Outcome::HandBack);
        check(HandlerEnd::Cancelled, 0, Outcome::HandBack);
        check(HandlerEnd::TimedOut(five), 0, failure(Exception::time_limit_exceeded(5.0)));
        check(HandlerEnd::SoftlyTimedOut, 0, failure(Exception::soft_time_limit_exceeded()));
    }

    #[test]
    fn exhausted_retries_end_in_the_original_exception() {
        let seven = || Retry::after(Duration::from_secs(7));
        let explicit = || seven().raising(exception());
        let kind = |ended, retries| match decided(ended, retries) {
            Outcome::Retry { exception, after, .. } => (exception.exc_type, Some(after.as_secs())),
            Outcome::Failure { exception, .. } => (exception.exc_type, None),
            other => panic!("{other:?}"),
        };
        let check = |ended, retries, name: &str, after| {
            assert_eq!(kind(ended, retries), (name.to_owned(), after), "after {retries} retries");
        };
        check(returned(TaskError::Transient(exception().into())), 3, "OSError", None);
        check(returned(explicit().into()), 3, "OSError", None);
        check(returned(explicit().into()), 2, "OSError", Some(7));
        check(returned(explicit().max_retries(9).into()), 8, "OSError", Some(7));
        check(returned(explicit().max_retries(0).into()), 0, "OSError", None);
        check(returned(Retry::by_policy().into()), 1, "Retry", Some(60));
        check(returned(seven().into()), 3, "MaxRetriesExceededError", None);
        let Outcome::Failure { exception, .. } = decided(returned(seven().into()), 3) else {
            panic!("not a failure")
        };
        assert_eq!(exception.exc_message, ["Can't retry t[7] args:(1,) kwargs:{}"]);
    }

    #[test]
    fn another_attempt_may_differ() {
        let at = "2099-01-01T00:00:00Z".parse().unwrap();
        let retry = Retry::at(at).queue("slow").priority(6).args(vec![2.into()]);
        let Outcome::Retry { after, again, .. } =
            decide(returned(retry.into()), &headers(0), &RetryPolicy::default(), MOMENT)
        else {
            panic!("no retry")
        };
        assert!(after > Duration::from_secs(1_000_000));
        assert_eq!(
            (again.at, again.queue.as_deref(), again.priority),
            (Some(at), Some("slow"), Some(6))
        );
        assert_eq!(again.args, Some(vec![2.into()]));
    }

    #[test]
    fn a_panic_fails_with_its_message() {
        let Outcome::Failure { exception, .. } =
            decided(HandlerEnd::Panicked("index 3".into(), None), 0)
        else {
            panic!("not a failure")
        };
        assert_eq!(exception.exc_message, ["the task panicked: index 3"]);
    }
}
