//! The computations that are under way in this process.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

use crate::{PyValue, error::Error};

/// How a computation ended, for all who waited.
#[derive(Clone, Debug)]
pub(crate) enum Landed {
    Value(Arc<PyValue>),
    Failed(Arc<Error>),
    /// A refresh that another process is already at.
    Elsewhere,
}

pub(crate) type Flight = Shared<BoxFuture<'static, Landed>>;

/// Flights by name. An entry does not keep its flight alive: those who wait for it do.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Default)]
struct Entries {
    by_name: HashMap<String, (u64, WeakShared<BoxFuture<'static, Landed>>)>,
    last: u64,
}

/// Takes a flight's entry away when it has ended or nobody waits for it any more.
struct Entry {
    flights: Flights,
    name: String,
    number: u64,
}

impl Flights {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the flight of this name, which begins now if there is none.
    pub(crate) fn join(
        &self,
        name: &str,
        make: impl FnOnce() -> BoxFuture<'static, Landed>,
    ) -> Flight {
        let mut entries = self.entries();
        match entries.by_name.get(name).and_then(|(_, flight)| flight.upgrade()) {
            Some(flight) => flight,
            None => self.insert(&mut entries, name, make()),
        }
    }

    /// Returns a flight that begins now; `None` when there is one of this name.
    pub(crate) fn begin(
        &self,
        name: &str,
        make: impl FnOnce() -> BoxFuture<'static, Landed>,
    ) -> Option<Flight> {
        let mut entries = self.entries();
        let there = entries.by_name.get(name).and_then(|(_, flight)| flight.upgrade());
        if there.is_some() {
            // Ended outside of the lock, should it be the last one: its entry needs the lock to go.
            drop(entries);
            return None;
        }
        Some(self.insert(&mut entries, name, make()))
    }

    fn insert(
        &self,
        entries: &mut Entries,
        name: &str,
        work: BoxFuture<'static, Landed>,
    ) -> Flight {
        entries.last += 1;
        let number = entries.last;
        let entry = Entry { flights: self.clone(), name: name.to_owned(), number };
        let flight = async move {
            let _entry = entry;
            work.await
        };
        let flight = flight.boxed().shared();
        if let Some(weak) = flight.downgrade() {
            entries.by_name.insert(name.to_owned(), (number, weak));
        }
        flight
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries().by_name.len()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut entries = self.flights.entries();
        if entries.by_name.get(&self.name).is_some_and(|(number, _)| *number == self.number) {
            entries.by_name.remove(&self.name);
        }
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("len", &self.entries().by_name.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn value(n: i64) -> Landed {
        Landed::Value(Arc::new(PyValue::Int(n)))
    }

    fn number(outcome: Landed) -> i64 {
        match outcome {
            Landed::Value(value) => match *value {
                PyValue::Int(n) => n,
                _ => -1,
            },
            _ => -1,
        }
    }

    #[tokio::test]
    async fn who_asks_meanwhile_gets_the_same_and_who_asks_later_another() {
        let flights = Flights::default();
        let (tell, told) = oneshot::channel();
        let first = flights.join("a", || async { value(told.await.unwrap()) }.boxed());
        let second = flights.join("a", || async { value(2) }.boxed());
        assert!(flights.begin("a", || async { value(3) }.boxed()).is_none());
        tell.send(1).unwrap();
        assert_eq!((number(first.await), number(second.await)), (1, 1));
        assert_eq!(flights.len(), 0);
        let third = flights.join("a", || async { value(4) }.boxed());
        assert_eq!(number(third.await), 4);
    }

    #[tokio::test]
    async fn a_flight_that_nobody_waits_for_leaves_nothing() {
        let flights = Flights::default();
        let first = flights.join("a", || std::future::pending().boxed());
        assert_eq!(flights.len(), 1);
        drop(first);
        assert_eq!(flights.len(), 0);
    }
}
