//! `sessions`: who has one, and the end of it.

use rhubarb_cache::{
    PyValue, Ttl,
    sessions::{Backend, Directory, Found, Revoked, Session, SessionKey},
};
use rhubarb_connection::{Connections, Role};
use rhubarb_core::config::Config;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::hold::confirmed;
use crate::{
    cli::{CountArgs, RevokeSessionsArgs, SessionsCommand, ShowArgs},
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
};

/// How many sessions a beginning of a key may stand for before they are told to be too many.
const ALIKE: usize = 10;

/// What stands for a secret.
const HIDDEN: &str = "***";

/// A session as it is shown.
#[derive(Debug, Serialize)]
struct Row {
    key: String,
    backend: Backend,
    user: Option<String>,
    auth_backend: Option<String>,
    ttl_seconds: Option<u64>,
    names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

/// Runs one of the commands.
pub(crate) async fn run(config: &Config, command: SessionsCommand) -> Result<(), Error> {
    let connections = Connections::new(config, "rhubarb-cli")?;
    let alias = match &command {
        SessionsCommand::Count(args) => &args.at.alias,
        SessionsCommand::Show(args) => &args.at.alias,
        SessionsCommand::Revoke(args) => &args.at.alias,
    };
    let directory = Directory::new(config, &connections, alias)?;
    let role = config.cache.aliases.get(alias).map_or(Role::Sessions, |alias| alias.role);
    connections.role(role).ready().await?;
    match command {
        SessionsCommand::Count(args) => count(&directory, &args).await,
        SessionsCommand::Show(args) => show(&directory, &args).await,
        SessionsCommand::Revoke(args) => revoke(&directory, &args).await,
    }
}

async fn count(directory: &Directory, args: &CountArgs) -> Result<(), Error> {
    let counts = directory.count().await?;
    let total: u64 = counts.values().sum();
    let by_backend: Map<String, Value> =
        counts.iter().map(|(backend, n)| (backend.name().to_owned(), json!(n))).collect();
    let data = json!({"sessions": total, "backends": by_backend});
    let text = |_: &Value| {
        let mut grid = Grid::new(&["BACKEND", "SESSIONS"]).right(&["SESSIONS"]);
        for (backend, n) in &counts {
            grid.row([backend.name().to_owned(), n.to_string()]);
        }
        format!("{total} sessions\n\n{}", grid.render())
    };
    Ok(Format::of(args.shown.json).show(&data, text)?)
}

async fn show(directory: &Directory, args: &ShowArgs) -> Result<(), Error> {
    let found = match (&args.which.key, &args.which.user) {
        (Some(start), _) => vec![of_key(directory, start).await?],
        (None, user) => {
            of_user(directory, user.as_deref().unwrap_or_default(), args.limit as usize).await?
        }
    };
    let rows: Vec<Row> = found.iter().map(|found| row(found, args)).collect();
    if rows.is_empty() {
        return Err(Error::Failed("no session of this user is to be seen".to_owned()));
    }
    Ok(Format::of(args.shown.json).show(&rows, |rows| table(rows))?)
}

async fn revoke(directory: &Directory, args: &RevokeSessionsArgs) -> Result<(), Error> {
    let revoked = match (&args.which.key, &args.which.user) {
        (Some(start), _) => {
            let (backend, key) = chosen(directory, start).await?;
            agree(args.yes, &format!("End the session {}?", short(&key)))?;
            let ended = directory.sessions(backend).delete(&key).await?;
            Revoked { ended: ended.into(), ..Revoked::default() }
        }
        (None, user) => {
            let user = user.as_deref().unwrap_or_default();
            agree(args.yes, &format!("End all sessions of user {}?", clean(user)))?;
            directory.revoke_user(user).await?
        }
    };
    Format::of(args.shown.json).show(&revoked, told)?;
    if revoked.unreadable > 0 {
        let n = revoked.unreadable;
        output::note(&format!(
            "warning: {n} sessions cannot be read, and do not seem to be this user's; they go on"
        ));
    }
    if revoked.busy > 0 {
        output::note(&format!("warning: {} sessions go on; run it again", revoked.busy));
    }
    match revoked.ended {
        0 => Err(Error::Failed("there was no session to end".to_owned())),
        _ => Ok(()),
    }
}

fn told(revoked: &Revoked) -> String {
    match revoked.ended {
        1 => "1 session has ended".to_owned(),
        n => format!("{n} sessions have ended"),
    }
}

fn agree(yes: bool, question: &str) -> Result<(), Error> {
    if yes || confirmed(question)? {
        return Ok(());
    }
    Err(Error::Failed("nothing was ended".to_owned()))
}

/// Finds the one session that a key or its beginning stands for.
async fn chosen(directory: &Directory, start: &str) -> Result<(Backend, SessionKey), Error> {
    let mut found = directory.find(start.trim_end_matches(['…', '.']), ALIKE).await?;
    match (found.pop(), found.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), _) => {
            Err(Error::Failed("several sessions begin like that; give more of the key".to_owned()))
        }
        (None, _) => Err(Error::Failed(
            "there is no such session; a key has 8 letters and digits or more".to_owned(),
        )),
    }
}

