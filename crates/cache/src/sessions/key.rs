//! A session's key: what a visitor's cookie holds.

use std::fmt;

use super::error::SessionError;

/// The letters of Django's keys (`VALID_KEY_CHARS` of Django 5.2).
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// How long Django's keys are.
const LENGTH: usize = 32;

/// The shortest key that Django accepts (`_validate_session_key`), and the longest that we do:
/// twice Django's.
const ACCEPTED: std::ops::RangeInclusive<usize> = 8..=64;

/// The key of a session, in the form that is safe to build a Redis key from. It is as good as a
/// password.
///
/// Neither `Debug` nor `Display` show it; [`SessionKey::expose`] does.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey(String);

impl SessionKey {
    /// Reads a key from a cookie, or from anywhere else outside.
    ///
    /// A key has 8 to 64 ASCII letters and digits. Django makes 32 of `a-z0-9`; it would look up
    /// any text of 8 characters or more. Whatever else a cookie holds names no session.
    pub fn parse(text: &str) -> Option<Self> {
        // The length first: a cookie of 10 kB is not looked at.
        let whole =
            ACCEPTED.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        whole.then(|| Self(text.to_owned()))
    }

    /// Makes a key as Django does: 32 characters of `a-z0-9` from the operating system's random
    /// source.
    ///
    /// # Errors
    /// [`SessionError::NoKey`] when the system has no random numbers.
    pub fn random() -> Result<Self, SessionError> {
        let mut key = String::with_capacity(LENGTH);
        let mut bytes = [0; 64];
        while key.len() < LENGTH {
            getrandom::fill(&mut bytes).map_err(|_| SessionError::NoKey)?;
            // 252 is 7 × 36: what is above would make the first letters likelier.
            let fair = bytes.iter().filter(|byte| **byte < 252);
            let letters = fair.map(|byte| char::from(ALPHABET[usize::from(byte % 36)]));
            key.extend(letters.take(LENGTH - key.len()));
        }
        Ok(Self(key))
    }

    /// Returns the key itself: for the cookie, and for nothing that is logged.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the first quarter, which tells sessions apart and opens none: 24 of Django's 32
    /// characters (124 bits) stay hidden.
    pub fn shortened(&self) -> &str {
        &self.0[..self.0.len() / 4]
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_no_key_names_no_session() {
        for text in ["s6efptxbt1ntjjscon1jw2z0k4mg3t0h", "abcdefgh", "ABCdef123", &"a".repeat(64)] {
            assert_eq!(SessionKey::parse(text).unwrap().expose(), text);
        }
        let long = "a".repeat(10_240);
        let odd = [
            "",
            "short12",
            &long,
            "abcdefgh\r\nSET x y",
            "abcdefgh\0",
            "abcdefg*",
            "abcd efgh",
            "äbcdefgh",
            "d_db3yqdidcrtxh3of02twkjp2ad6to2qvdr",
            "../../../etc",
            "abcdefgh:1",
            "{abcdefgh}",
            "\"abcdefgh\"",
        ];
        for text in odd {
            assert_eq!(SessionKey::parse(text), None, "{}", text.escape_debug());
        }
    }

    #[test]
    fn a_new_key_is_one_that_django_could_have_made() {
        let keys: HashSet<SessionKey> = (0..1000).map(|_| SessionKey::random().unwrap()).collect();
        assert_eq!(keys.len(), 1000);
        let mut seen = HashSet::new();
        for key in &keys {
            assert_eq!(key.expose().len(), LENGTH);
            assert!(SessionKey::parse(key.expose()).is_some());
            seen.extend(key.expose().bytes());
        }
        assert_eq!(seen, ALPHABET.iter().copied().collect());
    }

    #[test]
    fn a_key_is_not_printed() {
        let key = SessionKey::parse("s6efptxbt1ntjjscon1jw2z0k4mg3t0h").unwrap();
        assert_eq!(format!("{key:?}"), "SessionKey(***)");
        assert_eq!(key.shortened(), "s6efptxb");
    }
}
