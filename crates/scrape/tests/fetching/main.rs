//! Fetching as a whole: against a local server, and against what was recorded from real sites.

mod recorded;
