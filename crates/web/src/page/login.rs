//! The login page.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use rhubarb_core::clock;
use serde::Deserialize;

use super::{Frame, html};
use crate::{
    access::{COOKIE, COOKIE_LIFE, Peer},
    audit,
    problem::Problem,
    site::Site,
};

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    frame: Frame,
    next: String,
    wrong: Option<String>,
}

/// Where to go afterwards.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    /// A path of ours.
    #[serde(default)]
    next: String,
}

/// What the form sends.
#[derive(Deserialize)]
pub struct Entry {
    token: String,
    #[serde(default)]
    next: String,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("next", &self.next).finish_non_exhaustive()
    }
}

/// Returns the path where it is one of ours, else the first page.
pub(super) fn own(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    if is_path && !next.contains(char::is_control) { next } else { "/" }
}

fn page(next: &str, wrong: Option<String>) -> Result<Html<String>, Problem> {
    html(&LoginPage { frame: Frame::bare("Log in"), next: own(next).to_owned(), wrong })
}

/// Shows the form.
///
/// # Errors
///
/// The template fails.
pub async fn form(
    State(site): State<Site>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    if site.doors().are_open() {
        return Ok(Redirect::to("/").into_response());
    }
    Ok(page(&wanted.next, None)?.into_response())
}

/// Takes a token, and has the browser keep a login.
///
/// # Errors
///
/// The template fails.
pub async fn enter(
    State(site): State<Site>,
    peer: Option<axum::Extension<Peer>>,
    headers: HeaderMap,
    Form(entry): Form<Entry>,
) -> Result<Response, Problem> {
    let from = peer.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.0);
    let token = entry.token.trim();
    match site.doors().visitor(Some(token), from) {
        Ok(visitor) => {
            audit::note(&site, &visitor, "logged in", "").await;
            let (to, whose) = (own(&entry.next), site.doors().fingerprint(token));
            let until = clock::now().as_second().saturating_add_unsigned(COOKIE_LIFE.as_secs());
            let login = site.seal().await.close(&whose.unwrap_or_default(), until);
            Ok(keeping(cookie(&login, COOKIE_LIFE.as_secs(), &headers), to))
        }
        Err(problem) => {
            let status = axum::http::StatusCode::from_u16(problem.status);
            let page = page(&entry.next, Some(problem.detail))?;
            Ok((status.unwrap_or_default(), page).into_response())
        }
    }
}

/// Has the browser forget the login.
pub async fn leave(headers: HeaderMap) -> Response {
    keeping(cookie("", 0, &headers), "/login")
}

fn keeping(cookie: Option<HeaderValue>, to: &str) -> Response {
    let mut response = Redirect::to(to).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Returns the cookie: unreadable by scripts, not sent with other sites' forms, and over TLS only
/// where the visitor came by it.
fn cookie(login: &str, seconds: u64, headers: &HeaderMap) -> Option<HeaderValue> {
    let proto = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    let secure = if proto == Some("https") { "; Secure" } else { "" };
    let text =
        format!("{COOKIE}={login}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_a_page_of_ours_only() {
        for path in ["/", "/tasks?q=a", "/a//b"] {
            assert_eq!(own(path), path);
        }
        for other in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "x"]
        {
            assert_eq!(own(other), "/", "{other}");
        }
    }
}
