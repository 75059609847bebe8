//! What a source does, step by step, for a person who tries it: pages fetched, records read.

use std::{cell::RefCell, future::Future, time::Duration};

/// One step of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A page was asked for.
    Fetched {
        /// Host and path; the query may hold keys.
        address: String,
        /// Bytes of its body, or why there is none.
        end: Result<usize, String>,
        /// How long it took, the host's turn and other tries included.
        elapsed: Duration,
    },
    /// A list's page was read.
    Read {
        /// Records that were read.
        records: usize,
        /// Records that could not be read.
        skipped: usize,
        /// Why the first of them could not.
        first: Option<String>,
    },
}

tokio::task_local! {
    static STEPS: RefCell<Vec<Step>>;
}

/// Runs this and returns its steps too.
///
/// # Cancel safety
/// As safe as `work`.
pub async fn watch<T>(work: impl Future<Output = T>) -> (T, Vec<Step>) {
    let watched = async {
        let done = work.await;
        (done, STEPS.with(RefCell::take))
    };
    STEPS.scope(RefCell::default(), watched).await
}

/// Notes a step where somebody watches.
pub(crate) fn note(step: impl FnOnce() -> Step) {
    let _unwatched = STEPS.try_with(|steps| steps.borrow_mut().push(step()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn steps_are_kept_only_where_somebody_watches() {
        let step = || Step::Read { records: 1, skipped: 0, first: None };
        note(step);
        let (done, steps) = watch(async {
            note(step);
            7
        })
        .await;
        assert_eq!((done, steps), (7, vec![step()]));
    }
}
