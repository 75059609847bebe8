//! The tasks of `interop/conformance/app.py`, in Rust: the worker that the conformance suite puts
//! under test.
//!
//! Each does what its Python twin does, down to the exception's arguments; the suite compares what
//! becomes of them.

use std::process::ExitCode;

use rhubarb::{App, RetryPolicy};

/// Tasks that return something.
mod returning;
/// Tasks that fail, come back, or are told to end.
mod troubled;

fn register(app: &mut App) {
    app.task("conformance.add", returning::add);
    app.task("conformance.mul", returning::mul);
    app.task("conformance.xsum", returning::xsum);
    app.task("conformance.identity", returning::identity);
    app.task("conformance.echo", returning::echo);
    app.task("conformance.nothing", returning::nothing);
    app.task("conformance.ignored", returning::identity).ignore_result(true);
    app.task("conformance.big", returning::big);
    app.task("conformance.typed", returning::typed);
    app.task("conformance.whoami", returning::whoami);
    app.task("conformance.done", returning::done);
    app.task("conformance.failed", returning::failed);
    app.task("conformance.noted", returning::noted);
    app.task("conformance.family", returning::family);
    app.task("conformance.fail", troubled::fail);
    app.task("conformance.retry_then", troubled::retry_then).retry(at_most(5));
    app.task("conformance.exhausts", troubled::exhausts).retry(at_most(2));
    app.task("conformance.progress", troubled::progress);
    app.task("conformance.sleep", troubled::sleep);
    app.task("conformance.soft", troubled::soft);
}

fn at_most(max_retries: u32) -> RetryPolicy {
    RetryPolicy { max_retries, ..RetryPolicy::default() }
}

fn main() -> ExitCode {
    rhubarb::main(|app| {
        register(app);
        Ok(())
    })
}
