//! From a URL as people have it to an address and credentials.

use std::time::Duration;

use redis::{
    ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    io::tcp::socket2::TcpKeepalive,
};
use rhubarb_core::redact::SafeUrl;

use crate::{
    Error,
    config::RedisConfig,
    tls::{Tls, query},
};

/// A connection on which nothing was heard for this long is asked whether it still stands.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Between two such questions; after three without an answer the connection is dead.
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);

/// Where a server is, and what it is told first.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) info: ConnectionInfo,
    /// For `rediss`.
    pub(crate) tls: Option<Tls>,
}

/// Reads a URL and the settings for it, for a database and a protocol.
///
/// Schemes: `redis`, `rediss` (TLS; see [`crate::tls`] for the query), `unix` and `redis+socket`,
/// and those of sentinels.
/// User and password stand before the host, or in the query as `username` and `password` (redis-py)
/// or `user` and `pass`.
///
/// # Errors
///
/// [`Error::Url`] with the reason.
pub(crate) fn target(
    url: &SafeUrl,
    db: u32,
    protocol: ProtocolVersion,
    config: &RedisConfig,
) -> Result<Target, Error> {
    let fail = |reason: String| Error::Url { url: url.clone(), reason };
    let info = connection_info(url, db, protocol).map_err(fail)?;
    let tls = is_secured(url).then(|| Tls::read(url, config)).transpose().map_err(fail)?;
    Ok(Target { info, tls })
}

/// Tells whether a server is spoken to by TLS.
pub(crate) fn is_secured(url: &SafeUrl) -> bool {
    url.expose().scheme().starts_with("rediss")
}

/// Returns the address of a server on the network.
pub(crate) fn at(host: String, port: u16, secured: bool) -> ConnectionAddr {
    if secured {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn connection_info(
    url: &SafeUrl,
    db: u32,
    protocol: ProtocolVersion,
) -> Result<ConnectionInfo, String> {
    let raw = url.expose();
    let addr = match raw.scheme() {
        "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" => {
            at(host(url)?, raw.port().unwrap_or(6379), is_secured(url))
        }
        "unix" | "redis+socket" | "socket" => ConnectionAddr::Unix(decoded(raw.path()).into()),
        other => {
            return Err(format!(
                "the scheme `{other}` is none of redis, rediss, unix, redis+socket, redis+sentinel"
            ));
        }
    };
    let base = addr.into_connection_info().map_err(|e| e.to_string())?;
    let mut settings = base
        .redis_settings()
        .clone()
        .set_db(i64::from(db))
        .set_protocol(protocol)
        .set_skip_set_lib_name();
    let (user, password) = credentials(url);
    if let Some(user) = user {
        settings = settings.set_username(user);
    }
    if let Some(password) = password {
        settings = settings.set_password(password);
    }
    Ok(base.set_redis_settings(settings))
}

/// When a server is asked on which nothing was heard whether it is still there.
pub(crate) fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_AGAIN).with_retries(3)
}

pub(crate) fn credentials(url: &SafeUrl) -> (Option<String>, Option<String>) {
    let raw = url.expose();
    let user = (!raw.username().is_empty()).then(|| decoded(raw.username()));
    let password = raw.password().map(decoded);
    let asked = |one, other| query(url, one).or_else(|| query(url, other));
    (user.or_else(|| asked("username", "user")), password.or_else(|| asked("password", "pass")))
}

pub(crate) fn host(url: &SafeUrl) -> Result<String, String> {
    let host = url.expose().host_str().ok_or("it names no host")?;
    Ok(decoded(host.trim_matches(['[', ']'])))
}

fn decoded(text: &str) -> String {
    // A form-urlencoded pair decodes percent signs; a literal plus has to survive it.
    let pair = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map(|(_, v)| v.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(url: &str) -> Result<ConnectionInfo, String> {
        connection_info(&url.parse().unwrap(), 3, ProtocolVersion::RESP3)
    }

    #[test]
    fn a_url_gives_host_port_credentials_and_database() {
        let info = info("redis://user:p%40ss+word@example.test:6390/9").unwrap();
        assert_eq!(info.addr(), &ConnectionAddr::Tcp("example.test".into(), 6390));
        assert_eq!(info.redis_settings().username(), Some("user"));
        assert_eq!(info.redis_settings().password(), Some("p@ss+word"));
        assert_eq!(info.redis_settings().db(), 3);
    }

    #[test]
    fn credentials_are_taken_from_each_place_where_people_have_them() {
        let check = |url: &str, user: Option<&str>, password: Option<&str>| {
            let info = info(url).unwrap();
            let settings = info.redis_settings();
            assert_eq!((settings.username(), settings.password()), (user, password), "{url}");
        };
        check("redis://h", None, None);
        check("redis://:p%2Fw@h", None, Some("p/w"));
        check("redis://%C3%BCser:p%3Aw%25@h", Some("üser"), Some("p:w%"));
        check("redis://h/0?username=u&password=a%26b", Some("u"), Some("a&b"));
        check("unix:///run/redis.sock?db=1&user=u&pass=p", Some("u"), Some("p"));
    }

    #[test]
    fn a_sockets_path_and_a_host_are_read_without_their_escapes() {
        let socket = info("unix:///run/my%20redis%25.sock?db=1").unwrap();
        assert_eq!(socket.addr(), &ConnectionAddr::Unix("/run/my redis%.sock".into()));
        let server = info("redis://u:a&b@my%2Dhost").unwrap();
        assert_eq!(server.addr(), &ConnectionAddr::Tcp("my-host".into(), 6379));
        assert_eq!(server.redis_settings().password(), Some("a&b"));
    }

    #[test]
    fn another_scheme_is_refused_by_name() {
        assert!(info("amqp://h").unwrap_err().contains("amqp"));
    }
}
