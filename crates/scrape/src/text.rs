//! Turns markup into plain text and cleans what sources call titles, within bounds.

use html5ever::tokenizer::{TagKind, Token};

use crate::{
    budget::{Budget, TooMuch},
    tokens::tokens,
};

/// A description is cut at this many bytes: long enough for every real one, short enough for a
/// cache.
pub const MAX_DESCRIPTION: usize = 50_000;

/// A title, name or place is cut at this many bytes.
pub const MAX_LINE: usize = 300;

/// Markup that becomes a description is read up to this many bytes.
pub(crate) const MAX_MARKUP: usize = 400_000;

/// What becomes a line is read up to this many bytes.
const MAX_LINE_MARKUP: usize = 16_000;

/// Elements that begin a new line.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
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
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "td",
    "th",
    "tr",
    "ul",
];

/// Returns one clean line: entities decoded, white space collapsed, invisible characters gone.
pub fn line(text: &str) -> String {
    let decoded = unescape(cut(text, MAX_LINE_MARKUP));
    let visible = decoded.chars().filter(|c| !invisible(*c));
    let visible: String = visible.map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    cut(&words.join(" "), MAX_LINE).trim_end().to_owned()
}

/// Elements that stand inside a line, and inside words.
const INLINE: [&str; 22] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "em", "font", "i", "ins", "mark",
    "nobr", "s", "small", "span", "strong", "sub", "sup", "u", "wbr",
];

/// Returns a title as one clean line, without the markup that some sources leave in it, escaped or
/// not. What only looks like markup (`C++ <Senior>`, `1 < 2`) stays.
pub fn title(text: &str) -> String {
    let mut title = line(text);
    // Each time takes away markup, or is the last.
    for _ in 0..MAX_ESCAPED {
        let bare = without_markup(&title);
        if bare.is_none() && !title.contains("&lt;") {
            break;
        }
        title = line(&bare.unwrap_or(title));
    }
    title
}

/// How often markup that was escaped is escaped again at the most.
const MAX_ESCAPED: usize = 4;

/// Tells whether an element only marks a part of a word, and so puts no space into it.
pub(crate) fn is_inline(name: &str) -> bool {
    INLINE.contains(&name)
}

/// Takes away the tags of elements that are known; nothing when there are none.
fn without_markup(line: &str) -> Option<String> {
    let mut bare = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        bare.push_str(before);
        let end = tag.find('>').filter(|end| known_tag(&tag[1..*end]).is_some());
        match end {
            Some(end) => {
                bare.push_str(known_tag(&tag[1..end]).unwrap_or_default());
                rest = &tag[end + 1..];
            }
            None => {
                bare.push('<');
                rest = &tag[1..];
            }
        }
    }
    bare.push_str(rest);
    (bare != line).then_some(bare)
}

/// Returns what stands in the text in place of a known element's tag.
fn known_tag(tag: &str) -> Option<&'static str> {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    let end = tag.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
    let name = tag[..end].to_ascii_lowercase();
    if INLINE.contains(&name.as_str()) {
        Some("")
    } else {
        BLOCKS.contains(&name.as_str()).then_some(" ")
    }
}

/// Returns the line, or nothing when it is empty.
pub fn some_line(text: &str) -> Option<String> {
    Some(line(text)).filter(|line| !line.is_empty())
}

/// Returns a description as plain text: a line a block, `- ` before list items, at most
/// [`MAX_DESCRIPTION`].
///
/// Markup and entities that were escaped, as a whole (Greenhouse, Arbeitnow), inside other markup
/// or more than once, are read too. Tags that were cut in the middle, unclosed or unknown do no
/// harm; scripts and styles are left out. When the budget ends, so does the description.
pub fn description(markup: &str, budget: &Budget) -> String {
    let mut text = broken_lines(cut(markup, MAX_MARKUP));
    for _ in 0..=MAX_ESCAPED {
        let mut plain = Plain::default();
        let read = plain.read(&text, budget);
        text = plain.text;
        if read.is_err() || !is_escaped(&text) {
            break;
        }
    }
    collapsed(&text)
}

/// Tells whether a text still has what only markup has: entities, or tags of known elements.
fn is_escaped(text: &str) -> bool {
    const ENTITIES: [&str; 6] = ["&amp;", "&lt;", "&gt;", "&nbsp;", "&quot;", "&#"];
    const ALONE: [&str; 5] = ["br", "li", "p", "hr", "div"];
    let is_tag = |(at, _): (usize, &str)| {
        let tag = &text[at + 1..];
        let name = tag.strip_prefix('/').unwrap_or(tag);
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let closes = tag.starts_with('/') && name[end..].starts_with('>');
        let name = &name[..end];
        closes && known_tag(name).is_some() || ALONE.contains(&name) && tag[end..].contains('>')
    };
    ENTITIES.iter().any(|entity| text.contains(entity)) || text.match_indices('<').any(is_tag)
}

