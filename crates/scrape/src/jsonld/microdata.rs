//! Postings in a page's own markup: microdata (`itemprop`) and RDFa (`property`), as the same
//! values that JSON-LD would have.

use ego_tree::iter::Edge;
use scraper::{ElementRef, Html};
use serde_json::{Map, Value};

use super::graph::is_posting_type;
use crate::{
    budget::{Budget, TooMuch},
    dom, text,
};

/// Items inside items; a posting's salary needs three.
const MAX_LEVELS: usize = 6;

/// Elements elsewhere that are read for one item.
const MAX_ELSEWHERE: usize = 10;

/// What a property takes.
const PROPERTY: usize = size_of::<Value>() + 64;

/// The attributes of a syntax: which begins an item, its type, a property.
struct Syntax {
    scope: &'static str,
    kind: &'static str,
    property: &'static str,
    /// Names the elements elsewhere that belong to an item.
    elsewhere: &'static str,
}

const SYNTAXES: [Syntax; 2] = [
    Syntax { scope: "itemscope", kind: "itemtype", property: "itemprop", elsewhere: "itemref" },
    Syntax { scope: "typeof", kind: "typeof", property: "property", elsewhere: "" },
];

/// Returns a page's postings, at most so many.
///
/// # Errors
/// The budget is used up.
pub(super) fn postings(
    page: &Html,
    at_most: usize,
    budget: &Budget,
) -> Result<Vec<Value>, TooMuch> {
    for syntax in &SYNTAXES {
        let elements = page.root_element().descendent_elements();
        let elements = elements.take_while(|_| budget.step().is_ok());
        let found = elements.filter(|element| is_posting(*element, syntax)).take(at_most);
        let found: Vec<Value> = found
            .map(|element| syntax.item(element, MAX_LEVELS, budget))
            .collect::<Result<_, TooMuch>>()?;
        budget.spent()?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn is_posting(element: ElementRef<'_>, syntax: &Syntax) -> bool {
    let kinds = element.value().attr(syntax.kind).unwrap_or_default();
    kinds.split_whitespace().any(is_posting_type)
}

impl Syntax {
    /// Reads an item: the properties inside it that are not another item's.
    fn item(
        &self,
        scope: ElementRef<'_>,
        levels: usize,
        budget: &Budget,
    ) -> Result<Value, TooMuch> {
        let mut fields = Map::new();
        let kind = scope.value().attr(self.kind).unwrap_or_default();
        fields.insert("@type".into(), kind.into());
        self.fill(&mut fields, scope, false, levels, budget)?;
        let others = scope.value().attr(self.elsewhere).unwrap_or_default();
        for id in others.split_whitespace().take(MAX_ELSEWHERE) {
            let elements = scope.tree().root().descendants().filter_map(ElementRef::wrap);
            let mut elements = elements.take_while(|_| budget.step().is_ok());
            let other = elements.find(|element| element.value().attr("id") == Some(id));
            // One that has the item in it would be read for ever.
            let other = other.filter(|other| scope.ancestors().all(|of| of.id() != other.id()));
            if let Some(other) = other.filter(|other| other.id() != scope.id()) {
                self.fill(&mut fields, other, true, levels, budget)?;
            }
        }
        Ok(Value::Object(fields))
    }

    /// Adds the properties in an element that are not another item's; its own too where `whole`.
    fn fill(
        &self,
        fields: &mut Map<String, Value>,
        scope: ElementRef<'_>,
        whole: bool,
        levels: usize,
        budget: &Budget,
    ) -> Result<(), TooMuch> {
        let mut inside = None;
        for edge in scope.traverse().skip(usize::from(!whole)) {
            budget.step()?;
            match edge {
                Edge::Open(node) if inside.is_none() => {
                    let Some(element) = ElementRef::wrap(node) else { continue };
                    let is_item = element.value().attr(self.scope).is_some();
                    if is_item {
                        inside = Some(node.id());
                    }
                    let Some(names) = element.value().attr(self.property) else { continue };
                    let value = match is_item {
                        false => self.value(element, names, budget),
                        true if levels > 0 => self.item(element, levels - 1, budget)?,
                        true => continue,
                    };
                    budget.take(PROPERTY + names.len())?;
                    for name in names.split_whitespace().take(4) {
                        add(fields, name, value.clone());
                    }
                }
                Edge::Close(node) if inside == Some(node.id()) => inside = None,
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns what an element says of itself: `content` first, then what its kind has.
    fn value(&self, element: ElementRef<'_>, names: &str, budget: &Budget) -> Value {
        let own = match element.value().name() {
            "a" | "area" | "link" => "href",
            "img" | "audio" | "embed" | "iframe" | "source" | "track" | "video" => "src",
            "object" => "data",
            "time" => "datetime",
            "data" | "meter" => "value",
            _ => "content",
        };
        let attribute = |name: &str| element.value().attr(name);
        let is_text =
            own == "href" && !names.to_ascii_lowercase().contains("url") && !is_link(names);
        let said = attribute("content").or_else(|| attribute(own).filter(|_| !is_text));
        if let Some(said) = said.or_else(|| attribute("resource")) {
            return text::cut(said, text::MAX_MARKUP).into();
        }
        if names.to_ascii_lowercase().contains("description") {
            return dom::markup(element, text::MAX_MARKUP).into();
        }
        // The text is data here, not markup: what looks like an entity was decoded already.
        dom::spaced(element, budget).replace('&', "&amp;").into()
    }
}

/// Tells whether a property of a link means where it leads; sites link titles and names too.
fn is_link(names: &str) -> bool {
    ["sameAs", "logo", "image", "mainEntityOfPage"].iter().any(|name| names.contains(name))
}

/// Adds a property; of several with one name a list is made.
fn add(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let name = name.rsplit(['/', ':', '#']).next().unwrap_or(name);
    match fields.get_mut(name) {
        None => drop(fields.insert(name.to_owned(), value)),
        Some(Value::Array(items)) => items.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}
