//! Turns markup into plain text and cleans what sources call titles, within bounds.

use scraper::{Html, Node};

/// A description is cut at this many bytes: long enough for every real one, short enough for a cache.
pub const MAX_DESCRIPTION: usize = 50_000;

/// A title, name or place is cut at this many bytes.
pub const MAX_LINE: usize = 300;

/// Markup that becomes a description is read up to this many bytes.
const MAX_MARKUP: usize = 400_000;

/// Elements may be open inside each other this deep. The HTML standard's tree construction looks through
/// the open elements for many tags, so the time for a page is its length times its depth.
const MAX_DEPTH: usize = 512;

/// Elements whose end tag may be left out or does not exist; they never count as open.
const UNCLOSED: [&str; 30] = [
    "area", "base", "body", "br", "col", "colgroup", "dd", "dt", "embed", "head", "hr", "html",
    "img", "input", "li", "link", "meta", "optgroup", "option", "p", "param", "rp", "rt", "source",
    "tbody", "td", "th", "tr", "track", "wbr",
];

/// Elements that begin a new line.
const BLOCKS: [&str; 27] = [
    "address",
    "article",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "li",
    "main",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "td",
    "tr",
    "ul",
];

/// Returns one clean line: entities decoded, white space collapsed, invisible characters gone.
pub fn line(text: &str) -> String {
    let decoded = unescape(cut(text, MAX_MARKUP));
    let visible = decoded.chars().filter(|c| !invisible(*c));
    let visible: String = visible.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    cut(&words.join(" "), MAX_LINE).trim_end().to_owned()
}

/// Returns the line, or nothing when it is empty.
pub fn some_line(text: &str) -> Option<String> {
    Some(line(text)).filter(|line| !line.is_empty())
}

/// Returns a description as plain text: a line a block, `- ` before list items, at most [`MAX_DESCRIPTION`].
///
/// Markup that is escaped as a whole (Greenhouse, Arbeitnow) is unescaped once. Tags that were cut in the
/// middle, unclosed or unknown do no harm; scripts and styles are left out.
pub fn description(markup: &str) -> String {
    let markup = cut(markup, MAX_MARKUP);
    let escaped = markup.contains("&lt;") && !has_tag(markup);
    let unescaped = if escaped { unescape(markup) } else { markup.to_owned() };
    let Some(tree) = fragment(&unescaped) else { return plain(&unescaped) };
    plain(&walk(&tree))
}

/// Returns the text with entities decoded once; tags stay as they stand.
pub fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    // Without "<" there is nothing that could open an element: what remains is entities and text.
    let tree = Html::parse_fragment(&text.replace('<', "&lt;"));
    tree.root_element().text().collect()
}

/// Returns the longest beginning that is at most `bytes` long.
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Parses a page, or nothing when its elements are nested deeper than any real page's.
pub fn document(html: &str) -> Option<Html> {
    shallow(html).then(|| Html::parse_document(html))
}

fn fragment(html: &str) -> Option<Html> {
    shallow(html).then(|| Html::parse_fragment(html))
}

/// Tells whether no more than [`MAX_DEPTH`] elements are open at once; one pass, no tree.
fn shallow(html: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if let Some(comment) = rest.strip_prefix("!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let closing = rest.starts_with('/');
        let tag = &rest[usize::from(closing)..];
        let end = tag.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(tag.len());
        let name = cut(&tag[..end], 20).to_ascii_lowercase();
        if name.is_empty() || UNCLOSED.contains(&name.as_str()) {
            continue;
        }
        depth = if closing { depth.saturating_sub(1) } else { depth + 1 };
        if depth > MAX_DEPTH {
            return false;
        }
        if !closing && (name == "script" || name == "style") {
            rest = after_raw(tag, &name);
            depth -= 1;
        }
    }
    true
}

/// Returns what follows the end tag of a raw text element.
fn after_raw<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.get(..name.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(name)) {
            return rest;
        }
    }
    ""
}

fn walk(tree: &Html) -> String {
    use ego_tree::iter::Edge;
    let mut out = String::new();
    let mut hidden = 0_usize;
    for edge in tree.tree.root().traverse() {
        let (node, opening) = match edge {
            Edge::Open(node) => (node, true),
            Edge::Close(node) => (node, false),
        };
        match node.value() {
            Node::Text(text) if opening && hidden == 0 => out.push_str(text),
            Node::Element(element) => {
                let name = element.name();
                if matches!(name, "script" | "style" | "template" | "noscript") {
                    hidden = if opening { hidden + 1 } else { hidden.saturating_sub(1) };
                } else if BLOCKS.contains(&name) {
                    out.push('\n');
                    if opening && name == "li" {
                        out.push_str("- ");
                    }
                }
            }
            _ => {}
        }
    }
    out
}

/// Collapses white space inside lines, drops empty lines, bounds the length.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let visible: String = line.chars().filter(|c| !invisible(*c)).collect();
        let words: Vec<&str> = visible.split_whitespace().collect();
        if words.is_empty() || words == ["-"] {
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&words.join(" "));
        if out.len() > MAX_DESCRIPTION {
            break;
        }
    }
    cut(&out, MAX_DESCRIPTION).trim_end().to_owned()
}

/// Tells whether the text holds something that opens or closes an element.
fn has_tag(text: &str) -> bool {
    let mut tags = text.match_indices('<');
    tags.any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/'))
}

/// Joiners, byte order marks and the like: they only break comparisons.
fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_decoded_and_collapsed() {
        let check = |input: &str, expect: &str| assert_eq!(line(input), expect, "{input:?}");
        check("  Senior\n\tEngineer ", "Senior Engineer");
        check("R&amp;D &#8211; Lead", "R&D – Lead");
        check("C++ <3", "C++ <3");
        check("42 000 &zwj;–&zwj; 45 000 Kč", "42 000 – 45 000 Kč");
        check("a\u{0}b\u{feff}", "ab");
        check("", "");
    }

    #[test]
    fn a_description_is_text_without_markup() {
        let check = |input: &str, expect: &str| assert_eq!(description(input), expect, "{input:?}");
        check(
            "<p>Build queues &amp; caches.</p><ul><li>Redis</li></ul>",
            "Build queues & caches.\n- Redis",
        );
        check("&lt;p&gt;Build &amp;amp; run&lt;/p&gt;", "Build & run");
        check("plain, 1 < 2", "plain, 1 < 2");
        check("<script>alert(1)</script><style>p{}</style>text", "text");
        check("cut in a ta<stro", "cut in a ta");
        check("<p>open <b>ended", "open ended");
        check("a\n\n\n  b", "a\nb");
    }

    #[test]
    fn a_description_is_bounded() {
        assert_eq!(description(&"é ".repeat(200_000)).len(), MAX_DESCRIPTION);
        assert_eq!(description(&"€".repeat(200_000)).len(), MAX_DESCRIPTION - 2);
        assert_eq!(description(&"<div>".repeat(50_000)), plain(&"<div>".repeat(50_000)));
    }

    #[test]
    fn a_page_that_is_nested_without_end_is_refused() {
        assert!(document(&"<div>".repeat(100_000)).is_none());
        assert!(document(&"<p><b x=1></p>".repeat(100_000)).is_none());
        assert!(document(&"<div><p>text<li>item</div>".repeat(1_000)).is_some());
        let scripted = format!("<script>{}</script><p>", "'<div>'".repeat(2_000));
        assert!(document(&scripted).is_some());
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_text(input in "(?s).{0,400}") {
            prop_assert!(description(&input).len() <= MAX_DESCRIPTION);
            prop_assert!(line(&input).len() <= MAX_LINE);
        }
    }
}
