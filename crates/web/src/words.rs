//! Texts from outside, as they may be shown. Pure.

/// Returns a text from outside as it may be shown: at most `most` characters on one line, without
/// what steers or turns text around.
pub fn text(text: &str, most: usize) -> String {
    let mut shown: String =
        text.chars().take(most).map(|c| if steers(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// Tells whether a character is no text: it controls a terminal or turns the direction around.
fn steers(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_cut_and_steers_nothing() {
        assert_eq!(text("a\u{1b}[31mb\u{202e}c\nd", 100), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
        assert_eq!(text("ééé", 2), "éé…");
        assert_eq!(text("éé", 2), "éé");
    }
}
