//! What a page shows whose list is empty: `selectors.empty`, a selector or a text. Pure.

use scraper::{Html, Selector};

use crate::{budget::Budget, dom};

/// What tells that a list is empty, and not another page.
#[derive(Clone, Debug)]
pub(crate) enum Empty {
    /// An element that is there.
    Element(Selector),
    /// A text that is there: its words in lower case.
    Text(String),
}

/// As much of a page's text as is looked at.
const MAX_TEXT: usize = 200_000;

/// The elements whose names make a selector out of plain words.
const ELEMENTS: [&str; 44] = [
    "a", "article", "aside", "b", "body", "button", "caption", "center", "dd", "div", "dl", "dt",
    "em", "fieldset", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hr", "html", "i", "img", "label", "legend", "li", "main", "nav", "ol", "p", "section", "span",
    "strong", "table", "tbody", "td", "th", "tr", "ul",
];

impl Empty {
    /// Reads the setting: a selector where it is one, else a text.
    ///
    /// "No openings" is a selector for any parser of CSS; plain words are one only if they name
    /// elements.
    pub(crate) fn new(setting: &str) -> Self {
        let is_marked = setting.contains(['.', '#', '[', ':', '*']);
        let mut words = setting.split([' ', ',', '>', '+', '~']).filter(|word| !word.is_empty());
        let names_elements = words.all(|word| {
            let word = word.to_ascii_lowercase();
            ELEMENTS.contains(&word.as_str()) || word.contains('-') && !setting.contains(' ')
        });
        match Selector::parse(setting) {
            Ok(selector) if is_marked || names_elements => Self::Element(selector),
            _ => Self::Text(words_of(setting)),
        }
    }

    /// Tells whether the page shows it.
    pub(crate) fn is_shown(&self, page: &Html, budget: &Budget) -> bool {
        match self {
            Self::Element(selector) => dom::select_all(page, selector, budget).next().is_some(),
            Self::Text(text) => !text.is_empty() && words_of(&seen(page, budget)).contains(text),
        }
    }
}

/// Returns what a visitor reads on the page.
fn seen(page: &Html, budget: &Budget) -> String {
    let mut out = String::new();
    for node in page.tree.root().descendants().take_while(|_| budget.step().is_ok()) {
        let Some(text) = node.value().as_text() else { continue };
        let inside = node.parent().and_then(|parent| parent.value().as_element());
        let is_code = inside.is_some_and(|element| {
            matches!(element.name(), "script" | "style" | "noscript" | "template")
        });
        if is_code || out.len() + text.len() > MAX_TEXT {
            continue;
        }
        out.push_str(text);
        out.push(' ');
    }
    out
}

/// Returns the words of a text in lower case, with one space between.
fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_told_from_a_text() {
        let check = |setting: &str, page: &str, shown: bool| {
            let page = Html::parse_document(page);
            let empty = Empty::new(setting);
            assert_eq!(empty.is_shown(&page, &Budget::unlimited()), shown, "{setting}: {empty:?}");
        };
        check(".none", "<p class=none>Sorry</p>", true);
        check(".none", "<p>.none</p>", false);
        check("p.none, div[data-count='0']", "<div data-count=0></div>", true);
        check("No open positions", "<p>We have\n no <b>open</b> positions now</p>", true);
        check("no open positions", "<script>'no open positions'</script>", false);
        check("0 jobs found.", "<h2>0 JOBS found.</h2>", true);
        check("Keine offenen Stellen!", "<p>Keine offenen Stellen!</p>", true);
        check("no results", "<p>Results: 3</p>", false);
        check("ul li", "<p>ul li</p>", false);
        check("ul li", "<ul><li>x</ul>", true);
        check("no-jobs", "<no-jobs></no-jobs>", true);
        check("job-free zone", "<p>This is a job-free zone", true);
        check("現在募集はありません", "<p>現在募集はありません。", true);
        check("   ", "<p>a</p>", false);
    }
}
