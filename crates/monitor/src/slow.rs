//! The slow log: what took Redis long, without what it was about.

use jiff::Timestamp;
use redis::cmd;
use rhubarb_core::clock;
use serde::Serialize;

use crate::{ask::Asked, namespace};

/// How many entries are asked for, the newest ones.
const ENTRIES: usize = 10;

/// Commands whose first argument may be a secret or a program.
const MUTE: [&str; 7] = ["AUTH", "HELLO", "EVAL", "EVAL_RO", "ACL", "CONFIG", "MIGRATE"];

/// `SLOWLOG GET`'s entry: number, Unix seconds, microseconds, arguments, address, client's name.
type Entry = (u64, i64, u64, Vec<Vec<u8>>, String, String);

/// A command that took long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Slow {
    /// When it began: ISO 8601 text in UTC.
    pub at: String,
    /// The same, Unix seconds.
    #[serde(skip)]
    pub unix_s: i64,
    /// How long it took, microseconds.
    pub us: u64,
    /// Its name and first argument; a session's key without its secret.
    pub command: String,
    /// The client's name, where it has one.
    pub client: Option<String>,
}

/// Reads the newest entries.
pub async fn read(asked: &mut Asked<'_>) -> Option<Vec<Slow>> {
    let entries: Vec<Entry> = asked.ask("slow log", cmd("SLOWLOG").arg("GET").arg(ENTRIES)).await?;
    Some(entries.into_iter().map(slow).collect())
}

fn slow((_, unix_s, us, args, _, client): Entry) -> Slow {
    let at = Timestamp::from_second(unix_s).unwrap_or(Timestamp::UNIX_EPOCH);
    let client = Some(rhubarb_core::shown::clean(&client)).filter(|name| !name.is_empty());
    Slow { at: clock::iso(at), unix_s, us, command: command(&args), client }
}

fn command(args: &[Vec<u8>]) -> String {
    let name = args.first().map(|name| namespace::shown(name).to_uppercase()).unwrap_or_default();
    match args.get(1) {
        Some(first) if !MUTE.contains(&name.as_str()) => {
            let more = if args.len() > 2 { " …" } else { "" };
            format!("{name} {}{more}", namespace::shown(first))
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_command_is_told_without_its_secrets() {
        let told = |args: &[&str]| {
            command(&args.iter().map(|arg| arg.as_bytes().to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(told(&["keys", "*"]), "KEYS *");
        assert_eq!(told(&["AUTH", "hunter2"]), "AUTH");
        assert_eq!(told(&["EVAL", "return 1", "0"]), "EVAL");
        assert_eq!(
            told(&["SET", "session:1:django.contrib.sessions.cachesecret", "v"]),
            "SET session:1:django.contrib.sessions.*** …"
        );
        assert_eq!(told(&[]), "");
    }
}
