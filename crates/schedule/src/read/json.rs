//! An entry as JSON: what `rhubarb schedules add` keeps in Redis, and what exporters write. The
//! keys are the file's.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};

use rhubarb_config::{Reader, redact};
use rhubarb_wire::CallOptions;

use super::{Arguments, check_name, schedule};
use crate::entry::{CatchUp, Dst, Overlap, ScheduleConfig, When};

/// An entry that is larger than this, as JSON, is refused.
const MOST_BYTES: usize = 256 << 10;

impl ScheduleConfig {
    /// Reads an entry from JSON; `place` is what its problems are told under.
    ///
    /// # Errors
    ///
    /// All problems, each with its place and an example of the right form.
    pub fn from_json(name: &str, text: &str) -> Result<Self, Vec<String>> {
        let shown = name.chars().map(|c| if c.is_control() { ' ' } else { c });
        let place = format!("schedules.{}", shown.take(60).collect::<String>());
        let fail = |problem: String| Err(vec![format!("{place}: {problem}")]);
        if let Err(expected) = check_name(name) {
            return fail(expected);
        }
        if text.len() > MOST_BYTES {
            return fail(format!(
                "at most {MOST_BYTES} bytes of JSON are expected, not {}",
                text.len()
            ));
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(entry)) => read(&place, entry),
            Ok(_) => fail(
                "a JSON object such as {\"task\": \"shop.report\", \"every\": 30} is expected"
                    .to_owned(),
            ),
            Err(error) => fail(format!("it is no JSON: {error}")),
        }
    }

    /// Returns the entry as JSON, without what is as it is by default.
    pub fn to_json(&self) -> Value {
        let default = Self::default();
        let mut entry = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                entry.insert(key.to_owned(), value);
            }
        };
        put("task", Some(json!(self.task)));
        when(&self.when, &mut put);
        put("timezone", self.timezone.as_ref().map(|zone| json!(zone)));
        put("dst", (self.dst != Dst::default()).then(|| word(&self.dst)));
        put("args", (!self.args.is_empty()).then(|| json!(self.args)));
        put("kwargs", (!self.kwargs.is_empty()).then(|| json!(self.kwargs)));
        put("options", self.options.as_deref().and_then(options));
        put("queue", self.queue.as_ref().map(|queue| json!(queue)));
        put("priority", self.priority.map(|priority| json!(priority)));
        put("expires", self.expires.map(seconds));
        put("enabled", (self.enabled != default.enabled).then(|| json!(self.enabled)));
        put("start_at", self.start_at.map(|at| json!(at.to_string())));
        put("end_at", self.end_at.map(|at| json!(at.to_string())));
        put("max_runs", self.max_runs.map(|n| json!(n)));
        put("jitter", (self.jitter != default.jitter).then(|| seconds(self.jitter)));
        put("catch_up", (self.catch_up != default.catch_up).then(|| catch_up(self.catch_up)));
        put("misfire_grace", self.misfire_grace.map(seconds));
        put("overlap", (self.overlap != Overlap::default()).then(|| word(&self.overlap)));
        put("alert_after", self.alert_after.map(seconds));
        entry.into()
    }

    /// Returns the same without the secrets among its arguments and headers.
    pub(super) fn redacted(&self) -> Self {
        let mut shown = self.clone();
        shown.args.iter_mut().for_each(|value| cut("", value));
        shown.kwargs.iter_mut().for_each(|(name, value)| cut(name, value));
        if let Some(options) = &mut shown.options {
            options.headers.iter_mut().for_each(|(name, value)| cut(name, value));
        }
        shown
    }
}

/// Cuts what is a secret by its name, and the passwords of URLs.
fn cut(name: &str, value: &mut Value) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(name, value)| cut(name, value)),
        Value::Array(items) => items.iter_mut().for_each(|value| cut(name, value)),
        _ if redact::is_secret(name) => *value = "***".into(),
        Value::String(text) => *text = redact::text(text),
        _ => {}
    }
}

fn read(place: &str, mut entry: Map<String, Value>) -> Result<ScheduleConfig, Vec<String>> {
    let mut problems = Vec::new();
    let mut take = |key: &str| entry.remove(key).filter(|value| !value.is_null());
    let args = match take("args") {
        None => Vec::new(),
        Some(Value::Array(args)) => args,
        Some(_) => {
            problems.push(format!("{place}.args: a list, \"args\": [1, \"b\"], is expected"));
            Vec::new()
        }
    };
    let kwargs = match take("kwargs") {
        None => Map::new(),
        Some(Value::Object(kwargs)) => kwargs,
        Some(_) => {
            problems
                .push(format!("{place}.kwargs: an object, \"kwargs\": {{\"a\": 1}}, is expected"));
            Map::new()
        }
    };
    let table = match toml_of(&Value::Object(entry)) {
        Some(table) => table,
        None => toml::Value::Table(toml::Table::new()),
    };
    let read = Reader::new(place.to_owned(), &table, &mut problems)
        .map(|reader| schedule(reader, Some(Arguments { args, kwargs })));
    match read {
        Some(entry) if problems.is_empty() => Ok(Arc::unwrap_or_clone(entry)),
        _ => Err(problems),
    }
}

/// Returns the value as the file would have it; a null is as good as absent.
pub(super) fn toml_of(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(n) => match n.as_i64() {
            Some(n) => n.into(),
            None => n.as_f64()?.into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(toml_of).collect()),
        Value::Object(map) => {
            let pairs = map.iter().filter_map(|(key, value)| Some((key.clone(), toml_of(value)?)));
            toml::Value::Table(pairs.collect())
        }
    })
}

fn when(when: &When, put: &mut impl FnMut(&str, Option<Value>)) {
    match when {
        When::Crontab(text) => put("cron", Some(json!(text.line()))),
        When::Every { every, relative } => {
            put("every", Some(seconds(*every)));
            put("relative", relative.then(|| json!(true)));
        }
        When::At(at) => put("at", Some(json!(at.to_string()))),
    }
}

fn options(options: &CallOptions) -> Option<Value> {
    let mut all = Map::new();
    if options.ignore_result == Some(true) {
        all.insert("ignore_result".to_owned(), json!(true));
    }
    let limits = [("time_limit", options.time_limit), ("soft_time_limit", options.soft_time_limit)];
    for (key, limit) in limits {
        all.extend(limit.map(|limit| (key.to_owned(), seconds(limit))));
    }
    all.extend(options.shadow.as_ref().map(|shadow| ("shadow".to_owned(), json!(shadow))));
    if !options.headers.is_empty() {
        all.insert("headers".to_owned(), json!(options.headers));
    }
    (!all.is_empty()).then(|| all.into())
}

fn catch_up(catch_up: CatchUp) -> Value {
    match catch_up {
        CatchUp::Last => json!("last"),
        CatchUp::None => json!("none"),
        CatchUp::All { max, window } => json!({ "max": max, "window": seconds(window) }),
    }
}

fn seconds(length: Duration) -> Value {
    if length.subsec_nanos() == 0 { json!(length.as_secs()) } else { json!(length.as_secs_f64()) }
}

/// Returns one of a few words as it is written.
fn word(value: &impl rhubarb_config::Value) -> Value {
    json!(value.show().text().trim_matches('"'))
}
