//! `rhubarb doctor`.

use std::time::Duration;

use clap::Args;

use super::monitor::parse_effort;

/// `doctor`
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  rhubarb doctor
  rhubarb doctor --setup --strict  in a release phase: warnings stop the release too
  rhubarb doctor --json

It looks at the servers (reachable, password, TLS, databases, version, memory, eviction, \
persistence, connections, clock, round trip, commands that are forbidden, cluster mode), the keys, \
the queues (unserved, paused, unknown tasks), the workers, what is stranded, the schedules, the \
sources of the last scrape, and the settings. It changes nothing.

Each finding is two lines: how much it matters, where, and what was found; then what to do.

Exit codes:
  0  nothing is wrong, or with warnings only
  3  the configuration cannot be read; every problem was listed
  7  something is wrong; with --strict warnings count too")]
pub(crate) struct DoctorArgs {
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
    /// End with exit code 7 for warnings too
    #[arg(long)]
    pub(crate) strict: bool,
    /// Look at the servers and the settings only, not at what runs and waits, which a deployment
    /// may be there to mend
    #[arg(long)]
    pub(crate) setup: bool,
    /// Look through keys for at most this many seconds, and through 250,000 keys of each database
    /// for each second
    #[arg(long, value_name = "S", default_value = "1", value_parser = parse_effort,
        allow_negative_numbers = true)]
    pub(crate) effort: Duration,
}
