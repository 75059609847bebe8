//! What a source is: something that is asked for postings.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    fetch::Fetcher,
    gathering::{Gathering, Limits},
    query::Query,
};

/// The boxed future of [`Source::run`].
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Something that has postings. Its time is bounded by the caller.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its name in listings and status, unique in a configuration.
    fn name(&self) -> &str;

    /// Whether it gathers postings that companies publish elsewhere; their own boards win over it.
    fn aggregates(&self) -> bool;

    /// What its answers do not say.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Fetches and reads all its pages, and adds to `found` each of them, and each trouble.
    ///
    /// # Cancel safety
    /// Dropping the future ends its request; what was added stands.
    fn run<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a>;
}

/// All sources of a configuration, as the worker holds them.
pub type Sources = Vec<Arc<dyn Source>>;
