//! Patterns that choose nodes by name, as `kombu/matcher.py` matches them.

use regex_automata::nfa::thompson;
use regex_automata::nfa::thompson::pikevm::{Cache, PikeVM};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

/// The longest pattern that is looked at, and the longest name, in bytes.
const MAX_LENGTH: usize = 1024;

/// The memory that a compiled regular expression may take, in bytes.
const MAX_PROGRAM: usize = 1 << 20;

/// Whether `pattern` matches `name` by the method called `matcher`.
///
/// `glob` is Python's `fnmatch`, `pcre` its `re.match`: anchored at the start of the name only.
/// What cannot be matched in linear time (look-around, back-references), does not compile, is
/// longer than 1 KiB or names another method matches nothing. `\w` and its like mean ASCII here.
pub(crate) fn matches(name: &str, pattern: &str, matcher: &str) -> bool {
    if name.len() > MAX_LENGTH || pattern.len() > MAX_LENGTH {
        return false;
    }
    match matcher {
        "glob" => glob(
            &name.chars().collect::<Vec<_>>(),
            &glob_items(&pattern.chars().collect::<Vec<_>>()),
        ),
        "pcre" => regex(name, pattern),
        _ => false,
    }
}

fn regex(name: &str, pattern: &str) -> bool {
    let program = PikeVM::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(50))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_PROGRAM)))
        .build(pattern);
    let Ok(program) = program else { return false };
    let mut cache = Cache::new(&program);
    program.is_match(&mut cache, Input::new(name).anchored(Anchored::Yes))
}

enum Item {
    Any,
    One,
    Literal(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Item {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Literal(literal) => *literal == c,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

fn glob_items(pattern: &[char]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(c) = pattern.get(at) {
        at += 1;
        items.push(match c {
            '*' => Item::Any,
            '?' => Item::One,
            '[' => match set(&pattern[at..]) {
                Some((item, length)) => {
                    at += length;
                    item
                }
                None => Item::Literal('['),
            },
            c => Item::Literal(*c),
        });
    }
    items
}

/// The set behind an opening bracket, and its length; without an end the bracket is a character.
fn set(rest: &[char]) -> Option<(Item, usize)> {
    let negated = rest.first() == Some(&'!');
    let start = usize::from(negated);
    // A closing bracket in the first place is a member.
    let end = start + 1 + rest.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let mut members = &rest[start..end];
    let mut ranges = Vec::new();
    while let [first, tail @ ..] = members {
        members = match tail {
            ['-', last, tail @ ..] => {
                ranges.push((*first, *last));
                tail
            }
            tail => {
                ranges.push((*first, *first));
                tail
            }
        };
    }
    Some((Item::Set { negated, ranges }, end + 1))
}

/// Goes back to the last star alone, so that the time is bounded by the product of the lengths.
fn glob(name: &[char], items: &[Item]) -> bool {
    let (mut at, mut item) = (0, 0);
    let mut star = None;
    while let Some(c) = name.get(at) {
        match items.get(item) {
            Some(Item::Any) => {
                star = Some((at, item));
                item += 1;
            }
            Some(other) if other.accepts(*c) => {
                at += 1;
                item += 1;
            }
            _ => {
                let Some((from, start)) = star else { return false };
                star = Some((from + 1, start));
                at = from + 1;
                item = start + 1;
            }
        }
    }
    items[item..].iter().all(|item| matches!(item, Item::Any))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_fnmatch_does() {
        // Expected values from Python 3.11's fnmatch.fnmatchcase.
        for (pattern, name, expected) in [
            ("w*", "w1@vm", true),
            ("*", "", true),
            ("", "", true),
            ("", "w", false),
            ("w?@*m", "w1@vm", true),
            ("W*", "w1@vm", false),
            ("w[0-9]@vm", "w1@vm", true),
            ("w[!0-9]@vm", "w1@vm", false),
            ("w[^1]@vm", "w1@vm", true),
            ("w[]1]@vm", "w]@vm", true),
            ("w[!]]@vm", "w1@vm", true),
            ("w[1", "w[1", true),
            ("w[a-]@vm", "w-@vm", true),
            ("w[a-c-e]", "w-", true),
            ("w[9-0]", "w9", false),
            ("w[!9-0]", "w9", true),
            ("w[]", "w[]", true),
            ("*.*.*", "a.b.c", true),
            ("*a*b*c", "xaxbxbx", false),
            ("w\n*", "w\n1", true),
            ("?", "ü", true),
        ] {
            assert_eq!(matches(name, pattern, "glob"), expected, "{pattern:?} {name:?}");
        }
    }

    #[test]
    fn regular_expressions_match_from_the_start() {
        for (pattern, expected) in [
            ("^w1@.*$", true),
            ("w1", true),
            ("1@", false),
            (r"w\d@(vm|host)", true),
            ("(?i)W1", true),
            ("w(", false),
            (r"(w)1@\1", false),
            ("(?=w)w", false),
            ("((w{900}){900}){900}", false),
        ] {
            assert_eq!(matches("w1@vm", pattern, "pcre"), expected, "{pattern}");
        }
        assert!(!matches("w", "w", "sql"));
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let name = "a".repeat(MAX_LENGTH);
        assert!(!matches(&name, &"*a".repeat(MAX_LENGTH / 2 - 1).replace("*a*a", "*a*b"), "glob"));
        assert!(!matches(&name, "(a*)*(a*)*(a*)*b", "pcre"));
        assert!(!matches(&name, &"(".repeat(MAX_LENGTH), "pcre"));
        assert!(!matches(&"a".repeat(MAX_LENGTH + 1), "*", "glob"));
    }
}
