//! A search keyword, its cache slug, and when and how well a listing matches it.

mod words;

use std::collections::{BTreeMap, HashMap};

use self::words::Words;
use crate::listing::Listing;

/// Words of a keyword or synonym that are looked for; a keyword has at most 200 characters.
const MAX_WORDS: usize = 60;

/// Keywords that synonyms make of one.
const MAX_PHRASES: usize = 50;

/// Words joined to one: `state-of-the-art` is four.
const MAX_JOINED: usize = 4;

/// Returns the keyword's slug in cache keys: trimmed, lower case, each space to `_`.
pub fn slug(keyword: &str) -> String {
    keyword.trim().to_lowercase().replace(' ', "_")
}

/// A keyword made ready for comparing it with many listings.
///
/// A listing matches when each word of the keyword, or of one of its synonyms, is in its title or
/// tags. Case, the form of letters and (unless they are asked for) accents make no difference;
/// neither do hyphens and spaces inside a compound (`front-end`, `front end`, `frontend`) and plain
/// plurals. Whole words count, so that `go` does not find Django; `+`, `#` and the dot of `.net`
/// belong to a word. Scripts without spaces are looked for inside words.
#[derive(Clone, Debug, Default)]
pub struct Matcher {
    phrases: Vec<Phrase>,
    has_accents: bool,
}

/// What words are looked for.
#[derive(Clone, Debug, Default)]
struct Phrase {
    /// Each word, or compound, with the words that it may be joined of.
    parts: Vec<Part>,
    /// Each form that is looked for, with its number.
    forms: HashMap<String, usize>,
    /// What is looked for inside words, with its number.
    inside: Vec<(String, usize)>,
    /// All words as one, to find them side by side.
    joined: String,
}

/// A word of a phrase.
#[derive(Clone, Debug, Default)]
struct Part {
    /// The numbers of the forms that begin with this word: alone, joined with the next, and so on;
    /// each with how many words it takes.
    forms: Vec<(usize, usize)>,
}

/// What a text has of a phrase's forms.
#[derive(Clone, Debug)]
struct Seen(Vec<bool>);

impl Matcher {
    /// Makes a keyword ready, without synonyms; accents make no difference.
    pub fn new(keyword: &str) -> Self {
        Self::with(keyword, &BTreeMap::new(), false)
    }

    /// Makes a keyword ready.
    ///
    /// `synonyms` has for words that a keyword may hold those that are looked for as well.
    pub fn with(
        keyword: &str,
        synonyms: &BTreeMap<String, Vec<String>>,
        has_accents: bool,
    ) -> Self {
        let phrases = alternatives(keyword, synonyms, has_accents);
        let phrases = phrases.iter().map(Phrase::new).collect();
        Self { phrases, has_accents }
    }

    /// Tells whether a listing is one of those looked for; `in_description` also looks there. An
    /// empty keyword matches everything.
    pub fn matches(&self, listing: &Listing, in_description: bool) -> bool {
        self.score(listing, in_description) > 0
    }

    /// Returns how well a listing matches, 0 for not at all.
    ///
    /// A title that is the keyword comes first (100), then one that has its words side by side (80),
    /// in their order (60), in any order (50); then one that needs the tags (30), then one that needs
    /// the description (10). A synonym is worth 5 less than the keyword itself.
    pub fn score(&self, listing: &Listing, in_description: bool) -> u32 {
        let title = Words::of(&listing.title, self.has_accents);
        let mut tags = None;
        let mut description = None;
        let of = |text: &str| Words::of(text, self.has_accents);
        let mut best = 0;
        for (idx, phrase) in self.phrases.iter().enumerate() {
            let mut seen = Seen(vec![false; phrase.n_forms()]);
            phrase.look(&title, &mut seen);
            let mut score = if phrase.is_found(&seen) { phrase.in_title(&title) } else { 0 };
            if score == 0 {
                let tags: &Vec<Words> =
                    tags.get_or_insert_with(|| listing.tags.iter().map(|tag| of(tag)).collect());
                tags.iter().for_each(|tag| phrase.look(tag, &mut seen));
                score = if phrase.is_found(&seen) { 30 } else { 0 };
            }
            if score == 0 && in_description {
                phrase.look(description.get_or_insert_with(|| of(&listing.description)), &mut seen);
                score = if phrase.is_found(&seen) { 10 } else { 0 };
            }
            let worth = if idx == 0 { score } else { score.saturating_sub(5) };
            best = best.max(worth);
        }
        best
    }
}

/// Returns the keyword's words, and those that synonyms make of them.
fn alternatives(
    keyword: &str,
    synonyms: &BTreeMap<String, Vec<String>>,
    has_accents: bool,
) -> Vec<Words> {
    let of = |text: &str| Words::of(text, has_accents);
    let mut all = vec![of(keyword)];
    for (words, others) in synonyms {
        let Some((before, after)) = all[0].around(&of(words)) else { continue };
        for other in others {
            if all.len() < MAX_PHRASES {
                all.push(Words::joined(&before, of(other), &after));
            }
        }
    }
    all
}

/// Tells whether every word of the keyword is a word of the listing's title or tags.
pub fn matches(listing: &Listing, keyword: &str, in_description: bool) -> bool {
    Matcher::new(keyword).matches(listing, in_description)
}

impl Phrase {
    fn new(words: &Words) -> Self {
        let mut phrase = Self { joined: words.joined_all(), ..Self::default() };
        let n_words = words.len().min(MAX_WORDS);
        for from in 0..n_words {
            let mut part = Part::default();
            for to in from + 1..=n_words.min(from + MAX_JOINED) {
                // A compound is looked for as a whole: "front-end" is no front desk and back end.
                let is_cut = to < n_words && words.is_glued(to - 1);
                if !words.can_join(from, to) || is_cut {
                    continue;
                }
                let number = phrase.number(words.form(from, to), words.is_inside(from));
                part.forms.push((number, to - from));
            }
            phrase.parts.push(part);
        }
        phrase
    }

