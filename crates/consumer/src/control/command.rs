//! A command's arguments, read as Python's keyword arguments are: a wrong one is an error that says
//! so in Python's words.

use rhubarb_queue::revocations;
use rhubarb_wire::repr;
use serde_json::{Map, Value};

/// The most ids that one command may name.
const MAX_IDS: usize = revocations::MAX;
/// The longest id, bytes.
const MAX_ID: usize = 512;

/// The arguments of one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Arguments<'a> {
    /// Returns an argument that is there and not null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    /// Returns a text that has to be there, or what is wrong.
    pub(super) fn required(&self, method: &str, name: &str) -> Result<&'a str, String> {
        self.text(name).ok_or_else(|| missing(method, name))
    }

    /// Tells whether an argument is there and true as Python sees it: Flower 2.2 sends 1.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
        }
    }

    /// Returns an id, or a list of them, each once and in order, or what is wrong.
    pub(super) fn ids(&self, method: &str, name: &str) -> Result<Vec<String>, String> {
        let given = match self.get(name) {
            None => return Err(missing(method, name)),
            Some(Value::Array(ids)) => ids.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        if given.len() > MAX_IDS {
            return Err(format!("ValueError('more than {MAX_IDS} ids at once')"));
        }
        let mut ids: Vec<String> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for id in given {
            let id = id.as_str().filter(|id| is_id(id));
            let id = id.ok_or_else(|| "ValueError('a task id is a short text')".to_owned())?;
            if seen.insert(id) {
                ids.push(id.to_owned());
            }
        }
        Ok(ids)
    }

    /// Returns a number of slots: one when none is given.
    pub(super) fn count(&self, name: &str) -> Result<usize, String> {
        match self.get(name) {
            None => Ok(1),
            Some(value) => value
                .as_u64()
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| format!("ValueError('{name} is no count: {}')", repr(value))),
        }
    }
}

/// Tells whether a text may be a task's id.
pub(super) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_ID
}

fn missing(method: &str, name: &str) -> String {
    let text = format!("{method}() missing 1 required positional argument: '{name}'");
    format!("TypeError({})", quoted(&text))
}

/// Returns a text as Python's `repr` has it.
pub(super) fn quoted(text: &str) -> String {
    repr(&Value::String(text.to_owned()))
}

/// Returns a set of ids as Python prints it.
pub(super) fn set_of(ids: &[String]) -> String {
    if ids.is_empty() {
        return "set()".to_owned();
    }
    let quoted: Vec<String> = ids.iter().map(|id| quoted(id)).collect();
    format!("{{{}}}", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(given: &Value) -> Result<Vec<String>, String> {
        let map = json!({"task_id": given}).as_object().unwrap().clone();
        Arguments(&map).ids("revoke", "task_id")
    }

    #[test]
    fn ids_are_one_or_a_list_each_once() {
        assert_eq!(ids(&json!("a")).unwrap(), ["a"]);
        assert_eq!(ids(&json!(["b", "a", "b"])).unwrap(), ["b", "a"]);
        assert!(ids(&json!([])).unwrap().is_empty());
        assert_eq!(
            ids(&json!(null)).unwrap_err(),
            r#"TypeError("revoke() missing 1 required positional argument: 'task_id'")"#
        );
        for wrong in [json!(1), json!([""]), json!({}), json!(vec!["a"; MAX_IDS + 1])] {
            assert!(ids(&wrong).is_err());
        }
    }

    #[test]
    fn a_flag_is_true_as_python_sees_it() {
        let flag = |given: &Value| {
            let map = json!({"terminate": given}).as_object().unwrap().clone();
            Arguments(&map).flag("terminate")
        };
        for yes in [json!(true), json!(1), json!("x"), json!([0])] {
            assert!(flag(&yes), "{yes}");
        }
        for no in [json!(false), json!(0), json!(0.0), json!(""), json!([]), json!({}), json!(null)]
        {
            assert!(!flag(&no), "{no}");
        }
    }

    #[test]
    fn sets_are_printed_as_python_prints_them() {
        assert_eq!(set_of(&["a".to_owned(), "b".to_owned()]), "{'a', 'b'}");
        assert_eq!(set_of(&[]), "set()");
    }
}
