//! Job boards on loopback: they answer at the paths of the real APIs, or as badly as a test asks them to.
//!
//! The payloads are those of `fixtures/board` (ours, invented); a test may put others in their place. In a payload
//! `{base}` stands for the board's own address.

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::file;

/// Where a Greenhouse board is asked for its listings (board `acmewidgets`).
pub const GREENHOUSE: &str = "/v1/boards/acmewidgets/jobs";
/// Where a Lever site is asked (site `examplesite`).
pub const LEVER: &str = "/v0/postings/examplesite";
/// Where an Ashby board is asked (board `exampleco`).
pub const ASHBY: &str = "/posting-api/job-board/exampleco";
/// Where RemoteOK is asked.
pub const REMOTEOK: &str = "/api";
/// Where We Work Remotely is asked.
pub const WE_WORK_REMOTELY: &str = "/remote-jobs.rss";
/// Where Arbeitnow is asked; it has two pages.
pub const ARBEITNOW: &str = "/api/job-board-api";
/// A page with two JSON-LD postings.
pub const JSON_LD: &str = "/careers";
/// A list page; it has two pages, and three detail pages under it.
pub const HTML: &str = "/jobs";
/// What crawlers may read.
pub const ROBOTS: &str = "/robots.txt";

/// The payloads: path with query, content type, file under `fixtures/board`.
const PAYLOADS: [(&str, &str, &str); 15] = [
    (GREENHOUSE, JSON, "greenhouse.json"),
    (LEVER, JSON, "lever.json"),
    (ASHBY, JSON, "ashby.json"),
    (REMOTEOK, JSON, "remoteok.json"),
    (WE_WORK_REMOTELY, "application/rss+xml; charset=utf-8", "wwr.rss"),
    (ARBEITNOW, JSON, "arbeitnow_1.json"),
    ("/api/job-board-api?page=1", JSON, "arbeitnow_1.json"),
    ("/api/job-board-api?page=2", JSON, "arbeitnow_2.json"),
    (JSON_LD, PAGE, "jsonld.html"),
    (HTML, PAGE, "list_1.html"),
    ("/jobs?page=2", PAGE, "list_2.html"),
    ("/jobs/1", PAGE, "detail_1.html"),
    ("/jobs/2", PAGE, "detail_2.html"),
    ("/jobs/3", PAGE, "detail_3.html"),
    (ROBOTS, "text/plain", "robots.txt"),
];
const JSON: &str = "application/json";
const PAGE: &str = "text/html; charset=utf-8";

/// How a path answers badly.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// This status, with a short text.
    Status(u16),
    /// 200 and a web page, whatever was asked for.
    WebPage,
    /// The first half of the payload, as if that were all.
    Truncated,
    /// A body that never ends, as fast as it is read.
    Endless,
    /// No answer at all on an open connection.
    Silent,
}

/// One request that came in.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The path with its query.
    pub path: String,
    /// The user agent; empty when none was sent.
    pub user_agent: String,
}

/// A running board; it ends when it is dropped.
#[derive(Debug)]
pub struct Board {
    address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
    server: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Answers {
    pages: HashMap<String, (&'static str, Vec<u8>)>,
    faults: HashMap<String, Fault>,
    delay: Duration,
    log: Vec<Asked>,
}

impl Board {
    /// Starts a board with all payloads of `fixtures/board`.
    ///
    /// # Panics
    /// When a fixture is missing or loopback cannot be listened on.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let answers = Arc::new(Mutex::new(Answers::default()));
        let app = Router::new().fallback(answer).with_state(Arc::clone(&answers));
        let server = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("a bound socket accepts");
        });
        let board = Self { address, answers, server };
        for (path, content_type, name) in PAYLOADS {
            let path_on_disk = file("fixtures/board").join(name);
            let text = fs::read_to_string(&path_on_disk)
                .unwrap_or_else(|e| panic!("cannot read {}: {e}", path_on_disk.display()));
            board.put(path, content_type, text.replace("{base}", &board.url()));
        }
        board
    }

    /// Returns its address as a base URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns its address as `host:port`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Lets a path (with its query, if any) answer with this payload from now on.
    pub fn put(&self, path: &str, content_type: &'static str, body: impl Into<Vec<u8>>) {
        self.answers().pages.insert(path.to_owned(), (content_type, body.into()));
    }

    /// Lets a path answer badly until it is healed, whatever query it is asked with.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.answers().faults.insert(path.to_owned(), fault);
    }

    /// Lets a path answer well again.
    pub fn heal(&self, path: &str) {
        self.answers().faults.remove(path);
    }

    /// Lets every answer take this long from now on.
    pub fn delay(&self, delay: Duration) {
        self.answers().delay = delay;
    }

    /// Returns the requests for a path so far, whatever their query.
    pub fn asked(&self, path: &str) -> Vec<Asked> {
        let log = &self.answers().log;
        log.iter().filter(|asked| without_query(&asked.path) == path).cloned().collect()
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        lock(&self.answers)
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().expect("no holder of this lock can panic")
}

fn without_query(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

impl Answers {
    /// The page for a path with its query, or else for the path alone: most sources send a query that changes nothing.
    fn page(&self, path: &str) -> Option<(&'static str, Vec<u8>)> {
        self.pages.get(path).or_else(|| self.pages.get(without_query(path))).cloned()
    }
}

async fn answer(State(answers): State<Arc<Mutex<Answers>>>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok());
    let (fault, page, delay) = {
        let mut answers = lock(&answers);
        let asked =
            Asked { path: path.clone(), user_agent: user_agent.unwrap_or_default().to_owned() };
        answers.log.push(asked);
        (answers.faults.get(without_query(&path)).copied(), answers.page(&path), answers.delay)
    };
    sleep(delay).await;
    match (fault, page) {
        (None, Some((content_type, body))) => {
            ([(header::CONTENT_TYPE, content_type)], body).into_response()
        }
        (None, None) => (StatusCode::NOT_FOUND, "no such board").into_response(),
        (Some(fault), page) => bad_answer(fault, page.unwrap_or((JSON, Vec::new()))).await,
    }
}

async fn bad_answer(fault: Fault, (content_type, mut body): (&'static str, Vec<u8>)) -> Response {
    match fault {
        Fault::Status(code) => {
            let code = StatusCode::from_u16(code).expect("tests ask for real status codes");
            (code, "out of order").into_response()
        }
        Fault::WebPage => {
            let page = "<!doctype html><html><body><h1>We'll be back soon</h1></body></html>";
            ([(header::CONTENT_TYPE, PAGE)], page).into_response()
        }
        Fault::Truncated => {
            body.truncate(body.len() / 2);
            ([(header::CONTENT_TYPE, content_type)], body).into_response()
        }
        Fault::Endless => {
            let spaces = Bytes::from(vec![b' '; 64 * 1024]);
            let endless = stream::repeat_with(move || Ok::<_, std::io::Error>(spaces.clone()));
            ([(header::CONTENT_TYPE, content_type)], Body::from_stream(endless)).into_response()
        }
        Fault::Silent => std::future::pending().await,
    }
}
