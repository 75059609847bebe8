//! A search keyword, its cache slug, and when a listing matches it.

use std::collections::HashSet;

use crate::listing::Listing;

/// Returns the keyword's slug in cache keys: trimmed, lower case, each space to `_`.
pub fn slug(keyword: &str) -> String {
    keyword.trim().to_lowercase().replace(' ', "_")
}

/// Tells whether every word of the keyword is a word of the listing's title or tags, case-folded.
///
/// Whole words count, so that `go` does not find Django; `+` and `#` belong to a word (`c++`,
/// `c#`). `in_description` also looks into the description. An empty keyword matches everything.
pub fn matches(listing: &Listing, keyword: &str, in_description: bool) -> bool {
    let mut known: HashSet<String> = words(&listing.title).collect();
    known.extend(listing.tags.iter().flat_map(|tag| words(tag)));
    if in_description {
        known.extend(words(&listing.description));
    }
    words(keyword).all(|word| known.contains(&word))
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '+' && c != '#')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_trimmed_lowered_and_underscored() {
        assert_eq!(slug("  Software Engineer "), "software_engineer");
        assert_eq!(slug("UI  UX"), "ui__ux");
    }

    #[test]
    fn every_word_has_to_be_in_title_or_tags() {
        let listing = Listing {
            title: "Senior Software Engineer".into(),
            tags: vec!["Rust".into()],
            description: "python".into(),
            ..Listing::default()
        };
        assert!(matches(&listing, "software ENGINEER", false));
        assert!(matches(&listing, "rust engineer", false));
        assert!(!matches(&listing, "python engineer", false));
        assert!(matches(&listing, "python engineer", true));
        assert!(!matches(&listing, "soft engine", false));
        assert!(matches(&listing, " ", false));
    }
}
