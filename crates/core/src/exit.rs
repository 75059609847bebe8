//! Exit codes of all three binaries, and the last words of those that go on otherwise in the log.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

/// All went well.
pub const OK: u8 = 0;
/// The command failed.
pub const FAILED: u8 = 1;
/// The command line was wrong.
pub const USAGE: u8 = 2;
/// The configuration was wrong; every problem was listed.
pub const CONFIGURATION: u8 = 3;
/// Redis could not be reached by a one-shot command.
pub const REDIS_UNREACHABLE: u8 = 4;
/// The process was stopped before it could end its work cleanly.
pub const UNCLEAN_STOP: u8 = 5;
/// The awaited task failed.
pub const TASK_FAILED: u8 = 6;
/// `doctor` found something at level error.
pub const FINDINGS: u8 = 7;

/// Writes what a person asked for to standard output. A reader that has gone, as `head` does, is
/// fine.
pub fn print(text: &dyn Display) -> u8 {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => FAILED,
        _ => OK,
    }
}

/// Writes what is wrong with the configuration to standard error; what in it could steer a terminal
/// is left out.
pub fn refuse(problem: &dyn Display) -> u8 {
    let steers = |c: char| c.is_control() && c != '\n';
    let problem = problem.to_string().replace(steers, " ");
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "error: {problem}");
    CONFIGURATION
}
