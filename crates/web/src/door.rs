//! The ways in: tokens, and who has which.
//!
//! A token is 256 random bits; the configuration holds its SHA-256 only. Without any token
//! everybody who reaches this machine's own loopback address may do everything.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rhubarb_core::hex::hex;
use rhubarb_settings::{WebConfig, WebToken};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::{problem::Problem, seal::fingerprint};

/// A longer token is none.
const LONGEST: usize = 200;
/// So many wrong tokens are looked at from one address within [`WINDOW`].
const FAILURES: u32 = 10;
/// For how long wrong tokens are remembered.
const WINDOW: Duration = Duration::from_secs(60);
/// So many addresses are remembered; beyond, all share one count.
const ADDRESSES: usize = 1000;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// See everything, change nothing.
    Read,
    /// Change things too.
    Write,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// The token's name, or `local`.
    pub name: String,
    /// What they may do.
    pub may: May,
    /// Where they come from.
    pub from: IpAddr,
}

impl Visitor {
    /// Tells whether they may change things.
    pub fn may_write(&self) -> bool {
        self.may == May::Write
    }
}

/// Tells whether a configuration has no way in that tells anybody from anybody.
pub fn are_none(config: &WebConfig) -> bool {
    let tokens = config.read_tokens.len() + config.write_tokens.len();
    tokens + config.django_readers.len() + config.django_operators.len() == 0
}

/// Makes a token: what its holder is given, and what the configuration holds.
pub fn new_token(name: &str) -> (String, WebToken) {
    let mut random = [0; 32];
    getrandom::fill(&mut random).expect("the system has random numbers");
    let token = hex(&random);
    let hash = Sha256::digest(token.as_bytes()).into();
    (token, WebToken { name: name.to_owned(), hash })
}

/// The ways in.
#[derive(Debug)]
pub struct Doors {
    are_open: bool,
    tokens: Vec<(WebToken, May)>,
    failures: Mutex<Failures>,
}

impl Doors {
    /// Makes those of a configuration.
    pub fn new(config: &WebConfig) -> Self {
        let all = |tokens: &[WebToken], may| {
            tokens.iter().map(move |token| (token.clone(), may)).collect::<Vec<_>>()
        };
        let mut tokens = all(&config.write_tokens, May::Write);
        tokens.extend(all(&config.read_tokens, May::Read));
        Self { are_open: are_none(config), tokens, failures: Mutex::default() }
    }

    /// Tells whether everybody may do everything, because nobody can be told from anybody.
    pub fn are_open(&self) -> bool {
        self.are_open
    }

    /// Returns who has this token.
    ///
    /// # Errors
    ///
    /// Nobody has: 401; or too many wrong ones came from this address: 429.
    pub fn visitor(&self, token: Option<&str>, from: IpAddr) -> Result<Visitor, Problem> {
        self.visitor_at(token, from, Instant::now())
    }

    /// Returns which token this is, for a login's cookie.
    pub fn fingerprint(&self, token: &str) -> Option<String> {
        self.holder(token).map(|(token, _)| fingerprint(&token.hash))
    }

    /// Returns who has logged in with the token of this fingerprint.
    ///
    /// # Errors
    ///
    /// 401: the token is there no more.
    pub fn logged_in(&self, of: &str, from: IpAddr) -> Result<Visitor, Problem> {
        let known = self.tokens.iter().find(|(token, _)| fingerprint(&token.hash) == of);
        match known {
            Some((token, may)) => Ok(Visitor { name: token.name.clone(), may: *may, from }),
            None => Err(Problem::unauthorized("the login has ended")),
        }
    }

    fn visitor_at(
        &self,
        token: Option<&str>,
        from: IpAddr,
        now: Instant,
    ) -> Result<Visitor, Problem> {
        if self.are_open() {
            return Ok(Visitor { name: "local".to_owned(), may: May::Write, from });
        }
        let Some(token) = token else {
            return Err(Problem::unauthorized("a token is required"));
        };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.are_too_many(from, now) {
            return Err(Problem::too_many("too many wrong tokens came from your address", WINDOW));
        }
        match self.holder(token) {
            Some((token, may)) => Ok(Visitor { name: token.name.clone(), may: *may, from }),
            None => {
                failures.note(from, now);
                Err(Problem::unauthorized("no such token"))
            }
        }
    }

    /// Finds a token. It takes the same time wherever the two begin to differ.
    fn holder(&self, token: &str) -> Option<&(WebToken, May)> {
        if token.len() > LONGEST {
            return None;
        }
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let is = |known: &WebToken| bool::from(known.hash.ct_eq(&hash));
        // All of them, and not until the first that is.
        self.tokens
            .iter()
            .fold(None, |found, one| if is(&one.0) { found.or(Some(one)) } else { found })
    }
}

/// How many wrong tokens came, by address, since when.
#[derive(Debug, Default)]
struct Failures {
    since: Option<Instant>,
    by_address: HashMap<IpAddr, u32>,
    others: u32,
}

impl Failures {
    fn are_too_many(&mut self, from: IpAddr, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            *self = Self { since: Some(now), ..Self::default() };
        }
        self.of(from) >= FAILURES
    }

    fn of(&self, from: IpAddr) -> u32 {
        let is_full = self.by_address.len() >= ADDRESSES;
        let others = if is_full { self.others } else { 0 };
        self.by_address.get(&from).copied().unwrap_or(others)
    }

    fn note(&mut self, from: IpAddr, now: Instant) {
        let _ = self.are_too_many(from, now);
        let has_room = self.by_address.len() < ADDRESSES;
        match self.by_address.get_mut(&from) {
            Some(n) => *n += 1,
            None if has_room => {
                self.by_address.insert(from, 1);
            }
            None => self.others += 1,
        }
        if self.of(from) == FAILURES {
            tracing::warn!(%from, "too many wrong tokens: refused for a minute");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn doors() -> (Doors, String, String) {
        let ((read, reader), (write, writer)) = (new_token("r"), new_token("w"));
        let config = WebConfig {
            read_tokens: vec![reader],
            write_tokens: vec![writer],
            ..WebConfig::default()
        };
        (Doors::new(&config), read, write)
    }

    #[test]
    fn a_token_is_who_has_it_and_no_other_text_is() {
        let (doors, read, write) = doors();
        let of = |token: &str| doors.visitor(Some(token), HERE).map(|who| (who.name, who.may));
        assert_eq!(of(&read).unwrap(), ("r".to_owned(), May::Read));
        assert_eq!(of(&write).unwrap(), ("w".to_owned(), May::Write));
        for wrong in ["", " ", &read[1..], &write.to_uppercase(), &"x".repeat(1 << 20)] {
            assert_eq!(of(wrong).unwrap_err().status, 401, "{wrong:.80}");
        }
        assert_eq!(doors.visitor(None, HERE).unwrap_err().status, 401);
        assert!(!format!("{doors:?}").contains(&read));
    }

    #[test]
    fn ten_wrong_tokens_a_minute_are_enough_for_an_address() {
        let (doors, read, _) = doors();
        let now = Instant::now();
        let status = |token: &str, from, now| {
            doors.visitor_at(Some(token), from, now).map_err(|problem| problem.status).err()
        };
        for _ in 0..FAILURES {
            assert_eq!(status("x", HERE, now), Some(401));
        }
        assert_eq!(status(&read, HERE, now), Some(429));
        assert_eq!(status(&read, "10.0.0.1".parse().unwrap(), now), None);
        assert_eq!(status(&read, HERE, now + WINDOW), None);
    }
}
