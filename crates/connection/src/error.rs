//! What can go wrong between us and Redis, by what to do about it.

use std::sync::Arc;

use redis::RedisError;
use rhubarb_core::{class::Class, redact::SafeUrl};

use crate::refusal;

/// An error of a connection or of a command on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL or its TLS parameters make no sense. Mend the configuration.
    #[error("cannot use the Redis URL `{url}`: {reason}")]
    Url {
        /// The URL, password hidden.
        url: SafeUrl,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached or refuses the connection. Try again later.
    #[error("cannot reach Redis at `{url}`: {reason}")]
    Unreachable {
        /// The URL, password hidden.
        url: SafeUrl,
        /// What the attempt ended with.
        reason: String,
    },
    /// The server wants another user or password. Mend the configuration, or wait until the
    /// server's is mended.
    #[error("the Redis at `{url}` {}", denied(reason))]
    Denied {
        /// The URL, password hidden.
        url: SafeUrl,
        /// The server's words.
        reason: String,
    },
    /// The server has no such database. Fold the roles together with `redis.layout = "two"`.
    #[error(
        "the Redis at `{url}` has no database {db}; set redis.layout = \"two\" (RHUBARB_REDIS_LAYOUT=two) to \
         use databases 0 and 1 only"
    )]
    NoDatabase {
        /// The URL, password hidden.
        url: SafeUrl,
        /// The database number.
        db: u32,
    },
    /// The connection was lost before the answer came, or the answer took too long: the command may
    /// or may not have been carried out.
    #[error("lost the connection to Redis at `{url}` while waiting for {command}: {reason}")]
    Lost {
        /// The URL, password hidden.
        url: SafeUrl,
        /// The command's name.
        command: String,
        /// How it was lost.
        reason: String,
    },
    /// The answer takes more than was asked for, and was not read: the command may or may not have
    /// been carried out. Its connection was ended.
    #[error(
        "the answer of Redis at `{url}` to {command} takes more than {} MiB and was not read: see \
         what stands there (`rhubarb monitor --info`), and whether that is a Redis",
        limit >> 20
    )]
    TooLarge {
        /// The URL, password hidden.
        url: SafeUrl,
        /// The command's name.
        command: String,
        /// The most that the answer may take, bytes.
        limit: u64,
    },
    /// The server answered with an error, so the command was not carried out (a script up to the
    /// failing line).
    #[error("Redis refused {command}: {reason}")]
    Refused {
        /// The command's name.
        command: String,
        /// The server's error code, such as `OOM`, `READONLY`, `LOADING`.
        code: Option<String>,
        /// The server's words.
        reason: String,
    },
    /// The answer has another shape than expected.
    #[error("Redis answered {command} in an unexpected form: {reason}")]
    Unexpected {
        /// The command's name.
        command: String,
        /// What was unexpected.
        reason: String,
    },
}

impl Error {
    /// Returns what the server says of a key of another type than the command is for.
    pub fn wrong_type(&self) -> Option<&str> {
        match self {
            Self::Refused { code: Some(code), reason, .. } if code == "WRONGTYPE" => Some(reason),
            _ => None,
        }
    }

    /// Tells what a caller should do.
    pub fn class(&self) -> Class {
        match self {
            Self::Url { .. }
            | Self::Denied { .. }
            | Self::NoDatabase { .. }
            | Self::TooLarge { .. }
            | Self::Unexpected { .. } => Class::Permanent,
            Self::Unreachable { .. } | Self::Lost { .. } => Class::Transient,
            Self::Refused { code, .. } => {
                let passes = code.as_deref().is_some_and(refusal::passes);
                if passes { Class::Transient } else { Class::Permanent }
            }
        }
    }

    /// Tells whether the server could not be reached, did not let us in, or went away.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Denied { .. } | Self::Lost { .. })
    }

    /// Tells whether the connection has said so in the log, once for as long as it lasts.
    pub fn is_logged(&self) -> bool {
        match self {
            Self::Refused { code: Some(code), .. } => refusal::known(code).is_some(),
            _ => self.is_unreachable(),
        }
    }

    /// Tells whether the server said that another one serves us: its connection was left, and the
    /// command not carried out.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if refusal::leaves_at_once(code))
    }

    /// Tells whether the server is out of memory.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Refused { code: Some(code), .. } if code == "OOM")
    }
}

/// Says why a server does not let us in and what to do, as a part of a sentence about the server.
pub(crate) fn denied(said: &str) -> String {
    if said.contains("NOAUTH") {
        return "wants a password (NOAUTH): put it into the URL, redis://:PASSWORD@HOST or \
                redis://USER:PASSWORD@HOST"
            .to_owned();
    }
    // The client puts a code of the server's into quotes (redis 1.8).
    let said = said.replace('"', "");
    let said = said.trim_end_matches('.');
    format!("refuses our user or password: {said}; correct them in the URL")
}

/// Tells whether an error ended its connection.
pub(crate) fn is_loss(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_connection_dropped()
        || error.is_timeout()
        || error.is_unrecoverable_error()
}

/// Returns what the error inside an input or output error is, where it is of this kind.
pub(crate) fn inside<T: std::error::Error + 'static>(error: &RedisError) -> Option<&T> {
    type Shared = Arc<dyn std::error::Error + Send + Sync>;
    let source = std::error::Error::source(error)?;
    // The client wraps what it was given (redis 1.8).
    let source = source.downcast_ref::<Shared>()?.downcast_ref::<std::io::Error>()?;
    source.get_ref()?.downcast_ref()
}

