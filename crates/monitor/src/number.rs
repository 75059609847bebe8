//! Numbers as a person reads them.

use std::time::Duration;

/// Writes a number with its thousands apart: `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (idx, digit) in digits.chars().enumerate() {
        if idx > 0 && (digits.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a size: `512 B`, `1.5 MiB`.
pub fn bytes(n: u64) -> String {
    let mut rest = float(n);
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if rest < 1024.0 {
            let decimals = usize::from(unit != "B" && rest < 100.0);
            return format!("{rest:.decimals$} {unit}");
        }
        rest /= 1024.0;
    }
    format!("{rest:.1} TiB")
}

/// Writes a length of time by its two greatest units: `3 d 4 h`.
pub fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let first = units.iter().position(|(_, unit)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, unit) in &units[first..units.len().min(first + 2)] {
        parts.push(format!("{} {name}", rest / unit));
        rest %= unit;
    }
    if parts.len() > 1 && parts[1].starts_with("0 ") {
        parts.pop();
    }
    parts.join(" ")
}

/// Writes a share of one: `93.1 %`.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Returns the number for reckoning with shares; exact below 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts and bytes are below 2^53, and shown rounded"
)]
pub fn float(n: u64) -> f64 {
    n as f64
}

/// Returns a reckoned number as a count; what is below zero is zero.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a saturating cast is what is wanted"
)]
pub fn whole(n: f64) -> u64 {
    n.round().max(0.0) as u64
}

/// Rounds to three figures, for what is not known better.
pub fn rounded(n: u64) -> u64 {
    let step = 10_u64.pow(n.max(1).ilog10().saturating_sub(2));
    n.saturating_add(step / 2) / step * step
}

/// Returns `1 task waits` or `1,200 tasks wait`.
pub(crate) fn tasks_wait(n: u64) -> String {
    match n {
        1 => "1 task waits".to_owned(),
        n => format!("{} tasks wait", grouped(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_a_person_writes_them() {
        for (n, expect) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), expect);
        }
        for (n, expect) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (300 << 20, "300 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(n), expect);
        }
        for (s, expect) in
            [(0, "0 s"), (61, "1 min 1 s"), (3_600, "1 h"), (90_061, "1 d 1 h"), (86_400, "1 d")]
        {
            assert_eq!(length(Duration::from_secs(s)), expect);
        }
        for (n, expect) in [(0, 0), (7, 7), (123, 123), (1_235, 1_240), (333_333, 333_000)] {
            assert_eq!(rounded(n), expect);
        }
        assert_eq!(rounded(u64::MAX) / (1 << 60), 15);
        assert_eq!((whole(-1.0), whole(1.6)), (0, 2));
    }
}
