//! Markup as the tokens that a browser sees, without a tree: in time and memory of its length.

use std::cell::{Cell, RefCell};

use html5ever::{
    TokenizerResult,
    tokenizer::{
        BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};

use crate::budget::{Budget, TooMuch};

/// The budget is looked at after each so many bytes: the tokenizer looks through all attributes of
/// a tag at each of them, so that one tag takes the square of their number.
const STEP: usize = 2_048;

/// Calls back with each token of the markup.
///
/// # Errors
/// The budget is used up; the tokens until then were given.
pub(crate) fn tokens(
    markup: &str,
    budget: &Budget,
    mut each: impl FnMut(Token),
) -> Result<(), TooMuch> {
    tokens_until(markup, markup.len(), budget, |token| {
        each(token);
        false
    })
}

/// As [`tokens`], until a tag that ends behind this place of the markup is answered by true: then
/// nothing behind it is of account.
///
/// # Errors
/// As for [`tokens`].
pub(crate) fn tokens_until(
    markup: &str,
    place: usize,
    budget: &Budget,
    each: impl FnMut(Token) -> bool,
) -> Result<(), TooMuch> {
    let sink = Each { each: RefCell::new(each), budget, is_over: Cell::new(false) };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    feed_until(&tokenizer, markup, budget, |from| tokenizer.sink.is_over.take() && from >= place)
}

/// Feeds markup to a tokenizer, to its end or that of the budget.
pub(crate) fn feed<S: TokenSink>(
    tokenizer: &Tokenizer<S>,
    markup: &str,
    budget: &Budget,
) -> Result<(), TooMuch> {
    feed_until(tokenizer, markup, budget, |_| false)
}

/// As [`feed`], until `is_over`, which is told after each step from where on it was fed.
fn feed_until<S: TokenSink>(
    tokenizer: &Tokenizer<S>,
    markup: &str,
    budget: &Budget,
    is_over: impl Fn(usize) -> bool,
) -> Result<(), TooMuch> {
    let input = BufferQueue::default();
    let mut rest = markup;
    while !rest.is_empty() {
        budget.look()?;
        let from = markup.len() - rest.len();
        let step = &rest[..rest.floor_char_boundary(STEP)];
        rest = &rest[step.len()..];
        input.push_back(step.into());
        // It stops after a script or at a charset, for those who would do something about it.
        while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
        if is_over(from) {
            return budget.spent();
        }
    }
    budget.look()?;
    tokenizer.end();
    budget.spent()
}

struct Each<'b, F> {
    each: RefCell<F>,
    budget: &'b Budget,
    /// What the last tag was answered by.
    is_over: Cell<bool>,
}

impl<F: FnMut(Token) -> bool> TokenSink for Each<'_, F> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if self.budget.step().is_err() {
            return TokenSinkResult::Continue;
        }
        let (then, is_tag) = match &token {
            Token::TagToken(tag) => (inside(tag), true),
            _ => (TokenSinkResult::Continue, false),
        };
        let is_over = (self.each.borrow_mut())(token);
        if is_tag {
            self.is_over.set(is_over);
        }
        then
    }
}

/// Tells how what stands inside an element is read: tags in a script are none. Nothing runs here,
/// so `noscript` holds what any other element would.
fn inside(tag: &Tag) -> TokenSinkResult<()> {
    if tag.kind == TagKind::EndTag {
        return TokenSinkResult::Continue;
    }
    match &*tag.name {
        "script" => TokenSinkResult::RawData(RawKind::ScriptData),
        "title" | "textarea" => TokenSinkResult::RawData(RawKind::Rcdata),
        "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
            TokenSinkResult::RawData(RawKind::Rawtext)
        }
        "plaintext" => TokenSinkResult::Plaintext,
        _ => TokenSinkResult::Continue,
    }
}
