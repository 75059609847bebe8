//! Calling options: maps by Celery's names, and what they mean.

use std::{collections::HashSet, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rhubarb_wire::{CallOptions, Signature, Time, open};
use serde_json::{Map, Value};

use super::{
    CanvasError,
    part::{malformed, signatures},
};

/// The first second of the year 1, in seconds since 1970.
const YEAR_1: i64 = -62_135_596_800;

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

/// Takes options out, each as what it has to be.
pub(super) struct Taker<'a> {
    pub(super) task: &'a str,
    pub(super) options: &'a mut Options,
}

impl Taker<'_> {
    fn wrong(&self, name: &'static str, reason: &str) -> CanvasError {
        CanvasError::option(self.task, name, reason.to_owned())
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        take_text(self.options, key)
    }

    pub(super) fn whole(
        &mut self,
        key: &'static str,
        most: u32,
    ) -> Result<Option<u32>, CanvasError> {
        let Some(value) = take(self.options, key) else { return Ok(None) };
        let number = value.as_u64().filter(|number| *number <= most.into());
        let number = number.and_then(|number| u32::try_from(number).ok());
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(key, &format!("must be a whole number from 0 to {most}"))),
        }
    }

    fn seconds(&mut self, key: &'static str) -> Result<Option<f64>, CanvasError> {
        let Some(value) = take(self.options, key) else { return Ok(None) };
        match value.as_f64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(self.wrong(key, "must be a number of seconds")),
        }
    }

    fn map(&mut self, key: &'static str) -> Result<Map<String, Value>, CanvasError> {
        match take(self.options, key) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(_) => Err(self.wrong(key, "must be an object")),
        }
    }

    /// The queue that the options name.
    fn queue(&mut self) -> Result<Option<String>, CanvasError> {
        let exchange = take(self.options, "exchange").is_some();
        let routing_key = self.text("routing_key");
        match take(self.options, "queue") {
            Some(Value::String(queue)) if !queue.is_empty() => Ok(Some(queue)),
            Some(_) => Err(self.wrong("queue", "must be a queue's name")),
            None => Ok(routing_key.filter(|_| exchange)),
        }
    }

    /// MessagePack is taken and JSON written: what came in a JSON message fits, and whoever reads
    /// the one reads the other.
    fn serializer(&mut self) -> Result<(), CanvasError> {
        match take(self.options, "serializer").as_ref().map(Value::as_str) {
            None
            | Some(Some("json" | "application/json" | "msgpack" | "application/x-msgpack")) => {
                Ok(())
            }
            Some(_) => Err(self.wrong("serializer", "must be json or msgpack")),
        }
    }

    /// When it runs, and until when it may; `countdown` wins over `eta`, as in Celery.
    fn times(&mut self, now: Timestamp) -> Result<(Option<Time>, Option<Time>), CanvasError> {
        let countdown = self.seconds("countdown")?.filter(|seconds| *seconds != 0.0);
        let eta = match (countdown, take(self.options, "eta")) {
            (Some(seconds), _) => Some(self.after(now, seconds, "countdown")?),
            (None, Some(value)) => Some(self.time(value, "eta")?),
            (None, None) => None,
        };
        let expires = match take(self.options, "expires") {
            None => None,
            Some(Value::Number(number)) => {
                let seconds = number.as_f64().unwrap_or_default();
                Some(self.after(now, seconds, "expires")?)
            }
            Some(value) => Some(self.time(value, "expires")?),
        };
        Ok((eta, expires))
    }

    fn after(&self, now: Timestamp, seconds: f64, name: &'static str) -> Result<Time, CanvasError> {
        time_after(now, seconds).map_err(|reason| self.wrong(name, &reason))
    }

    fn time(&self, value: Value, name: &'static str) -> Result<Time, CanvasError> {
        let text = rhubarb_wire::plain(value);
        text.as_str()
            .and_then(Time::parse)
            .ok_or_else(|| self.wrong(name, "must be an ISO 8601 time"))
    }

    /// A limit of less than nothing is none.
    fn limit(&mut self, key: &'static str) -> Result<Option<Duration>, CanvasError> {
        let long = |seconds: f64| if seconds > 0.0 { Duration::MAX } else { Duration::ZERO };
        let limit =
            |seconds| Duration::try_from_secs_f64(seconds).unwrap_or_else(|_| long(seconds));
        Ok(self.seconds(key)?.map(limit))
    }

    pub(super) fn signature(&mut self, key: &str) -> Result<Option<Signature>, CanvasError> {
        take(self.options, key).map(Signature::from_value).transpose().map_err(malformed)
    }

    fn signatures(&mut self, key: &str) -> Result<Vec<Signature>, CanvasError> {
        signatures(items(take(self.options, key)))
    }

    /// The options that a caller may give; times count from `now`.
    pub(super) fn call(&mut self, now: Timestamp) -> Result<CallOptions, CanvasError> {
        let (id, queue) = (self.text("task_id"), self.queue()?);
        let (eta, expires) = self.times(now)?;
        self.serializer()?;
        let priority = self.whole("priority", u8::MAX.into())?;
        Ok(CallOptions {
            id,
            queue,
            countdown: None,
            eta,
            expires_in: None,
            expires,
            priority: priority.and_then(|priority| u8::try_from(priority).ok()),
            time_limit: self.limit("time_limit")?,
            soft_time_limit: self.limit("soft_time_limit")?,
            shadow: self.text("shadow"),
            headers: self.map("headers")?,
            ignore_result: take(self.options, "ignore_result").and_then(|value| value.as_bool()),
            link: self.signatures("link")?,
            link_error: self.signatures("link_error")?,
            root_id: self.text("root_id"),
            parent_id: self.text("parent_id"),
        })
    }
}

/// Returns the time so many seconds after another.
///
/// # Errors
///
/// Python's calendar begins with the year 1, and a time before it is read nowhere.
pub(super) fn time_after(now: Timestamp, seconds: f64) -> Result<Time, String> {
    let after = SignedDuration::try_from_secs_f64(seconds).ok();
    let at = after.and_then(|after| now.checked_add(after).ok());
    let at = at.filter(|at| at.as_second() >= YEAR_1);
    at.map(Time::at).ok_or_else(|| "is beyond the calendar".to_owned())
}
