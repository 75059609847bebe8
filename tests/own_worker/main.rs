//! A worker of one's own, for tests whose tasks have to take a known time, panic, or come back.
//!
//! It is what a Rust developer writes: nothing here but handlers and their names.

mod bench;
mod canvas;

use std::{
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rhubarb::{Args, TaskContext, TaskError};
use rhubarb_e2e::ledger::{self, Ledger};
use serde::Deserialize;
use tokio::{sync::OnceCell, time::sleep};

/// As in the binary `worker`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Deserialize)]
struct Seconds {
    seconds: f64,
}

/// Takes that long and returns how long it took.
async fn takes(Args(Seconds { seconds }): Args<Seconds>) -> f64 {
    sleep(Duration::from_secs_f64(seconds)).await;
    seconds
}

/// A declared task, which tells in the worker's record what it takes.
#[rhubarb::task(name = "e2e.typed")]
async fn typed(x: i64, #[default(1)] y: i64) -> i64 {
    x + y
}

/// Takes that long and returns who ran it: the process id.
async fn who(Args(Seconds { seconds }): Args<Seconds>) -> u32 {
    sleep(Duration::from_secs_f64(seconds)).await;
    std::process::id()
}

/// Takes that long and returns when it ended: seconds since 1970, as Python's `time.time()`.
async fn now(Args(Seconds { seconds }): Args<Seconds>) -> f64 {
    sleep(Duration::from_secs_f64(seconds)).await;
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

async fn panics() {
    panic!("on purpose");
}

/// Fails twice with something that a retry cures, then returns how often it was tried.
async fn third_time(context: TaskContext) -> Result<u32, TaskError> {
    let retries = context.info().retries;
    if retries < 2 {
        return Err(TaskError::retry(Duration::from_secs(1), "not yet"));
    }
    Ok(retries + 1)
}

/// Has itself run again after that long, then returns who ran it: the process id.
async fn later(
    context: TaskContext,
    Args(Seconds { seconds }): Args<Seconds>,
) -> Result<u32, TaskError> {
    if context.info().retries == 0 {
        return Err(TaskError::retry(Duration::from_secs_f64(seconds), "not yet"));
    }
    Ok(std::process::id())
}

/// Kills its worker, as a bug in a C library would.
async fn kills() {
    std::process::abort();
}

/// Holds up a thread of the runtime, as a handler does that computes without awaiting.
async fn blocks(Args(Seconds { seconds }): Args<Seconds>) {
    #[expect(clippy::disallowed_methods, reason = "it is the very mistake that is to be tested")]
    std::thread::sleep(Duration::from_secs_f64(seconds));
}

#[derive(Deserialize)]
struct Recorded {
    seconds: f64,
    end: End,
}

/// How a recorded task ends.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum End {
    Success,
    Failure,
    /// A retry, then success.
    Retry,
    /// The worker's death, each time.
    Death,
    /// The worker's death the first time, then success.
    OneDeath,
}

/// Writes its beginning and its end to the ledger, which no fault of the tests touches.
async fn record(
    context: TaskContext,
    Args(Recorded { seconds, end }): Args<Recorded>,
) -> Result<String, TaskError> {
    static LEDGER: OnceCell<Ledger> = OnceCell::const_new();
    #[expect(clippy::disallowed_methods, reason = "it is no setting of Rhubarb's but the test's")]
    let url =
        std::env::var(ledger::URL).map_err(|e| TaskError::failed("RuntimeError", e.to_string()))?;
    let ledger = LEDGER.get_or_init(|| Ledger::open(&url)).await;
    let (info, pid) = (context.info(), std::process::id().to_string());
    let attempt = info.retries.to_string();
    let note = async |what: &'static str| {
        let entry = [
            ("what", what),
            ("id", info.id.as_str()),
            ("attempt", attempt.as_str()),
            ("pid", pid.as_str()),
        ];
        ledger.write(&entry).await;
    };
    note("begin").await;
    sleep(Duration::from_secs_f64(seconds)).await;
    if matches!(end, End::Death) || matches!(end, End::OneDeath) && info.deaths == 0 {
        std::process::abort();
    }
    note("end").await;
    match end {
        End::Failure => Err(TaskError::failed("ValueError", "on purpose")),
        End::Retry if info.retries == 0 => {
            Err(TaskError::retry(Duration::from_millis(300), "once more"))
        }
        _ => Ok(info.id.clone()),
    }
}

fn main() -> ExitCode {
    rhubarb::main(|app| {
        app.task("e2e.sleep", takes);
        app.add(typed::task());
        app.task("e2e.who", who);
        // The Python side of a mixed fleet has no twin of this one.
        app.task("e2e.ours", who);
        app.task("e2e.now", now);
        app.task("e2e.panic", panics);
        app.task("e2e.third_time", third_time);
        app.task("e2e.later", later);
        app.task("e2e.kill", kills);
        app.task("e2e.block", blocks);
        app.task("e2e.record", record);
        canvas::register(app);
        bench::register(app);
        Ok(())
    })
}
