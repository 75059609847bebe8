//! Publishes tasks of many kinds all the while, as a patient producer does: it tries until Redis
//! has said yes.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use rhubarb_connection::{Connections, Error as Cut};
use rhubarb_e2e::eventually::paced;
use rhubarb_queue::{Client, Config, Error, Publish};
use serde_json::json;

use super::oracle::{Expect, Sent};

/// Between two tasks.
const PERIOD: Duration = Duration::from_millis(60);

/// A producer; clones share what was sent.
#[derive(Clone)]
pub(super) struct Load {
    client: Client,
    sent: Arc<Mutex<Vec<Sent>>>,
    stopped: Arc<AtomicBool>,
}

/// What is to be sent: a task, or bytes that are none.
enum Message {
    Task(Box<Publish>),
    Raw(String),
}

impl Load {
    /// A producer at this URL.
    pub(super) fn new(url: &str) -> Self {
        let mut config = Config::default();
        config.redis.url = url.parse().unwrap();
        config.redis.command_timeout = Duration::from_secs(2);
        config.redis.connect_timeout = Duration::from_secs(2);
        let client = Client::new(&Connections::new(&config.redis, "e2e-load").unwrap(), &config);
        Self { client, sent: Arc::default(), stopped: Arc::default() }
    }

    /// Publishes until it is stopped.
    pub(super) async fn run(self, seed: u64) {
        let (mut rng, mut pace) = (Rng::with_seed(seed), paced(PERIOD));
        while !self.stopped.load(Ordering::SeqCst) {
            pace.tick().await;
            let id = format!("{:08x}-{:08x}", seed, rng.u64(..));
            let (message, expect) = some_task(&id, &mut rng);
            self.send(&id, message, expect).await;
        }
    }

    /// Lets [`Load::run`] end with its current task.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Returns the producer's own client.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns what was sent so far.
    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Publishes a task that ends this way.
    pub(super) async fn send_ending(&self, id: &str, end: &str, expect: Expect) {
        let publish = recorded(id, 0.2, end);
        self.send(id, Message::Task(Box::new(publish)), expect).await;
    }

    async fn send(&self, id: &str, message: Message, expect: Expect) {
        let (mut unsure, mut pace) = (0, paced(Duration::from_millis(100)));
        pace.tick().await;
        while let Err(error) = self.try_once(&message).await {
            let cut = matches!(&error, Error::Redis { source: Cut::Lost { .. }, .. });
            unsure += u32::from(cut);
            pace.tick().await;
        }
        let sent = Sent { id: id.to_owned(), expect, unsure };
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }

    async fn try_once(&self, message: &Message) -> Result<(), Error> {
        match message {
            Message::Task(publish) => self.client.publish(publish).await.map(drop),
            Message::Raw(text) => {
                let mut push = redis::cmd("LPUSH");
                push.arg("celery").arg(text);
                let pushed = self.client.queue().query::<u64>(&push).await;
                pushed
                    .map(drop)
                    .map_err(|source| Error::Redis { operation: "push".to_owned(), source })
            }
        }
    }
}

fn recorded(id: &str, seconds: f64, end: &str) -> Publish {
    Publish::new("e2e.record").arg(seconds).arg(end).id(id)
}

fn some_task(id: &str, rng: &mut Rng) -> (Message, Expect) {
    let short = rng.f64() * 0.3;
    let (publish, expect) = match rng.u8(..100) {
        0..65 => (recorded(id, short, "success"), Expect::Success),
        // Longer than the lease.
        65..69 => (recorded(id, 3.5 + rng.f64(), "success"), Expect::Success),
        69..77 => (recorded(id, short, "failure"), Expect::Failure),
        77..85 => (recorded(id, short, "retry"), Expect::Success),
        85..92 => {
            let countdown = Duration::from_millis(rng.u64(200..3000));
            (recorded(id, short, "success").countdown(countdown), Expect::Success)
        }
        92..96 => {
            let expires_in = Duration::from_millis(rng.u64(20..400));
            (recorded(id, 0.0, "success").expires_in(expires_in), Expect::SuccessOrRevoked)
        }
        96..98 => (Publish::new("e2e.nobody").id(id), Expect::Parked),
        _ => {
            let headers = json!({ "id": id, "task": "e2e.record" });
            let raw = json!({ "body": 17, "headers": headers, "properties": {} });
            return (Message::Raw(raw.to_string()), Expect::Dead);
        }
    };
    (Message::Task(Box::new(publish)), expect)
}
