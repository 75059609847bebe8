//! `[celery.task_routes]`: the queue, and the priority, of tasks whose call names none.
//!
//! The rules are those of `celery/app/routes.py` (`MapRoute`, read in 5.7.0): a name without `*` is
//! meant exactly and comes first; patterns follow in the order of the file, as shell patterns of
//! the whole name: `*` for any text, `?` for one character, `[ab]` and `[!ab]` for one of a set.

use std::ops::Deref;

use rhubarb_config::{Collection, Item, Key, Part, Reading, key, quoted};

use super::{CeleryConfig, queue_name};

/// Where tasks of a name, or of a pattern of names, go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The name, or a shell pattern where it has a `*`.
    pub pattern: String,
    /// The queue; absent means `task_default_queue`.
    pub queue: Option<String>,
    /// The priority; absent means `task_default_priority`.
    pub priority: Option<u8>,
}

/// All routes, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

impl Deref for Routes {
    type Target = [Route];

    fn deref(&self) -> &[Route] {
        &self.0
    }
}

impl Part for Routes {
    fn read(&mut self, reading: &mut Reading<'_>, place: &str, value: &toml::Value) {
        reading.begin(place);
        self.0 = read(value, reading.problems());
    }

    fn visit<'p>(&'p self, item: Item<'p>, see: &mut dyn FnMut(Item<'p>)) {
        see(item.of(self));
    }
}

impl Collection for Routes {
    fn print(&self, place: &str, from: &str) -> String {
        format!("{place} = {}  # {from}\n", self.value())
    }

    fn value(&self) -> String {
        let route = |Route { pattern, queue, priority }: &Route| {
            let queue = queue.as_ref().map(|queue| format!("queue = {}", quoted(queue)));
            let priority = priority.map(|priority| format!("priority = {priority}"));
            let keys: Vec<String> = queue.into_iter().chain(priority).collect();
            format!(" {} = {{ {} }}", key(pattern), keys.join(", "))
        };
        format!("{{{} }}", self.iter().map(route).collect::<Vec<_>>().join(","))
    }

    fn template(&self, place: &str) -> String {
        format!("[{place}]\n")
    }

    fn keys(&self) -> Vec<Key> {
        Vec::new()
    }
}

impl CeleryConfig {
    /// Returns the route of a task.
    pub fn route(&self, task: &str) -> Option<&Route> {
        let routes = &self.task_routes;
        let is_pattern = |route: &&Route| route.pattern.contains('*');
        let exact = routes.iter().filter(|route| !is_pattern(route));
        exact.into_iter().find(|route| route.pattern == task).or_else(|| {
            routes.iter().filter(is_pattern).find(|route| matches(&route.pattern, task))
        })
    }

    /// Returns the queue of a task whose call names none.
    pub fn queue_for(&self, task: &str) -> &str {
        self.route(task).and_then(|route| route.queue.as_ref()).unwrap_or(&self.task_default_queue)
    }

    /// Returns the priority of a task whose call names none.
    pub fn priority_for(&self, task: &str) -> u8 {
        self.route(task).and_then(|route| route.priority).unwrap_or(self.task_default_priority)
    }
}

/// Reads the section.
fn read(value: &toml::Value, problems: &mut Vec<String>) -> Vec<Route> {
    let toml::Value::Table(table) = value else {
        problems.push("celery.task_routes: a table is expected".to_owned());
        return Vec::new();
    };
    table.iter().filter_map(|(pattern, value)| route(pattern, value, problems)).collect()
}

fn route(pattern: &str, value: &toml::Value, problems: &mut Vec<String>) -> Option<Route> {
    let place = format!("celery.task_routes.{pattern:?}");
    let before = problems.len();
    if !is_name(pattern) {
        problems
            .push(format!("{place}: a task's name or pattern of 1 to 200 characters is expected"));
    }
    let mut route = Route { pattern: pattern.to_owned(), queue: None, priority: None };
    match value {
        toml::Value::String(name) => route.queue = queue(&place, name, problems),
        toml::Value::Table(keys) => {
            for (key, value) in keys {
                match (key.as_str(), value) {
                    ("queue", toml::Value::String(name)) => {
                        route.queue = queue(&format!("{place}.queue"), name, problems);
                    }
                    ("queue", _) => {
                        problems.push(format!("{place}.queue: a queue's name is expected"))
                    }
                    ("priority", value) => route.priority = priority(&place, value, problems),
                    _ => problems.push(format!(
                        "{place}.{key}: no such setting; known here: queue, priority"
                    )),
                }
            }
            if keys.is_empty() {
                problems.push(format!("{place}: queue or priority is expected"));
            }
        }
        _ => problems.push(format!(
            "{place}: a queue's name, or {{ queue = \"q\", priority = 3 }}, is expected"
        )),
    }
    (problems.len() == before).then_some(route)
}

fn queue(place: &str, name: &str, problems: &mut Vec<String>) -> Option<String> {
    if !queue_name::is_valid(name) {
        problems.push(format!("{place}: {}", queue_name::RULE));
        return None;
    }
    Some(name.to_owned())
}

