//! Text as it is compared: whatever a person counts as the same letters is the same here.

use std::borrow::Cow;

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// Returns the text in small letters without accents, in one normal form: `É` is `e`, `ﬁ` is `fi`,
/// `ß` is `ss`, `ｱ` is `ア`.
pub(crate) fn plain(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let parts = DecomposingNormalizerBorrowed::new_nfkd().normalize(text);
    // Only these marks are accents: those of kana and of Indian scripts tell letters apart.
    let letters = parts.chars().filter(|c| !('\u{300}'..='\u{36f}').contains(c));
    composed(&lowered(letters).replace('\u{307}', ""))
}

/// As [`plain`], with the accents: `É` is `é` however it is written, and not `e`.
pub(crate) fn accented(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let normal = composed(text);
    let lower = normal.chars().flat_map(char::to_lowercase).collect::<String>();
    composed(&lower.replace('ß', "ss"))
}

fn composed(text: &str) -> String {
    let normal: Cow<'_, str> = ComposingNormalizerBorrowed::new_nfkc().normalize(text);
    normal.into_owned()
}

fn lowered(letters: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for letter in letters.flat_map(char::to_lowercase) {
        match letter {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ł' => out.push('l'),
            'ø' => out.push('o'),
            'đ' => out.push('d'),
            'ı' => out.push('i'),
            letter => out.push(letter),
        }
    }
    out
}

/// Returns the words of a text in plain letters, each with a space around it: ` full time `.
///
/// What is no letter or digit parts words, and so does the change from `fullTime` to `full time`.
pub(crate) fn spaced(text: &str) -> String {
    let mut parted = String::with_capacity(text.len() + 8);
    let mut is_small = false;
    for c in text.chars() {
        if c.is_uppercase() && is_small {
            parted.push(' ');
        }
        is_small = c.is_lowercase();
        parted.push(c);
    }
    words(&parted)
}

/// As [`spaced`], whatever letters are large.
pub(crate) fn words(text: &str) -> String {
    let mut out = String::from(" ");
    for word in plain(text).split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        out.push_str(word);
        out.push(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_are_the_same_to_a_person_are_the_same() {
        let check = |input: &str, expect: &str| assert_eq!(plain(input), expect, "{input}");
        check("De\u{301}veloppeur", "developpeur");
        check("Développeur", "developpeur");
        check("STRASSE", plain("straße").as_str());
        check("İstanbul", "istanbul");
        check("ŁÓDŹ", "lodz");
        check("ｴﾝｼﾞﾆｱ", "エンジニア");
        check("ガス", "ガス");
        assert_ne!(plain("ガ"), plain("カ"));
        check("Ｆｕｌｌ", "full");
        check("엔지니어", "엔지니어");
    }

    #[test]
    fn accents_stay_where_they_are_asked_for() {
        assert_eq!(accented("De\u{301}veloppeur"), "développeur");
        assert_ne!(accented("Développeur"), accented("Developpeur"));
    }

    #[test]
    fn words_are_parted_at_anything_between_them() {
        assert_eq!(spaced("FULL_TIME"), " full time ");
        assert_eq!(spaced("FullTime, Teilzeit/Voll-Zeit"), " full time teilzeit voll zeit ");
        assert_eq!(spaced(" "), " ");
    }
}
