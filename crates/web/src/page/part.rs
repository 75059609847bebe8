//! A part of a long list: those with a text in their names, so many at a time.

use serde::Deserialize;

use super::text;
use crate::shown::url_encoded;

/// Which part is meant.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    /// What is in the name, in any case; empty for all.
    q: String,
    /// So many are passed over.
    from: usize,
}

/// What a page says of the part that it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The page's address.
    pub path: &'static str,
    /// What is in the names.
    pub q: String,
    /// The first that is shown, from 1.
    pub first: usize,
    /// The last that is shown.
    pub last: usize,
    /// How many there are.
    pub n: usize,
    /// Where those before are.
    pub before: Option<String>,
    /// Where those behind are.
    pub behind: Option<String>,
}

impl Part {
    /// Tells whether the list is so long that the page offers to look in it.
    pub fn is_long(&self) -> bool {
        !self.q.is_empty() || self.before.is_some() || self.behind.is_some()
    }
}

/// Returns the part of a list that is meant, at most so many, and what to say of it.
pub fn of<'a, T>(
    path: &'static str,
    wanted: &Wanted,
    most: usize,
    all: impl IntoIterator<Item = &'a T>,
    name: impl Fn(&T) -> &str,
) -> (Vec<&'a T>, Part) {
    let q = wanted.q.trim().to_lowercase();
    let found: Vec<&T> =
        all.into_iter().filter(|one| name(one).to_lowercase().contains(&q)).collect();
    let n = found.len();
    let from = wanted.from.min(n.saturating_sub(1));
    let shown: Vec<&T> = found.into_iter().skip(from).take(most).collect();
    let last = from + shown.len();
    let url = |from: usize| format!("{path}?q={}&from={from}", url_encoded(&wanted.q));
    let part = Part {
        path,
        q: text(&wanted.q, 200),
        first: if n == 0 { 0 } else { from + 1 },
        last,
        n,
        before: (from > 0).then(|| url(from.saturating_sub(most))),
        behind: (last < n).then(|| url(last)),
    };
    (shown, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(q: &str, from: usize) -> (Vec<String>, Part) {
        let all: Vec<String> = (0..10).map(|n| format!("Mail {n}")).collect();
        let wanted = Wanted { q: q.to_owned(), from };
        let (shown, part) = of("/queues", &wanted, 4, &all, |one| one);
        (shown.into_iter().cloned().collect(), part)
    }

    #[test]
    fn a_long_list_is_gone_through_part_by_part() {
        let (shown, first) = part("", 0);
        assert_eq!((shown.len(), first.before.as_deref()), (4, None));
        assert_eq!((first.first, first.last, first.n), (1, 4, 10));
        assert_eq!(first.behind.as_deref(), Some("/queues?q=&from=4"));
        let (shown, last) = part("", 8);
        assert_eq!((shown, last.behind.as_deref()), (vec!["Mail 8".into(), "Mail 9".into()], None));
        assert_eq!(last.before.as_deref(), Some("/queues?q=&from=4"));
        assert_eq!(part("", 999).0, ["Mail 9"], "what is gone meanwhile leads to the end");
    }

    #[test]
    fn a_name_is_found_in_any_case() {
        let (shown, found) = part(" MAIL 7 ", 0);
        assert_eq!((shown, found.n, found.is_long()), (vec!["Mail 7".to_owned()], 1, true));
        let (shown, none) = part("x&y", 5);
        assert_eq!((shown.len(), none.first, none.n, none.before), (0, 0, 0, None));
    }
}
