//! What people changed over the dashboard and the API: the last thousand lines, in one stream.

use std::collections::HashMap;

use ::redis::{Cmd, cmd};
use jiff::Timestamp;
use rhubarb_core::clock;
use serde::Serialize;

use crate::{Client, Error, error::redis};

/// About how many are kept.
const KEPT: usize = 1_000;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Audited {
    /// When, ISO 8601.
    pub at: String,
    /// The token's name.
    pub who: String,
    /// The address that it came from.
    pub from: String,
    /// What was done.
    pub did: String,
    /// To what.
    pub what: String,
}

/// Keeps a change; about the last thousand are kept.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn keep(
    client: &Client,
    who: &str,
    from: &str,
    (did, what): (&str, &str),
) -> Result<(), Error> {
    let mut add = cmd("XADD");
    add.arg(client.keys().audit()).arg("MAXLEN").arg("~").arg(KEPT).arg("*");
    for (name, value) in [("who", who), ("from", from), ("did", did), ("what", what)] {
        add.arg(name).arg(value);
    }
    let _: String = ask(client, &add, "keep who changed what").await?;
    Ok(())
}

/// Returns the last changes, the newest first.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn last(client: &Client, n: usize) -> Result<Vec<Audited>, Error> {
    let mut range = cmd("XREVRANGE");
    range.arg(client.keys().audit()).arg("+").arg("-").arg("COUNT").arg(n);
    let found: Vec<(String, HashMap<String, String>)> =
        ask(client, &range, "read who changed what").await?;
    let one = |(id, mut fields): (String, HashMap<String, String>)| {
        let mut field = |name: &str| fields.remove(name).unwrap_or_default();
        let ms = id.split('-').next().and_then(|ms| ms.parse().ok()).unwrap_or_default();
        let at = Timestamp::from_millisecond(ms).map(clock::iso).unwrap_or_default();
        let (who, from) = (field("who"), field("from"));
        Audited { at, who, from, did: field("did"), what: field("what") }
    };
    Ok(found.into_iter().map(one).collect())
}

/// Returns the secret that all dashboards of an installation share: the first that asks makes it.
///
/// # Errors
///
/// [`Error::Redis`].
pub async fn web_key(client: &Client, fresh: &str) -> Result<String, Error> {
    let (key, mut set, mut get) = (client.keys().web_key(), cmd("SET"), cmd("GET"));
    set.arg(&key).arg(fresh).arg("NX");
    get.arg(&key);
    let _: Option<String> = ask(client, &set, "make the dashboard's key").await?;
    ask(client, &get, "read the dashboard's key").await
}

async fn ask<T: ::redis::FromRedisValue>(
    client: &Client,
    command: &Cmd,
    what: &'static str,
) -> Result<T, Error> {
    client.queue().query(command).await.map_err(redis(what))
}
