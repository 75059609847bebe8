//! The selectors of an HTML source: compiled once, checked when the source is built.

use std::collections::BTreeMap;

use scraper::{ElementRef, Html, Selector};
use url::Url;

use crate::{
    budget::Budget,
    config::{Selectors, SourceConfig},
    dom,
    empty::Empty,
    link::link,
    setup::BuildError,
    text,
};

/// Elements looked at for one field.
const MAX_FOUND: usize = 100;

/// As much of an attribute as is read: descriptions stand in some.
const MAX_ATTRIBUTE: usize = text::MAX_MARKUP;

/// The fields that a detail page may give.
const DETAIL_FIELDS: [&str; 8] =
    ["title", "company", "location", "salary", "date", "tags", "description", "employment_type"];

/// A compiled selector: which element, and its text or an attribute.
#[derive(Clone, Debug)]
pub(crate) struct Pick {
    /// Absent: the element itself.
    pub(crate) selector: Option<Selector>,
    pub(crate) attribute: Option<String>,
    /// A word of a label: what stands beside it is meant.
    pub(crate) label: Option<String>,
}

/// The compiled selectors of a source.
#[derive(Clone, Debug)]
pub struct Picks {
    pub(crate) item: Selector,
    /// The selector as it is configured.
    pub(crate) item_text: String,
    empty: Option<Empty>,
    pub(crate) link: Option<Pick>,
    pub(crate) next_page: Option<Pick>,
    pub(crate) list: BTreeMap<&'static str, Pick>,
    pub(crate) detail: BTreeMap<&'static str, Pick>,
}

impl Picks {
    /// Compiles a source's selectors.
    ///
    /// # Errors
    /// Names the selector that is missing, unknown or does not parse.
    pub fn new(config: &SourceConfig) -> Result<Self, BuildError> {
        let Selectors {
            item,
            title,
            link,
            company,
            location,
            salary,
            date,
            tags,
            next_page,
            empty,
            detail,
        } = &config.selectors;
        if item.trim().is_empty() {
            return Err(BuildError::new(config, "selectors.item", "it is required"));
        }
        let one = |setting: &str, text: &Option<String>| -> Result<Option<Pick>, BuildError> {
            text.as_deref().map(|text| pick(config, setting, text)).transpose()
        };
        let mut list = BTreeMap::new();
        let fields = [
            ("title", title),
            ("company", company),
            ("location", location),
            ("salary", salary),
            ("date", date),
            ("tags", tags),
        ];
        for (field, text) in fields {
            if let Some(pick) = one(field, text)? {
                list.insert(field, pick);
            }
        }
        if title.is_none() && !detail.contains_key("title") {
            let reason = "a title is required, here or in `detail`";
            return Err(BuildError::new(config, "selectors.title", reason));
        }
        Ok(Self {
            item: selector(config, "item", item)?,
            item_text: item.clone(),
            empty: empty.as_deref().map(Empty::new),
            link: one("link", link)?,
            next_page: one("next_page", next_page)?,
            list,
            detail: compiled_detail(config, detail)?,
        })
    }
}

impl Picks {
    /// Tells whether the page shows, as it is configured to, that its list is empty.
    pub(crate) fn is_empty(&self, page: &Html, budget: &Budget) -> bool {
        self.empty.as_ref().is_some_and(|empty| empty.is_shown(page, budget))
    }
}

fn compiled_detail(
    config: &SourceConfig,
    detail: &BTreeMap<String, String>,
) -> Result<BTreeMap<&'static str, Pick>, BuildError> {
    let mut picks = BTreeMap::new();
    for (name, text) in detail {
        let setting = format!("detail.{name}");
        let Some(field) = DETAIL_FIELDS.iter().find(|field| *field == name) else {
            let reason = format!("unknown field; known are {}", DETAIL_FIELDS.join(", "));
            return Err(BuildError::new(config, &format!("selectors.{setting}"), reason));
        };
        picks.insert(*field, pick(config, &setting, text)?);
    }
    Ok(picks)
}

