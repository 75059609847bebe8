//! The tasks of the benchmarks (tests/bench), as each peer has them.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rhubarb::{App, Args, TaskContext, TaskError};
use tokio::time::sleep;

/// Where [`mark`] writes: the path of a file.
const LOG: &str = "BENCH_LOG";

/// Does nothing, with an argument of the size that is to be measured.
async fn noop(Args((_text,)): Args<(String,)>) {}

/// Takes that many milliseconds and writes its id and when it began, ns since 1970, to the log.
///
/// The line is written when the task ends, so that a task that was killed is in the log only if it
/// ran again.
async fn mark(
    Args((milliseconds, _text)): Args<(u64, String)>,
    context: TaskContext,
) -> Result<(), TaskError> {
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if milliseconds > 0 {
        sleep(Duration::from_millis(milliseconds)).await;
    }
    let line = format!("{} {}\n", context.id(), begun.as_nanos());
    let mut log = log().map_err(|error| TaskError::failed("OSError", error))?;
    log.write_all(line.as_bytes()).map_err(|error| TaskError::failed("OSError", error.to_string()))
}

/// The log, which all workers of a measurement append to; a line is one write, so that none is
/// torn.
fn log() -> Result<&'static File, String> {
    static LOG_FILE: OnceLock<Result<File, String>> = OnceLock::new();
    let open = || {
        #[expect(clippy::disallowed_methods, reason = "it is no setting of Rhubarb's")]
        let path = std::env::var(LOG).map_err(|error| format!("{LOG}: {error}"))?;
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.map_err(|error| error.to_string())
    };
    LOG_FILE.get_or_init(open).as_ref().map_err(Clone::clone)
}

/// Registers them.
pub(crate) fn register(app: &mut App) {
    app.task("bench.noop", noop);
    app.task("bench.mark", mark);
}
