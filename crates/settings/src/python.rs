//! `[python]`. It stands here and not in `rhubarb-python`, because the beat and the command line tell
//! what is wrong with it too, and compile no worker.

use rhubarb_config::{rules::MIB, settings};

const NAMES: &str = "a list of at most 1000 names";

settings! {
    /// Python tasks: the worker runs those of a Celery application too, in Python processes.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PythonConfig {
        /// The Celery application, as for `celery -A`: `module:attribute` or a module. Without it no
        /// Python is started.
        app: Option<String> = None,
            accepts "a module, or `module:attribute`", if |app| is_app(app.as_deref()),
            example "\"shop.celery:app\"";
        /// How many Python processes there are, each of which runs one task at a time; 0 means one
        /// for each core. Where worker.concurrency is not set, it is this number.
        processes: usize = 0, accepts "0 to 1000 (0 for one a core)", if |n| *n <= 1000;
        /// The program that runs Python: a path, or a name that is looked for on the PATH.
        interpreter: String = "python3".to_owned(),
            accepts "a path or a name", if |text| !text.trim().is_empty();
        /// Modules to import before the application.
        preload: Vec<String> = Vec::new(), accepts NAMES, if |names| names.len() <= 1000;
        /// After how many tasks a process is replaced; 0 means never.
        max_tasks_per_child: u64 = 0;
        /// Over how much memory, at its peak, a process is replaced after its task; 0 means never.
        max_memory_per_child: usize = 0,
            accepts "0 (off), or 16 MiB to 1024 GiB",
            if |n| *n == 0 || (16 * MIB..=1 << 40).contains(n);
        /// Names that run in Python although Rust has them too.
        prefer: Vec<String> = Vec::new(), accepts NAMES, if |names| names.len() <= 1000;
        /// Whether a task whose process died fails with Celery's WorkerLostError. Otherwise it runs
        /// again, at most worker.max_deliveries times. A task's own `reject_on_worker_lost` wins:
        /// True runs again, False fails.
        fail_lost: bool = false;
        /// Whether an application that cannot be imported keeps the worker from starting, with exit
        /// code 3. Otherwise it is told, and the worker runs its other tasks.
        strict: bool = false;
    }
}

fn is_app(app: Option<&str>) -> bool {
    app.is_none_or(|app| !app.trim().is_empty() && !app.chars().any(char::is_whitespace))
}
