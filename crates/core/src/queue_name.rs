//! What may be a queue's name: one rule for the file, the environment, the command line and the library.

/// The longest name, bytes.
pub const MAX: usize = 512;
/// The rule as a person reads it.
pub const RULE: &str = "a queue's name has 1 to 512 characters and no control characters";

/// Tells whether a queue may be named so.
pub fn is_valid(name: &str) -> bool {
    (1..=MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bounded_and_printable() {
        assert!(is_valid("celery") && is_valid(&"q".repeat(MAX)));
        for name in ["", "x\ny", &"q".repeat(MAX + 1)] {
            assert!(!is_valid(name), "{name:?}");
        }
    }
}
