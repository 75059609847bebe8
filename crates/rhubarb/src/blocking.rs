//! Blocking functions as task handlers: each call on a thread of its own, of which there are only
//! so many.
//!
//! A thread cannot be ended from outside. A call whose task has ended without it (its hard limit
//! has passed, remote control has terminated it, the worker hands it back) goes on in vain, and
//! keeps its thread's place until it returns: handlers that hang fill the places there are and
//! never the machine.

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
};

use rhubarb_trace::Here;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Span;

use crate::{
    error::TaskError,
    extract::{Call, FromCall, States},
    output::{IntoTaskResult, TaskResult},
    panics::{self, Panic},
    slot::Slot,
};

/// A blocking function of up to eight parameters, each a [`FromCall`].
///
/// `Parameters` only tells the implementations apart; it is never named.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a blocking task",
    label = "is no function that a blocking task can run",
    note = "it has up to eight parameters: `Args<T>` with `T: DeserializeOwned`, `State<S>`, `TaskContext`",
    note = "it returns `R` or `Result<R, E>` with `R: Serialize`; `E` is `TaskError`, `anyhow::Error`, a `std::error::Error + Send + Sync`, or a `String`"
)]
pub trait BlockingHandler<Parameters>: Send + Sync + 'static {
    /// Runs the handler on one call, on the thread that it is called on.
    fn call(&self, call: Call) -> TaskResult;

    /// Returns what its parameters miss.
    fn missing(states: &States) -> Vec<&'static str>;

    /// Says why what it returns can end no task; see [`IntoTaskResult::refused`].
    fn refused() -> Option<String>;

    /// Tells whether it is an errback that is called where a task fails.
    fn is_told_of_failures() -> bool;
}

macro_rules! handler {
    ($($parameter:ident)*) => {
        impl<Function, R, Way, $($parameter,)*> BlockingHandler<(Way, $($parameter,)*)> for Function
        where
            Function: Fn($($parameter),*) -> R + Send + Sync + 'static,
            R: IntoTaskResult<Way>,
            Way: 'static,
            $($parameter: FromCall,)*
        {
            #[allow(non_snake_case, unused_mut, reason = "one body serves every number of parameters")]
            fn call(&self, mut call: Call) -> TaskResult {
                // On a thread beside the runtime's, where waiting is allowed.
                let _runtime = tokio::runtime::Handle::current();
                $(let $parameter = _runtime.block_on($parameter::from_call(&mut call))?;)*
                call.finish()?;
                self($($parameter),*).into_task_result()
            }

            fn missing(_states: &States) -> Vec<&'static str> {
                let missing: Vec<Option<&'static str>> = vec![$($parameter::missing(_states)),*];
                missing.into_iter().flatten().collect()
            }

            fn refused() -> Option<String> {
                R::refused()
            }

            fn is_told_of_failures() -> bool {
                let told: Vec<bool> = vec![$($parameter::is_told_of_failures()),*];
                told.contains(&true)
            }
        }
    };
}

handler!();
handler!(T1);
handler!(T1 T2);
handler!(T1 T2 T3);
handler!(T1 T2 T3 T4);
handler!(T1 T2 T3 T4 T5);
handler!(T1 T2 T3 T4 T5 T6);
handler!(T1 T2 T3 T4 T5 T6 T7);
handler!(T1 T2 T3 T4 T5 T6 T7 T8);

/// A blocking handler whose parameters are forgotten.
pub(crate) type Function = dyn Fn(Call) -> TaskResult + Send + Sync;

/// The threads' places. Clones share them.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Places>);

struct Places {
    free: Arc<Semaphore>,
    size: usize,
    /// How many run calls that nobody waits for any more.
    left: AtomicUsize,
}

impl Threads {
    pub(crate) fn new(size: usize) -> Self {
        let free = Arc::new(Semaphore::new(size));
        Self(Arc::new(Places { free, size, left: AtomicUsize::new(0) }))
    }

    /// Waits for a free place and takes it.
    pub(crate) async fn take(&self) -> Thread {
        let permit = self.0.free.clone().acquire_owned().await;
        Thread { permit: permit.expect("the semaphore is never closed"), threads: self.clone() }
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = self.0.left.load(Ordering::Relaxed);
        f.debug_struct("Threads").field("size", &self.0.size).field("left", &left).finish()
    }
}

/// One thread's place; free for the next when dropped.
#[derive(Debug)]
pub(crate) struct Thread {
    permit: OwnedSemaphorePermit,
    threads: Threads,
}

/// Runs a blocking handler on a thread. What it holds is given back when the handler returns,
/// whoever waits.
///
/// # Cancel safety
///
/// A dropped call leaves the handler to itself.
pub(crate) async fn run(
    function: Arc<Function>,
    call: Call,
    thread: Thread,
    slot: Slot,
) -> TaskResult {
    let span = Span::current();
    let errand = Arc::new(Errand { state: AtomicU8::new(RUNS), threads: thread.threads, span });
    let awaited = Awaited(errand.clone());
    let permit = thread.permit;
    let here = Here::now();
    let running = tokio::task::spawn_blocking(move || {
        let returned = errand.span.in_scope(|| here.run(|| caught(&*function, call)));
        errand.has_ended();
        drop((slot, permit));
        returned
    });
    let ended = running.await;
    drop(awaited);
    match ended {
        Ok(Ok(returned)) => returned,
        Ok(Err((payload, place))) => panics::go_on(payload, place),
        // Nobody else aborts it: the runtime itself is ending.
        Err(_) => Err(TaskError::Cancelled),
    }
}

/// A panic and where it happened.
type Panicked = (Box<dyn Any + Send>, Option<Panic>);

fn caught(function: &Function, call: Call) -> Result<TaskResult, Panicked> {
    catch_unwind(AssertUnwindSafe(|| function(call))).map_err(|payload| (payload, panics::last()))
}

const RUNS: u8 = 0;
/// Nobody waits for it any more.
const LEFT: u8 = 1;
const ENDED: u8 = 2;

/// A call, as its thread and who waits for it see it.
struct Errand {
    state: AtomicU8,
    threads: Threads,
    span: Span,
}

impl Errand {
    fn has_ended(&self) {
        if self.state.swap(ENDED, Ordering::SeqCst) != LEFT {
            return;
        }
        let Places { left, size, .. } = &*self.threads.0;
        let left = left.fetch_sub(1, Ordering::SeqCst) - 1;
        tracing::info!(parent: &self.span, left, threads = size, "a blocking task's thread is free again");
    }

    fn is_left(&self) {
        let now = self.state.compare_exchange(RUNS, LEFT, Ordering::SeqCst, Ordering::SeqCst);
        if now.is_err() {
            return;
        }
        let Places { left, size, .. } = &*self.threads.0;
        let left = left.fetch_add(1, Ordering::SeqCst) + 1;
        tracing::warn!(
            parent: &self.span,
            left,
            threads = size,
            "a blocking task has ended without its handler, which keeps its thread until it returns"
        );
    }
}

/// Whoever waits for an errand; gone when dropped.
struct Awaited(Arc<Errand>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.is_left();
    }
}
