//! Publishing a task.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use rhubarb_queue::{
    CallOptions, Publish,
    wire::{Signature, Time},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{body::Given, instant, seconds};
use crate::{access::Operator, audit, problem::Problem, site::Site};

/// For how long an `Idempotency-Key` is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// The longest such key.
const LONGEST_KEY: usize = 255;
/// What Celery gives a meaning besides the headers that it writes.
const RESERVED: [&str; 3] = ["meth", "chain", "reply_to"];

/// A task to be published: Celery's calling options.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    /// The task's name.
    #[schema(example = "shop.mail", min_length = 1, max_length = 512)]
    task: String,
    /// Positional arguments.
    #[serde(default)]
    args: Vec<Value>,
    /// Keyword arguments.
    #[serde(default)]
    #[schema(value_type = Object)]
    kwargs: Map<String, Value>,
    /// The task's id; absent for a new one.
    id: Option<String>,
    /// The queue; absent for that of `celery.task_routes`, else the default one.
    queue: Option<String>,
    /// Run it this many seconds from now.
    countdown: Option<f64>,
    /// Run it at this time (ISO 8601 with an offset); wins over `countdown`.
    eta: Option<String>,
    /// Do not run it when it has not begun this many seconds from now.
    expires_in: Option<f64>,
    /// Do not run it when it has not begun at this time; wins over `expires_in`.
    expires: Option<String>,
    /// 0 is served first.
    priority: Option<u8>,
    /// End it when it has run for this many seconds.
    time_limit: Option<f64>,
    /// Ask it to end when it has run for this many seconds.
    soft_time_limit: Option<f64>,
    /// A name to show in place of the task's.
    shadow: Option<String>,
    /// Headers of the application.
    #[serde(default)]
    #[schema(value_type = Object)]
    headers: Map<String, Value>,
    /// Whether no result is stored.
    ignore_result: Option<bool>,
    /// What is called with the result: names of tasks, or Celery's signatures.
    #[serde(default)]
    link: Vec<Value>,
    /// What is called after a failure.
    #[serde(default)]
    link_error: Vec<Value>,
    /// The first task of the whole work.
    root_id: Option<String>,
    /// The task that publishes it.
    parent_id: Option<String>,
    /// Publish no second one of the same name and arguments for this many seconds.
    unique_for: Option<f64>,
}

/// What was published.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sent {
    /// The task's id.
    id: String,
    /// Whether it had been published before, under this id, and was not published again.
    duplicate: bool,
}

/// Publish a task
///
/// With the header `Idempotency-Key` a second request of the same key and body within 24 hours
/// publishes nothing and answers with the first one's id; one of the same key and another body is
/// refused.
#[utoipa::path(post, path = "/tasks", tag = "tasks", request_body = Call,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters",
        min_length = 1, max_length = 255)),
    responses((status = 201, description = "It was published.", body = Sent),
        (status = 200, description = "It had been published before.", body = Sent)))]
pub(super) async fn enqueue(
    Operator(visitor): Operator,
    State(site): State<Site>,
    headers: HeaderMap,
    Given(call): Given<Call>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let body = serde_json::to_string(&call).map_err(|error| Problem::bad(&error.to_string()))?;
    let mut task = call.publish()?;
    let published = match key(&headers, &task)? {
        None => site.client().publish(&task).await?,
        Some(key) => {
            // The same key and body make the same id, and another body another.
            let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{key}\n{body}").as_bytes());
            task = task.id(id.to_string());
            let lock = format!("{}\n{key}", visitor.name);
            let published = site.client().publish_once(&task, &lock, REMEMBERED).await?;
            if published.id != id.to_string() {
                let told = "this Idempotency-Key was used for another body: take a new one";
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, told));
            }
            published
        }
    };
    if !published.duplicate {
        audit::note(
            &site,
            &visitor,
            "published a task",
            &format!("{} {}", task.task, published.id),
        )
        .await;
    }
    let status = if published.duplicate { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Sent { id: published.id, duplicate: published.duplicate })))
}

/// Returns the request's key, where it has one.
fn key<'h>(headers: &'h HeaderMap, task: &Publish) -> Result<Option<&'h str>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let told = "Idempotency-Key: 1 to 255 printable ASCII characters are expected";
    let key = key.ok_or_else(|| Problem::bad(told))?;
    if task.options.id.is_some() || task.unique_for.is_some() {
        let told = "an Idempotency-Key takes the place of id and unique_for: leave those out";
        return Err(Problem::bad(told));
    }
    Ok(Some(key))
}

