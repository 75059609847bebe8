//! Health and metrics of one process, for a platform's checks and a scraper: `GET` of three paths,
//! and nothing else, so that a worker compiles no HTTP library.
//!
//! It speaks HTTP/1.0: one request a connection, its head at most 8 KiB and within 5 s, at most 16
//! connections at once. It is switched on by an address (`worker.http`, `beat.http`), and answers
//! everybody who reaches it: names of tasks and queues, and counts.
//!
//! | path | answers |
//! |---|---|
//! | `/health/live` | 200 while the process does its work; 503 with the reason |
//! | `/health/ready` | 200 while it can; 503 with the reason |
//! | `/metrics` | its metrics ([`rhubarb_core::metrics`]) |

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use rhubarb_core::metrics;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

/// The most bytes of a request's head.
const HEAD: usize = 8 << 10;
/// How long a request and its answer may take, each.
const TIME: Duration = Duration::from_secs(5);
/// So many connections at once; more wait.
const CONNECTIONS: usize = 16;
/// How long is waited when the system gives no connection.
const FULL: Duration = Duration::from_millis(200);

/// Whether something holds, or why it does not, in a few words without secrets.
pub type Health = Result<(), String>;

/// What a process tells of itself.
pub trait Vital: Send + Sync + 'static {
    /// Tells whether it does its work; an outage of others is no fault of it.
    fn live(&self) -> Health;
    /// Tells whether it can do its work now.
    fn ready(&self) -> Pin<Box<dyn Future<Output = Health> + Send + '_>>;
    /// Returns its metrics as text.
    fn metrics(&self) -> String;
}

/// Answers on an address until it is dropped; without an address it waits for ever.
///
/// An address that cannot be listened on is one error in the log: the process does its own work all
/// the same, and a check that hears nothing says the rest.
pub async fn serve(address: Option<SocketAddr>, vital: Arc<dyn Vital>) -> std::convert::Infallible {
    let Some(address) = address else { return std::future::pending().await };
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let address = listener.local_addr().unwrap_or(address);
            tracing::info!(%address, "health and metrics ready");
            answer_all(listener, vital).await
        }
        Err(error) => {
            tracing::error!(%address, %error, "health and metrics cannot be served");
            std::future::pending().await
        }
    }
}

async fn answer_all(listener: TcpListener, vital: Arc<dyn Vital>) -> std::convert::Infallible {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let place = places.clone().acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(FULL).await;
            continue;
        };
        let vital = vital.clone();
        connections.spawn(async move {
            // A peer that goes away, or is slow, is its own business.
            let _ = exchange(stream, &*vital).await;
            drop(place);
        });
    }
}

async fn exchange(mut stream: TcpStream, vital: &dyn Vital) -> std::io::Result<()> {
    let head = tokio::time::timeout(TIME, head(&mut stream)).await??;
    let answer = tokio::time::timeout(TIME, answer(&head, vital)).await;
    let answer = answer.unwrap_or_else(|_| Answer::of(503, "it takes too long"));
    let bytes = answer.bytes(head.starts_with(b"HEAD "));
    tokio::time::timeout(TIME, stream.write_all(&bytes)).await??;
    stream.shutdown().await
}

/// Reads a request's head; what is longer is cut, and so is none.
async fn head(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    let mut piece = [0; 1024];
    while head.len() < HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await? {
            0 => break,
            n => head.extend_from_slice(&piece[..n]),
        }
    }
    Ok(head)
}

/// A status and what is said with it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    kind: &'static str,
    body: String,
}

impl Answer {
    fn of(status: u16, said: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8", body: format!("{said}\n") }
    }

    fn health(health: Health, fine: &str) -> Self {
        match health {
            Ok(()) => Self::of(200, fine),
            Err(reason) => Self::of(503, &reason),
        }
    }

    fn bytes(&self, without_body: bool) -> Vec<u8> {
        let Self { status, kind, body } = self;
        let words = match status {
            200 => "OK",
            400 => "Bad Request",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Service Unavailable",
        };
        let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
        let head = format!(
            "HTTP/1.0 {status} {words}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n{allow}Connection: \
             close\r\n\r\n",
            body.len(),
        );
        let body = if without_body { "" } else { body };
        [head.as_bytes(), body.as_bytes()].concat()
    }
}

async fn answer(head: &[u8], vital: &dyn Vital) -> Answer {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Answer::of(400, "no request");
    };
    if !version.starts_with("HTTP/1.") || words.next().is_some() {
        return Answer::of(400, "no request of HTTP/1");
    }
    if !["GET", "HEAD"].contains(&method) {
        return Answer::of(405, "only GET is answered");
    }
    match target.split('?').next().unwrap_or_default() {
        "/health/live" => Answer::health(vital.live(), "alive"),
        "/health/ready" => Answer::health(vital.ready().await, "ready"),
        "/metrics" => Answer { status: 200, kind: metrics::TEXT, body: vital.metrics() },
        _ => Answer::of(404, "there are /health/live, /health/ready and /metrics"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ill;

    impl Vital for Ill {
        fn live(&self) -> Health {
            Ok(())
        }

        fn ready(&self) -> Pin<Box<dyn Future<Output = Health> + Send + '_>> {
            Box::pin(async { Err("it is stopping".to_owned()) })
        }

        fn metrics(&self) -> String {
            "a 1\n".to_owned()
        }
    }

    async fn asked(line: &str) -> Answer {
        answer(format!("{line}\r\nHost: x\r\n\r\n").as_bytes(), &Ill).await
    }

    #[tokio::test]
    async fn three_paths_are_answered_and_nothing_else() {
        assert_eq!(asked("GET /health/live HTTP/1.1").await, Answer::of(200, "alive"));
        let ready = asked("GET /health/ready?x HTTP/1.0").await;
        assert_eq!(ready, Answer::of(503, "it is stopping"));
        let metrics = asked("GET /metrics HTTP/1.1").await;
        assert_eq!((metrics.status, metrics.body.as_str()), (200, "a 1\n"));
        for (line, status) in [
            ("GET / HTTP/1.1", 404),
            ("GET /health/live/../ready HTTP/1.1", 404),
            ("POST /health/live HTTP/1.1", 405),
            ("GET /health/live", 400),
            ("GET  /health/live HTTP/1.1", 400),
            ("GET /health/live HTTP/2.0", 400),
            ("", 400),
        ] {
            assert_eq!(asked(line).await.status, status, "{line}");
        }
        assert_eq!(answer(&[0xff; 100], &Ill).await.status, 400);
        let head = String::from_utf8(asked("HEAD /metrics HTTP/1.1").await.bytes(true)).unwrap();
        assert!(head.contains("Content-Length: 4\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    }

    #[tokio::test]
    async fn a_peer_that_sends_too_much_is_answered_and_one_that_goes_away_harms_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(answer_all(listener, Arc::new(Ill)));
        for _ in 0..2 * CONNECTIONS {
            drop(TcpStream::connect(address).await.unwrap());
        }
        let mut long = TcpStream::connect(address).await.unwrap();
        let _ = long.write_all(&b"x".repeat(HEAD)).await;
        let mut said = Vec::new();
        let _ = long.read_to_end(&mut said).await;
        assert!(said.starts_with(b"HTTP/1.0 400 "), "{said:?}");
        server.abort();
    }
}

/// The README's examples are run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
