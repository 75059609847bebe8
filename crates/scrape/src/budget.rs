//! How much reading a page may cost: CPU time and memory, for the page, its source and the process.
//!
//! A page chooses how long it is read and how much is made of it: a few kilobytes, decompressed,
//! keep selectors busy for minutes or become a gigabyte of JSON objects. So every loop over what a
//! page holds spends of a [`Budget`], and ends with the page when nothing is left.

use std::{
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread::available_parallelism,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Reading one page may take this much CPU time. Real pages take milliseconds.
pub const PAGE_CPU: Duration = Duration::from_secs(2);

/// Reading all pages of a source may take this much CPU time.
pub const SOURCE_CPU: Duration = Duration::from_secs(10);

/// What is made of a page may hold this many bytes, and three times the page's own on top.
pub const PAGE_MEMORY: usize = 16 << 20;

/// What is made of the shortest page may hold this many bytes.
const LEAST_MEMORY: usize = 1 << 20;

/// All pages that are read at once may hold this many bytes together.
const ALL_MEMORY: usize = 192 << 20;

/// The unit of the process's bound.
const UNIT: usize = 64 << 10;

/// The clock is a system call: it is looked at after so many steps.
const STEPS: usize = 32;

/// Memory for all pages that are read at once, in [`UNIT`]s.
static PAGES: Semaphore = Semaphore::const_new(ALL_MEMORY / UNIT);

/// As many pages are read at once as there are cores, and a few more beside slow ones: each takes a
/// thread.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, |cores| cores.get());
    Semaphore::new(cores + 2)
});

/// Why a page was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// [`PAGE_CPU`], or what was left of [`SOURCE_CPU`], is used up.
    #[error("reading it takes too much CPU time")]
    Cpu,
    /// What is made of it is larger than allowed.
    #[error("reading it takes too much memory")]
    Memory,
    /// Elements are nested deeper than on any page for people.
    #[error("it is nested too deeply")]
    Depth,
    /// The source has ended: nobody waits for the page.
    #[error("its source has ended")]
    Ended,
}

/// What is left for reading one page.
#[derive(Debug)]
pub struct Budget {
    source: Option<Allowance>,
    /// The thread's CPU time at which the page has had its share.
    cpu_end: Duration,
    begun: Duration,
    memory: AtomicUsize,
    steps: AtomicUsize,
    /// What is used up: none of it comes back.
    spent: OnceLock<TooMuch>,
}

/// What is left to a source for reading; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowance(Arc<Left>);

#[derive(Debug, Default)]
struct Left {
    ended: AtomicBool,
    used_ns: AtomicU64,
}

/// Ends what still reads for a source, as soon as nobody waits for it.
#[derive(Debug, Default)]
pub(crate) struct SourceEnd(Allowance);

impl SourceEnd {
    pub(crate) fn allowance(&self) -> Allowance {
        self.0.clone()
    }
}

impl Drop for SourceEnd {
    fn drop(&mut self) {
        self.0.0.ended.store(true, Relaxed);
    }
}

impl Allowance {
    fn cpu_left(&self) -> Duration {
        SOURCE_CPU.saturating_sub(Duration::from_nanos(self.0.used_ns.load(Relaxed)))
    }
}

impl Budget {
    /// Returns the budget of a page of so many bytes, to be read on this thread from now on.
    pub(crate) fn of_page(bytes: usize, source: Allowance) -> Self {
        let mut budget = Self::unlimited();
        budget.begun = thread_cpu();
        budget.cpu_end = budget.begun + PAGE_CPU.min(source.cpu_left());
        budget.memory = AtomicUsize::new(memory_of_page(bytes));
        budget.source = Some(source);
        budget
    }

    /// Returns a budget without an end, for what is bounded already.
    pub const fn unlimited() -> Self {
        Self {
            source: None,
            cpu_end: Duration::MAX,
            begun: Duration::ZERO,
            memory: AtomicUsize::new(usize::MAX),
            steps: AtomicUsize::new(0),
            spent: OnceLock::new(),
        }
    }

