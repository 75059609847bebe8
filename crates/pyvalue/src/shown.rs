//! A value for a person to read: all of it, whatever it is.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::{json::django::key_text, value::PyValue};

impl PyValue {
    /// Returns the value as JSON for a person, without leaving anything out.
    ///
    /// It is [`PyValue::to_json`]'s; what JSON cannot hold is an object that says what it is:
    /// `{"$bytes": "\\x00abc"}`, `{"$int": "…"}` outside 64 bits, `{"$float": "nan"}`, and
    /// `{"$dict": [[key, value], …]}` for a dict whose keys are not different texts (or are one
    /// that looks like these).
    pub fn shown(&self) -> Value {
        match self {
            Self::Bytes(bytes) | Self::ByteArray(bytes) => {
                json!({ "$bytes": bytes.escape_ascii().to_string() })
            }
            Self::Float(number) if !number.is_finite() => {
                json!({ "$float": number.to_string().to_lowercase() })
            }
            Self::List(items) | Self::Tuple(items) | Self::Set(items) | Self::FrozenSet(items) => {
                items.iter().map(Self::shown).collect()
            }
            Self::Dict(pairs) | Self::OrderedDict(pairs) => dict(pairs),
            // Of the rest only an int is more than JSON holds.
            other => other.to_json().unwrap_or_else(|_| match other {
                Self::BigInt(int) => json!({ "$int": int.to_string() }),
                _ => Value::Null,
            }),
        }
    }
}

fn dict(pairs: &[(PyValue, PyValue)]) -> Value {
    // The keys first: a value that was shown in vain at each of a hundred levels would never be
    // done.
    match texts(pairs) {
        Some(keys) => {
            keys.into_iter().zip(pairs).map(|(key, pair)| (key, pair.1.shown())).collect()
        }
        None => {
            let pairs = pairs.iter().map(|(key, value)| json!([key.shown(), value.shown()]));
            json!({ "$dict": pairs.collect::<Value>() })
        }
    }
}

/// Returns the keys as JSON has them; `None` where that is not enough to tell them apart, or looks
/// like our own notation.
fn texts(pairs: &[(PyValue, PyValue)]) -> Option<Vec<String>> {
    let keys: Vec<String> =
        pairs.iter().map(|(key, _)| key_text(key).ok()).collect::<Option<_>>()?;
    let different: HashSet<&String> = keys.iter().collect();
    let is_ours = matches!(keys.as_slice(), [only] if only.starts_with('$'));
    (different.len() == keys.len() && !is_ours).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dict(pairs: &[(PyValue, i64)]) -> PyValue {
        PyValue::Dict(pairs.iter().map(|(key, n)| (key.clone(), PyValue::Int(*n))).collect())
    }

    #[test]
    fn what_json_cannot_hold_is_shown_as_what_it_is() {
        let large = "1606938044258990275541962092341162602522202993782792835301376";
        let large = PyValue::parse_int(large).unwrap();
        for (value, shown) in [
            (PyValue::Bytes(b"\x00a\"\n\xff".to_vec()), json!({"$bytes": "\\x00a\\\"\\n\\xff"})),
            (
                large.clone(),
                json!({"$int": "1606938044258990275541962092341162602522202993782792835301376"}),
            ),
            (PyValue::Float(f64::NAN), json!({"$float": "nan"})),
            (PyValue::Float(f64::NEG_INFINITY), json!({"$float": "-inf"})),
            (dict(&[(PyValue::Int(1), 2), ("a".into(), 3)]), json!({"1": 2, "a": 3})),
            (dict(&[(PyValue::Int(1), 2), ("1".into(), 3)]), json!({"$dict": [[1, 2], ["1", 3]]})),
            (dict(&[("$bytes".into(), 2)]), json!({"$dict": [["$bytes", 2]]})),
            (
                dict(&[(PyValue::Tuple(vec![PyValue::Int(1), PyValue::Bytes(vec![])]), 2)]),
                json!({"$dict": [[[1, {"$bytes": ""}], 2]]}),
            ),
            (PyValue::List(vec![PyValue::None, "é".into()]), json!([null, "é"])),
        ] {
            assert_eq!(value.shown(), shown);
        }
    }

    #[test]
    fn nested_dicts_of_any_keys_are_shown_in_no_time() {
        let deep = (0..100)
            .fold(PyValue::None, |inner, _| PyValue::Dict(vec![(PyValue::Tuple(vec![]), inner)]));
        assert_eq!(deep.shown().to_string().matches("$dict").count(), 100);
    }
}
