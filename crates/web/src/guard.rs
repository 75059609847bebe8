//! What holds for every request: headers that keep a browser safe, time, and where it comes from.

use std::{net::IpAddr, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{problem::Problem, site::Site};

/// The most bytes of a request's body, where its route says nothing else.
pub const BODY: usize = 1 << 20;
/// How long an answer's head may take.
const TIME: Duration = Duration::from_secs(60);

/// What each answer says to the browser: nothing from elsewhere, no script in a page's text, no
/// frame around it.
const SAFE: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src \
         'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
];

/// Adds the headers that keep a browser safe.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SAFE {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // What is seen is of this moment, and for this visitor.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Ends what takes too long before its answer begins.
pub async fn time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long").into_response(),
    }
}

/// Refuses what another site has a browser send.
pub async fn origin(State(site): State<Site>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_change = ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if site.doors().are_open() && !is_local(headers) {
        let told = "without tokens it answers to this machine's own name only, such as localhost";
        return Problem::new(StatusCode::MISDIRECTED_REQUEST, told).into_response();
    }
    if is_change && !is_own(headers) {
        return Problem::forbidden("the request comes from another site").into_response();
    }
    next.run(request).await
}

/// Returns a header's text.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("\0"))
}

/// Tells whether the name that was asked for is this machine's own: that of another site may lead
/// here too (DNS rebinding). Who names none is no browser.
fn is_local(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, &header::HOST) else { return true };
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Tells whether a change is asked for by our own page, or by a program that is no browser.
fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, &HeaderName::from_static("sec-fetch-site")) {
        return ["same-origin", "none"].contains(&site);
    }
    let Some(origin) = text(headers, &header::ORIGIN) else { return true };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text(headers, &header::HOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let all = all
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        all.collect()
    }

    #[test]
    fn a_change_is_asked_for_by_our_own_page_or_by_no_browser() {
        let own = |all: &[(&'static str, &'static str)]| is_own(&headers(all));
        assert!(own(&[]));
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(own(&[("origin", "http://a:1"), ("host", "a:1")]));
        for site in ["cross-site", "same-site", ""] {
            assert!(!own(&[("sec-fetch-site", site)]), "{site}");
        }
        for origin in ["null", "", "http://b:1", "http://a", "http://a:1.b", "a:1"] {
            assert!(!own(&[("origin", origin), ("host", "a:1")]), "{origin}");
        }
    }

    #[test]
    fn without_tokens_only_this_machines_own_name_is_answered() {
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "[::1]"]
        {
            assert!(is_local(&headers(&[("host", host)])), "{host}");
        }
        for host in
            ["evil.example", "localhost.evil.example", "10.0.0.1", "[::]", "", "127.0.0.1.x"]
        {
            assert!(!is_local(&headers(&[("host", host)])), "{host}");
        }
    }
}
