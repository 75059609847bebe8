//! `sessions`: who has one, and the end of it.

use rhubarb_cache::{
    PyValue, Ttl,
    sessions::{Backend, Directory, Found, Revoked, Session, SessionKey},
};
use rhubarb_connection::{Connections, Role};
use rhubarb_core::redact;
use rhubarb_settings::Settings;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::pauses::confirmed;
use crate::{
    cli::{CountArgs, RevokeSessionsArgs, SessionsCommand, ShowArgs},
    error::Error,
    output::{self, Format},
    table::{Grid, clean},
};

/// How many sessions a beginning of a key may stand for before they are told to be too many.
const ALIKE: usize = 10;

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
pub(crate) async fn run(config: &Settings, command: SessionsCommand) -> Result<(), Error> {
    let connections = Connections::new(&config.redis, "rhubarb-cli")?;
    let alias = match &command {
        SessionsCommand::Count(args) => &args.at.alias,
        SessionsCommand::Show(args) => &args.at.alias,
        SessionsCommand::Revoke(args) => &args.at.alias,
    };
    let known: Vec<&str> = config.cache.aliases.keys().map(String::as_str).collect();
    if !config.cache.aliases.contains_key(alias) {
        let (alias, known) = (clean(alias), known.join(", "));
        return Err(Error::Usage(format!("no cache alias `{alias}`; there are: {known}")));
    }
    let directory = Directory::new(&config.cache.aliases, &connections, alias)?;
    let role = config.cache.aliases.get(alias).map_or(Role::Sessions, |alias| alias.role);
    connections.role(role).ready().await?;
    let done = match &command {
        SessionsCommand::Count(args) => count(&directory, args).await,
        SessionsCommand::Show(args) => show(&directory, args).await.map(|()| true),
        SessionsCommand::Revoke(args) => revoke(&directory, args).await.map(|()| true),
    };
    if matches!(done, Ok(false) | Err(Error::Failed(_))) {
        point_elsewhere(config, &connections, alias).await;
    }
    done.map(drop)
}

/// Says which other aliases hold sessions: Django's `SESSION_CACHE_ALIAS` is `default` where nobody
/// sets it.
async fn point_elsewhere(config: &Settings, connections: &Connections, alias: &str) {
    for name in config.cache.aliases.keys().filter(|name| *name != alias) {
        let Ok(other) = Directory::new(&config.cache.aliases, connections, name) else { continue };
        let counts = other.count().await.unwrap_or_default();
        let total: u64 = counts.values().sum();
        if total > 0 {
            output::note(&format!("{} in alias {name}: --alias {name}", counted(total)));
        }
    }
}

/// Tells whether there are any.
async fn count(directory: &Directory, args: &CountArgs) -> Result<bool, Error> {
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
        format!("{}\n\n{}", counted(total), grid.render())
    };
    Format::of(args.shown.json).show(&data, text)?;
    Ok(total > 0)
}

async fn show(directory: &Directory, args: &ShowArgs) -> Result<(), Error> {
    let found = match (&args.which.key, &args.which.user) {
        (Some(start), _) => of_key(directory, start).await?,
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
            let (backends, key) = chosen(directory, start).await?;
            agree(args.yes, &format!("End the session {}?", short(&key)))?;
            let mut revoked = Revoked::default();
            for backend in backends {
                revoked.ended += u64::from(directory.sessions(backend).delete(&key).await?);
            }
            revoked
        }
        (None, user) => {
            let user = user.as_deref().unwrap_or_default();
            agree(args.yes, &format!("End all sessions of user {}?", clean(user)))?;
            directory.revoke_user(user).await?
        }
    };
    // In words the error below says it.
    if revoked.ended > 0 || args.shown.json {
        Format::of(args.shown.json).show(&revoked, told)?;
    }
    if revoked.unreadable > 0 {
        let n = revoked.unreadable;
        output::note(&format!(
            "warning: unreadable, not known to be this user's, and left alone: {}",
            counted(n)
        ));
    }
    if revoked.busy > 0 {
        output::note(&format!(
            "warning: written too often to be ended: {}; run it again",
            counted(revoked.busy)
        ));
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

fn counted(n: u64) -> String {
    if n == 1 { "1 session".to_owned() } else { format!("{n} sessions") }
}

fn agree(yes: bool, question: &str) -> Result<(), Error> {
    if yes || confirmed(question)? {
        return Ok(());
    }
    Err(Error::Failed("nothing was ended".to_owned()))
}

/// Finds the one key that a key or its beginning stands for, and the backends that have a session
/// of it.
async fn chosen(directory: &Directory, start: &str) -> Result<(Vec<Backend>, SessionKey), Error> {
    let found = directory.find(start.trim_end_matches(['…', '.']), ALIKE).await?;
    let Some((_, key)) = found.first().cloned() else {
        return Err(Error::Failed(
            "there is no such session; a key has 8 letters and digits or more".to_owned(),
        ));
    };
    if found.iter().any(|(_, other)| *other != key) {
        let several = "several sessions begin like that; give more of the key";
        return Err(Error::Failed(several.to_owned()));
    }
    Ok((found.into_iter().map(|(backend, _)| backend).collect(), key))
}

async fn of_key(directory: &Directory, start: &str) -> Result<Vec<Found>, Error> {
    let (backends, key) = chosen(directory, start).await?;
    let mut all = Vec::new();
    for backend in backends {
        all.extend(directory.look_up(backend, key.clone()).await?);
    }
    if all.is_empty() {
        return Err(Error::Failed("the session has just ended".to_owned()));
    }
    Ok(all)
}

/// The user's sessions, and how many cannot be read.
async fn of_user(directory: &Directory, user: &str, limit: usize) -> Result<Vec<Found>, Error> {
    let (mut all, mut unreadable) = (Vec::new(), 0_u64);
    let mut walk = directory.walk();
    // One more tells that there are more.
    while all.len() <= limit
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
    if all.len() > limit {
        output::note(output::MORE);
    }
    all.truncate(limit);
    if unreadable > 0 {
        output::note(&format!(
            "warning: unreadable, and not known to be this user's: {}",
            counted(unreadable)
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
        let value = match redact::is_secret(&name) && !reveal {
            true => Value::from(redact::HIDDEN),
            false => match value.to_json() {
                Ok(json) if reveal => json,
                Ok(json) => redact::hidden(json),
                Err(error) => Value::from(format!("({error})")),
            },
        };
        (name, value)
    };
    Value::Object(session.data().iter().map(shown).collect())
}

fn table(rows: &[Row]) -> String {
    let mut grid = Grid::new(&["KEY", "BACKEND", "USER", "LIVES FOR", "HOLDS"])
        .right(&["LIVES FOR"])
        .whole(&["KEY"])
        .spare(&["BACKEND"]);
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
            row.ttl_seconds.map_or_else(|| "for ever".to_owned(), lives),
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
    fn a_life_is_told_in_one_unit() {
        for (seconds, told) in [(59, "59 s"), (60, "1 min"), (7199, "1 h"), (1_209_600, "14 d")] {
            assert_eq!(lives(seconds), told);
        }
    }
}
