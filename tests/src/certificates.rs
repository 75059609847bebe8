//! Certificates of one test's own, made by `openssl`: an authority, a server's, a client's.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::process::clean_command;

/// A folder of PEM files; gone when it is dropped.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes an authority, and a server's certificate for this host (`127.0.0.1` or a name) and a
    /// client's by it.
    ///
    /// # Panics
    /// When `openssl` is not installed or fails.
    pub fn for_host(host: &str) -> Self {
        let dir = tempfile::tempdir().expect("there is a folder for temporary files");
        let path = dir.path();
        openssl(
            path,
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority \
                       -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem",
        );
        let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
        for name in ["server", "client"] {
            openssl(
                path,
                &format!(
                    "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={name} \
                 -addext subjectAltName={kind}:{host} -keyout {name}.key -out {name}.csr"
                ),
            );
            openssl(
                path,
                &format!(
                    "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -copy_extensions copy \
                 -out {name}.pem"
                ),
            );
        }
        Self(dir)
    }

    /// Makes a server's certificate that nobody else signed, as `openssl req -x509` makes them: one
    /// that could sign others too unless `leaf`.
    ///
    /// # Panics
    /// When `openssl` is not installed or fails.
    pub fn self_signed(host: &str, leaf: bool, days: i32) -> Self {
        let dir = tempfile::tempdir().expect("there is a folder for temporary files");
        let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
        let may_sign = if leaf { "FALSE" } else { "TRUE" };
        openssl(
            dir.path(),
            &format!(
                "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days {days} -subj /CN={host} \
                 -addext basicConstraints=critical,CA:{may_sign} -addext subjectAltName={kind}:{host} \
                 -keyout server.key -out server.pem"
            ),
        );
        std::fs::copy(dir.path().join("server.pem"), dir.path().join("ca.pem")).expect("a copy");
        Self(dir)
    }

    /// Returns the path of a file: `ca.pem`, `server.pem`, `server.key`, `client.pem`,
    /// `client.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the path of a file as text.
    pub fn path(&self, name: &str) -> String {
        self.file(name).display().to_string()
    }
}

fn openssl(dir: &Path, words: &str) {
    let mut command = clean_command("openssl");
    let output = command.current_dir(dir).args(words.split_whitespace()).output();
    let output = output.expect("openssl is installed; tests/run.sh installs it");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {words}: {said}");
}