async fn of_key(directory: &Directory, start: &str) -> Result<Found, Error> {
    let (backend, key) = chosen(directory, start).await?;
    let found = directory.look_up(backend, key).await?;
    found.ok_or_else(|| Error::Failed("the session has just ended".to_owned()))
}

/// The user's sessions, and how many cannot be read.
async fn of_user(directory: &Directory, user: &str, limit: usize) -> Result<Vec<Found>, Error> {
    let (mut all, mut unreadable) = (Vec::new(), 0_u64);
    let mut walk = directory.walk();
    while all.len() < limit
        && let Some(batch) = walk.next().await?
    {
        for found in batch {
            if found.is_of(user) {
                all.push(found);
            } else if found.session.is_err() {
                unreadable += 1;
            }
        }
    }
    all.truncate(limit);
    if unreadable > 0 {
        output::note(&format!(
            "warning: {unreadable} sessions cannot be read, and do not seem to be this user's"
        ));
    }
    Ok(all)
}

fn row(found: &Found, args: &ShowArgs) -> Row {
    let key = if args.reveal { found.key.expose().to_owned() } else { short(&found.key) };
    let ttl_seconds = match found.ttl {
        Ttl::Left(left) => Some(left.as_secs()),
        Ttl::Never | Ttl::Missing => None,
    };
    let (session, unreadable) = match &found.session {
        Ok(session) => (Some(session), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let login = session.and_then(Session::login);
    Row {
        key,
        backend: found.backend,
        user: session.and_then(|session| session.data().user()),
        auth_backend: login.map(|login| login.backend),
        ttl_seconds,
        names: session.map(names).unwrap_or_default(),
        values: session.filter(|_| args.values).map(|session| values(session, args.reveal)),
        unreadable,
    }
}

fn short(key: &SessionKey) -> String {
    format!("{}…", key.shortened())
}

fn names(session: &Session) -> Vec<String> {
    session.data().iter().map(|(key, _)| name(key)).collect()
}

fn name(key: &PyValue) -> String {
    match key {
        PyValue::Str(name) => name.clone(),
        odd => odd.to_json().map_or_else(|_| "?".to_owned(), |json| json.to_string()),
    }
}

fn values(session: &Session, reveal: bool) -> Value {
    let shown = |(key, value): (&PyValue, &PyValue)| {
        let name = name(key);
        let value = match is_secret(&name) && !reveal {
            true => Value::from(HIDDEN),
            false => value.to_json().unwrap_or_else(|error| Value::from(format!("({error})"))),
        };
        (name, value)
    };
    Value::Object(session.data().iter().map(shown).collect())
}

/// Django's own secrets, and what an application names like one.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["hash", "token", "secret", "password", "csrf", "nonce"].iter().any(|word| name.contains(word))
}

fn table(rows: &[Row]) -> String {
    let mut grid =
        Grid::new(&["KEY", "BACKEND", "USER", "LIVES FOR", "HOLDS"]).right(&["LIVES FOR"]);
    for row in rows {
        let holds = match (&row.unreadable, &row.values) {
            (Some(why), _) => format!("unreadable: {why}"),
            (None, Some(values)) => values.to_string(),
            (None, None) => row.names.join(", "),
        };
        grid.row([
            row.key.clone(),
            row.backend.name().to_owned(),
            row.user.clone().unwrap_or_default(),
            row.ttl_seconds.map_or_else(|| "ever".to_owned(), lives),
            holds,
        ]);
    }
    grid.render()
}

fn lives(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (days @ 1.., _, _) => format!("{days} d"),
        (0, hours @ 1.., _) => format!("{hours} h"),
        (0, 0, minutes @ 1..) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in ["_auth_user_hash", "_csrftoken", "oauth_token", "API_SECRET"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["_auth_user_id", "_auth_user_backend", "cart", "_session_expiry"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_life_is_told_in_one_unit() {
        for (seconds, told) in [(59, "59 s"), (60, "1 min"), (7199, "1 h"), (1_209_600, "14 d")] {
            assert_eq!(lives(seconds), told);
        }
    }
}
