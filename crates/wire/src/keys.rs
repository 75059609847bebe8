//! The names of Celery's keys in Redis.

/// Kombu's separator between the name of a queue and its priority step.
pub const SEPARATOR: &str = "\u{6}\u{16}";

/// Kombu's priority steps; 0 is the most urgent.
pub const STEPS: [u8; 4] = [0, 3, 6, 9];

/// The prefix of result keys.
pub const RESULT_PREFIX: &str = "celery-task-meta-";

/// The list that holds messages of this priority: that of the greatest step not above it.
///
/// `steps` ascend. Without any step, and for step 0, it is the queue's own name.
pub fn queue_list(queue: &str, priority: u8, steps: &[u8], separator: &str) -> String {
    let below = steps.iter().rev().find(|step| **step <= priority);
    // Kombu indexes with -1 when the priority is below every step, and so takes the last.
    match below.or(steps.last()) {
        None | Some(0) => queue.to_owned(),
        Some(step) => format!("{queue}{separator}{step}"),
    }
}

/// Every list of a queue, the most urgent first.
pub fn lists(queue: &str, steps: &[u8], separator: &str) -> Vec<String> {
    if steps.is_empty() {
        return vec![queue.to_owned()];
    }
    steps.iter().map(|step| queue_list(queue, *step, steps, separator)).collect()
}

/// The sets that tell producers of a queue; newer kombu (5.7) reads the second too.
pub fn binding_keys(queue: &str) -> [String; 2] {
    [format!("_kombu.binding.{queue}"), format!("_kombu.binding_permanent.{queue}")]
}

/// The member of a queue in its [`binding_keys`]: routing key, empty pattern, queue.
pub fn binding_member(queue: &str, separator: &str) -> String {
    format!("{queue}{separator}{separator}{queue}")
}

/// The key, and the channel, of a task's result.
pub fn result_key(prefix: &str, id: &str) -> String {
    format!("{prefix}{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_goes_to_the_step_below() {
        let check = |priority: u8, expected: &str| {
            assert_eq!(queue_list("celery", priority, &STEPS, SEPARATOR), expected);
        };
        check(0, "celery");
        check(2, "celery");
        check(3, "celery\u{6}\u{16}3");
        check(8, "celery\u{6}\u{16}6");
        check(255, "celery\u{6}\u{16}9");
        assert_eq!(queue_list("q", 7, &[], ":"), "q");
        assert_eq!(queue_list("q", 1, &[2, 5], ":"), "q:5");
    }

    #[test]
    fn lists_come_most_urgent_first() {
        assert_eq!(lists("q", &STEPS, ":"), ["q", "q:3", "q:6", "q:9"]);
        assert_eq!(lists("q", &[], ":"), ["q"]);
    }

    #[test]
    fn bindings_and_results_are_named_as_celery_names_them() {
        assert_eq!(binding_member("celery", SEPARATOR), "celery\u{6}\u{16}\u{6}\u{16}celery");
        assert_eq!(binding_keys("celery")[0], "_kombu.binding.celery");
        assert_eq!(result_key(RESULT_PREFIX, "1"), "celery-task-meta-1");
    }
}
