//! Turns markup into plain text and cleans what sources call titles, within bounds.

use std::time::{Duration, Instant};

use html5ever::{ParseOpts, tendril::TendrilSink};
use scraper::{Html, HtmlTreeSink, Node};

/// A description is cut at this many bytes: long enough for every real one, short enough for a cache.
pub const MAX_DESCRIPTION: usize = 50_000;

/// A title, name or place is cut at this many bytes.
pub const MAX_LINE: usize = 300;

/// Markup that becomes a description is read up to this many bytes.
const MAX_MARKUP: usize = 400_000;

/// A page is read for this long. The HTML standard's tree construction looks through all open elements at
/// many tags, and through all attributes at each: a page made for it takes the square of its length.
const PARSE_TIME: Duration = Duration::from_secs(3);

/// The clock is looked at after each so many bytes.
const PARSE_STEP: usize = 4_096;

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
/// middle, unclosed or unknown do no harm; scripts and styles are left out. Markup that cannot be read in
/// time gives an empty description.
pub fn description(markup: &str) -> String {
    let markup = cut(markup, MAX_MARKUP);
    let escaped = markup.contains("&lt;") && !has_tag(markup);
    let unescaped = if escaped { unescape(markup) } else { markup.to_owned() };
    document(&unescaped).map(|tree| plain(&walk(&tree))).unwrap_or_default()
}

/// Returns the text with entities decoded once; tags stay as they stand.
pub fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    // Without "<" there is nothing that could open an element: what remains is entities and text.
    let tree = document(&text.replace('<', "&lt;"));
    tree.map_or_else(|| text.to_owned(), |tree| tree.root_element().text().collect())
}

/// Returns the longest beginning that is at most `bytes` long.
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Parses a page, or nothing when that takes longer than any real page.
pub fn document(html: &str) -> Option<Html> {
    document_within(html, PARSE_TIME)
}

fn document_within(html: &str, time: Duration) -> Option<Html> {
    let begun = Instant::now();
    let sink = HtmlTreeSink::new(Html::new_document());
    let mut parser = html5ever::parse_document(sink, ParseOpts::default());
    let mut rest = html;
    while !rest.is_empty() {
        let step = cut(rest, PARSE_STEP);
        parser.process(step.into());
        rest = &rest[step.len()..];
        if begun.elapsed() > time {
            return None;
        }
    }
    Some(parser.finish())
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
    }

    #[test]
    fn a_page_that_would_take_for_ever_is_refused_in_time() {
        let attributes: String = (0..400_000).map(|number| format!(" a{number}")).collect();
        let formats: String = (0..400_000).map(|number| format!("<p><b x={number}></p>")).collect();
        let time = Duration::from_millis(300);
        for page in ["<div>".repeat(1_000_000), format!("<p{attributes}>"), formats] {
            let begun = Instant::now();
            assert!(document_within(&page, time).is_none(), "{}", &page[..20]);
            assert!(begun.elapsed() < time * 10, "{:?} for {}", begun.elapsed(), &page[..20]);
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_text(input in "(?s).{0,400}") {
            prop_assert!(description(&input).len() <= MAX_DESCRIPTION);
            prop_assert!(line(&input).len() <= MAX_LINE);
        }
    }
}
