//! The binary `worker`: the scraping tasks in a worker.

use rhubarb_settings::Settings;

/// Gives freed memory back within seconds, and takes a sixth off a task's CPU; see
/// `docs/internals/performance.md`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    rhubarb::main_with(|app, settings: Settings| {
        rhubarb_jobs::tasks::register(app, &settings.scraping, &settings.cache)
    })
}
