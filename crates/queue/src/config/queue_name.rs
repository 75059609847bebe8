//! What may be a queue's name: one rule for the file, the environment, the command line, the
//! library, and messages.

use std::sync::Arc;

use rhubarb_schedule::ScheduleConfig;

use super::{CeleryConfig, Config, UnknownTasks};

pub use rhubarb_config::{LONGEST_QUEUE_NAME as MAX, is_queue_name as is_valid};

/// The rule as a person reads it.
pub const RULE: &str = "a queue's name has 1 to 512 characters and no control characters";

/// What the names of other keys begin with, behind the broker's prefix, and whose they are.
const BEGINNINGS: [(&str, &str); 2] = [("rhubarb:", "Rhubarb's own"), ("_kombu.", "kombu's")];
/// Names that are other keys, or whose bindings would be those of other exchanges, behind the
/// broker's prefix.
const WHOLE: [&str; 6] = [
    "unacked",
    "unacked_index",
    "unacked_mutex",
    "celery.pidbox",
    "reply.celery.pidbox",
    "celeryev",
];
/// What the names of the lists end with on which clients of remote control wait for replies.
const REPLIES: &str = ".reply.celery.pidbox";
/// What the keys of results and groups begin with, behind the results' prefix.
const RESULTS: [&str; 2] = ["celery-task-meta-", "celery-taskset-meta-"];
/// RedBeat's default prefix, which has no other in front.
const REDBEAT: &str = "redbeat:";

/// Checks that a queue may be named so: the name has the form of one, and its list and bindings are
/// no other keys.
///
/// # Errors
///
/// What is wrong with it and what to do, as a sentence.
pub fn check(name: &str, celery: &CeleryConfig) -> Result<(), String> {
    if !is_valid(name) {
        return Err(RULE.to_owned());
    }
    match owner(name, celery) {
        None => Ok(()),
        Some(owner) => Err(format!(
            "no queue can be named {name:?}: such names are {owner} keys; give it another name"
        )),
    }
}

/// Whose key a queue's list would be.
fn owner(name: &str, celery: &CeleryConfig) -> Option<&'static str> {
    if let Some((_, owner)) = BEGINNINGS.iter().find(|(begin, _)| name.starts_with(begin)) {
        return Some(owner);
    }
    if WHOLE.contains(&name) || name.ends_with(REPLIES) {
        return Some("kombu's");
    }
    let (prefix, joint) = celery.result_prefix_parts();
    let begins = |expected: [&str; 3]| {
        let mut key = celery.global_keyprefix.bytes().chain(name.bytes());
        expected.iter().flat_map(|part| part.bytes()).all(|byte| key.next() == Some(byte))
    };
    if RESULTS.iter().any(|kind| begins([prefix, joint, kind])) {
        return Some("Celery's");
    }
    begins([REDBEAT, "", ""]).then_some("RedBeat's")
}

/// Returns a problem for each name in a configuration that no queue can have.
pub(crate) fn wrong_names(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let celery = &config.celery;
    let mut look = |place: &str, name: &str| {
        problems.extend(check(name, celery).err().map(|problem| format!("{place}: {problem}")));
    };
    look("celery.task_default_queue", &celery.task_default_queue);
    for name in &config.worker.queues {
        look("worker.queues", name);
    }
    if let UnknownTasks::Forward(name) = &config.worker.unknown_tasks {
        look("worker.unknown_tasks", name);
    }
    for route in celery.task_routes.iter() {
        let place = || format!("celery.task_routes.{:?}", route.pattern);
        route.queue.iter().for_each(|name| look(&place(), name));
    }
    problems
}

/// Returns a problem for each queue that no schedule can publish to.
pub fn wrong_in_schedules<'s>(
    schedules: impl IntoIterator<Item = (&'s String, &'s Arc<ScheduleConfig>)>,
    celery: &CeleryConfig,
) -> Vec<String> {
    let mut problems = Vec::new();
    for (schedule, entry) in schedules {
        // What is no name at all was told where the entry was read.
        for name in entry.queue.iter().filter(|name| is_valid(name)) {
            let wrong = check(name, celery).err();
            problems.extend(wrong.map(|problem| format!("schedules.{schedule}.queue: {problem}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_bounded_and_printable() {
        assert!(is_valid("celery") && is_valid(&"q".repeat(MAX)));
        for name in ["", "x\ny", &"q".repeat(MAX + 1)] {
            assert!(!is_valid(name), "{name:?}");
        }
    }

    fn refused(prefix: &str, results: &str, name: &str) -> bool {
        let celery = CeleryConfig {
            global_keyprefix: prefix.into(),
            result_global_keyprefix: results.into(),
            ..CeleryConfig::default()
        };
        check(name, &celery).is_err()
    }

    #[test]
    fn names_that_are_other_keys_are_refused() {
        for name in [
            "rhubarb:{celery}:paused",
            "rhubarb:queues",
            "rhubarb:",
            "_kombu.binding.celery",
            "_kombu.binding_permanent.celery",
            "unacked",
            "unacked_index",
            "unacked_mutex",
            "celery-task-meta-1",
            "celery-taskset-meta-1.j",
            "1.reply.celery.pidbox",
            "reply.celery.pidbox",
            "celery.pidbox",
            "celeryev",
            "redbeat::schedule",
        ] {
            assert!(refused("", "", name), "{name}");
        }
        for name in
            ["celery", "rhubarb", "celery-tasks", "unacked mail", "redbeat", "{x}", "events"]
        {
            assert!(!refused("", "", name), "{name}");
        }
    }

    #[test]
    fn under_a_prefix_only_what_would_be_another_key_is_refused() {
        for (prefix, results, name, expect) in [
            ("a:", "", "rhubarb:queues", true),
            ("a:", "", "a:rhubarb:queues", false),
            ("a:", "", "celery-task-meta-1", false),
            ("a:", "a:", "celery-task-meta-1", true),
            ("a:", "a", "celery-task-meta-1", false),
            ("a", "a", "_celery-task-meta-1", true),
            ("", "shop:", "shop:celery-taskset-meta-1", true),
            ("", "shop:", "celery-task-meta-1", false),
            ("a:", "", "redbeat:x", false),
            ("red", "", "beat:x", true),
        ] {
            assert_eq!(refused(prefix, results, name), expect, "{prefix:?} {results:?} {name}");
        }
    }
}
