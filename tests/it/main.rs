//! The end-to-end tests: one binary, a module for each topic.

/// What the workspace's crates may know of each other, and what must be in the lock.
mod architecture;
/// What the queue promises.
mod queue;
/// What the scripts that run inside Redis say about themselves.
mod scripts;
/// What the worker promises to authors of tasks.
mod worker;

use rhubarb_e2e::installation::Binaries;

/// The twins of our binaries that Cargo built for this test.
#[expect(dead_code, reason = "the tests that start them come with the binaries")]
const BINARIES: Binaries = Binaries {
    worker: env!("CARGO_BIN_EXE_e2e-worker"),
    beat: env!("CARGO_BIN_EXE_e2e-beat"),
    rhubarb: env!("CARGO_BIN_EXE_e2e-rhubarb"),
};
