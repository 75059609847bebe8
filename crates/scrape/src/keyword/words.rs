//! A text as words that can be compared.

use std::borrow::Cow;

use crate::fold;

/// A text's words in plain letters, and how they hang together.
#[derive(Clone, Debug, Default)]
pub(super) struct Words {
    words: Vec<Word>,
}

#[derive(Clone, Debug)]
struct Word {
    text: String,
    /// As it is compared: without a plain plural.
    form: String,
    /// What stands between it and the next word.
    link: Link,
    /// Whether it is of a script without spaces.
    is_wide: bool,
}

/// What stands between two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// A space, or nothing: another script begins.
    Space,
    /// A hyphen or a dot inside a compound.
    Glue,
    /// Anything else: the words are apart.
    Apart,
}

/// Words that look like plurals and are none, or whose singular is another thing.
const NO_PLURALS: [&str; 10] =
    ["news", "goods", "rails", "windows", "customs", "arms", "mars", "does", "series", "species"];

/// Words that mean something else together than the first of them alone.
const STANDING: [[&str; 3]; 1] = [["go", "to", "market"]];

impl Words {
    pub(super) fn of(text: &str, has_accents: bool) -> Self {
        let text = &*without_inner_capital(text);
        let folded = if has_accents { fold::accented(text) } else { fold::plain(text) };
        let mut words = Self::default();
        let mut rest = folded.as_str();
        while let Some(c) = rest.chars().next() {
            rest = words.take(rest, c);
        }
        words
    }

