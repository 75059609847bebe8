//! Exit codes of all three binaries.

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