/// Returns the server's error code; that of the first refused command of a pipeline.
pub(crate) fn code_of(error: RedisError) -> Option<String> {
    let errors = error.into_server_errors()?;
    let (_, error) = errors.first()?;
    let inside = (error.code() == "ERR").then(|| inside_script(error.details()?)).flatten();
    Some(inside.unwrap_or(error.code()).to_owned())
}

/// Reads what the server refused: the first of a pipeline's commands that it did, in one sentence.
///
/// `command` names the whole pipeline, its commands joined by `+`.
pub(crate) fn refusal(command: String, error: RedisError) -> Error {
    let said = error.to_string();
    let code = code_of(error.clone());
    let first = error.into_server_errors().and_then(|errors| errors.first().cloned());
    let Some((idx, first)) = first else { return Error::Refused { command, code, reason: said } };
    let details = first.details().map(plain).unwrap_or_default();
    let known = code.as_deref().and_then(|code| Some((code, refusal::explained(code)?)));
    let reason = match (known, &code) {
        // Which command or key is not allowed is known only to the server.
        (Some(("NOPERM", meaning)), _) => format!("{meaning}; it says: {details}"),
        (Some((_, meaning)), _) => meaning,
        (None, Some(code)) => {
            let details = details.strip_prefix(code.as_str()).unwrap_or(&details).trim_start();
            format!("{code} {details}").trim_end().to_owned()
        }
        (None, None) => details,
    };
    let command = command.split('+').nth(idx).map_or_else(|| command.clone(), str::to_owned);
    Error::Refused { command, code, reason }
}

/// Returns the server's words without what only a script's author can use: its hash and line.
fn plain(details: &str) -> String {
    let end = details.find(" script: ").filter(|at| details[*at..].contains("@user_script"));
    let details = details[..end.unwrap_or(details.len())].trim();
    // Redis 6.2: `Error running script (call to f_…): @user_script:1: @user_script: 1: WRONGTYPE …`
    let after = details.rfind("@user_script").map(|at| &details[at + "@user_script".len()..]);
    after
        .map_or(details, |rest| {
            rest.trim_start_matches([':', ' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        })
        .trim_start_matches('-')
        .to_owned()
}

/// Finds the code of the command that a script failed at. Redis 6.2 wraps it into one of its own:
/// `ERR Error running script (call to f_…): @user_script:1: -OOM command not allowed …`. For what
/// the access list forbids inside a script, Redis up to 7.0 has none.
fn inside_script(details: &str) -> Option<&'static str> {
    let said = plain(details);
    if said.starts_with("The user executing the script can't") {
        return Some("NOPERM");
    }
    let wrapped = details.starts_with("Error running script");
    let code = said.split(' ').next().filter(|_| wrapped)?;
    if code == "WRONGTYPE" {
        Some("WRONGTYPE")
    } else {
        refusal::known(code).map(|known| known.code)
    }
}

/// Tells whether a server refused us because we named no password.
pub fn wants_password(reason: &str) -> bool {
    reason.contains("NOAUTH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_let_us_in_is_one_sentence_with_what_to_do() {
        let said = |reason: &str| {
            let url = "redis://:hunter2@localhost:1/0".parse().unwrap();
            Error::Denied { url, reason: reason.into() }.to_string()
        };
        let noauth = "\"NOAUTH\": HELLO must be called with the client already authenticated";
        assert_eq!(
            said(noauth),
            "the Redis at `redis://:***@localhost:1/0` wants a password (NOAUTH): put it into the \
             URL, redis://:PASSWORD@HOST or redis://USER:PASSWORD@HOST"
        );
        assert_eq!(
            said("\"WRONGPASS\": invalid username-password pair or user is disabled."),
            "the Redis at `redis://:***@localhost:1/0` refuses our user or password: WRONGPASS: \
             invalid username-password pair or user is disabled; correct them in the URL"
        );
    }

    #[test]
    fn the_servers_words_come_without_a_scripts_hash_and_line() {
        let check = |details: &str, expect: &str| assert_eq!(plain(details), expect);
        let wrong = "Operation against a key holding the wrong kind of value";
        check(&format!("{wrong} script: 39b0c1, on @user_script:22."), wrong);
        check(
            &format!(
                "Error running script (call to f_6b1b): @user_script:1: @user_script: 1: -WRONGTYPE {wrong}"
            ),
            &format!("WRONGTYPE {wrong}"),
        );
        check("unknown command 'X'", "unknown command 'X'");
    }

    #[test]
    fn the_code_of_a_refused_command_is_found_inside_a_scripts_error() {
        let check = |details: &str, code| assert_eq!(inside_script(details), code, "{details}");
        check(
            "Error running script (call to f_6b1b): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
            Some("OOM"),
        );
        check(
            "Error running script (call to f_6b1b): @user_script:2: -READONLY You can't write against a read only replica.",
            Some("READONLY"),
        );
        let wrong = "@user_script:1: WRONGTYPE Operation against a key";
        check(&format!("Error running script (call to f_6b1b): {wrong}"), Some("WRONGTYPE"));
        check("Error running script (call to f_6b1b): @user_script:1: OOM or so", Some("OOM"));
        check("Error running script (call to f_6b1b): @user_script:1: MINE own words", None);
        let denied = "The user executing the script can't run this command or subcommand";
        let place = "script: 39b0c1, on @user_script:1.";
        check(&format!("{denied} {place}"), Some("NOPERM"));
        check(
            &format!(
                "Error running script (call to f_6): @user_script:1: @user_script: 1: {denied}"
            ),
            Some("NOPERM"),
        );
        check("unknown command 'X', with args beginning with: '-OOM'", None);
    }
}
