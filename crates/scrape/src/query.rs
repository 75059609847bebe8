//! What is looked for.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{config::ScrapeConfig, keyword::Matcher, listing::Listing, locale::Locale};

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query {
    /// The keyword as the caller wrote it.
    pub keyword: String,
    /// Whether descriptions are searched too.
    pub match_description: bool,
    /// The time that `scraped_at` and ages (`3d ago`) are reckoned from.
    pub now: Timestamp,
    /// The language and country that the configuration says of the source.
    pub(crate) home: Locale,
    /// Whether everything is looked for, so that no page of a single posting is read.
    all: bool,
    matcher: Arc<Matcher>,
}

impl Query {
    /// Looks for a keyword in titles and tags, without synonyms.
    pub fn new(keyword: impl Into<String>, now: Timestamp) -> Self {
        let keyword = keyword.into();
        let matcher = Arc::new(Matcher::new(&keyword));
        let home = Locale::default();
        Self { keyword, match_description: false, now, home, all: false, matcher }
    }

    /// Looks for all that a source has on its lists.
    pub fn everything(now: Timestamp) -> Self {
        Self { all: true, ..Self::new("", now) }
    }

    /// Looks for a keyword as the configuration says.
    pub fn configured(keyword: impl Into<String>, config: &ScrapeConfig, now: Timestamp) -> Self {
        let query = Self::new(keyword, now);
        let matcher = Matcher::with(&query.keyword, &config.synonyms, config.match_accents);
        let match_description = config.match_description;
        Self { match_description, matcher: Arc::new(matcher), ..query }
    }

    /// Returns this query for a source of which the configuration says where it is.
    pub(crate) fn at_home(&self, home: Locale) -> Self {
        Self { home, ..self.clone() }
    }

    /// Tells whether everything is looked for.
    pub(crate) fn is_all(&self) -> bool {
        self.all
    }

    /// Tells whether a listing is one of those looked for.
    pub fn matches(&self, listing: &Listing) -> bool {
        self.all || self.matcher.matches(listing, self.match_description)
    }
}