/// Makes line breaks of `\n` that was escaped once too often: what no word and no path follows.
fn broken_lines(markup: &str) -> String {
    if !markup.contains("\\n") {
        return markup.to_owned();
    }
    let mut out = String::with_capacity(markup.len());
    let mut rest = markup;
    while let Some(at) = rest.find("\\n") {
        let whole = rest[..at].strip_suffix("\\r");
        let before = whole.unwrap_or(&rest[..at]);
        let after = &rest[at + 2..];
        let ends = before.is_empty() || before.ends_with(['.', '>', '!', '?', ';', '\n']);
        let is_break = ends
            || whole.is_some()
            || !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        out.push_str(if is_break { before } else { &rest[..at + 2] });
        out.push_str(if is_break { "\n" } else { "" });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Returns a language as a BCP 47 tag (`de_at` is `de-AT`); a language's name is none.
pub(crate) fn language(text: &str) -> Option<String> {
    let mut parts = text.trim().split(['-', '_']);
    let first = parts.next()?.to_ascii_lowercase();
    let letters = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !matches!(first.len(), 2 | 3) || !letters(&first) {
        return None;
    }
    let region = parts.next_back().filter(|part| part.len() == 2 && letters(part));
    Some(
        region.map_or_else(
            || first.clone(),
            |region| format!("{first}-{}", region.to_ascii_uppercase()),
        ),
    )
}

/// Returns the text with entities decoded once; tags stay as they stand.
pub fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut decoded = String::with_capacity(text.len());
    // Without "<" there is nothing that could open an element: what remains is entities and text,
    // which take no longer than they are long.
    let _unlimited = tokens(&text.replace('<', "&lt;"), &Budget::unlimited(), |token| {
        if let Token::CharacterTokens(text) = token {
            decoded.push_str(&text);
        }
    });
    decoded
}

/// Returns the longest beginning that is at most `bytes` long.
pub fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The text of markup, a line a block.
#[derive(Default)]
struct Plain {
    text: String,
    /// How many elements are open whose text is not for people.
    hidden: usize,
}

impl Plain {
    fn read(&mut self, markup: &str, budget: &Budget) -> Result<(), TooMuch> {
        tokens(markup, budget, |token| match token {
            Token::CharacterTokens(text) if self.hidden == 0 => self.text.push_str(&text),
            Token::TagToken(tag) => self.tag(&tag.name, tag.kind == TagKind::StartTag),
            _ => {}
        })
    }

    fn tag(&mut self, name: &str, opens: bool) {
        if matches!(name, "script" | "style" | "template") {
            self.hidden = if opens { self.hidden + 1 } else { self.hidden.saturating_sub(1) };
        } else if BLOCKS.contains(&name) && self.hidden == 0 {
            self.text.push_str(if opens && name == "li" { "\n- " } else { "\n" });
        }
    }
}

/// Collapses white space inside lines, drops empty lines, bounds the length.
fn collapsed(text: &str) -> String {
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

/// Joiners, byte order marks and the like: they only break comparisons.
fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(markup: &str) -> String {
        description(markup, &Budget::unlimited())
    }

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
    fn a_title_has_no_markup_of_its_source() {
        let check = |input: &str, expect: &str| assert_eq!(title(input), expect, "{input:?}");
        check("C++ &lt;b&gt;Senior&lt;/b&gt; Dev", "C++ Senior Dev");
        check("&amp;lt;strong class=x&amp;gt;Java&amp;lt;/strong&amp;gt;Script", "JavaScript");
        check("Cook<br/>Night shift", "Cook Night shift");
        check("C++ <Senior> 1 < 2 <3", "C++ <Senior> 1 < 2 <3");
        check("R&amp;D", "R&D");
        check("<b", "<b");
    }

    #[test]
    fn a_description_is_text_without_markup() {
        let check = |input: &str, expect: &str| assert_eq!(read(input), expect, "{input:?}");
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
    fn markup_that_was_escaped_too_often_leaves_no_tag() {
        let check = |input: &str, expect: &str| assert_eq!(read(input), expect, "{input:?}");
        check("&amp;amp;lt;p&amp;amp;gt;a &amp;amp;amp;amp; b&amp;amp;lt;/p&amp;amp;gt;", "a & b");
        check(
            "<div>&lt;p&gt;One&lt;/p&gt;&lt;ul&gt;&lt;li&gt;Two&lt;/li&gt;&lt;/ul&gt;</div>",
            "One\n- Two",
        );
        check("a&amp;nbsp;b&amp;#8211;c", "a b–c");
        check(
            "<p>1 &lt; 2, Vec&lt;String&gt; and a &lt;Button&gt;</p>",
            "1 < 2, Vec<String> and a <Button>",
        );
    }

    #[test]
    fn inline_elements_put_nothing_into_words_and_blocks_end_lines() {
        let check = |input: &str, expect: &str| assert_eq!(read(input), expect, "{input:?}");
        check("<em>Java</em>Script <b>R</b>ust", "JavaScript Rust");
        check("<th>a</th><td>b</td><figure>c</figure>d", "a\nb\nc\nd");
        check("<noscript><p>seen</p></noscript>", "seen");
    }

    #[test]
    fn a_line_break_that_was_escaped_breaks_the_line() {
        let check = |input: &str, expect: &str| assert_eq!(read(input), expect, "{input:?}");
        check("<p>One</p>\\n\\n<p>Two</p>", "One\nTwo");
        check("One.\\r\\nTwo\\n- three", "One.\nTwo\n- three");
        check("one\\r\\ntwo", "one\ntwo");
        check("C:\\new and \\name", "C:\\new and \\name");
    }

    #[test]
    fn a_description_is_bounded() {
        assert_eq!(read(&"é ".repeat(200_000)).len(), MAX_DESCRIPTION);
        assert_eq!(read(&"€".repeat(200_000)).len(), MAX_DESCRIPTION - 2);
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_text(input in "(?s).{0,400}") {
            prop_assert!(read(&input).len() <= MAX_DESCRIPTION);
            prop_assert!(line(&input).len() <= MAX_LINE);
        }
    }
}