    /// Takes a word, or what is between two, from the beginning of a text, and returns the rest.
    fn take<'t>(&mut self, rest: &'t str, c: char) -> &'t str {
        if let Some(after) = dotted(rest) {
            self.push(".net", Link::Space);
            return after;
        }
        if let Some((pair, after)) = initials(rest) {
            self.push(&pair, Link::Space);
            return after;
        }
        if let Some(after) = genders(rest) {
            self.set_link(Link::Apart);
            return after;
        }
        let is_wide = is_wide(c);
        if !is_wide && !c.is_alphanumeric() {
            self.between(c, &rest[c.len_utf8()..]);
            return &rest[c.len_utf8()..];
        }
        let is_like = |c: char| {
            if is_wide { self::is_wide(c) } else { c.is_alphanumeric() && !self::is_wide(c) }
        };
        let end = rest.find(|c| !is_like(c)).unwrap_or(rest.len());
        let end = end + signs(&rest[..end], &rest[end..]);
        let (word, after) = rest.split_at(end);
        match word.strip_suffix("js").filter(|base| base.len() >= 3) {
            Some(base) => {
                self.push(base, Link::Glue);
                self.push("js", Link::Space);
            }
            None if word == "dotnet" => self.push(".net", Link::Space),
            None => self.push(word, Link::Space),
        }
        after
    }

    fn push(&mut self, text: &str, link: Link) {
        let is_wide = text.chars().next().is_some_and(is_wide);
        let form = stem(text).into_owned();
        self.words.push(Word { text: text.to_owned(), form, link, is_wide });
    }

    /// Notes what is between the last word and the next.
    fn between(&mut self, c: char, after: &str) {
        let Some(last) = self.words.last_mut() else { return };
        let is_inside = after.starts_with(char::is_alphanumeric) && last.link == Link::Space;
        last.link = match c {
            '-' | '\u{2010}' | '\u{2013}' | '.' if is_inside => Link::Glue,
            c if c.is_whitespace() || matches!(c, '-' | '\u{2010}' | '_' | '.') => last.link,
            _ => Link::Apart,
        };
    }

    fn set_link(&mut self, link: Link) {
        if let Some(last) = self.words.last_mut() {
            last.link = link;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Tells whether a word is part of a compound with the next.
    pub(super) fn is_glued(&self, at: usize) -> bool {
        self.words[at].link == Link::Glue
    }

    pub(super) fn is_inside(&self, at: usize) -> bool {
        self.words[at].is_wide
    }

    /// Tells whether words stand side by side, so that they can be one.
    pub(super) fn can_join(&self, from: usize, to: usize) -> bool {
        let words = &self.words[from..to];
        let is_linked = words[..words.len() - 1].iter().all(|word| word.link != Link::Apart);
        is_linked && (words.len() == 1 || words.iter().all(|word| !word.is_wide))
    }

    /// Returns what words are looked for as: together one word.
    pub(super) fn form(&self, from: usize, to: usize) -> String {
        self.form_of(from, to).into_owned()
    }

    pub(super) fn form_of(&self, from: usize, to: usize) -> Cow<'_, str> {
        match &self.words[from..to] {
            [word] => Cow::Borrowed(&word.form),
            [words @ .., last] => {
                let mut joined = String::new();
                words.iter().for_each(|word| joined.push_str(&word.text));
                joined.push_str(&last.text);
                Cow::Owned(stem(&joined).into_owned())
            }
            [] => Cow::Borrowed(""),
        }
    }

    /// Tells whether a word is nothing by itself: the letter of `objective-c`, the verb of
    /// `go to market`.
    pub(super) fn is_letter_of_compound(&self, at: usize) -> bool {
        let word = &self.words[at];
        let is_glued = word.link == Link::Glue || at > 0 && self.is_glued(at - 1);
        let is_standing = STANDING.iter().any(|standing| {
            let words = self.words[at..].iter().map(|word| word.text.as_str());
            words.take(3).eq(standing.iter().copied())
        });
        is_glued && word.text.chars().count() == 1 || is_standing
    }

    /// Tells whether a text of a script without spaces is in one of the words of such a script.
    pub(super) fn has_inside(&self, form: &str) -> bool {
        self.words.iter().any(|word| word.is_wide && word.text.contains(form))
    }

    /// Returns all words as one.
    pub(super) fn joined_all(&self) -> String {
        self.words.iter().map(|word| word.form.as_str()).collect()
    }

    /// Tells whether words that are joined to this text stand side by side here.
    pub(super) fn has_side_by_side(&self, joined: &str) -> bool {
        (0..self.len()).any(|from| {
            let mut rest = joined;
            for word in &self.words[from..] {
                match rest.strip_prefix(word.form.as_str()) {
                    Some(after) => rest = after,
                    None => break,
                }
            }
            rest.is_empty()
        })
    }

    /// Finds words side by side, and returns what is before and behind them.
    pub(super) fn around(&self, other: &Self) -> Option<(Self, Self)> {
        let forms: Vec<&str> = other.words.iter().map(|word| word.form.as_str()).collect();
        let of = |words: &[Word]| Self { words: words.to_vec() };
        let n_words = forms.len();
        let from = (0..(self.len() + 1).saturating_sub(n_words)).find(|from| {
            let words = self.words[*from..from + n_words].iter().map(|word| word.form.as_str());
            n_words > 0 && words.eq(forms.iter().copied())
        })?;
        Some((of(&self.words[..from]), of(&self.words[from + n_words..])))
    }

    /// Puts words together.
    pub(super) fn joined(before: &Self, between: Self, after: &Self) -> Self {
        let words = [before.words.clone(), between.words, after.words.clone()].concat();
        Self { words }
    }
}

/// Returns German words for both genders with a space in them: `EntwicklerIn`, as `Entwickler*in`
/// is read.
fn without_inner_capital(text: &str) -> Cow<'_, str> {
    const PERSONS: [&str; 6] = ["er", "or", "eur", "ist", "ent", "ant"];
    if !text.contains("In") {
        return Cow::Borrowed(text);
    }
    let apart = text.split(' ').map(|word| {
        let stem = word.strip_suffix("In").or_else(|| word.strip_suffix("Innen"));
        match stem.filter(|stem| PERSONS.iter().any(|end| stem.ends_with(end))) {
            Some(stem) => format!("{stem} {}", &word[stem.len()..]),
            None => word.to_owned(),
        }
    });
    Cow::Owned(apart.collect::<Vec<_>>().join(" "))
}

/// Letters of scripts that are written without spaces, and Korean, whose words grow together.
fn is_wide(c: char) -> bool {
    matches!(c as u32,
        0xe00..=0xeff | 0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17ff | 0x3005..=0x3007
        | 0x3040..=0x30fa | 0x30fc..=0x31ff | 0x3400..=0x9fff | 0xac00..=0xd7af
        | 0xf900..=0xfaff | 0x20000..=0x2fa1f)
}

/// Returns what is behind `.net`, which is a word with its dot.
fn dotted(rest: &str) -> Option<&str> {
    let after = rest.strip_prefix(".net")?;
    (!after.starts_with(char::is_alphanumeric)).then_some(after)
}

