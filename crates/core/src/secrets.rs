//! Texts that may be shown, without what looks like a secret in them.
//!
//! What is hidden is the value behind a name that sounds like one (`'password': 'x'`,
//! `api_key=x`), and user and password in an address. It is a rule of thumb for what is shown of
//! arguments, results and errors, and no promise: what must never be seen is not to be an argument.

use std::borrow::Cow;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// Which names sound like a secret, in lower case.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// Hides what stands behind a name that contains one of these, in any case.
    pub fn new(names: &[String]) -> Self {
        let lower = names.iter().map(|name| name.trim().to_lowercase());
        Self(lower.filter(|name| !name.is_empty()).collect())
    }

    /// Returns the text with what looks like a secret replaced. Takes time linear in its length.
    pub fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let named = self.values(text);
        let hidden = match named.is_empty() {
            true => Cow::Borrowed(text),
            false => Cow::Owned(without(text, &named)),
        };
        let users = users(&hidden);
        if users.is_empty() { hidden } else { Cow::Owned(without(&hidden, &users)) }
    }

    /// Where the values behind names that sound like a secret stand.
    fn values(&self, text: &str) -> Vec<(usize, usize)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut found: Vec<(usize, usize)> = Vec::new();
        let mut name = 0;
        for (at, c) in text.char_indices() {
            if is_name(c) {
                continue;
            }
            let word = &text[name..at];
            name = at + c.len_utf8();
            let is_done = found.last().is_some_and(|(_, end)| at < *end);
            // A longer word is text, and no name.
            let sounds = !is_done && !word.is_empty() && word.len() <= 64 && self.sounds(word);
            if sounds && let Some(value) = value(text, at) {
                found.push(value);
            }
        }
        found
    }

    fn sounds(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        self.0.iter().any(|name| word.contains(name.as_str()))
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

/// Where the value of a name that ends at `at` stands: behind its quote, `:` or `=`.
fn value(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text[at..].trim_start_matches(['"', '\'', ' ', '\\']);
    let rest = rest.strip_prefix([':', '='])?.trim_start_matches([' ', '\\']);
    let start = text.len() - rest.len();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let end = match quote {
        Some(quote) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
        None => rest.find([',', '}', ')', ']', '&', ' ', '\n']).unwrap_or(rest.len()),
    };
    (end > 0).then_some((start, start + end))
}

/// Where `user:password` of addresses stands.
fn users(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("://") {
        let start = at + 3;
        let end = text[start..]
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '\'' | '"' | '<'))
            .map_or(text.len(), |end| start + end);
        if let Some(at) = text[start..end].rfind('@')
            && text[start..start + at].contains(':')
        {
            found.push((start, start + at));
        }
    }
    found
}

fn without(text: &str, hidden: &[(usize, usize)]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for &(start, end) in hidden {
        shown.push_str(&text[from..start]);
        shown.push_str(HIDDEN);
        from = end;
    }
    shown.push_str(&text[from..]);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let names = ["password", "token", "api_key", "authorization"].map(str::to_owned);
        assert_eq!(Secrets::new(&names).hide(text), expect, "{text}");
    }

    #[test]
    fn what_stands_behind_a_name_that_sounds_like_a_secret_is_hidden() {
        check("{'password': 'hunter2', 'n': 1}", "{'password': ***, 'n': 1}");
        check("{'user_PASSWORD': 'a b', 'x': 'token'}", "{'user_PASSWORD': ***, 'x': 'token'}");
        check(r#"{"token": 123}"#, r#"{"token": ***}"#);
        check("GET /?api_key=abc&x=1", "GET /?api_key=***&x=1");
        check("Authorization: Bearer", "Authorization: ***");
        check("{'password': 'cut off", "{'password': ***");
        check("('password', 'is no name')", "('password', 'is no name')");
    }

    #[test]
    fn user_and_password_of_an_address_are_hidden() {
        check(
            "redis://u:p@host/0 and http://a.test/x@y",
            "redis://***@host/0 and http://a.test/x@y",
        );
        check("https://user@host/", "https://user@host/");
    }

    #[test]
    fn what_holds_none_is_left_as_it_is() {
        for text in ["", "(1, 2)", "ünïcode: 'x'", "a: b", ":", "password"] {
            check(text, text);
        }
        assert_eq!(Secrets::new(&[]).hide("password=x"), "password=x");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_taken(text in "(password|token|[a-zé'\": =://@]){0,40}") {
            let names = ["password".to_owned(), "token".to_owned()];
            Secrets::new(&names).hide(&text);
        }
    }
}
