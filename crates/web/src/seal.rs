//! The cookie of a person who has logged in: not the token, but which token it was and until when,
//! sealed with a key that all dashboards of an installation share.
//!
//! Nothing of it is kept on the server. A token that is taken out of the configuration ends the
//! logins that it has opened.

use hmac::{Hmac, KeyInit, Mac};
use rhubarb_core::hex::hex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A longer cookie is none.
const LONGEST: usize = 300;

/// What seals logins.
#[derive(Clone)]
pub struct Seal(Vec<u8>);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

/// Names a token without telling it, nor what the configuration holds of it.
pub fn fingerprint(hash: &[u8; 32]) -> String {
    hex(&Sha256::digest(hash)[..16])
}

/// Returns a fresh secret.
pub fn fresh() -> String {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the system has random numbers");
    hex(&random)
}

impl Seal {
    /// Takes the secret that all share.
    pub fn new(secret: &str) -> Self {
        Self(secret.as_bytes().to_vec())
    }

    /// Returns the cookie of whoever has this token, until then (seconds since 1970).
    pub fn close(&self, token: &str, until: i64) -> String {
        let nonce = fresh();
        let open = format!("{until}.{}.{token}", &nonce[..32]);
        let seal = self.seal(&open);
        format!("{open}.{seal}")
    }

    /// Returns whose cookie it is, if it is one of ours and its time is not over.
    pub fn open<'c>(&self, cookie: &'c str, now: i64) -> Option<&'c str> {
        if cookie.len() > LONGEST {
            return None;
        }
        let (open, seal) = cookie.rsplit_once('.')?;
        let is_ours = bool::from(self.seal(open).as_bytes().ct_eq(seal.as_bytes()));
        let mut parts = open.split('.');
        let until: i64 = parts.next()?.parse().ok()?;
        parts.nth(1).filter(|_| is_ours && now < until)
    }

    fn seal(&self, open: &str) -> String {
        // Any length is a key.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        hex(&mac.chain_update("rhubarb login\n").chain_update(open).finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_whose_it_was_made_for_until_its_time_is_over() {
        let seal = Seal::new(&fresh());
        let cookie = seal.close("abc", 1_000);
        assert_eq!(seal.open(&cookie, 999), Some("abc"));
        assert_eq!(seal.open(&cookie, 1_000), None);
        assert_eq!(Seal::new(&fresh()).open(&cookie, 0), None, "another key's");
        assert_ne!(cookie, seal.close("abc", 1_000), "no two logins are alike");
    }

    #[test]
    fn what_was_changed_is_no_cookie() {
        let seal = Seal::new("key");
        let cookie = seal.close("abc", 1_000);
        for place in 0..cookie.len() {
            let mut bytes = cookie.clone().into_bytes();
            bytes[place] = if bytes[place] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(seal.open(&changed, 0), None, "{changed}");
        }
        for wrong in ["", ".", "..", "...", "9999.a.abc.", "é.é.é.é", &"x.".repeat(1_000)] {
            assert_eq!(seal.open(wrong, 0), None);
        }
    }
}
