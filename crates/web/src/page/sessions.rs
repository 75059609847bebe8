//! Django's sessions: how many there are, and the end of a user's.

use askama::Template;
use axum::{extract::State, response::Html};
use rhubarb_monitor::namespace::KeyKind;

use super::{Frame, html, text};
use crate::{access::Reader, problem::Problem, site::Site};

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    /// Pattern of the keys, place, keys, memory.
    rows: Vec<(String, String, String, String)>,
    total: String,
    aliases: Vec<String>,
}

/// Shows them. A key of a session is as good as a password and never shown.
///
/// # Errors
///
/// 503: nothing is known yet.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
) -> Result<Html<String>, Problem> {
    let seen = site.report().await?;
    let rows = seen.what.databases.iter().flat_map(|database| {
        let kept = database
            .namespaces
            .iter()
            .filter(|one| one.kind == KeyKind::Sessions && one.keys.n > 0);
        kept.map(|one| {
            let bytes = one.bytes.map_or_else(String::new, |bytes| bytes.shown_bytes());
            (text(&one.pattern, 100), text(&database.name(), 60), one.keys.shown(), bytes)
        })
    });
    let mut aliases: Vec<String> = site.config().cache.aliases.keys().cloned().collect();
    // The one that Django is usually told comes first.
    aliases.sort_by_key(|alias| alias != "sessions");
    html(&SessionsPage {
        frame: Frame::new(&site, &visitor, "/sessions", "Sessions")
            .aged(seen.at.elapsed().as_secs()),
        rows: rows.collect(),
        total: seen.what.totals.session_keys.map_or_else(|| "?".to_owned(), |n| n.shown()),
        aliases,
    })
}
