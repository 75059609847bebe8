//! Calling options, as maps by Celery's names.

use std::collections::HashSet;

use rhubarb_wire::open;
use serde_json::{Map, Value};

/// Options that a chain reads itself instead of handing them to its first step.
const CHAIN_OWN: [&str; 8] =
    ["chord", "group_id", "group_index", "link", "link_error", "parent_id", "root_id", "task_id"];

pub(super) type Options = Map<String, Value>;

/// `own` with `over` on it; nulls in `over` say nothing.
pub(super) fn overlay(own: &mut Options, over: Options) {
    for (key, value) in over {
        if !value.is_null() || !own.contains_key(&key) {
            own.insert(key, value);
        }
    }
}

/// As [`overlay`], but what a task belongs to and its stamps stay: changing them would stall the
/// tasks around it.
pub(super) fn merge(own: &mut Options, over: Options) {
    let stamped: HashSet<String> = names(own.get("stamped_headers")).into_iter().collect();
    let fixed = |own: &Options, key: &str| {
        own.contains_key(key)
            && (key == "group_id" || key == "stamped_headers" || stamped.contains(key))
    };
    for (key, value) in over {
        if !value.is_null() && !fixed(own, &key) {
            own.insert(key, value);
        }
    }
}

/// The options of a chain that go to its first step.
pub(super) fn for_first_step(options: &Options) -> Options {
    let passed = |(key, _): &(&String, &Value)| !CHAIN_OWN.contains(&key.as_str());
    options.iter().filter(passed).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Takes an option that says something.
pub(super) fn take(options: &mut Options, key: &str) -> Option<Value> {
    match options.shift_remove(key)? {
        Value::Null => None,
        // A number that is not written as we write it: what it is counts here.
        text @ Value::String(_) => Some(open(text)),
        value => Some(value),
    }
}

/// Takes a text that says something; anything else goes too.
pub(super) fn take_text(options: &mut Options, key: &str) -> Option<String> {
    match take(options, key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

pub(super) fn text(options: &Options, key: &str) -> Option<String> {
    match open(options.get(key).filter(|value| value.is_string())?.clone()) {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// A single value stands for a list of itself; null for none.
pub(super) fn items(value: Option<Value>) -> Vec<Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(single) => vec![single],
    }
}

/// The texts of a list.
pub(super) fn names(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
