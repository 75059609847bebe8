//! Whose a session is that cannot be read.
//!
//! Somebody has to be logged out of such a session, too. So its pickle is gone through, stepping
//! over the classes in it, for the user's id where `django.contrib.auth.login` puts it. One that is
//! broken, too large or no dict has its bytes looked through instead; what a visitor typed may look
//! the same there, and the worst that comes of it is that this visitor's own session ends with
//! another user's.

use rhubarb_pyvalue::pickle;

/// The key as Python pickles it, without what says how long it is.
const USER: &[u8] = b"_auth_user_id";

/// Tells whether a pickle is the session of this user.
pub(super) fn is_of(pickle: &[u8], user: &str) -> bool {
    match pickle::text_of(pickle, "_auth_user_id") {
        Ok(id) => id.is_some_and(|id| !id.is_empty() && id == user),
        Err(_) => names(pickle, user),
    }
}

/// Tells whether bytes hold this user's id as text behind the key.
fn names(pickle: &[u8], user: &str) -> bool {
    let ends = pickle.windows(USER.len()).enumerate().filter(|(_, window)| *window == USER);
    let mut values = ends.filter_map(|(at, _)| text(memoized(&pickle[at + USER.len()..])));
    values.any(|value| value == user.as_bytes())
}

/// Steps over the opcode that remembers the key: `MEMOIZE`, `BINPUT`, `LONG_BINPUT`, or none.
fn memoized(bytes: &[u8]) -> &[u8] {
    match bytes {
        [0x94, rest @ ..] | [b'q', _, rest @ ..] | [b'r', _, _, _, _, rest @ ..] => rest,
        _ => bytes,
    }
}

/// The text of a `SHORT_BINUNICODE` or `BINUNICODE`.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0x8c, length, rest @ ..] => rest.get(..usize::from(*length)),
        [b'X', a, b, c, d, rest @ ..] => {
            rest.get(..usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok()?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_in_every_protocol_that_django_may_have_written() {
        let check = |pickle: &[u8], user: &str, expect: bool| {
            assert_eq!(names(pickle, user), expect, "{}", pickle.escape_ascii());
        };
        let four = b"\x80\x04}\x94(\x8c\r_auth_user_id\x94\x8c\x0242\x94u.";
        check(four, "42", true);
        check(four, "4", false);
        check(four, "2", false);
        check(b"\x80\x02}q\x00(X\r\0\0\0_auth_user_idq\x01X\x02\x00\x00\x0042q\x02u.", "42", true);
        check(b"\x8c\r_auth_user_id\x94\x8c\x017\x8c\r_auth_user_id\x8c\x0242", "42", true);
        for cut in 0..four.len() {
            check(&four[..cut], "42", cut >= 25);
        }
        check(b"_auth_user_idX\xff\xff\xff\xff42", "42", false);
        check(b"_auth_user_id", "", false);
        check(b"", "42", false);
    }
}
