//! The binary `worker`: the scraping tasks in a worker.

/// Gives freed memory back within seconds, and takes a sixth off a task's CPU; see
/// `docs/internals/performance.md`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    rhubarb::main(rhubarb_jobs::tasks::register)
}
