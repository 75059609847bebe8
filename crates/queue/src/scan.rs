//! How the keys of a server are looked through.

/// How many keys one `SCAN` looks at: a quarter of a millisecond of the server's time, measured
/// with a million keys.
pub(crate) const SCAN_COUNT: usize = 500;
/// How many keys are looked at for each second of effort.
pub(crate) const KEYS_PER_SECOND: u128 = 250_000;

/// Writes a prefix as `MATCH` has it.
pub(crate) fn escaped(prefix: &str) -> String {
    let mut pattern = String::new();
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
