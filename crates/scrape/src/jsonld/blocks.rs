//! A page's JSON-LD blocks, and what beside them tells where and in which language it is.

use html5ever::tokenizer::{Tag, TagKind, Token};
use url::Url;

use super::graph::is_posting_type;
use crate::{budget::TooMuch, context::Context, link::link, tokens::tokens};

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
    tokens(page, &context.budget, |token| match token {
        Token::CharacterTokens(text) if inside => {
            if let (Some(block), Ok(())) = (texts.last_mut(), context.budget.take(text.len())) {
                String::push_str(block, &text);
            }
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
        }
        _ => {}
    })?;
    let base = base.unwrap_or_else(|| context.page.clone());
    let named = named.and_then(|href| link(&base, &href));
    let named = named.filter(|url| url.host() == context.page.host());
    let address = named.unwrap_or_else(|| context.page.clone());
    Ok(Blocks { texts, address, base, tag: language_tag, is_marked })
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
