//! Pages as trees, for selectors: within a budget, whatever their markup makes of it.

use std::{cell::Cell, io};

use ego_tree::{NodeId, iter::Edge};
use html5ever::{
    serialize::{SerializeOpts, TraversalScope, serialize},
    tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts},
    tree_builder::{TreeBuilder, TreeBuilderOpts, TreeSink},
};
use scraper::{ElementRef, Html, HtmlTreeSink, Node, Selector};
use url::Url;

use crate::{
    budget::{Budget, TooMuch},
    link::link,
    text::is_inline,
    tokens::feed,
};

/// A selector walks up from each element; browsers go no deeper than 512 either.
const MAX_DEPTH: usize = 2_000;

/// Attributes kept of one element.
const MAX_ATTRIBUTES: usize = 100;

/// What a node takes, with the room that the tree's vector grows by.
const NODE: usize = 2 * size_of::<Node>() + 80;

/// What an attribute takes beside a long value.
const ATTRIBUTE: usize = 48;

/// As much of one element's text as is read.
const MAX_TEXT: usize = 16_000;

/// Parses a page.
///
/// # Errors
/// The budget is used up, or the page is nested deeper than any that people read.
pub(crate) fn document(html: &str, budget: &Budget) -> Result<Html, TooMuch> {
    let sink = HtmlTreeSink::new(Html::new_document());
    // Nothing runs here: what stands in `noscript` is for us.
    let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let tree = TreeBuilder::new(sink, options);
    let watched = Watched { tree, budget, most_attributes: Cell::new(0) };
    let tokenizer = Tokenizer::new(watched, TokenizerOpts::default());
    feed(&tokenizer, html, budget)?;
    let page = tokenizer.sink.tree.sink.finish();
    if is_too_deep(&page) { Err(TooMuch::Depth) } else { Ok(page) }
}

fn is_too_deep(page: &Html) -> bool {
    let mut depth = 0_usize;
    page.tree.root().traverse().any(|edge| {
        match edge {
            Edge::Open(_) => depth += 1,
            Edge::Close(_) => depth -= 1,
        }
        depth > MAX_DEPTH
    })
}

/// Counts what the tree builder makes of each token.
///
/// One tag may look through all open elements, and open all formatting elements again that were
/// left open: a page made for it takes the square of its length, in time and in nodes.
struct Watched<'b> {
    tree: TreeBuilder<NodeId, HtmlTreeSink>,
    budget: &'b Budget,
    most_attributes: Cell<usize>,
}

impl Watched<'_> {
    fn n_nodes(&self) -> usize {
        self.tree.sink.0.borrow().tree.values().len()
    }

    /// Returns what a tag's attributes take, and leaves out those that no real tag has.
    fn trimmed(&self, tag: &mut Tag) -> usize {
        tag.attrs.truncate(MAX_ATTRIBUTES);
        if tag.kind == TagKind::StartTag {
            self.most_attributes.set(self.most_attributes.get().max(tag.attrs.len()));
        }
        tag.attrs.iter().map(|attribute| ATTRIBUTE + attribute.value.len()).sum()
    }
}

impl TokenSink for Watched<'_> {
    type Handle = NodeId;

    fn process_token(&self, mut token: Token, line: u64) -> TokenSinkResult<NodeId> {
        let own = match &mut token {
            Token::TagToken(tag) => self.trimmed(tag),
            Token::CharacterTokens(text) | Token::CommentToken(text) => text.len(),
            _ => 0,
        };
        if self.budget.step().and_then(|()| self.budget.take(own)).is_err() {
            return TokenSinkResult::Continue;
        }
        let before = self.n_nodes();
        let then = self.tree.process_token(token, line);
        let made = self.n_nodes() - before;
        // Those beside the tag's own are copies of earlier ones, attributes and all.
        let copies = made.saturating_sub(1) * ATTRIBUTE * self.most_attributes.get();
        let _next_step_tells = self.budget.take(made * NODE + copies);
        then
    }

    fn end(&self) {
        self.tree.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.tree.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// Returns the address that relative links on a page start from: its first `<base href>`'s, else
/// its own.
pub(crate) fn base(page: &Html, address: &Url) -> Url {
    let elements = page.root_element().descendent_elements();
    let mut named = elements.filter(|element| element.value().name() == "base");
    let href = named.find_map(|element| element.value().attr("href"));
    href.and_then(|href| link(address, href)).unwrap_or_else(|| address.clone())
}

/// Returns the elements of a page that a selector matches, `html` itself among them; it ends early
/// with the budget.
pub(crate) fn select_all<'a>(
    page: &'a Html,
    selector: &'a Selector,
    budget: &'a Budget,
) -> impl Iterator<Item = ElementRef<'a>> {
    page.root_element()
        .descendent_elements()
        .take_while(|_| budget.step().is_ok())
        .filter(move |element| selector.matches(element))
}