impl Call {
    fn publish(self) -> Result<Publish, Problem> {
        let time = |name, wanted: Option<f64>| wanted.map(|s| seconds(name, s)).transpose();
        let limit = |name, wanted| match time(name, wanted)? {
            Some(Duration::ZERO) => Err(Problem::bad(&format!("{name}: more than 0 is expected"))),
            limit => Ok(limit),
        };
        let at = |name, wanted: Option<String>| {
            wanted.map(|text| instant(name, &text).map(Time::at)).transpose()
        };
        check_headers(&self.headers)?;
        let options = CallOptions {
            id: self.id,
            queue: self.queue,
            countdown: time("countdown", self.countdown)?,
            eta: at("eta", self.eta)?,
            expires_in: time("expires_in", self.expires_in)?,
            expires: at("expires", self.expires)?,
            priority: self.priority,
            time_limit: limit("time_limit", self.time_limit)?,
            soft_time_limit: limit("soft_time_limit", self.soft_time_limit)?,
            shadow: self.shadow,
            headers: self.headers,
            ignore_result: self.ignore_result,
            link: signatures("link", self.link)?,
            link_error: signatures("link_error", self.link_error)?,
            root_id: self.root_id,
            parent_id: self.parent_id,
        };
        let unique_for = time("unique_for", self.unique_for)?;
        Ok(Publish { task: self.task, args: self.args, kwargs: self.kwargs, options, unique_for })
    }
}

/// Refuses what would be no header of the application.
fn check_headers(headers: &Map<String, Value>) -> Result<(), Problem> {
    let own = |name: &str| {
        name.is_empty() || rhubarb_queue::wire::HEADERS.contains(&name) || RESERVED.contains(&name)
    };
    match headers.keys().find(|name| own(name)) {
        None => Ok(()),
        Some(name) => Err(Problem::bad(&format!("headers: `{name}` is one of Celery's own"))),
    }
}

fn signatures(name: &str, all: Vec<Value>) -> Result<Vec<Signature>, Problem> {
    let read = |one: Value| match one {
        Value::String(task) if !task.is_empty() => Ok(Signature::new(&task)),
        other => Signature::from_value(other),
    };
    let all: Result<_, String> = all.into_iter().map(read).collect();
    all.map_err(|told| Problem::bad(&format!("{name}: {told}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn publish(call: Value) -> Result<Publish, Problem> {
        serde_json::from_value::<Call>(call).unwrap().publish()
    }

    #[test]
    fn every_option_of_a_call_reaches_the_message() {
        let call = json!({
            "task": "t", "args": [1], "kwargs": {"a": 2}, "id": "i", "queue": "q",
            "countdown": 1.5, "eta": "2027-01-01T09:00:00+01:00", "expires_in": 2,
            "expires": "2027-01-02T00:00:00Z", "priority": 3, "time_limit": 4,
            "soft_time_limit": 5, "shadow": "s", "headers": {"x": 1}, "ignore_result": true,
            "link": ["a"], "link_error": [{"task": "b", "args": [1]}], "root_id": "r",
            "parent_id": "p", "unique_for": 6,
        });
        let found = publish(call).unwrap();
        let options: Map<String, Value> = found.options.clone().into();
        for (name, expect) in [
            ("task_id", json!("i")),
            ("eta", json!("2027-01-01T08:00:00+00:00")),
            ("expires", json!("2027-01-02T00:00:00+00:00")),
            ("priority", json!(3)),
            ("time_limit", json!(4.0)),
            ("headers", json!({"x": 1})),
            ("parent_id", json!("p")),
        ] {
            assert_eq!(options[name], expect, "{name}");
        }
        assert_eq!(options["link"][0]["task"], "a");
        assert_eq!(options["link_error"][0]["args"], json!([1]));
        assert_eq!(found.options.countdown, Some(Duration::from_millis(1500)));
        assert_eq!(found.unique_for, Some(Duration::from_secs(6)));
    }

    #[test]
    fn what_means_nothing_is_refused_by_name() {
        for (field, value) in [
            ("countdown", json!(-1)),
            ("countdown", json!(1e300)),
            ("eta", json!("tomorrow")),
            ("eta", json!("2027-01-01T09:00:00")),
            ("time_limit", json!(0)),
            ("headers", json!({"id": 1})),
            ("link", json!([1])),
            ("link", json!([""])),
        ] {
            let mut call = json!({"task": "t"});
            call[field] = value;
            let told = publish(call).unwrap_err().detail;
            assert!(told.contains(field), "{told}");
        }
    }
}