    /// Takes one step of a loop.
    ///
    /// # Errors
    /// Something is used up.
    pub(crate) fn step(&self) -> Result<(), TooMuch> {
        let steps = self.steps.load(Relaxed);
        self.steps.store(steps.wrapping_add(1), Relaxed);
        if steps.is_multiple_of(STEPS) { self.look() } else { self.spent() }
    }

    /// Looks at the clock, for what takes longer than a step.
    ///
    /// # Errors
    /// As for [`Budget::step`].
    pub(crate) fn look(&self) -> Result<(), TooMuch> {
        let Some(source) = &self.source else { return Ok(()) };
        if source.0.ended.load(Relaxed) {
            self.use_up(TooMuch::Ended);
        } else if thread_cpu() > self.cpu_end {
            self.use_up(TooMuch::Cpu);
        }
        self.spent()
    }

    /// Takes memory for what is about to be made; nothing is given back before the page's end.
    ///
    /// # Errors
    /// As for [`Budget::step`].
    pub(crate) fn take(&self, bytes: usize) -> Result<(), TooMuch> {
        match self.memory.load(Relaxed).checked_sub(bytes) {
            Some(left) => self.memory.store(left, Relaxed),
            None => self.use_up(TooMuch::Memory),
        }
        self.spent()
    }

    /// Tells whether something is used up.
    ///
    /// # Errors
    /// What it is, the first of several.
    pub(crate) fn spent(&self) -> Result<(), TooMuch> {
        self.spent.get().copied().map_or(Ok(()), Err)
    }

    fn use_up(&self, what: TooMuch) {
        let _first_counts = self.spent.set(what);
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        let Some(source) = &self.source else { return };
        let used = thread_cpu().saturating_sub(self.begun);
        source.0.used_ns.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }
}

/// Waits until a page may be read beside the others, whatever its length.
///
/// # Cancel safety
/// A dropped call takes nothing.
pub(crate) async fn turn() -> SemaphorePermit<'static> {
    TURNS.acquire().await.expect("it is never closed")
}

/// Waits until a page of so many bytes fits beside those that are read now.
///
/// # Cancel safety
/// A dropped call takes nothing.
pub(crate) async fn room(bytes: usize) -> SemaphorePermit<'static> {
    // The body as it came, and as text.
    let whole = memory_of_page(bytes).saturating_add(bytes.saturating_mul(2)).min(ALL_MEMORY);
    let units = u32::try_from(whole.div_ceil(UNIT)).unwrap_or(u32::MAX);
    PAGES.acquire_many(units).await.expect("it is never closed")
}

fn memory_of_page(bytes: usize) -> usize {
    // A short page cannot become large: 200 bytes for each of its own are more than any makes.
    let made = bytes.saturating_mul(200).clamp(LEAST_MEMORY, PAGE_MEMORY);
    made.saturating_add(bytes.saturating_mul(3))
}

fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_stays_so() {
        let budget = Budget::of_page(100, Allowance::default());
        assert_eq!(budget.take(1_000), Ok(()));
        assert_eq!(budget.take(usize::MAX), Err(TooMuch::Memory));
        assert_eq!((budget.take(0), budget.step()), (Err(TooMuch::Memory), Err(TooMuch::Memory)));
    }

    #[test]
    fn the_end_of_a_source_ends_what_reads_for_it() {
        let source = SourceEnd::default();
        let budget = Budget::of_page(100, source.allowance());
        assert_eq!(budget.look(), Ok(()));
        drop(source);
        assert_eq!(budget.look(), Err(TooMuch::Ended));
    }

    #[test]
    fn the_pages_of_a_source_share_its_cpu_time() {
        let source = SourceEnd::default();
        source.allowance().0.used_ns.store(u64::MAX, Relaxed);
        let next = Budget::of_page(100, source.allowance());
        while next.look().is_ok() {}
        assert_eq!(next.look(), Err(TooMuch::Cpu));
    }
}