/// Returns the elements under this one that a selector matches; it ends early with the budget.
pub(crate) fn select<'a>(
    scope: ElementRef<'a>,
    selector: &'a Selector,
    budget: &'a Budget,
) -> impl Iterator<Item = ElementRef<'a>> {
    scope
        .descendent_elements()
        .skip(1)
        .take_while(|_| budget.step().is_ok())
        .filter(move |element| selector.matches_with_scope(element, Some(scope)))
}

/// Returns what stands beside a label: in a `dd` after its `dt`, the cell after its cell, the
/// element after its own. The label is any text that has this word, in lower case.
pub(crate) fn labelled(scope: ElementRef<'_>, word: &str, budget: &Budget) -> Option<String> {
    const LABELS: [&str; 8] = ["dt", "th", "td", "span", "div", "strong", "b", "label"];
    let mut labels = scope.descendent_elements().take_while(|_| budget.step().is_ok());
    labels.find_map(|label| {
        let name = label.value().name();
        // What has elements in it is more than a label, but for terms and cells.
        let whole = matches!(name, "dt" | "th" | "td") || label.child_elements().next().is_none();
        if !LABELS.contains(&name) || !whole {
            return None;
        }
        let text: String = label.text().take(8).collect();
        let text = text.trim();
        // A label is short; what has the word in a sentence is none.
        if text.len() > 60 || !text.to_lowercase().contains(word) {
            return None;
        }
        let beside = label.next_siblings().find_map(ElementRef::wrap)?;
        let said = crate::text::line(&spaced(beside, budget).replace('&', "&amp;"));
        (!said.is_empty()).then_some(said)
    })
}

/// Returns the text with a space where elements meet, so that `Paris<br>75010` stays two words, but
/// none where only a part of a word is marked (`<em>Java</em>Script`).
pub(crate) fn spaced(element: ElementRef<'_>, budget: &Budget) -> String {
    let mut text = String::new();
    let mut hidden = None;
    // A span marks part of a word, unless another one follows it at once.
    let mut after_span = false;
    for edge in element.traverse() {
        if budget.step().is_err() || text.len() > MAX_TEXT {
            break;
        }
        let (node, opens) = match edge {
            Edge::Open(node) => (node, true),
            Edge::Close(node) => (node, false),
        };
        if hidden.is_some_and(|hidden| hidden != node.id() || opens) {
            continue;
        }
        hidden = None;
        match node.value() {
            Node::Text(found) if opens => {
                text.push_str(crate::text::cut(found, MAX_TEXT));
                after_span = false;
            }
            Node::Element(found) => match found.name() {
                "script" | "style" | "template" if opens => hidden = Some(node.id()),
                "span" | "a" if opens => text.push_str(if after_span { " " } else { "" }),
                "span" | "a" => after_span = true,
                name if is_inline(name) => {}
                _ => text.push(' '),
            },
            _ => {}
        }
    }
    text
}

/// Returns the markup inside an element, of no more than so many bytes.
pub(crate) fn markup(element: ElementRef<'_>, bytes: usize) -> String {
    let mut markup = Bounded { bytes: Vec::new(), limit: bytes };
    let scope = TraversalScope::ChildrenOnly(None);
    let options = SerializeOpts {
        scripting_enabled: false,
        traversal_scope: scope,
        create_missing_parent: false,
    };
    // Its only error is that the limit is reached.
    let _whole = serialize(&mut markup, &element, options);
    String::from_utf8_lossy(&markup.bytes).into_owned()
}

struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() >= self.limit {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.limit - self.bytes.len());
        self.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_marks_a_part_of_a_word_puts_no_space_into_it() {
        let check = |markup: &str, expect: &str| {
            let page = document(&format!("<body>{markup}"), &Budget::unlimited()).unwrap();
            let text = spaced(page.root_element(), &Budget::unlimited());
            assert_eq!(crate::text::line(&text), expect, "{markup}");
        };
        check("<em>Java</em>Script <b>D</b>ev", "JavaScript Dev");
        check("<span class=hit>Java</span>Script", "JavaScript");
        check("<span>Berlin</span><span>Remote</span>", "Berlin Remote");
        check("Paris<br>75010<div>France</div>EU", "Paris 75010 France EU");
        check("<i>a</i><i>b</i>c<wbr>d", "abcd");
        check("a<style>x{}</style><script>y()</script>b", "a b");
        check("<noscript><p>seen</p></noscript>", "seen");
    }
}
