//! What a reader knows besides the payload.

use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use crate::{
    budget::Budget,
    dates::{self, DateOrder},
    locale::Locale,
    query::Query,
    text,
};

/// What a parser knows besides the payload.
#[derive(Clone, Debug)]
pub struct Context {
    /// The source's name.
    pub source: String,
    /// The company's name where the payload has none.
    pub company: String,
    /// The address of the page, for relative links.
    pub page: Url,
    /// When it was fetched.
    pub now: Timestamp,
    /// The page's language and country, as far as they are known.
    pub locale: Locale,
    /// Those that the configuration says: they are surer than the page's own.
    pub home: Locale,
    /// The language that the page says it is in, as a BCP 47 tag.
    pub language: Option<String>,
    /// How its dates are written.
    pub order: DateOrder,
    /// What reading it may cost.
    pub budget: Arc<Budget>,
}

impl Context {
    /// Returns the context of a source's page, with an unlimited budget.
    pub fn new(source: &str, company: &str, page: &Url, now: Timestamp) -> Self {
        let locale = page.domain().map(Locale::of_host).unwrap_or_default();
        Self {
            source: source.to_owned(),
            company: company.to_owned(),
            page: page.clone(),
            now,
            locale,
            home: Locale::default(),
            language: None,
            order: DateOrder::of(&locale),
            budget: Arc::new(Budget::unlimited()),
        }
    }

    /// Returns the context of a source of which the configuration says language and country.
    pub(crate) fn at_home(self, query: &Query) -> Self {
        let locale = query.home.or(self.locale);
        Self { locale, home: query.home, order: DateOrder::of(&locale), ..self }
    }

    /// Returns the context of an answer whose header names this language; the page's own words are
    /// surer, the host's name is not. Of several languages nothing is known.
    pub(crate) fn served_in(self, language: Option<&str>) -> Self {
        let tag = language.filter(|tags| !tags.contains(',')).unwrap_or_default();
        let locale = self.home.or(Locale::of_tag(tag)).or(self.locale);
        Self { locale, language: text::language(tag), order: DateOrder::of(&locale), ..self }
    }

    /// Returns the context of a page that names its language; where that does not tell how dates
    /// are written, those of the text may.
    pub(crate) fn in_language(&self, tag: &str, dates: impl FnOnce() -> DateOrder) -> Self {
        let own = Locale::of_tag(tag);
        // An American answer whose page is French is not read as American French.
        let is_other = |known: &str| own.language().is_some_and(|language| language != known);
        let known = Some(self.locale).filter(|known| !known.language().is_some_and(is_other));
        let locale = self.home.or(own).or(known.unwrap_or_default());
        let order = DateOrder::of(&locale).or_else(dates);
        let language = text::language(tag).or_else(|| self.language.clone());
        Self { locale, language, order, ..self.clone() }
    }

    /// Reads a date of the page.
    pub(crate) fn date(&self, text: &str) -> Option<String> {
        dates::text(text, self.order, self.now)
    }
}
