//! `[history]`.

use std::time::Duration;

use rhubarb_config::{
    rules::{DAY, MIB, seconds, within},
    settings,
};

settings! {
    /// What is kept of tasks that have ended, for `rhubarb tasks` and the dashboard.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct HistoryConfig {
        /// How many ends and changes of state are shown at the most; 0 keeps no history.
        ends: usize = 50_000, accepts "0 (none) to 10000000", if |n| *n <= 10_000_000;
        /// How long they are kept.
        max_age: Duration = seconds(3 * DAY),
            accepts "1 minute to 365 days", if |d| within(d, 60, 365 * DAY);
        /// How many bytes of Redis's memory they have together; never more than a tenth of its
        /// maxmemory.
        max_bytes: usize = 16 * MIB,
            accepts "64 KiB to 64 GiB", if |n| (64 << 10..=64 << 30).contains(n);
        /// Names that sound like a secret: what stands behind one in arguments, results and errors
        /// is hidden.
        hide: Vec<String> = secrets(),
            accepts "a list of at most 100 names", if |names| names.len() <= 100;
    }
}

fn secrets() -> Vec<String> {
    let names = [
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "apikey",
        "authorization",
        "credential",
        "private_key",
    ];
    names.map(str::to_owned).into()
}
