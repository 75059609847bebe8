//! Signatures as [Standard Webhooks](https://www.standardwebhooks.com) has them. Pure.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signs a message: HMAC-SHA256 of `ID.SECONDS.BODY`.
pub fn sign(secret: &str, id: &str, at: i64, body: &str) -> String {
    // Any length is a key.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(&key(secret)) else { return String::new() };
    let mac = mac.chain_update(format!("{id}.{at}.")).chain_update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Reads `whsec_` and base64; any other text is the key itself.
fn key(secret: &str) -> Vec<u8> {
    let coded = secret.strip_prefix("whsec_").and_then(|coded| STANDARD.decode(coded).ok());
    coded.unwrap_or_else(|| secret.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let got =
            sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(got, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_no_base64_is_its_own_bytes() {
        assert_eq!(key("whsec_not base64!"), b"whsec_not base64!");
        assert_eq!(key("a plain secret 16"), b"a plain secret 16");
        assert_eq!(key("whsec_YQ=="), b"a");
    }
}
