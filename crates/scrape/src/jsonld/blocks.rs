//! A page's JSON-LD blocks, and what beside them tells where and in which language it is.

use html5ever::tokenizer::{Tag, TagKind, Token};
use memchr::memmem;
use url::Url;

use super::graph::is_posting_type;
use crate::{budget::TooMuch, context::Context, link::link, tokens::tokens_until};

/// What a block takes beside its text.
pub(super) const BLOCK: usize = 128;

/// A page's JSON-LD.
pub(super) struct Blocks {
    pub(super) texts: Vec<String>,
    /// The page's address: the one that it names as its own, when that is on the same host; else
    /// where it came from.
    pub(super) address: Url,
    /// What relative addresses start from.
    pub(super) base: Url,
    /// The tag of the language that the page says it is in.
    pub(super) tag: Option<String>,
    /// Whether its markup says that there is a posting.
    pub(super) is_marked: bool,
}

pub(super) fn blocks(page: &str, context: &Context) -> Result<Blocks, TooMuch> {
    let mut texts = Vec::new();
    let (mut base, mut named, mut language_tag) = (None, None, None);
    let (mut inside, mut is_marked) = (false, false);
    let each = |token: Token| match token {
        Token::CharacterTokens(text) if inside => {
            if let (Some(block), Ok(())) = (texts.last_mut(), context.budget.take(text.len())) {
                String::push_str(block, &text);
            }
            false
        }
        Token::TagToken(tag) => {
            inside = is_jsonld(&tag);
            if inside && context.budget.take(BLOCK).is_ok() {
                texts.push(String::new());
            } else if named.is_none() && is_canonical(&tag) {
                named = attribute(&tag, "href").map(str::to_owned);
            } else if base.is_none() && &*tag.name == "base" {
                base = attribute(&tag, "href").and_then(|href| link(&context.page, href));
            } else if language_tag.is_none() && &*tag.name == "html" {
                language_tag = attribute(&tag, "lang").map(str::to_owned);
            }
            is_marked |= marks_posting(&tag);
            !inside
        }
        _ => false,
    };
    tokens_until(page, last_sign(page), &context.budget, each)?;
    let base = base.unwrap_or_else(|| context.page.clone());
    let named = named.and_then(|href| link(&base, &href));
    let named = named.filter(|url| url.host() == context.page.host());
    let address = named.unwrap_or_else(|| context.page.clone());
    Ok(Blocks { texts, address, base, tag: language_tag, is_marked })
}

/// What the tags have that are of account, in lower case.
const SIGNS: [&str; 6] = ["json", "<html", "<base", "canonical", "itemtype", "typeof"];

/// Returns where the last sign of a tag ends that is of account. Most of a page stands behind it,
/// and reading it as a browser would takes the most time.
fn last_sign(page: &str) -> usize {
    let page = page.to_ascii_lowercase();
    let page = page.as_bytes();
    let ends = SIGNS.into_iter().filter_map(|sign| {
        let found = memmem::find_iter(page, sign);
        let is_meant = |at: &usize| sign != "json" || is_linked(&page[..*at]);
        found.filter(is_meant).last().map(|at| at + sign.len())
    });
    ends.max().unwrap_or_default()
}

/// Tells whether what stands before `json` may make it JSON-LD: `ld+json`, its plus as an entity.
fn is_linked(before: &[u8]) -> bool {
    let near = &before[before.len().saturating_sub(12)..];
    memmem::find(near, b"ld").is_some()
}

pub(super) fn is_jsonld(tag: &Tag) -> bool {
    tag.kind == TagKind::StartTag
        && &*tag.name == "script"
        && attribute(tag, "type").is_some_and(|kind| kind.to_ascii_lowercase().contains("ld+json"))
}

pub(super) fn marks_posting(tag: &Tag) -> bool {
    let kinds = ["itemtype", "typeof"].into_iter().filter_map(|name| attribute(tag, name));
    kinds.flat_map(str::split_whitespace).any(is_posting_type)
}

pub(super) fn is_canonical(tag: &Tag) -> bool {
    &*tag.name == "link"
        && attribute(tag, "rel").is_some_and(|rel| rel.eq_ignore_ascii_case("canonical"))
}

pub(super) fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    let found = tag.attrs.iter().find(|attribute| &*attribute.name.local == name);
    found.map(|attribute| &*attribute.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::context;

    fn read(page: &str) -> Blocks {
        blocks(page, &context()).unwrap()
    }

    #[test]
    fn nothing_that_is_of_account_is_passed_over_however_much_stands_before_or_between() {
        let much = "<p class=x title='a > b'>text <!-- a > comment --></p>".repeat(500);
        let block =
            |kind: &str, n: usize| format!("<script type=\"{kind}\">{{\"n\":{n}}}</script>");
        let page = format!(
            "<HTML lang=fr>{much}{}{much}<script type=application/json>{{}}</script>{}{much}{}{much}\
             <Base href=/x/><link REL=Canonical href=/own>{much}<div ItemType=\"https://schema.org/JobPosting\">{much}",
            block("application/ld+json", 1),
            block("APPLICATION/LD&#43;JSON", 2),
            block("application/ld&plus;json;charset=utf-8", 3),
        );
        let read = read(&page);
        assert_eq!(read.texts, ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
        assert_eq!((read.base.path(), read.address.path()), ("/x/", "/own"));
        assert_eq!((read.tag.as_deref(), read.is_marked), (Some("fr"), true));
    }

    #[test]
    fn a_long_block_is_read_to_its_end() {
        let long = "x".repeat(50_000);
        let much = "<p>text</p>".repeat(5_000);
        for tail in [String::new(), much] {
            let page = format!("<script type='application/ld+json'>\"{long}\"</script>{tail}");
            assert_eq!(read(&page).texts, [format!("\"{long}\"")]);
        }
    }

    #[test]
    fn what_stands_behind_the_last_sign_costs_nothing() {
        let page = format!("<html lang=en><script type='application/ld+json'>1</script>{}", {
            "<p>text</p>".repeat(10_000)
        });
        let mut n = 0;
        let count = |_| {
            n += 1;
            true
        };
        tokens_until(&page, last_sign(&page), &context().budget, count).unwrap();
        assert!(n < 2_000, "{n} of 30,000 tokens");
    }
}
