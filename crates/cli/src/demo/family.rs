//! All that the demo has started, so that all of it is stopped.

use std::{io, time::Duration};

use futures_util::future::{FutureExt, select_all};
use tokio::task::JoinSet;

use super::{board::Board, children::Child, error::DemoError};

/// Longer than the worker's own time to drain, so that it is killed only when it hangs.
const GRACE: Duration = Duration::from_secs(30);

/// The demo's children and its board.
#[derive(Debug, Default)]
pub(crate) struct Family {
    children: Vec<Child>,
    board: JoinSet<io::Result<()>>,
}

impl Family {
    /// Takes care of a child from now on.
    pub(crate) fn adopt(&mut self, child: Child) {
        self.children.push(child);
    }

    /// Serves the board until the family is stopped or dropped.
    pub(crate) fn serve(&mut self, board: Board) {
        self.board.spawn(board.serve());
    }

    /// Waits until a child ends by itself.
    pub(crate) async fn one_ended(&mut self) -> DemoError {
        if self.children.is_empty() {
            return std::future::pending().await;
        }
        let ends = self.children.iter_mut().map(|child| child.ended().boxed());
        let (ended, idx, _) = select_all(ends).await;
        let child = &self.children[idx];
        match ended {
            Ok(status) => DemoError::ended(child, status).await,
            Err(source) => DemoError::Start { what: child.name(), source },
        }
    }

    /// Returns the error for a child that did not come up, with the end of its log.
    pub(crate) async fn not_up(&self, name: &'static str) -> DemoError {
        match self.children.iter().find(|child| child.name() == name) {
            Some(child) => DemoError::slow(child, "come up").await,
            None => DemoError::NotUp { name },
        }
    }

    /// Stops the children, the last one first, and the board.
    ///
    /// Goes on with the others when one makes trouble; the first trouble is returned.
    pub(crate) async fn stop(&mut self) -> Result<(), DemoError> {
        let mut trouble = None;
        while let Some(mut child) = self.children.pop() {
            let error = match child.stop(GRACE).await {
                Ok(Some(_)) => continue,
                Ok(None) => DemoError::slow(&child, "stop").await,
                Err(source) => DemoError::Stop { name: child.name(), source },
            };
            trouble.get_or_insert(error);
        }
        self.board.shutdown().await;
        trouble.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn child(name: &'static str, script: &str, dir: &Path) -> Child {
        Child::start(name, Path::new("/bin/sh"), &["-c", script], dir).unwrap()
    }

    #[tokio::test]
    async fn a_child_that_dies_is_named_with_the_end_of_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let mut family = Family::default();
        family.adopt(child("steady", "exec sleep 600", dir.path()));
        family.adopt(child("frail", "echo out of luck; exit 7", dir.path()));
        let told = family.one_ended().await.to_string();
        assert!(told.starts_with("frail ended by itself (exit status: 7)"), "{told}");
        assert!(told.ends_with("out of luck"), "{told}");
        family.stop().await.unwrap();
    }

    #[tokio::test]
    async fn children_are_stopped_in_reverse_order() {
        let dir = tempfile::tempdir().unwrap();
        let order = dir.path().join("order");
        let mut family = Family::default();
        for name in ["first", "second"] {
            let script = format!(
                "trap 'kill $!; echo {name} >>{}; exit 0' TERM; sleep 600 & echo up; wait",
                order.display()
            );
            let child = child(name, &script, dir.path());
            let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
            while !child.tail().await.unwrap().contains("up") {
                assert!(tokio::time::Instant::now() < deadline, "{name} never came up");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            family.adopt(child);
        }
        family.stop().await.unwrap();
        assert_eq!(std::fs::read_to_string(order).unwrap(), "second\nfirst\n");
    }
}
