//! From a URL as people have it to an address, with TLS as Celery's URLs spell it.

use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates,
};
use rhubarb_core::redact::SafeUrl;

use crate::Error;

/// Makes a client for a URL and a database, speaking the given protocol.
///
/// Schemes: `redis`, `rediss` (TLS with the system's roots), `unix` and `redis+socket`. Of the query,
/// `ssl_cert_reqs` (`none`, `optional`, `required`, `CERT_NONE`, …) and `ssl_ca_certs` (a PEM file) are read, as in
/// Celery's URLs.
///
/// # Errors
///
/// [`Error::Url`] with the reason.
pub(crate) fn client(url: &SafeUrl, db: u32, protocol: ProtocolVersion) -> Result<Client, Error> {
    let fail = |reason: String| Error::Url { url: url.clone(), reason };
    let info = connection_info(url, db, protocol).map_err(fail)?;
    match query(url, "ssl_ca_certs") {
        Some(path) if url.expose().scheme() == "rediss" => {
            let root_cert = std::fs::read(&path)
                .map_err(|e| fail(format!("cannot read ssl_ca_certs `{path}`: {e}")))?;
            let tls = TlsCertificates { client_tls: None, root_cert: Some(root_cert) };
            Client::build_with_tls(info, tls).map_err(|e| fail(e.to_string()))
        }
        _ => open(info).map_err(|e| fail(e.to_string())),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the constructor that the ban points to")]
fn open(info: ConnectionInfo) -> redis::RedisResult<Client> {
    Client::open(info)
}

fn connection_info(
    url: &SafeUrl,
    db: u32,
    protocol: ProtocolVersion,
) -> Result<ConnectionInfo, String> {
    let raw = url.expose();
    let addr = match raw.scheme() {
        "redis" => ConnectionAddr::Tcp(host(url)?, raw.port().unwrap_or(6379)),
        "rediss" => ConnectionAddr::TcpTls {
            host: host(url)?,
            port: raw.port().unwrap_or(6379),
            insecure: !verifies(query(url, "ssl_cert_reqs").as_deref())?
                || raw.fragment() == Some("insecure"),
            tls_params: None,
        },
        "unix" | "redis+socket" | "socket" => ConnectionAddr::Unix(raw.path().into()),
        other => {
            return Err(format!(
                "the scheme `{other}` is none of redis, rediss, unix, redis+socket"
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
    if !raw.username().is_empty() {
        settings = settings.set_username(decoded(raw.username()));
    }
    if let Some(password) = raw.password() {
        settings = settings.set_password(decoded(password));
    }
    Ok(base.set_redis_settings(settings))
}

fn host(url: &SafeUrl) -> Result<String, String> {
    let host = url.expose().host_str().ok_or("it names no host")?;
    Ok(host.trim_matches(['[', ']']).to_owned())
}

/// Tells whether certificates are verified. Celery's default for `rediss` without the parameter is an error;
/// ours is to verify.
fn verifies(ssl_cert_reqs: Option<&str>) -> Result<bool, String> {
    match ssl_cert_reqs.map(str::to_ascii_lowercase).as_deref() {
        None | Some("required" | "cert_required" | "optional" | "cert_optional") => Ok(true),
        Some("none" | "cert_none") => Ok(false),
        Some(other) => {
            Err(format!("ssl_cert_reqs is `{other}`; it may be none, optional or required"))
        }
    }
}

fn query(url: &SafeUrl, name: &str) -> Option<String> {
    url.expose().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn decoded(text: &str) -> String {
    // A form-urlencoded pair decodes percent signs; a literal plus has to survive it.
    let pair = format!("x={}", text.replace('+', "%2B"));
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
    fn tls_verifies_unless_told_otherwise() {
        for (url, expect) in [
            ("rediss://h", false),
            ("rediss://h?ssl_cert_reqs=CERT_NONE", true),
            ("rediss://h/0?ssl_cert_reqs=none", true),
            ("rediss://h?ssl_cert_reqs=required", false),
            ("rediss://h/0#insecure", true),
        ] {
            let info = info(url).unwrap();
            let ConnectionAddr::TcpTls { insecure, .. } = info.addr() else { panic!("{url}") };
            assert_eq!(*insecure, expect, "{url}");
        }
        assert!(info("rediss://h?ssl_cert_reqs=maybe").is_err());
    }

    #[test]
    fn another_scheme_is_refused_by_name() {
        assert!(info("amqp://h").unwrap_err().contains("amqp"));
    }
}
