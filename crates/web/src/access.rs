//! Who asks, and what they may: [`Reader`] and [`Operator`] are what a handler demands.
//!
//! A program sends its token as `Authorization: Bearer TOKEN`. A person gives it to the login page;
//! the browser keeps a sealed cookie in its place, which no script can read. Where users of Django's
//! may enter, their session is a way in as well.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use rhubarb_core::clock;

use crate::{door::Visitor, problem::Problem, site::Site};

/// The cookie's name.
pub const COOKIE: &str = "rhubarb_login";
/// For how long a browser keeps it.
pub const COOKIE_LIFE: Duration = Duration::from_secs(12 * 3600);
/// The address that a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// Somebody who may see everything.
#[derive(Clone, Debug)]
pub struct Reader(pub Visitor);

/// Somebody who may change things.
#[derive(Clone, Debug)]
pub struct Operator(pub Visitor);

impl FromRequestParts<Site> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        visitor(parts, site).await.map(Self)
    }
}

impl FromRequestParts<Site> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let visitor = visitor(parts, site).await?;
        if visitor.may_write() {
            return Ok(Self(visitor));
        }
        let name = &visitor.name;
        Err(Problem::forbidden(&format!("the token `{name}` may read, and change nothing")))
    }
}

async fn visitor(parts: &Parts, site: &Site) -> Result<Visitor, Problem> {
    let (headers, from) = (&parts.headers, address(parts));
    let login = cookie(headers).filter(|_| !site.doors().are_open());
    let token = bearer(headers);
    let known = match (token, login) {
        (None, Some(login)) => logged_in(site, login, from).await,
        (token, _) => site.doors().visitor(token, from),
    };
    match (known, site.django()) {
        // Who has no token may have the application's own login.
        (Err(problem), Some(django)) if token.is_none() => {
            django.visitor(headers, from).await?.ok_or(problem)
        }
        (known, _) => known,
    }
}

async fn logged_in(site: &Site, login: &str, from: IpAddr) -> Result<Visitor, Problem> {
    let whose = site.seal().await.open(login, clock::now().as_second());
    let whose = whose.ok_or_else(|| Problem::unauthorized("the login has ended"))?;
    site.doors().logged_in(whose, from)
}

/// Returns the address that a request comes from.
pub fn address(parts: &Parts) -> IpAddr {
    parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

/// Returns the token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Returns the login of a request.
fn cookie(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::COOKIE)?.to_str().ok()?;
    let mut pairs = value.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, login)| login)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_in_its_header_and_a_login_in_its_cookie() {
        let mut headers = HeaderMap::new();
        assert_eq!((bearer(&headers), cookie(&headers)), (None, None));
        headers.insert(header::COOKIE, "a=b; rhubarb_login=c; x".parse().unwrap());
        headers.insert(header::AUTHORIZATION, "bearer  d".parse().unwrap());
        assert_eq!((bearer(&headers), cookie(&headers)), (Some("d"), Some("c")));
        headers.insert(header::AUTHORIZATION, "Basic d".parse().unwrap());
        assert_eq!((bearer(&headers), cookie(&headers)), (None, Some("c")));
    }
}
