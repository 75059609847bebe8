//! Asking Redis for what it may refuse: each refusal is noted, and the rest goes on.

use redis::{Cmd, FromRedisValue};
use rhubarb_connection::{Error, Redis};
use serde::Serialize;

use rhubarb_connection::wants_password;

/// Something that could not be found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The server or database.
    pub place: String,
    /// What it would have been.
    pub what: &'static str,
    /// The command that was tried.
    pub command: String,
    /// `not permitted`, or what else kept it back.
    pub reason: String,
}

/// One server or database that is asked, and what it kept back.
#[derive(Debug)]
pub struct Asked<'a> {
    redis: &'a Redis,
    place: String,
    missing: Vec<Missing>,
}

impl<'a> Asked<'a> {
    /// Returns one that has not been asked anything.
    pub fn new(redis: &'a Redis, place: String) -> Self {
        Self { redis, place, missing: Vec::new() }
    }

    /// Sends a command; none where it was refused or failed, which is noted under `what`.
    pub async fn ask<T: FromRedisValue>(&mut self, what: &'static str, cmd: &Cmd) -> Option<T> {
        let answer = self.redis.query(cmd).await;
        self.noted(what, answer)
    }

    /// Sends many commands in one write; none where one was refused.
    pub async fn ask_all<T: FromRedisValue>(
        &mut self,
        what: &'static str,
        commands: &redis::Pipeline,
    ) -> Option<T> {
        let answer = self.redis.pipe(commands).await;
        self.noted(what, answer)
    }

    /// Returns what was kept back.
    pub fn into_missing(self) -> Vec<Missing> {
        self.missing
    }

    fn noted<T>(&mut self, what: &'static str, answer: Result<T, Error>) -> Option<T> {
        answer.map_err(|error| self.missing.push(missing(&self.place, what, &error))).ok()
    }
}

/// Says why something could not be found out.
pub fn missing(place: &str, what: &'static str, error: &Error) -> Missing {
    let command = match error {
        Error::Lost { command, .. }
        | Error::Refused { command, .. }
        | Error::Unexpected { command, .. } => command.as_str(),
        _ => "",
    };
    // All commands of a pipeline are named; one of each says as much.
    let command = command.split('+').next().unwrap_or_default().to_owned();
    Missing { place: place.to_owned(), what, command, reason: reason(error) }
}

/// Says in a few words why a command brought nothing.
///
/// Hosted servers forbid by ACL (`NOPERM`), or rename a command, so that it is unknown.
pub fn reason(error: &Error) -> String {
    match error {
        Error::Refused { code: Some(code), .. } if code == "NOPERM" => "not permitted".to_owned(),
        Error::Refused { reason, .. } if reason.to_lowercase().contains("unknown command") => {
            "not permitted (unknown to this server)".to_owned()
        }
        Error::Refused { reason, .. } => reason.clone(),
        Error::Unreachable { reason, .. } | Error::Lost { reason, .. } => reason.clone(),
        Error::Denied { reason, .. } if wants_password(reason) => {
            "it wants a password (NOAUTH)".to_owned()
        }
        Error::Denied { reason, .. } => format!("it refuses our user or password: {reason}"),
        Error::NoDatabase { db, .. } => format!("it has no database {db}"),
        other => other.to_string(),
    }
}

/// Tells whether the configuration is at fault, and not the server.
pub fn is_misconfigured(error: &Error) -> bool {
    matches!(error, Error::Url { .. } | Error::Denied { .. } | Error::NoDatabase { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_acl_or_by_renaming_is_not_permitted() {
        let refused = |code: &str, reason: &str| Error::Refused {
            command: "PTTL+PTTL".into(),
            code: Some(code.into()),
            reason: reason.into(),
        };
        let told = missing("h:1/0", "what", &refused("NOPERM", "this user has no permissions"));
        assert_eq!((told.command.as_str(), told.reason.as_str()), ("PTTL", "not permitted"));
        assert!(reason(&refused("ERR", "unknown command 'CONFIG'")).starts_with("not permitted"));
        assert_eq!(reason(&refused("LOADING", "it loads")), "it loads");
    }
}
