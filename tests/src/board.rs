//! The demo's job board, which remembers what it was asked and answers as badly as a test asks it
//! to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::header,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use rhubarb_core::clock;
use rhubarb_demo::board;
use rhubarb_testbed::site::Site;
pub use rhubarb_testbed::site::{Fault, Hit};
use tokio::time::sleep;

/// Where Greenhouse's board is asked for its listings.
pub const GREENHOUSE: &str = "/greenhouse/v1/boards/kettleandkernel/jobs";
/// Where Lever's site is asked.
pub const LEVER: &str = "/lever/v0/postings/pocketlighthouse";
/// Where Ashby's board is asked.
pub const ASHBY: &str = "/ashby/posting-api/job-board/sundial";
/// Where RemoteOK is asked.
pub const REMOTEOK: &str = "/remoteok/api";
/// Where We Work Remotely is asked.
pub const WE_WORK_REMOTELY: &str = "/weworkremotely/remote-jobs.rss";
/// Where Arbeitnow is asked; it has two pages.
pub const ARBEITNOW: &str = "/arbeitnow/api/job-board-api";
/// The first of two pages with JSON-LD postings.
pub const JSON_LD: &str = "/careers/1";
/// A list with pages, and detail pages under it.
pub const HTML: &str = "/classifieds";

/// A running board; it ends when it is dropped.
#[derive(Debug)]
pub struct Board {
    site: Site,
    answers: Arc<Mutex<Answers>>,
}

/// What a test wants otherwise, by path.
#[derive(Debug, Default)]
struct Answers {
    pages: HashMap<String, (&'static str, Vec<u8>)>,
    faults: HashMap<String, Fault>,
    delay: Duration,
}

impl Board {
    /// Starts a board.
    pub async fn start() -> Self {
        let answers = Arc::<Mutex<Answers>>::default();
        let answer = middleware::from_fn_with_state(Arc::clone(&answers), answer);
        let routes = |url: &str| board::routes(url, clock::now()).layer(answer);
        Self { site: Site::start_with(routes).await, answers }
    }

    /// Returns the address of a path.
    pub fn url(&self, path: &str) -> String {
        self.site.url(path)
    }

    /// Returns its address as `host:port`.
    pub fn host(&self) -> String {
        self.site.host()
    }

    /// Lets a path answer with this payload from now on, whatever query it is asked with.
    pub fn put(&self, path: &str, content_type: &'static str, body: impl Into<Vec<u8>>) {
        self.answers().pages.insert(path.to_owned(), (content_type, body.into()));
    }

    /// Lets a path answer badly from now on, whatever query it is asked with.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.answers().faults.insert(path.to_owned(), fault);
    }

    /// Lets every answer take this long from now on.
    pub fn delay(&self, delay: Duration) {
        self.answers().delay = delay;
    }

    /// Returns the requests for a path so far, whatever their query.
    pub fn asked(&self, path: &str) -> Vec<Hit> {
        self.site.hits(path)
    }

    fn answers(&self) -> MutexGuard<'_, Answers> {
        lock(&self.answers)
    }
}

fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().expect("no holder of this lock can panic")
}

async fn answer(
    State(answers): State<Arc<Mutex<Answers>>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let (fault, page, delay) = {
        let answers = lock(&answers);
        (answers.faults.get(path).copied(), answers.pages.get(path).cloned(), answers.delay)
    };
    sleep(delay).await;
    match (fault, page) {
        (Some(fault), _) => fault.answer(request, next).await,
        (None, Some((kind, body))) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        (None, None) => next.run(request).await,
    }
}
