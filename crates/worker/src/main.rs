//! The binary `worker`: the scraping tasks in a worker.

use rhubarb_connection::Role;
use rhubarb_settings::Settings;

/// The roles whose connections this worker has.
const ROLES: [Role; 4] = [Role::Queue, Role::Results, Role::Cache, Role::Jobs];

/// Gives freed memory back within seconds, and takes a sixth off a task's CPU; see
/// `docs/internals/performance.md`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    rhubarb::main_with(|app, settings: Settings| {
        let connections = app.connections().clone();
        // Beside the first claim, which does not wait for it.
        app.on_start(move || async move {
            tokio::spawn(async move { rhubarb_monitor::boot::tell(&connections, &ROLES).await });
        });
        rhubarb_jobs::tasks::register(app, &settings.scraping, &settings.cache)
    })
}
