//! A second Redis that no fault touches: who ran what, and what was done to whom, in one order on
//! one clock.
//!
//! It is a stream, so that each entry's id is the ledger's own time: neither a worker whose clock
//! is being turned nor one that was stopped for a while can write a wrong one.

use std::collections::BTreeMap;

use redis::{Client, aio::MultiplexedConnection};

/// The stream's key.
const STREAM: &str = "ledger";
/// The environment variable by which a worker of the tests learns the ledger's URL.
pub const URL: &str = "E2E_LEDGER";

/// One entry: when, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The ledger's time, ms.
    pub at: u64,
    /// What was written.
    pub fields: BTreeMap<String, String>,
}

impl Entry {
    /// Returns a field; empty when there is none.
    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// A handle to the ledger; clones share one connection.
#[derive(Clone, Debug)]
pub struct Ledger(MultiplexedConnection);

impl Ledger {
    /// Opens the ledger at this URL.
    ///
    /// # Panics
    /// When it cannot be reached: it is the one thing that no fault touches.
    pub async fn open(url: &str) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the tests look from outside, not through our own connection"
        )]
        let client = Client::open(url).expect("our own URL is well formed");
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await;
        Self(connection.expect("the ledger answers"))
    }

    /// Writes an entry and returns its time, ms.
    ///
    /// # Panics
    /// When the ledger has gone.
    pub async fn write(&self, fields: &[(&str, &str)]) -> u64 {
        let mut add = redis::cmd("XADD");
        add.arg(STREAM).arg("*").arg(fields);
        let id: String =
            add.query_async(&mut self.0.clone()).await.expect("the ledger takes an entry");
        time_of(&id)
    }

    /// Returns the entries after this id (`-` for all), and the id to go on with.
    ///
    /// # Panics
    /// When the ledger has gone.
    pub async fn read(&self, after: &str) -> (Vec<Entry>, String) {
        let from = if after == "-" { "-".to_owned() } else { format!("({after}") };
        let mut range = redis::cmd("XRANGE");
        range.arg(STREAM).arg(from).arg("+");
        let found: Vec<(String, BTreeMap<String, String>)> =
            range.query_async(&mut self.0.clone()).await.expect("the ledger answers");
        let last = found.last().map_or_else(|| after.to_owned(), |(id, _)| id.clone());
        let entries = found.into_iter().map(|(id, fields)| Entry { at: time_of(&id), fields });
        (entries.collect(), last)
    }
}

fn time_of(id: &str) -> u64 {
    id.split('-').next().and_then(|ms| ms.parse().ok()).expect("a stream's id is `<ms>-<n>`")
}