fn pick(config: &SourceConfig, setting: &str, text: &str) -> Result<Pick, BuildError> {
    if let Some(label) = text.trim().strip_prefix("label:") {
        let label = Some(label.trim().to_lowercase()).filter(|label| !label.is_empty());
        if label.is_some() {
            return Ok(Pick { selector: None, attribute: None, label });
        }
    }
    let (css, attribute) = match text.rsplit_once('@') {
        // An "@" inside brackets or quotes belongs to the selector: a[href="mailto:a@b"].
        Some((css, name)) if is_attribute(name) => (css.trim(), Some(name.to_ascii_lowercase())),
        _ => (text.trim(), None),
    };
    let selector = (!css.is_empty()).then(|| selector(config, setting, css)).transpose()?;
    if selector.is_none() && attribute.is_none() {
        let setting = format!("selectors.{setting}");
        return Err(BuildError::new(config, &setting, "the selector is empty"));
    }
    Ok(Pick { selector, attribute, label: None })
}

fn is_attribute(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn selector(config: &SourceConfig, setting: &str, css: &str) -> Result<Selector, BuildError> {
    Selector::parse(css).map_err(|error| {
        let reason = format!("`{css}` is not a CSS selector ({error})");
        BuildError::new(config, &format!("selectors.{setting}"), reason)
    })
}

impl Pick {
    /// Returns what it finds, in the order of the page.
    pub(crate) fn all<'a>(
        &'a self,
        element: ElementRef<'a>,
        budget: &'a Budget,
    ) -> impl Iterator<Item = String> + 'a {
        let found = self.selector.iter().flat_map(move |css| dom::select(element, css, budget));
        let own = (self.selector.is_none() && self.label.is_none()).then_some(element);
        let beside = self.label.as_deref();
        // The text is data here, not markup: what looks like an entity was decoded already.
        let beside = beside.and_then(|word| dom::labelled(element, word, budget));
        let beside = beside.map(|said| said.replace('&', "&amp;")).into_iter();
        let found =
            found.chain(own).take(MAX_FOUND).filter_map(move |element| match &self.attribute {
                Some(name) => {
                    Some(text::cut(element.value().attr(name)?, MAX_ATTRIBUTE).to_owned())
                }
                // The text is data here, not markup: what looks like an entity was decoded already.
                None => Some(dom::spaced(element, budget).replace('&', "&amp;")),
            });
        beside.chain(found)
    }

    /// Returns the first that is not empty, as one clean line.
    pub(crate) fn line(&self, element: ElementRef<'_>, budget: &Budget) -> Option<String> {
        self.all(element, budget).find_map(|found| text::some_line(&found))
    }

    /// Returns the date that the first element, or a `time` in it, has for machines.
    pub(crate) fn datetime(&self, element: ElementRef<'_>, budget: &Budget) -> Option<String> {
        let selector = self.selector.as_ref().filter(|_| self.attribute.is_none())?;
        let first = dom::select(element, selector, budget).next()?;
        let mut inside = std::iter::once(first).chain(first.descendent_elements()).take(MAX_FOUND);
        let said = inside.find_map(|element| element.value().attr("datetime"))?;
        Some(text::cut(said, MAX_ATTRIBUTE).to_owned())
    }

    /// Returns the markup of the first, for descriptions.
    pub(crate) fn markup(&self, element: ElementRef<'_>, budget: &Budget) -> Option<String> {
        if self.attribute.is_some() || self.label.is_some() {
            return self.all(element, budget).next();
        }
        let first = dom::select(element, self.selector.as_ref()?, budget).next()?;
        Some(dom::markup(first, text::MAX_MARKUP))
    }
}

/// Returns the first link; a pick without an attribute means the element's `href`.
pub(crate) fn first_link(
    pick: &Pick,
    element: ElementRef<'_>,
    page: &Url,
    budget: &Budget,
) -> Option<Url> {
    let attribute = pick.attribute.clone().or_else(|| Some("href".into()));
    let pick = Pick { selector: pick.selector.clone(), attribute, label: None };
    pick.all(element, budget).find_map(|href| link(page, &href))
}
