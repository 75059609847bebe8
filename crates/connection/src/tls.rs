//! TLS as the URLs of redis-py, kombu and Celery spell it, and as the settings do for them.
//!
//! | in the URL's query | the setting | means | absent |
//! |---|---|---|---|
//! | `ssl_cert_reqs` | `redis.ssl_cert_reqs` | `none`, `optional`, `required`, also `CERT_NONE` and so on | `required` |
//! | `ssl_check_hostname` | `redis.ssl_check_hostname` | whether the certificate has to be for the URL's host | `true` |
//! | `ssl_ca_certs` | `redis.ca_file` | a PEM file of the only certificates that are trusted | the system's |
//! | `ssl_certfile`, `ssl_keyfile` | `redis.ssl_certfile`, `redis.ssl_keyfile` | our own certificate and key, PEM files | none is shown |
//!
//! The URL wins where both say something. Read as redis-py 6.4 and kombu 5.5 read them, but for
//! one: Celery wants `ssl_cert_reqs` to be there (its result backend refuses the URL without), and
//! ours is to verify. Servers always show a certificate, so that `optional` is `required`.
//!
//! A trusted certificate may be an authority's or the server's own, also one that it signed itself.
//! OpenSSL, and so redis-py, takes a server's own as long as it has not expired.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use redis::RedisError;
use rhubarb_core::redact::SafeUrl;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::WebPkiSupportedAlgorithms,
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};

use crate::{config::RedisConfig, error::inside};

/// What a URL and the settings say about TLS, files read.
#[derive(Debug)]
pub(crate) struct Tls {
    /// Whether any certificate is taken.
    insecure: bool,
    /// Whether a certificate may be for another host.
    any_host: bool,
    /// The only certificates that are trusted; none means the system's.
    trusted: Option<Vec<CertificateDer<'static>>>,
    /// Our own certificate, and its key.
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Tls {
    /// Reads the query of a `rediss` URL and the settings, and the files that they name.
    ///
    /// # Errors
    ///
    /// One sentence: which parameter or setting, and what is wrong with it.
    pub(crate) fn read(url: &SafeUrl, config: &RedisConfig) -> Result<Self, String> {
        let reqs = query(url, "ssl_cert_reqs").unwrap_or_else(|| config.ssl_cert_reqs.clone());
        let insecure = !verifies(&reqs)? || url.expose().fragment() == Some("insecure");
        let check = query(url, "ssl_check_hostname");
        let any_host = !truth(check.as_deref())?.unwrap_or(config.ssl_check_hostname);
        let trusted = named(url, "ssl_ca_certs", "redis.ca_file", config.ca_file.as_deref());
        Ok(Self {
            insecure,
            any_host,
            trusted: trusted.as_ref().map(certificates).transpose()?,
            own: own(url, config)?,
        })
    }

    /// Returns what a handshake is made with.
    ///
    /// # Errors
    ///
    /// No certificate that can be trusted, or a key that does not belong to its certificate.
    pub(crate) fn config(self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(provider.clone())?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        match self.own {
            None => Ok(builder.with_no_client_auth()),
            Some((certificates, key)) => builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| format!("ssl_certfile and ssl_keyfile cannot be used: {error}")),
        }
    }

    fn verifier(&self, provider: Arc<CryptoProvider>) -> Result<Verifier, String> {
        let trusted = match &self.trusted {
            _ if self.insecure => None,
            Some(trusted) => Some(trusted.clone()),
            None => Some(rustls_native_certs::load_native_certs().certs),
        };
        let chains = trusted.map(|trusted| chains(trusted, &provider)).transpose()?;
        let pinned = self.trusted.clone().unwrap_or_default();
        Ok(Verifier { provider, chains, pinned, any_host: self.any_host })
    }
}

fn chains(
    trusted: Vec<CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted);
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|_| "there is no certificate that could be trusted: set redis.ca_file".to_owned())
}

/// Says whether a server is the one that it should be.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    /// Knows the authorities; none means that any certificate is taken.
    chains: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that are trusted whoever signed them.
    pinned: Vec<CertificateDer<'static>>,
    any_host: bool,
}

impl Verifier {
    /// Forgives what a chain may be found at fault with, where that is to be forgiven.
    fn forgive(
        &self,
        error: rustls::Error,
        shown: &CertificateDer<'_>,
        host: &ServerName<'_>,
    ) -> Result<(), rustls::Error> {
        let rustls::Error::InvalidCertificate(wrong) = &error else { return Err(error) };
        match wrong {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
                if self.any_host =>
            {
                Ok(())
            }
            // Its dates were looked at first, and hold. `Other` is what is found of an authority's
            // certificate that a server shows as its own, as `openssl req -x509` makes them.
            CertificateError::UnknownIssuer | CertificateError::Other(_)
                if self.pinned.iter().any(|pinned| pinned == shown) =>
            {
                let name = || verify_server_name(&ParsedCertificate::try_from(shown)?, host);
                if self.any_host { Ok(()) } else { name() }
            }
            _ => Err(error),
        }
    }
}

