//! Whether a login still holds: Django's `_auth_user_hash`.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rhubarb_core::hex::hex;
use sha2::{Digest, Sha256};

use super::session::Login;

/// The salt of `AbstractBaseUser.get_session_auth_hash` (Django 5.2).
const SALT: &str = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash";

/// Django's `SECRET_KEY` and `SECRET_KEY_FALLBACKS`: what tells whether a login was made with the
/// present password.
///
/// Without them a session tells who has logged in, and not that the password was changed since,
/// which ends all other logins of that user in Django. An application whose user model has a
/// `get_session_auth_hash` of its own has to check it itself.
#[derive(Clone)]
pub struct SecretKeys {
    keys: Vec<Vec<u8>>,
}

/// What the check of a login came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checked {
    /// The login holds.
    Holds,
    /// It holds by a fallback key. Django takes it, and writes a hash with the present key.
    HoldsByFallback,
    /// The password has been changed, or the session is not of this Django's making: nobody is
    /// logged in.
    Over,
}

impl Checked {
    /// Tells whether somebody is logged in.
    pub fn holds(self) -> bool {
        self != Self::Over
    }
}

impl SecretKeys {
    /// Takes `SECRET_KEY`.
    pub fn new(secret_key: impl Into<Vec<u8>>) -> Self {
        Self { keys: vec![secret_key.into()] }
    }

    /// Adds one of `SECRET_KEY_FALLBACKS`.
    #[must_use]
    pub fn fallback(mut self, secret_key: impl Into<Vec<u8>>) -> Self {
        self.keys.push(secret_key.into());
        self
    }

    /// Checks a login against the `password` column of its user, in constant time.
    pub fn check(&self, login: &Login, password: &str) -> Checked {
        let Some(hash) = unhex(&login.hash) else { return Checked::Over };
        let holds =
            |key: &Vec<u8>| mac(key, password).is_some_and(|mac| mac.verify_slice(&hash).is_ok());
        match self.keys.iter().position(holds) {
            Some(0) => Checked::Holds,
            Some(_) => Checked::HoldsByFallback,
            None => Checked::Over,
        }
    }

    /// Returns the `_auth_user_hash` of a login with this `password` column, 64 hexadecimal digits.
    pub fn hash(&self, password: &str) -> String {
        let mac = self.keys.first().and_then(|key| mac(key, password));
        let hash = mac.map(|mac| mac.finalize().into_bytes());
        hash.map(|hash| hex(&hash)).unwrap_or_default()
    }
}

impl fmt::Debug for SecretKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKeys({} hidden)", self.keys.len())
    }
}

/// Django's `salted_hmac`: the key of the HMAC is a hash of salt and secret. `None` never: any key
/// fits an HMAC.
fn mac(secret_key: &[u8], password: &str) -> Option<Hmac<Sha256>> {
    let key = Sha256::new().chain_update(SALT).chain_update(secret_key).finalize();
    Some(Hmac::new_from_slice(&key).ok()?.chain_update(password))
}

/// Reads 64 hexadecimal digits as Django writes them, in lower case.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measured with Django 5.2.19 (`tests/golden/django_sessions_5_2_19/sessions.json`).
    const SECRET: &str = "interop-secret-key-not-for-production-0123456789";
    const PASSWORD: &str =
        "pbkdf2_sha256$1000000$fixedsalt0123$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const HASH: &str = "c603186d809f4ae41640a57fec81e72996893caa04fa512d492c3efad1b4f2b7";

    #[test]
    fn a_login_holds_as_long_as_the_password_is_the_one_it_was_made_with() {
        let check = |keys: &SecretKeys, hash: &str, password: &str, expect| {
            let login = Login { user: "1".into(), backend: "b".into(), hash: hash.into() };
            assert_eq!(keys.check(&login, password), expect, "{hash}");
        };
        let keys = SecretKeys::new(SECRET);
        assert_eq!(keys.hash(PASSWORD), HASH);
        check(&keys, HASH, PASSWORD, Checked::Holds);
        check(&keys, HASH, "another", Checked::Over);
        for odd in ["", "c603", &HASH.to_uppercase(), &HASH[..62], &format!("{HASH}00"), "é"] {
            check(&keys, odd, PASSWORD, Checked::Over);
        }
        let rotated = SecretKeys::new("the next").fallback("another").fallback(SECRET);
        check(&rotated, HASH, PASSWORD, Checked::HoldsByFallback);
        check(&SecretKeys::new("the next"), HASH, PASSWORD, Checked::Over);
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", SecretKeys::new("a").fallback("b")), "SecretKeys(2 hidden)");
    }
}
