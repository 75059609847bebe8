//! The binary `worker`: the scraping tasks in a worker, and those of a Python application.

use rhubarb::App;
use rhubarb_connection::Role;
use rhubarb_python::Options;
use rhubarb_settings::Settings;

/// The roles whose connections this worker has.
const ROLES: [Role; 4] = [Role::Queue, Role::Results, Role::Cache, Role::Jobs];

/// Gives freed memory back within seconds, and takes a sixth off a task's CPU; see
/// `docs/internals/performance.md`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    rhubarb::main_with_async(async |app: &mut App, settings: Settings| {
        let connections = app.connections().clone();
        // Beside the first claim, which does not wait for it.
        app.on_start(move || async move {
            tokio::spawn(async move { rhubarb_monitor::boot::tell(&connections, &ROLES).await });
        });
        rhubarb_jobs::tasks::register(app, &settings.scraping, &settings.cache)?;
        match python(app, &settings) {
            Some(python) => rhubarb_python::register(app, python).await,
            None => Ok(()),
        }
    })
}

/// What runs Python tasks, where there are any.
fn python(app: &App, settings: &Settings) -> Option<Options> {
    let python = settings.python.clone();
    let processes = match python.processes {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        set => set,
    };
    Some(Options {
        app: python.app?,
        processes,
        interpreter: python.interpreter,
        preload: python.preload,
        max_tasks_per_child: python.max_tasks_per_child,
        max_memory_per_child: python.max_memory_per_child as u64,
        prefer: python.prefer.into_iter().collect(),
        fail_lost: python.fail_lost,
        strict: python.strict,
        log: settings.log.level.to_lowercase(),
        database: app.connections().role(Role::Queue).db().into(),
    })
}
