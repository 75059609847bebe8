//! Sources as a whole: over HTTP against a local server, and against what was recorded from real
//! sites.

#[expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it cannot go on")]
mod boards;
#[expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
mod cases;
mod fuzz;
mod hostile;
#[expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
mod kept;
mod recorded;
mod replay;
