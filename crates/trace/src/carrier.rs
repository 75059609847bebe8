//! A trace context as a message's headers have it.

use std::sync::Arc;

use serde_json::{Map, Value};

/// The headers, in the order in which they are written.
const HEADERS: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// The most bytes of a `tracestate` that is passed on; W3C asks for at least 512.
const MAX_STATE: usize = 1_024;

/// The most bytes of a `baggage` that is passed on: every message of a large canvas gets a copy.
const MAX_BAGGAGE: usize = 4_096;

/// A trace context: whose part something is, and what travels with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carrier {
    values: [Option<String>; 3],
}

impl Carrier {
    /// Reads a message's headers; absent where they hold no context.
    ///
    /// What is malformed or too long is passed over: a trace is never a reason to refuse a task.
    pub fn read(headers: &Map<String, Value>) -> Option<Arc<Self>> {
        if headers.is_empty() {
            return None;
        }
        let carrier = Self::of(|name| headers.get(name).and_then(Value::as_str));
        carrier.map(Arc::new)
    }

    /// Takes a context from whatever has values by these names.
    pub fn of<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let bounded = |name, most| value(name).filter(|text| fits(text, most)).map(str::to_owned);
        let parent = value(HEADERS[0]).filter(|text| is_traceparent(text)).map(str::to_owned);
        // It belongs to the parent and says nothing without it.
        let state = parent.is_some().then(|| bounded(HEADERS[1], MAX_STATE)).flatten();
        let baggage = bounded(HEADERS[2], MAX_BAGGAGE);
        let is_there = parent.is_some() || baggage.is_some();
        is_there.then_some(Self { values: [parent, state, baggage] })
    }

    /// Writes it into a message's headers, in place of what is there.
    pub fn write(&self, headers: &mut Map<String, Value>) {
        for (name, value) in HEADERS.iter().zip(&self.values) {
            match value {
                Some(value) => drop(headers.insert((*name).to_owned(), value.as_str().into())),
                None => drop(headers.shift_remove(*name)),
            }
        }
    }

    /// Removes a context from a message's headers.
    pub fn remove(headers: &mut Map<String, Value>) {
        HEADERS.iter().for_each(|name| drop(headers.shift_remove(*name)));
    }

    /// Returns the trace's id: 32 hexadecimal digits.
    pub fn trace_id(&self) -> Option<&str> {
        self.values[0].as_deref().and_then(|parent| parent.get(3..35))
    }

    /// Returns one of its values by its header's name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let place = HEADERS.iter().position(|header| *header == name)?;
        self.values[place].as_deref()
    }
}

fn fits(text: &str, most: usize) -> bool {
    !text.is_empty() && text.len() <= most && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Tells whether this is a `traceparent`: version, trace, span and flags in hexadecimal digits, in
/// small letters. Of a version to come more may follow.
fn is_traceparent(text: &str) -> bool {
    let (known, rest) = (text.get(..55).unwrap_or_default(), text.get(55..).unwrap_or_default());
    let parts: Vec<&str> = known.split('-').collect();
    let [version, trace, span, flags] = parts[..] else { return false };
    let hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let says_something = |id: &str| id.bytes().any(|byte| byte != b'0');
    let ends = rest.is_empty() || (version != "00" && rest.starts_with('-') && fits(rest, 200));
    hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && says_something(trace)
        && hex(span, 16)
        && says_something(span)
        && hex(flags, 2)
        && ends
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(headers: &Value) -> Option<Arc<Carrier>> {
        Carrier::read(headers.as_object().unwrap())
    }

    #[test]
    fn a_context_is_read_and_written_as_it_was() {
        let headers = json!({"traceparent": PARENT, "tracestate": "a=1,b=2", "baggage": "user=7"});
        let carrier = read(&headers).unwrap();
        assert_eq!(carrier.trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        let mut written = Map::new();
        carrier.write(&mut written);
        assert_eq!(Value::Object(written), headers);
    }

    #[test]
    fn what_a_new_context_does_not_have_is_removed() {
        let mut headers = json!({"tracestate": "a=1", "x": 1}).as_object().unwrap().clone();
        read(&json!({"traceparent": PARENT})).unwrap().write(&mut headers);
        assert_eq!(Value::Object(headers), json!({"x": 1, "traceparent": PARENT}));
    }

    #[test]
    fn baggage_travels_without_a_trace_but_a_state_does_not() {
        let carrier = read(&json!({"baggage": "user=7", "tracestate": "a=1"})).unwrap();
        assert_eq!((carrier.trace_id(), carrier.get("tracestate")), (None, None));
        assert_eq!(carrier.get("baggage"), Some("user=7"));
    }

    #[test]
    fn what_is_no_context_is_passed_over() {
        let all = |c: char, n: usize| c.to_string().repeat(n);
        let parent = |version: &str, trace: &str, span: &str, flags: &str| json!({ "traceparent": format!("{version}-{trace}-{span}-{flags}") });
        let (trace, span) = (all('a', 32), all('b', 16));
        for wrong in [
            json!({}),
            json!({"traceparent": null}),
            json!({"traceparent": 7}),
            json!({"traceparent": ""}),
            json!({"traceparent": "00"}),
            parent("ff", &trace, &span, "01"),
            parent("00", &all('0', 32), &span, "01"),
            parent("00", &trace, &all('0', 16), "01"),
            parent("00", &all('A', 32), &span, "01"),
            parent("00", &all('g', 32), &span, "01"),
            parent("00", &trace, &span, "1"),
            parent("00", &trace, &span, "01-more"),
            parent("00", &all('é', 16), &span, "01"),
            json!({"baggage": "x".repeat(MAX_BAGGAGE + 1)}),
            json!({"baggage": "a\nb"}),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
        assert!(read(&parent("01", &trace, &span, "01-more")).is_some());
        let long = json!({"traceparent": PARENT, "tracestate": "x".repeat(MAX_STATE + 1)});
        assert_eq!(read(&long).unwrap().get("tracestate"), None);
    }

    proptest! {
        #[test]
        fn whatever_a_header_holds_nothing_panics(text in "\\PC{0,80}") {
            let _ = read(&json!({"traceparent": text, "tracestate": text, "baggage": text}));
        }
    }
}
