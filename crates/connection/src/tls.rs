//! TLS as the URLs of redis-py, kombu and Celery spell it.
//!
//! | in the URL's query | means | absent |
//! |---|---|---|
//! | `ssl_cert_reqs` | `none`, `optional`, `required`, also `CERT_NONE` and so on | `required` |
//! | `ssl_check_hostname` | whether the certificate has to be for the URL's host | `true` |
//! | `ssl_ca_certs` | a PEM file of the only roots that are trusted | the setting `redis.ca_file`, else the system's |
//! | `ssl_certfile`, `ssl_keyfile` | our own certificate and key, PEM files | none is shown |
//!
//! Read as redis-py 6.4 and kombu 5.5 read them, but for one: Celery wants `ssl_cert_reqs` to be there (its result
//! backend refuses the URL without), and ours is to verify. Servers always show a certificate, so that `optional` is
//! `required`.

use std::{fs, path::Path};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisResult, TlsCertificates,
};
use rhubarb_core::redact::SafeUrl;

/// What a URL and the settings say about TLS, files read.
#[derive(Debug)]
pub(crate) struct Tls {
    /// Whether any certificate is taken.
    insecure: bool,
    /// Whether a certificate may be for another host.
    any_host: bool,
    certificates: Option<TlsCertificates>,
}

impl Tls {
    /// Reads the query of a `rediss` URL, and the files that it names.
    ///
    /// # Errors
    ///
    /// One sentence: which parameter, and what is wrong with it.
    pub(crate) fn read(url: &SafeUrl, ca_file: Option<&Path>) -> Result<Self, String> {
        let insecure = !verifies(query(url, "ssl_cert_reqs").as_deref())?
            || url.expose().fragment() == Some("insecure");
        let any_host = !truth(query(url, "ssl_check_hostname").as_deref())?;
        let root_cert = match (query(url, "ssl_ca_certs"), ca_file) {
            (Some(path), _) => Some(read("ssl_ca_certs", Path::new(&path))?),
            (None, Some(path)) => Some(read("redis.ca_file", path)?),
            (None, None) => None,
        };
        let client_tls = match (query(url, "ssl_certfile"), query(url, "ssl_keyfile")) {
            (Some(cert), key) => {
                let key = key.unwrap_or_else(|| cert.clone());
                let client_cert = read("ssl_certfile", Path::new(&cert))?;
                Some(ClientTlsConfig {
                    client_cert,
                    client_key: read("ssl_keyfile", Path::new(&key))?,
                })
            }
            (None, Some(_)) => return Err("ssl_keyfile is there without ssl_certfile".to_owned()),
            (None, None) => None,
        };
        let certificates = (root_cert.is_some() || client_tls.is_some())
            .then_some(TlsCertificates { client_tls, root_cert });
        Ok(Self { insecure, any_host, certificates })
    }

    /// Puts it into an address.
    ///
    /// # Errors
    ///
    /// A file that holds no certificate or key that can be read.
    pub(crate) fn apply(self, info: ConnectionInfo) -> RedisResult<ConnectionInfo> {
        let ConnectionAddr::TcpTls { host, port, .. } = info.addr().clone() else {
            return Ok(info);
        };
        let insecure = self.insecure;
        let mut info =
            info.set_addr(ConnectionAddr::TcpTls { host, port, insecure, tls_params: None });
        if let Some(certificates) = self.certificates {
            info = Client::build_with_tls(info, certificates)?.get_connection_info().clone();
        }
        // Taking the certificates in made the address anew, so that this comes last.
        let mut address = info.addr().clone();
        address.set_danger_accept_invalid_hostnames(self.any_host && !insecure);
        Ok(info.set_addr(address))
    }
}

/// A file without a certificate would be an empty set of roots, or no certificate of ours: said here, not at the
/// first handshake.
fn read(parameter: &str, path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let bytes =
        fs::read(path).map_err(|error| format!("cannot read {parameter} `{shown}`: {error}"))?;
    let is_pem = bytes.windows(11).any(|part| part == b"-----BEGIN ");
    is_pem.then_some(bytes).ok_or_else(|| format!("{parameter} `{shown}` is no PEM file"))
}

fn verifies(ssl_cert_reqs: Option<&str>) -> Result<bool, String> {
    match ssl_cert_reqs.map(str::to_ascii_lowercase).as_deref() {
        None | Some("required" | "cert_required" | "optional" | "cert_optional") => Ok(true),
        Some("none" | "cert_none") => Ok(false),
        Some(other) => {
            Err(format!("ssl_cert_reqs is `{other}`; it may be none, optional or required"))
        }
    }
}

/// Reads a truth value in redis-py's spellings.
fn truth(text: Option<&str>) -> Result<bool, String> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None | Some("true" | "1" | "yes" | "y" | "t" | "on") => Ok(true),
        Some("false" | "0" | "no" | "n" | "f" | "off") => Ok(false),
        Some(other) => Err(format!("ssl_check_hostname is `{other}`; it may be true or false")),
    }
}

/// Returns a parameter of a URL's query.
pub(crate) fn query(url: &SafeUrl, name: &str) -> Option<String> {
    url.expose().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(query: &str) -> Result<Tls, String> {
        Tls::read(&format!("rediss://h/0{query}").parse().unwrap(), None)
    }

    #[test]
    fn certificates_are_verified_unless_told_otherwise() {
        for (query, insecure) in [
            ("", false),
            ("?ssl_cert_reqs=CERT_NONE", true),
            ("?ssl_cert_reqs=none", true),
            ("?ssl_cert_reqs=required", false),
            ("?ssl_cert_reqs=CERT_OPTIONAL", false),
            ("#insecure", true),
        ] {
            assert_eq!(tls(query).unwrap().insecure, insecure, "{query}");
        }
        assert!(tls("?ssl_check_hostname=False").unwrap().any_host);
        assert!(!tls("?ssl_check_hostname=True").unwrap().any_host);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let check = |query: &str, expect: &str| {
            let error = tls(query).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        check("?ssl_cert_reqs=maybe", "ssl_cert_reqs is `maybe`");
        check("?ssl_check_hostname=maybe", "ssl_check_hostname is `maybe`");
        check("?ssl_ca_certs=/nowhere.pem", "cannot read ssl_ca_certs `/nowhere.pem`");
        check("?ssl_keyfile=/k.pem", "without ssl_certfile");
        let empty = tempfile::NamedTempFile::new().unwrap();
        check(&format!("?ssl_ca_certs={}", empty.path().display()), "is no PEM file");
        let missing = Path::new("/nowhere.pem");
        let error = Tls::read(&"rediss://h".parse().unwrap(), Some(missing)).unwrap_err();
        assert!(error.contains("redis.ca_file"), "{error}");
    }
}
