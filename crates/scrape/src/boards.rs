//! Sources that give all that they have: read once for all keywords, by whoever keeps what was
//! read.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use rhubarb_core::hex::hex;
use sha2::{Digest, Sha256};

use crate::{
    config::SourceConfig,
    fetch::{Fetcher, Known},
    gathering::Conclusion,
    query::Query,
    source::Source,
};

/// Answers for sources that give all that they have.
pub trait Boards: fmt::Debug + Send + Sync {
    /// Returns what a source has for a query, the listings that do not match left out (but for
    /// those of which only their own pages tell); nothing where the source is to be asked for the
    /// keyword.
    ///
    /// # Cancel safety
    /// Dropping the future ends what it asks for.
    fn answer<'a>(&'a self, asked: Asked<'a>) -> Answering<'a>;
}

/// The boxed future of [`Boards::answer`].
pub type Answering<'a> = Pin<Box<dyn Future<Output = Option<Conclusion>> + Send + 'a>>;

/// What is asked of [`Boards`].
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The source.
    pub source: &'a dyn Source,
    /// What is looked for.
    pub query: &'a Query,
    /// What asks the hosts.
    pub fetcher: &'a Fetcher,
    /// How long the source may take.
    pub limit: Duration,
}

/// What a source has that was read for all keywords.
#[derive(Clone, Debug, PartialEq)]
pub enum Crawled {
    /// What it had, by a 304 or by the same content.
    Unchanged(Known),
    /// This.
    Read {
        /// All its listings, and how it ended.
        outcome: Conclusion,
        /// The hash of all that came.
        digest: String,
        /// What is known of its page, if it is one and was read whole.
        known: Option<Known>,
    },
    /// More than there is room for: it is to be asked for each keyword.
    TooLarge,
}

/// Returns what tells a source's settings from all others', to keep what was read by them: 32
/// hexadecimal digits, from which no setting can be told.
pub fn fingerprint(config: &SourceConfig) -> String {
    let mut hash = Sha256::new();
    // Its text hides secrets in addresses, which tell sources apart all the same.
    hash.update(format!("{config:?}"));
    for address in config.base_url.iter().chain(&config.urls) {
        hash.update("\n");
        hash.update(address.expose());
    }
    hex(&hash.finalize()[..16])
}
