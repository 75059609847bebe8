//! Texts from outside as they are shown to a person: nothing in them steers a terminal.

/// Replaces what steers a terminal (escapes, line breaks, writing direction) by spaces, and trims.
pub fn clean(text: &str) -> String {
    text.replace(steers, " ").trim().to_owned()
}

/// Shows what steers a terminal, and the backslash, as escapes: texts that differ by one look
/// different.
pub fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match c {
            '\\' => shown.push_str("\\\\"),
            c if steers(c) => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
        shown
    })
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_differ_by_what_steers_look_different() {
        assert_eq!(escaped("new\nline\u{1b}\u{202e}é"), "new\\nline\\u{1b}\\u{202e}é");
        assert_eq!(escaped("new\\nline"), "new\\\\nline");
        assert_eq!(clean(&escaped("new\nline")), escaped("new\nline"));
    }
}
