//! What the machine says about this process, as Celery's clients are told it.

use serde_json::{Map, Value, json};

/// Returns the load over 1, 5 and 15 minutes; zeros where the system does not tell.
pub(crate) fn loadavg() -> [f64; 3] {
    let mut load = [0.0; 3];
    let text = read("/proc/loadavg");
    for (place, word) in load.iter_mut().zip(text.split_ascii_whitespace()) {
        *place = word.parse().unwrap_or_default();
    }
    load
}

/// The system's name, as Python's `platform.system()` has it.
pub(crate) fn system() -> &'static str {
    match std::env::consts::OS {
        "linux" => "Linux",
        "macos" => "Darwin",
        "freebsd" => "FreeBSD",
        other => other,
    }
}

/// Returns what `getrusage` tells, as far as `/proc` has it.
pub(crate) fn rusage() -> Value {
    let stat = read("/proc/self/stat");
    // The name in the second field may hold anything; what follows its last parenthesis does not.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_ascii_whitespace().collect();
    // The field after the name is the third.
    let number =
        |nth: usize| fields.get(nth - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // Linux counts in hundredths of a second on every platform that Rust supports (USER_HZ).
    let seconds = |nth| f64::from(u32::try_from(number(nth)).unwrap_or(u32::MAX)) / 100.0;
    let status = read("/proc/self/status");
    let told = |name: &str| status_number(&status, name);
    let mut usage = Map::new();
    usage.insert("utime".to_owned(), json!(seconds(14)));
    usage.insert("stime".to_owned(), json!(seconds(15)));
    let counts = [
        ("maxrss", told("VmHWM")),
        ("ixrss", 0),
        ("idrss", 0),
        ("isrss", 0),
        ("minflt", number(10)),
        ("majflt", number(12)),
        ("nswap", 0),
        ("inblock", 0),
        ("oublock", 0),
        ("msgsnd", 0),
        ("msgrcv", 0),
        ("nsignals", 0),
        ("nvcsw", told("voluntary_ctxt_switches")),
        ("nivcsw", told("nonvoluntary_ctxt_switches")),
    ];
    usage.extend(counts.map(|(name, n)| (name.to_owned(), json!(n))));
    Value::Object(usage)
}

/// Returns the resident memory, kB.
pub(crate) fn resident_kb() -> u64 {
    status_number(&read("/proc/self/status"), "VmRSS")
}

fn status_number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let word = line.and_then(|rest| rest.split_ascii_whitespace().next());
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_about_this_process() {
        assert!(resident_kb() > 100);
        let usage = rusage();
        assert!(usage["maxrss"].as_u64().unwrap() >= 100, "{usage}");
        assert!(usage["minflt"].as_u64().unwrap() > 0, "{usage}");
        assert!(loadavg().iter().all(|load| *load >= 0.0));
    }
}
