//! `[web]`. It stands here and not in `rhubarb-web`, because the worker and the beat tell what is
//! wrong with it too, and compile no web server.

use std::net::IpAddr;

use rhubarb_config::{Input, Shown, Value, Wrong, rules::is_name, settings};
use rhubarb_core::hex::hex;

const TOKENS: &str = "a list of at most 100 texts \"NAME:HASH\" as `rhubarb web --new-token NAME` \
                      prints them";

settings! {
    /// The dashboard: `rhubarb web`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct WebConfig {
        /// The address to listen on. Without it 127.0.0.1, or 0.0.0.0 where a platform sets PORT.
        /// Beyond this machine it does not start without a token.
        bind: Option<String> = None,
            accepts "an IP address such as \"127.0.0.1\", \"0.0.0.0\" or \"::\"",
            if |bind| is_address(bind.as_deref()), example "\"0.0.0.0\"";
        /// The port to listen on; 0 takes a free one.
        port: u16 = 8080, accepts "0 to 65535", from &["PORT"];
        /// Who may see everything and change nothing: names with hashes of their tokens. `rhubarb
        /// web --new-token NAME` makes one.
        read_tokens: Vec<WebToken> = Vec::new(),
            accepts TOKENS, if |tokens| tokens.len() <= 100;
        /// Who may change things too.
        write_tokens: Vec<WebToken> = Vec::new(),
            accepts TOKENS, if |tokens| tokens.len() <= 100;
        /// Users of Django's who may see everything with their own login, by their ids. The
        /// dashboard has to be on the application's host, where the browser sends its cookie.
        django_readers: Vec<String> = Vec::new(),
            accepts USERS, if |users| are_users(users);
        /// Users of Django's who may change things too, such as its superusers.
        django_operators: Vec<String> = Vec::new(),
            accepts USERS, if |users| are_users(users);
        /// Django's SESSION_COOKIE_NAME.
        django_cookie: String = "sessionid".to_owned(),
            accepts "1 to 100 letters, digits, _ and -", if |name| is_cookie(name);
        /// The cache alias that Django's SESSION_CACHE_ALIAS names.
        django_sessions: String = "sessions".to_owned(),
            accepts "an alias of cache.aliases", if |name| !name.is_empty();
    }
}

const USERS: &str = "a list of at most 1000 ids of users, such as [\"1\", \"17\"]";

fn are_users(users: &[String]) -> bool {
    users.len() <= 1000 && users.iter().all(|user| (1..=200).contains(&user.len()))
}

fn is_cookie(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=100).contains(&name.len()) && name.bytes().all(is_plain)
}

fn is_address(bind: Option<&str>) -> bool {
    bind.is_none_or(|text| text.parse::<IpAddr>().is_ok())
}

/// A token by its name and the SHA-256 of its text. The token itself is 256 random bits, so that
/// its hash tells nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebToken {
    /// Whose it is, for the log.
    pub name: String,
    /// The hash.
    pub hash: [u8; 32],
}

impl WebToken {
    /// Returns it as the configuration has it.
    pub fn written(&self) -> String {
        format!("{}:{}", self.name, hex(&self.hash))
    }
}

impl Value for WebToken {
    const ACCEPTS: &'static str = "a text \"NAME:HASH\"";
    // Somebody may have given the token itself.
    const SECRET: bool = true;
    fn read(input: Input<'_>) -> Result<Self, Wrong> {
        let (name, hash) = input.text().and_then(|text| text.rsplit_once(':')).ok_or(None)?;
        let hash = bytes(hash.trim()).ok_or(None)?;
        let name = name.trim();
        if is_name(name) { Ok(Self { name: name.to_owned(), hash }) } else { Err(None) }
    }
    fn show(&self) -> Shown {
        Shown::of(&format!("{}:***", self.name), &Self::written(self))
    }
}

/// Reads 64 hexadecimal digits.
fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use rhubarb_config::{Environment, load};

    use super::*;
    use crate::{Loaded, Settings};

    fn loaded(variables: &[(&str, &str)], flags: &[(&'static str, String)]) -> Loaded {
        load(None, &Environment::of(variables), flags).unwrap()
    }

    #[test]
    fn a_platforms_port_is_reached_from_outside_and_one_of_ours_is_not() {
        let bind = |loaded: Loaded| (loaded.config.web.bind, loaded.config.web.port);
        assert_eq!(bind(loaded(&[("PORT", "5000")], &[])), (Some("0.0.0.0".into()), 5000));
        assert_eq!(bind(loaded(&[("RHUBARB_WEB_PORT", "5000")], &[])), (None, 5000));
        assert_eq!(bind(loaded(&[("PORT", "5000")], &[("web.port", "1".into())])), (None, 1));
        let both = [("PORT", "5000"), ("RHUBARB_WEB_BIND", "127.0.0.1")];
        assert_eq!(bind(loaded(&both, &[])), (Some("127.0.0.1".into()), 5000));
    }

    #[test]
    fn a_token_is_a_name_with_a_hash_and_is_never_printed() {
        let hash = "0f".repeat(32);
        let loaded = loaded(&[("RHUBARB_WEB_READ_TOKENS", &format!("prometheus:{hash}"))], &[]);
        let tokens = &loaded.config.web.read_tokens;
        assert_eq!(tokens, &[WebToken { name: "prometheus".into(), hash: [15; 32] }]);
        assert_eq!(tokens[0].written(), format!("prometheus:{hash}"));
        assert!(!loaded.to_string().contains(&hash), "{loaded}");
        for wrong in
            ["hunter2", ":", "a:hunter2", &format!(":{hash}"), &format!("a:é{}", &hash[2..])]
        {
            let all = [("RHUBARB_WEB_READ_TOKENS", wrong)];
            let told = load::<Settings>(None, &Environment::of(&all), &[]).unwrap_err().to_string();
            assert!(told.contains("--new-token") && !told.contains("hunter2"), "{told}");
        }
    }
}
