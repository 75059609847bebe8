//! What a source is: something that is asked for postings.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::{
    fetch::Fetcher,
    gathering::{Gathering, SourceLimits},
    query::Query,
};

/// The boxed future of [`Source::run`].
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Which listings of a source have more on pages of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refines {
    /// None.
    None,
    /// Those that match.
    Matching,
    /// All: whether they match is told by their own pages only.
    All,
}

/// Something that has postings. Its time is bounded by the caller.
pub trait Source: Send + Sync + fmt::Debug {
    /// Its name in listings and status, unique in a configuration.
    fn name(&self) -> &str;

    /// Whether it gathers postings that companies publish elsewhere; their own boards win over it.
    fn aggregates(&self) -> bool;

    /// What its answers do not say.
    fn limits(&self) -> SourceLimits {
        SourceLimits::default()
    }

    /// Whether its lists are the same whatever is looked for: then they are read once for all
    /// keywords.
    fn gives_all(&self) -> bool {
        false
    }

    /// Which of its listings [`Source::refine`] reads more of.
    fn refines(&self, query: &Query) -> Refines {
        let _ = query;
        Refines::None
    }

    /// Adds to listings of its lists what the postings' own pages have.
    ///
    /// # Cancel safety
    /// As for [`Source::run`].
    fn refine<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        query: &'a Query,
        found: &'a Gathering,
    ) -> Running<'a> {
        let _ = (fetcher, query, found);
        Box::pin(std::future::ready(()))
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