/// Returns `r&d` of `R & D`, and what is behind it: two letters are one word there.
fn initials(rest: &str) -> Option<(String, &str)> {
    let mut chars = rest.chars();
    let first = chars.next().filter(|c| c.is_alphabetic())?;
    let after = chars.as_str().trim_start().strip_prefix('&')?.trim_start();
    let mut chars = after.chars();
    let second = chars.next().filter(|c| c.is_alphabetic())?;
    let is_end = !chars.as_str().starts_with(char::is_alphanumeric);
    is_end.then(|| (format!("{first}&{second}"), chars.as_str()))
}

/// Returns what is behind `(m/w/d)`, which tells nothing of the work.
fn genders(rest: &str) -> Option<&str> {
    let inside = rest.strip_prefix('(')?;
    let end = inside.find(')')?;
    let mut letters = inside[..end].split(['/', '|', ',', '-']).map(str::trim);
    let is_gender = inside[..end].contains(['/', '|'])
        && letters.all(|letter| {
            matches!(
                letter,
                "m" | "w"
                    | "d"
                    | "f"
                    | "x"
                    | "h"
                    | "k"
                    | "*"
                    | "i"
                    | "n"
                    | "v"
                    | "a"
                    | "gn"
                    | "div"
            )
        });
    is_gender.then_some(&inside[end + 1..])
}

/// Returns how many signs behind a word belong to it: `c++`, `c#`.
fn signs(word: &str, after: &str) -> usize {
    let is_letter = |rest: &str| rest.starts_with(char::is_alphabetic);
    if after.starts_with("++") && !is_letter(&after[2..]) {
        2
    } else if after.starts_with('#') && word.len() <= 2 && !is_letter(&after[1..]) {
        1
    } else {
        0
    }
}

/// Returns a word without a plain plural: `scientists`, `nurses`, `companies`.
///
/// Words of three letters stay (`aws`), and a word that only looks so on both sides is still equal.
fn stem(word: &str) -> Cow<'_, str> {
    if word.chars().count() <= 3 || NO_PLURALS.contains(&word) {
        return Cow::Borrowed(word);
    }
    if let Some(base) = word.strip_suffix("ies").or_else(|| word.strip_suffix("ie")) {
        return if base.len() > 2 { Cow::Owned(format!("{base}y")) } else { Cow::Borrowed(word) };
    }
    let silent = ["sse", "she", "che", "xe", "ze"];
    let base = match word.strip_suffix('s') {
        Some(base) if !base.ends_with(['s', 'u', 'i']) => base,
        _ => word,
    };
    // "caches" is of "cache" and "coaches" of "coach": both lose the "e".
    let is_silent = silent.iter().any(|end| base.ends_with(end));
    Cow::Borrowed(if is_silent { &base[..base.len() - 1] } else { base })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Words::of(text, false).words.into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn words_keep_the_signs_that_are_theirs() {
        assert_eq!(words("C/C++ & C# (.NET, ASP.NET)"), ["c", "c++", "c#", ".net", "asp", ".net"]);
        assert_eq!(words("Node.js, NodeJS"), ["node", "js", "node", "js"]);
        assert_eq!(words("R&D, R & D"), ["r&d", "r&d"]);
        assert_eq!(words("AWS+GCP #1 C++20"), ["aws", "gcp", "1", "c++", "20"]);
        assert_eq!(words("Koch (m/w/d) Köln"), ["koch", "koln"]);
        assert_eq!(words("Javaエンジニア"), ["java", "エンジニア"]);
        assert_eq!(words("EntwicklerIn bei LinkedIn"), ["entwickler", "in", "bei", "linkedin"]);
    }

    #[test]
    fn plain_plurals_are_their_singular() {
        let check = |one: &str, many: &str| assert_eq!(stem(one), stem(many), "{one} {many}");
        check("scientist", "scientists");
        check("nurse", "nurses");
        check("company", "companies");
        check("coach", "coaches");
        check("cache", "caches");
        check("boss", "bosses");
        check("movie", "movies");
        check("développeur", "développeurs");
        for (one, other) in
            [("go", "goes"), ("new", "news"), ("bus", "bu"), ("analysis", "analysi")]
        {
            assert_ne!(stem(one), stem(other), "{one} {other}");
        }
    }
}
