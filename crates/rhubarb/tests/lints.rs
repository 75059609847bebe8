//! What the macros write sets off no lint in the code of those who use them, whatever they turn on,
//! whatever they name things, and whether they use all of it. Clippy is this test.
#![deny(
    warnings,
    nonstandard_style,
    unused,
    missing_docs,
    missing_debug_implementations,
    redundant_imports,
    single_use_lifetimes,
    trivial_casts,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications,
    clippy::all,
    clippy::pedantic
)]

/// Tasks that others see.
pub mod open {
    use std::collections::{BTreeMap, HashMap};

    use rhubarb::prelude::*;

    /// Named as std's traits and clippy's conventions have it.
    ///
    /// # Errors
    ///
    /// The sum is too large.
    #[task(name = "lint.names")]
    #[expect(
        clippy::fn_params_excessive_bools,
        clippy::too_many_arguments,
        clippy::unused_async,
        reason = "the function's own"
    )]
    pub async fn names(
        add: i64,
        #[default] not: bool,
        #[default] eq: String,
        #[default] to_address: String,
        #[default] is_urgent: bool,
        #[default] into_queue: String,
        #[default] as_text: bool,
        #[default] from_iter: Vec<i64>,
        #[default] default: bool,
        #[default] r#type: String,
        #[default] id: String,
    ) -> Result<i64, TaskError> {
        let texts = [eq, to_address, into_queue, r#type, id].concat();
        let flags = [not, is_urgent, as_text, default].into_iter().filter(|flag| *flag).count();
        add.checked_add(from_iter.iter().sum::<i64>())
            .and_then(|sum| sum.checked_add(i64::try_from(texts.len() + flags).ok()?))
            .ok_or_else(|| TaskError::failed("OverflowError", "the sum is too large"))
    }

    /// Many that are required.
    #[task(name = "lint.many")]
    #[must_use]
    #[expect(
        clippy::fn_params_excessive_bools,
        clippy::too_many_arguments,
        reason = "the function's own"
    )]
    pub fn many(
        one: bool,
        two: bool,
        three: bool,
        four: bool,
        five: String,
        six: String,
        seven: u8,
        eight: u8,
    ) -> usize {
        let flags = usize::from(one & two & three & four);
        five.len() + six.len() + usize::from(seven) + usize::from(eight) + flags
    }

    /// A type that is long to read.
    ///
    /// # Errors
    ///
    /// None.
    #[task(name = "lint.complex")]
    #[expect(
        clippy::implicit_hasher,
        clippy::type_complexity,
        clippy::unused_async,
        reason = "the function's own"
    )]
    pub async fn complex(
        #[args] lists: Vec<(BTreeMap<String, Vec<Option<(i64, String)>>>, Option<Vec<(i64, i64)>>)>,
        #[kwargs] rest: HashMap<String, Vec<Option<BTreeMap<String, (i64, Vec<String>)>>>>,
    ) -> anyhow::Result<usize> {
        Ok(lists.len() + rest.len())
    }
}

mod own {
    use rhubarb::prelude::*;

    /// Nobody calls it, and nobody runs it.
    #[task(name = "lint.unused")]
    #[expect(clippy::unused_async, reason = "the function's own")]
    async fn unused(context: TaskContext, word: String) {
        drop((context.id().len(), word));
    }

    /// It is run, and never called.
    #[task(name = "lint.run")]
    pub(super) fn run(State(shop): State<u64>, count: u64, #[default(2)] by: u64) -> u64 {
        shop + count * by
    }

    /// What it is given, it only looks at.
    #[task(name = "lint.looks")]
    #[expect(clippy::unused_async, reason = "the function's own")]
    pub(super) async fn looks(word: String, words: Vec<String>) -> bool {
        words.contains(&word)
    }

    /// A handler.
    #[rhubarb::debug_handler]
    pub(super) async fn handler(Args((word,)): Args<(String,)>, context: TaskContext) -> String {
        format!("{word} {}", context.id())
    }
}

#[test]
fn the_macros_set_off_no_lint() {
    let mut app = rhubarb::testing::app();
    app.state(7_u64);
    app.add_all([open::names::task(), open::many::task(), open::complex::task()]);
    app.add_all([own::run::task(), own::looks::task()]);
    app.task("lint.handler", own::handler);
    assert!(rhubarb::testing::Eager::new(app).is_ok());
}
