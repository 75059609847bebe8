//! A browser that knows cookies and nothing else.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A visitor with cookies, which all ports of the host get (as in a browser).
#[derive(Clone, Debug, Default)]
pub(super) struct Visitor {
    pub(super) cookies: BTreeMap<String, String>,
}

/// What a page answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Visitor {
    /// A visitor with this session.
    pub(super) fn with(key: &str) -> Self {
        Self { cookies: [("sessionid".to_owned(), key.to_owned())].into() }
    }

    /// The session's key.
    pub(super) fn key(&self) -> &str {
        &self.cookies["sessionid"]
    }

    /// Asks for a page, and keeps the cookies that come with it.
    pub(super) async fn get(&mut self, port: u16, path: &str) -> Answer {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = raw(port, path, cookies.join("; ").as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
        for line in head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if name.eq_ignore_ascii_case("set-cookie") {
                let (name, value) =
                    value.trim().split(';').next().unwrap().split_once('=').unwrap();
                match value.trim_matches('"') {
                    "" => drop(self.cookies.remove(name)),
                    value => drop(self.cookies.insert(name.to_owned(), value.to_owned())),
                }
            }
        }
        let status = head.split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
        Answer { status, body: body.to_owned() }
    }

    /// Asks for a page that answers with JSON and 200.
    pub(super) async fn json(&mut self, port: u16, path: &str) -> Value {
        let answer = self.get(port, path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}

/// Asks for a page with these bytes as its `Cookie` header, and returns the whole answer.
pub(super) async fn raw(port: u16, path: &str, cookie: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nCookie: ");
    let request = [head.as_bytes(), cookie, b"\r\n\r\n"].concat();
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