impl Verifier {
    /// Checks a signature, unless no certificate is checked at all.
    fn checked(
        &self,
        check: impl FnOnce(&WebPkiSupportedAlgorithms) -> Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.chains {
            Some(_) => check(&self.provider.signature_verification_algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(chains) = &self.chains {
            let verified = chains.verify_server_cert(shown, between, host, ocsp, now);
            verified.map(drop).or_else(|error| self.forgive(error, shown, host))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.checked(|algorithms| verify_tls12_signature(message, shown, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.checked(|algorithms| verify_tls13_signature(message, shown, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// Says which settings are about what a handshake failed at.
pub(crate) fn advice(error: &RedisError) -> Option<&'static str> {
    match inside(error)? {
        rustls::Error::InvalidCertificate(wrong) => Some(match wrong {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "redis.ssl_check_hostname = false takes a trusted certificate for any host"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server needs a new one; redis.ssl_cert_reqs = \"none\" takes any"
            }
            _ => {
                "set redis.ca_file to a PEM file of the server's certificate, or of the authority \
                 that signed it; redis.ssl_cert_reqs = \"none\" takes any"
            }
        }),
        rustls::Error::AlertReceived(_) => Some(
            "where the server asks for a certificate, set redis.ssl_certfile and redis.ssl_keyfile",
        ),
        _ => None,
    }
}

/// A file and the words for it: its parameter or setting, and its path.
type Named = (&'static str, PathBuf);

/// Returns the file that the URL names, else that of the settings.
fn named(
    url: &SafeUrl,
    parameter: &'static str,
    setting: &'static str,
    set: Option<&Path>,
) -> Option<Named> {
    let in_url = query(url, parameter).map(|path| (parameter, path.into()));
    in_url.or_else(|| set.map(|path| (setting, path.to_owned())))
}

type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads our own certificate and its key. A key may stand in its certificate's file.
fn own(url: &SafeUrl, config: &RedisConfig) -> Result<Option<Own>, String> {
    let RedisConfig { ssl_certfile, ssl_keyfile, .. } = config;
    let certificate = named(url, "ssl_certfile", "redis.ssl_certfile", ssl_certfile.as_deref());
    let key = named(url, "ssl_keyfile", "redis.ssl_keyfile", ssl_keyfile.as_deref());
    match (certificate, key) {
        (None, None) => Ok(None),
        (None, Some((name, _))) => Err(format!("{name} is there without ssl_certfile")),
        (Some(certificate), key) => {
            let certificates = certificates(&certificate)?;
            let (name, path) = key.unwrap_or(certificate);
            let key = PrivateKeyDer::from_pem_slice(&read(name, &path)?).map_err(|error| {
                format!("{name} `{}` has no private key that can be read: {error}", path.display())
            })?;
            Ok(Some((certificates, key)))
        }
    }
}

/// Reads a file's certificates.
///
/// A file without any would be an empty set of roots, or no certificate of ours: said here, not at
/// the first handshake.
fn certificates((name, path): &Named) -> Result<Vec<CertificateDer<'static>>, String> {
    let shown = path.display();
    let bytes = read(name, path)?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{name} `{shown}` is no PEM file: {error}"))?;
    if certificates.is_empty() {
        return Err(format!("{name} `{shown}` is no PEM file of certificates"));
    }
    Ok(certificates)
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {name} `{}`: {error}", path.display()))
}

fn verifies(ssl_cert_reqs: &str) -> Result<bool, String> {
    match ssl_cert_reqs.to_ascii_lowercase().as_str() {
        "required" | "cert_required" | "optional" | "cert_optional" => Ok(true),
        "none" | "cert_none" => Ok(false),
        other => Err(format!("ssl_cert_reqs is `{other}`; it may be none, optional or required")),
    }
}

/// Reads a truth value in redis-py's spellings.
fn truth(text: Option<&str>) -> Result<Option<bool>, String> {
    match text.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true" | "1" | "yes" | "y" | "t" | "on") => Ok(Some(true)),
        Some("false" | "0" | "no" | "n" | "f" | "off") => Ok(Some(false)),
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
        Tls::read(&format!("rediss://h/0{query}").parse().unwrap(), &RedisConfig::default())
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
    fn the_settings_hold_where_the_url_says_nothing() {
        let config = RedisConfig {
            ssl_cert_reqs: "CERT_NONE".to_owned(),
            ssl_check_hostname: false,
            ..RedisConfig::default()
        };
        let read = |query: &str| {
            Tls::read(&format!("rediss://h/0{query}").parse().unwrap(), &config).unwrap()
        };
        let tls = read("");
        assert!(tls.insecure && tls.any_host);
        let tls = read("?ssl_cert_reqs=required&ssl_check_hostname=true");
        assert!(!tls.insecure && !tls.any_host);
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
        let missing = Some(PathBuf::from("/nowhere.pem"));
        let check = |config: RedisConfig, expect: &str| {
            let error = Tls::read(&"rediss://h".parse().unwrap(), &config).unwrap_err();
            assert!(error.contains(expect), "{error}");
        };
        let none = RedisConfig::default;
        check(RedisConfig { ca_file: missing.clone(), ..none() }, "redis.ca_file `/nowhere.pem`");
        check(RedisConfig { ssl_keyfile: missing, ..none() }, "redis.ssl_keyfile is there without");
    }
}