    fn number(&mut self, form: String, is_inside: bool) -> usize {
        let next = self.n_forms();
        if is_inside {
            self.inside.push((form, next));
            return next;
        }
        *self.forms.entry(form).or_insert(next)
    }

    fn n_forms(&self) -> usize {
        self.forms.len() + self.inside.len()
    }

    /// Notes which forms a text has.
    fn look(&self, text: &Words, seen: &mut Seen) {
        for (form, number) in &self.inside {
            seen.0[*number] |= text.has_inside(form);
        }
        if self.forms.is_empty() {
            return;
        }
        for from in 0..text.len() {
            for to in from + 1..=text.len().min(from + MAX_JOINED) {
                if !text.can_join(from, to) {
                    break;
                }
                if to == from + 1 && text.is_letter_of_compound(from) {
                    continue;
                }
                if let Some(number) = self.forms.get(&*text.form_of(from, to)) {
                    seen.0[*number] = true;
                }
            }
        }
    }

    /// Tells whether the forms that were seen make up the phrase.
    fn is_found(&self, seen: &Seen) -> bool {
        let mut reached = vec![false; self.parts.len() + 1];
        reached[0] = true;
        for (at, part) in self.parts.iter().enumerate() {
            if !reached[at] {
                continue;
            }
            for (number, n_words) in &part.forms {
                reached[at + n_words] |= seen.0[*number];
            }
        }
        reached[self.parts.len()]
    }

    /// Returns the score of a title that has every word.
    fn in_title(&self, title: &Words) -> u32 {
        let joined = title.joined_all();
        if joined == self.joined {
            100
        } else if joined.contains(&self.joined) && title.has_side_by_side(&self.joined) {
            80
        } else if self.is_in_order(title) {
            60
        } else {
            50
        }
    }

    fn is_in_order(&self, title: &Words) -> bool {
        let mut rest = self.joined.as_str();
        for at in 0..title.len() {
            rest = rest.strip_prefix(&*title.form_of(at, at + 1)).unwrap_or(rest);
        }
        rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(title: &str) -> Listing {
        Listing { title: title.into(), ..Listing::default() }
    }

    fn score(title: &str, keyword: &str) -> u32 {
        Matcher::new(keyword).score(&listing(title), false)
    }

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
        assert!(matches(&listing, ".", false));
    }

    #[test]
    fn the_closer_match_has_the_higher_score() {
        let keyword = "data engineer";
        let titles = [
            "Data Engineers",
            "Senior Data Engineer",
            "Data Platform Engineer",
            "Engineer (Data)",
            "Data Analyst",
        ];
        let scores = titles.map(|title| score(title, keyword));
        assert_eq!(scores, [100, 80, 60, 50, 0]);
        let tagged = Listing { tags: vec!["data".into()], ..listing("Engineer") };
        assert_eq!(Matcher::new(keyword).score(&tagged, false), 30);
        let told = Listing { description: "about data".into(), ..listing("Engineer") };
        assert_eq!(Matcher::new(keyword).score(&told, true), 10);
        assert_eq!(Matcher::new(keyword).score(&told, false), 0);
    }

    #[test]
    fn synonyms_are_looked_for_as_well() {
        let others = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let synonyms = BTreeMap::from([(
            "software engineer".to_owned(),
            others(&["software developer", "SWE"]),
        )]);
        let finds = |keyword: &str, title: &str| {
            Matcher::with(keyword, &synonyms, false).score(&listing(title), false)
        };
        assert_eq!(finds("Software Engineer", "Software Developer"), 95);
        assert_eq!(finds("senior software engineers", "Senior SWE"), 95);
        assert_eq!(finds("senior software engineer", "SWE"), 0);
        assert_eq!(finds("swe", "Software Developer"), 0);
        assert_eq!(finds("data engineer", "SWE"), 0);
    }

    #[test]
    fn accents_count_where_they_are_asked_for() {
        let finds = |keyword: &str, title: &str, has_accents: bool| {
            Matcher::with(keyword, &BTreeMap::new(), has_accents).matches(&listing(title), false)
        };
        assert!(finds("developpeur", "Développeur", false));
        assert!(!finds("developpeur", "Développeur", true));
        assert!(finds("développeur", "DE\u{301}veloppeur", true));
    }

    #[test]
    fn each_pair_of_the_table_is_judged_as_a_person_would() {
        let table = include_str!("../tests/fixtures/matches.tsv");
        let pairs: Vec<&str> = table.lines().skip(1).collect();
        let wrong = pairs.iter().filter(|pair| {
            let [keyword, title, found] = pair.split('\t').collect::<Vec<_>>()[..] else {
                panic!("three columns, not {pair}")
            };
            (score(title, keyword) > 0) != (found == "yes")
        });
        let wrong: Vec<_> = wrong.collect();
        assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), pairs.len());
        assert!(pairs.len() >= 200, "{} pairs", pairs.len());
    }

    #[test]
    fn hostile_titles_and_keywords_take_their_length() {
        let long = "a-".repeat(20_000);
        let started = std::time::Instant::now();
        assert!(!Matcher::new(&"b ".repeat(100)).matches(&listing(&long), false));
        // What is too long to be a keyword ends soon too, whatever it finds.
        let _any = Matcher::new(&long).matches(&listing(&long), false);
        assert!(started.elapsed() < std::time::Duration::from_secs(3));
    }
}
