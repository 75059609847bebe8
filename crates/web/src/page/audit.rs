//! Who changed what.

use askama::Template;
use axum::{extract::State, response::Html};
use rhubarb_queue::audit::{self, Audited};

use super::{Frame, html, text};
use crate::{access::Reader, problem::Problem, site::Site};

/// So many are shown.
const MOST: usize = 200;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    rows: Vec<Row>,
}

struct Row {
    at: String,
    who: String,
    from: String,
    did: String,
    what: String,
}

impl Row {
    fn of(one: &Audited) -> Self {
        Self {
            at: text(one.at.get(..19).unwrap_or(&one.at), 30).replace('T', " "),
            who: text(&one.who, 100),
            from: text(&one.from, 60),
            did: text(&one.did, 100),
            what: text(&one.what, 200),
        }
    }
}

/// Shows the last changes.
///
/// # Errors
///
/// 503: Redis does not answer.
pub async fn show(
    Reader(visitor): Reader,
    State(site): State<Site>,
) -> Result<Html<String>, Problem> {
    let all = audit::last(site.client(), MOST).await?;
    html(&AuditPage {
        frame: Frame::new(&site, &visitor, "/audit", "Audit"),
        rows: all.iter().map(Row::of).collect(),
    })
}