fn priority(place: &str, value: &toml::Value, problems: &mut Vec<String>) -> Option<u8> {
    let priority = value.as_integer().and_then(|number| u8::try_from(number).ok());
    if priority.is_none() {
        problems.push(format!("{place}.priority: 0 (most urgent) to 255 is expected, not {value}"));
    }
    priority
}

fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Whether a shell pattern is the whole of a text.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where the last star stood, and how far the text had come: the one place to go back to.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match one(&pattern[at..], text[from]) {
            Step::Star => {
                star = Some((at + 1, from));
                at += 1;
            }
            Step::Took(length) => {
                at += length;
                from += 1;
            }
            Step::No => {
                let Some((after, reached)) = star else { return false };
                star = Some((after, reached + 1));
                (at, from) = (after, reached + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

enum Step {
    Star,
    /// The character fits a piece of the pattern of this length.
    Took(usize),
    No,
}

fn one(pattern: &[char], c: char) -> Step {
    let fits = |fits: bool, length: usize| if fits { Step::Took(length) } else { Step::No };
    match pattern.first() {
        None => Step::No,
        Some('*') => Step::Star,
        Some('?') => Step::Took(1),
        Some('[') => match set(pattern) {
            Some((members, inverted, length)) => fits(among(members, c) != inverted, length),
            None => fits(c == '[', 1),
        },
        Some(literal) => fits(*literal == c, 1),
    }
}

/// A set's members, whether they are excluded, and its length; nothing where the bracket is never
/// closed.
fn set(pattern: &[char]) -> Option<(&[char], bool, usize)> {
    let inverted = pattern.get(1) == Some(&'!');
    let start = if inverted { 2 } else { 1 };
    // A bracket that comes first is a member.
    let rest = pattern.get(start + 1..)?;
    let end = start + 1 + rest.iter().position(|c| *c == ']')?;
    Some((&pattern[start..end], inverted, end + 1))
}

fn among(members: &[char], c: char) -> bool {
    let mut members = members;
    while let Some((first, rest)) = members.split_first() {
        if let ['-', last, after @ ..] = rest {
            if (*first..=*last).contains(&c) {
                return true;
            }
            members = after;
        } else if *first == c {
            return true;
        } else {
            members = rest;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use rhubarb_config::Problems;

    use super::super::Config;

    fn config(text: &str) -> Result<Config, Problems> {
        Config::from_toml(&format!("[celery.task_routes]\n{text}"))
    }

    #[test]
    fn an_exact_name_wins_then_the_first_pattern_of_the_file() {
        let celery = config(
            "\"shop.*\" = \"shop\"\n\"*.mail\" = { queue = \"mail\", priority = 3 }\n\"shop.mail\" = { priority = 6 }\n\"*\" = \"rest\"",
        )
        .unwrap()
        .celery;
        for (task, queue, priority) in [
            ("shop.ship", "shop", 0),
            ("shop.mail", "celery", 6),
            ("hr.mail", "mail", 3),
            ("hr.mail.x", "rest", 0),
        ] {
            assert_eq!(
                (celery.queue_for(task), celery.priority_for(task)),
                (queue, priority),
                "{task}"
            );
        }
        let none = Config::from_toml("[celery]\ntask_default_priority = 5").unwrap().celery;
        assert_eq!((none.queue_for("t"), none.priority_for("t")), ("celery", 5));
    }

    #[test]
    fn patterns_are_those_of_the_shell() {
        for (pattern, text, expected) in [
            ("a.*", "a.", true),
            ("a.*", "b.a.", false),
            ("*a*b", "xaxbb", true),
            ("*a*b", "xaxbbc", false),
            ("a?c*", "abc", true),
            ("a?c*", "ac", false),
            ("[ab]x*", "bx", true),
            ("[!ab]x*", "bx", false),
            ("[a-c]*", "b", true),
            ("[a-c]*", "d", false),
            ("[]]*", "]", true),
            ("[a*", "[abc", true),
            ("a.b*", "aXb", false),
            ("*", "", true),
        ] {
            assert_eq!(super::matches(pattern, text), expected, "{pattern} {text}");
        }
        // One place to go back to: hostile patterns take no longer.
        let pattern = "*a".repeat(50) + "*b";
        assert!(!super::matches(&pattern, &"a".repeat(10_000)));
    }

    #[test]
    fn what_is_wrong_with_a_route_is_told_with_its_place() {
        for (text, expected) in [
            ("\"t\" = 5", "celery.task_routes.\"t\": a queue's name, or { queue"),
            ("\"t\" = {}", "celery.task_routes.\"t\": queue or priority is expected"),
            (
                "\"t\" = { priority = 300 }",
                "celery.task_routes.\"t\".priority: 0 (most urgent) to 255",
            ),
            ("\"t\" = { exchange = \"x\" }", "celery.task_routes.\"t\".exchange: no such setting"),
            ("\"t\" = \"\"", "celery.task_routes.\"t\": a queue's name has 1 to 512"),
            ("\"\" = \"q\"", "celery.task_routes.\"\": a task's name or pattern"),
        ] {
            let found = config(text).unwrap_err().0;
            assert!(found.iter().any(|problem| problem.contains(expected)), "{text}: {found:?}");
        }
        assert!(Config::from_toml("[celery]\ntask_routes = 1").is_err());
    }
}
