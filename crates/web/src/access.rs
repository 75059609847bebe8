//! Who asks, and what they may: [`Reader`] and [`Operator`] are what a handler demands.
//!
//! A program sends its token as `Authorization: Bearer TOKEN`. A person gives it to the login page,
//! and the browser keeps it in a cookie that no script can read.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use crate::{door::Visitor, problem::Problem, site::Site};

/// The cookie's name.
pub const COOKIE: &str = "rhubarb_token";
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
        visitor(parts, site).map(Self)
    }
}

impl FromRequestParts<Site> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Problem> {
        let visitor = visitor(parts, site)?;
        if visitor.may_write() {
            return Ok(Self(visitor));
        }
        let name = &visitor.name;
        Err(Problem::forbidden(&format!("the token `{name}` may read, and change nothing")))
    }
}

fn visitor(parts: &Parts, site: &Site) -> Result<Visitor, Problem> {
    site.doors().visitor(token(&parts.headers), address(parts))
}

/// Returns the address that a request comes from.
pub fn address(parts: &Parts) -> IpAddr {
    parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0)
}

/// Returns the token of a request: the header's, else the cookie's.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| {
        let pairs = text(header::COOKIE)?.split(';').filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(name, _)| *name == COOKIE).map(|(_, token)| token).next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_comes_before_the_cookie() {
        let mut headers = HeaderMap::new();
        assert_eq!(token(&headers), None);
        headers.insert(header::COOKIE, "a=b; rhubarb_token=c; x".parse().unwrap());
        assert_eq!(token(&headers), Some("c"));
        headers.insert(header::AUTHORIZATION, "bearer  d".parse().unwrap());
        assert_eq!(token(&headers), Some("d"));
        headers.insert(header::AUTHORIZATION, "Basic d".parse().unwrap());
        assert_eq!(token(&headers), Some("c"));
    }
}
