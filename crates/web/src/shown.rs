//! How a problem is told: as JSON to a program, as a page to a person.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};

use crate::{page, problem::Problem};

/// More of what a library says of a bad request is not read.
const SAID: usize = 4096;
/// The longest path that a login leads back to.
const LONGEST_NEXT: usize = 2000;

/// Makes a problem of every error that a library tells in its own way, and a page for a person.
pub async fn tell(request: Request, next: Next) -> Response {
    let (is_get, uri) = (request.method() == Method::GET, request.uri().clone());
    let is_person = wants_page(request.headers()) && !uri.path().starts_with("/api/");
    let response = told(next.run(request).await).await;
    let Some(problem) = response.extensions().get::<Problem>().filter(|_| is_person) else {
        return response;
    };
    if problem.status == StatusCode::UNAUTHORIZED.as_u16() && is_get {
        let wanted = uri.path_and_query().map_or("/", |wanted| wanted.as_str());
        return login(wanted).into_response();
    }
    let page = page::problem(problem);
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(page::HTML));
    Response::from_parts(parts, Body::from(page))
}

/// Leads to the login page, and from there to what was wanted.
fn login(wanted: &str) -> Redirect {
    match wanted {
        "/" => Redirect::to("/login"),
        long if long.len() > LONGEST_NEXT => Redirect::to("/login"),
        wanted => {
            let wanted = url_encoded(wanted);
            Redirect::to(&format!("/login?next={wanted}"))
        }
    }
}

/// Returns a text as it may stand in an address.
pub(crate) fn url_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match is_plain(byte) {
            true => encoded.push(byte.into()),
            false => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// Tells whether an error is told by a page of its own, such as the login's.
fn is_page(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == page::HTML)
}

/// Makes a problem of an error that is none yet: its body is what is wrong.
pub(crate) async fn told(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<Problem>().is_some() || is_page(&response) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = to_bytes(body, SAID).await.unwrap_or_default();
    let detail = match String::from_utf8_lossy(&said).trim() {
        "" => status.canonical_reason().unwrap_or("Error").to_owned(),
        said => said.to_owned(),
    };
    let mut response = Problem::new(status, detail).into_response();
    // Which methods there are, after 405.
    if let Some(allow) = parts.headers.get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_back_to_the_page_that_was_wanted() {
        assert_eq!(url_encoded("/tasks?q=a b&x=é"), "/tasks%3Fq%3Da%20b%26x%3D%C3%A9");
    }
}
