//! One run of a message in a child.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, future::BoxFuture};
use rhubarb::outside::{Ending, Outcome, Outside, Run};
use rhubarb_queue::Client;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Options,
    asked::{self, Commands, To},
    child::{Child, Gone},
    described,
    ended::{self, End},
    frames,
    pool::{Pool, Taken},
};

/// How long a task waits in its slot for a child that is free, and by how much it is put off then:
/// as long, and up to as long again.
const WAIT: Duration = Duration::from_secs(1);
/// How long a child's exit code is waited for once its socket has closed.
const EXIT: Duration = Duration::from_secs(2);

/// A Python task.
#[derive(Debug)]
pub(crate) struct Python {
    pool: Arc<Pool>,
    /// Whether it fails when its child dies.
    fails_lost: bool,
    max_memory: u64,
}

/// What a child says while it runs a task.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Said {
    End(Box<End>),
    Publish { messages: Vec<To> },
    Redis(Commands),
}

impl Python {
    /// Makes a task of one that the zygote tells of.
    pub(crate) fn new(pool: Arc<Pool>, task: &described::Task, options: &Options) -> Self {
        let again = task.reject_on_worker_lost.unwrap_or(!options.fail_lost);
        Self { pool, fails_lost: !again, max_memory: options.max_memory_per_child }
    }
}

impl Outside for Python {
    fn run(&self, run: Run) -> BoxFuture<'static, Ending> {
        let attempt = Attempt {
            pool: self.pool.clone(),
            fails_lost: self.fails_lost,
            max_memory: self.max_memory,
            run,
        };
        attempt.run().boxed()
    }
}

struct Attempt {
    pool: Arc<Pool>,
    fails_lost: bool,
    max_memory: u64,
    run: Run,
}

impl Attempt {
    async fn run(self) -> Ending {
        let mut taken = match self.child().await {
            Ok(taken) => taken,
            Err(not_now) => return not_now.into(),
        };
        self.run.received.runs_in(taken.child().pid);
        self.run.begins.cancel();
        match self.converse(taken.child()).await {
            Ok((end, parts)) => {
                let over = end.rss.is_some_and(|rss| rss > self.max_memory);
                let exits = end.exits != 0 || over;
                let ending = ended::ending(end, parts);
                if exits {
                    taken.let_go()
                } else {
                    taken.give_back()
                }
                ending
            }
            Err(gone) => self.lost(taken, &gone).await.into(),
        }
    }

    /// Waits for a child; what becomes of the message where there is none now.
    ///
    /// A new child takes as long as the application's own preparations of a process do.
    async fn child(&self) -> Result<Taken, Outcome> {
        let put_off = || Outcome::PutOff { after: WAIT.mul_f64(1.0 + fastrand::f64()) };
        let place = tokio::select! {
            biased;
            place = self.pool.place() => place.ok_or(Outcome::HandBack)?,
            () = self.run.stopping.cancelled() => return Err(Outcome::HandBack),
            () = tokio::time::sleep(WAIT) => return Err(put_off()),
        };
        tokio::select! {
            biased;
            taken = self.pool.at(place) => taken.map_err(|error| {
                tracing::warn!(error, "no Python process for a task, which is put off");
                put_off()
            }),
            () = self.run.stopping.cancelled() => Err(Outcome::HandBack),
        }
    }

    /// Gives the message to a child, and answers what it asks until the end.
    async fn converse(&self, child: &mut Child) -> Result<(End, Vec<Vec<u8>>), Gone> {
        child.given += 1;
        child.send(&self.task()).await?;
        let mut softly = false;
        loop {
            let mut frame = tokio::select! {
                biased;
                frame = child.receive() => frame?,
                () = self.run.soft_limit.cancelled(), if !softly => {
                    softly = true;
                    // Waited for, so that it never reaches the child's next task.
                    self.pool.zygote.signal(child.pid, "SIGUSR1").await;
                    continue;
                }
            };
            match frame.head()? {
                Said::End(end) => return Ok((*end, frame.parts)),
                Said::Publish { messages } => {
                    let answer = asked::publish(self.client(), messages, frame.parts).await;
                    child.send(&answer).await?;
                }
                Said::Redis(commands) => {
                    let answer = asked::commands(self.client(), commands, &frame.parts).await;
                    child.send(&answer).await?;
                }
            }
        }
    }

    fn client(&self) -> &Client {
        &self.run.client
    }

    /// The frame that gives the message to a child.
    fn task(&self) -> Vec<u8> {
        let envelope = &self.run.received.envelope;
        let head = json!({
            "kind": "task",
            "task": self.run.task,
            "redelivered": envelope.is_redelivered() || self.run.deaths > 0,
            "memory": self.max_memory > 0,
        });
        frames::encode(&head, &[&envelope.encode_without_body(), envelope.body.as_bytes()])
    }

    /// What becomes of a message whose child has died.
    async fn lost(&self, mut taken: Taken, gone: &Gone) -> Outcome {
        let pid = taken.child().pid;
        if !matches!(gone, Gone::Closed) {
            self.pool.zygote.signal(pid, "SIGKILL").await;
        }
        let exit = tokio::time::timeout(EXIT, taken.child().exit()).await;
        let how = how(exit.ok().flatten());
        let reason = format!("its Python process {pid} ended: {how}; {gone}");
        if self.fails_lost {
            let text = format!("Worker exited prematurely: {how}.");
            return Outcome::Failure { exception: ended::worker_lost(text), traceback: None };
        }
        Outcome::Died { reason }
    }
}

/// How a process ended, in billiard's words.
fn how(code: Option<i32>) -> String {
    match code {
        Some(code) if code < 0 => format!("signal {} ({})", -code, signal_name(-code)),
        Some(code) => format!("exitcode {code}"),
        None => "nobody knows how".to_owned(),
    }
}

fn signal_name(number: i32) -> &'static str {
    match number {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => "a signal",
    }
}
