//! What Celery's worker takes on its command line, and ours has another use for or none.

use rhubarb_core::celery_flags::{
    Flag, Flags,
    Says::{ChangesNothing, Refused},
    Takes,
};

/// The flags of `celery worker` that have no meaning here.
pub(super) struct OfWorker;

impl Flags for OfWorker {
    const OWN: &'static [Flag] = &[
        Flag {
            short: None,
            long: &["without-gossip"],
            takes: Takes::Nothing,
            says: |_| ChangesNothing("workers do not gossip"),
        },
        Flag {
            short: Some('O'),
            long: &["optimization"],
            takes: Takes::OneOf(&["default", "fair"]),
            says: |_| {
                ChangesNothing(
                    "a task is claimed only when a slot is free, which is what `fair` asks for",
                )
            },
        },
        Flag {
            short: None,
            long: &["prefetch-multiplier"],
            takes: Takes::Number,
            says: |_| ChangesNothing("nothing is fetched before a slot is free"),
        },
        Flag {
            short: None,
            long: &["disable-prefetch"],
            takes: Takes::Nothing,
            says: |_| ChangesNothing("nothing is fetched before a slot is free"),
        },
        Flag {
            short: None,
            long: &["pool-start-method"],
            takes: Takes::OneOf(&["fork", "spawn"]),
            says: |_| ChangesNothing("there are no child processes"),
        },
        Flag {
            short: None,
            long: &["max-tasks-per-child"],
            takes: Takes::Number,
            says: |_| {
                ChangesNothing(
                    "there are no child processes; worker.max_memory lets a worker that has grown start anew",
                )
            },
        },
        Flag {
            short: None,
            long: &["max-memory-per-child"],
            takes: Takes::Number,
            says: |_| {
                ChangesNothing(
                    "there are no child processes; worker.max_memory lets a worker that has grown start anew",
                )
            },
        },
        Flag {
            short: Some('S'),
            long: &["statedb"],
            takes: Takes::Text,
            says: |_| ChangesNothing("revocations are kept in Redis, for all workers"),
        },
        Flag {
            short: Some('I'),
            long: &["include"],
            takes: Takes::Text,
            says: |_| ChangesNothing("tasks are those that the program registers"),
        },
        Flag {
            short: None,
            long: &["heartbeat-interval"],
            takes: Takes::Number,
            says: |_| ChangesNothing("a heartbeat is sent every 2 s"),
        },
        Flag {
            short: Some('s'),
            long: &["schedule-filename", "schedule"],
            takes: Takes::Text,
            says: |_| ChangesNothing("a worker publishes no schedules, `beat` does"),
        },
        Flag {
            short: None,
            long: &["scheduler"],
            takes: Takes::Text,
            says: |_| ChangesNothing("a worker publishes no schedules, `beat` does"),
        },
        Flag {
            short: Some('B'),
            long: &["beat"],
            takes: Takes::Nothing,
            says: |_| Refused("start `beat` as a process of its own, beside any number of workers"),
        },
        Flag {
            short: Some('D'),
            long: &["detach"],
            takes: Takes::Nothing,
            says: |_| {
                Refused(
                    "a worker stays in the foreground; let a supervisor (systemd, a Procfile) start it",
                )
            },
        },
        Flag {
            short: None,
            long: &["purge", "discard"],
            takes: Takes::Nothing,
            says: |_| Refused("a worker deletes no tasks; `rhubarb purge QUEUE` does"),
        },
    ];
}

/// Reads `--pool`, and returns the name of one of Celery's pools.
pub(super) fn pool(text: &str) -> Result<String, String> {
    match text {
        "prefork" | "processes" | "eventlet" | "gevent" | "threads" | SOLO => Ok(text.to_owned()),
        "custom" => Err("no class of Python's is loaded".to_owned()),
        _ => Err("prefork, processes, threads, eventlet, gevent or solo is expected".to_owned()),
    }
}

/// The pool that runs one task at a time.
pub(super) const SOLO: &str = "solo";

/// Returns the greater of the two numbers of `--autoscale MAX,MIN`: a slot that is free costs
/// nothing.
pub(super) fn autoscale(text: &str) -> Result<u16, String> {
    let bounds: Result<Vec<u16>, _> = text.split(',').map(|part| part.trim().parse()).collect();
    let bounds = bounds.ok().filter(|bounds| bounds.len() <= 2);
    let most = bounds.and_then(|bounds| bounds.into_iter().max());
    most.filter(|most| (1..=1000).contains(most)).ok_or_else(|| {
        "one or two whole numbers, the greater from 1 to 1000, are expected".to_owned()
    })
}

/// Reads `--concurrency`: a number, or `auto` for what the machine has.
pub(super) fn concurrency(text: &str) -> Result<u16, String> {
    let number = if text == "auto" { Ok(0) } else { text.parse() };
    number.ok().filter(|n| *n <= 1000).ok_or_else(|| "0 to 1000, or `auto`, is expected".to_owned())
}
