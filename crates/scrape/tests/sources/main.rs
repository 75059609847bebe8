//! Sources as a whole: over HTTP against a local server, and against what was recorded from real
//! sites.

mod fuzz;
mod hostile;
mod recorded;
mod replay;
