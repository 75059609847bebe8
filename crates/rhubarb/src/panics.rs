//! Where a panic happened, told to whoever catches it.

use std::{
    any::Any,
    backtrace::Backtrace,
    cell::RefCell,
    panic::{resume_unwind, set_hook, take_hook},
    sync::Once,
};

/// The place of a panic.
#[derive(Debug)]
pub(crate) struct Panic {
    pub(crate) file: String,
    pub(crate) line: u32,
    /// Captured where `RUST_BACKTRACE` asks for it.
    pub(crate) backtrace: Backtrace,
}

thread_local! {
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// From now on notes where panics happen, besides what the process does with them anyway.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            let place = info.location().map(|at| Panic {
                file: at.file().to_owned(),
                line: at.line(),
                backtrace: Backtrace::capture(),
            });
            LAST.set(place);
            before(info);
        }));
    });
}

/// Returns the place of the panic that this thread has just caught.
pub(crate) fn last() -> Option<Panic> {
    LAST.take()
}

/// Goes on with a panic that was caught on another thread, for whoever catches it on this one.
pub(crate) fn go_on(payload: Box<dyn Any + Send>, place: Option<Panic>) -> ! {
    LAST.set(place);
    resume_unwind(payload)
}
