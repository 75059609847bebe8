//! The message of one task: Celery's `send_task` and `as_task_v2`.

use jiff::{SignedDuration, Timestamp};
use rhubarb_core::queue_name;
use rhubarb_wire::{Embed, NewTask, Signature, Time, memory_of};
use serde_json::{Map, Value};

use super::{
    CanvasError, Outgoing,
    apply::Unroll,
    chain::signatures,
    options::{Options, items, names, take, take_text},
    part::{PART, Part},
    results::Res,
};

/// About what a message has beside its body, bytes.
const ENVELOPE: usize = 3_000;

/// The first second of the year 1, in seconds since 1970.
const YEAR_1: i64 = -62_135_596_800;

/// What is said about when a task runs.
struct When {
    eta: Option<Time>,
    expires: Option<Time>,
    /// Until `expires`, for the message's property of that name.
    expiration_ms: Option<String>,
}

impl Unroll<'_> {
    /// Adds the message of a task; `chain` is what follows, reversed.
    pub(super) fn send(&mut self, part: Part, chain: Vec<Signature>) -> Result<Res, CanvasError> {
        let inner = inner_task(&part);
        let Part { task, args, kwargs, mut options, .. } = part;
        check_name(&task, "task", &task)?;
        // They become headers and properties; a part is counted with some already.
        self.spend(memory_of(&options).saturating_sub(PART))?;
        let id = take_text(&mut options, "task_id").unwrap_or_else(|| self.fresh_id());
        check_name(&id, "task_id", &task)?;
        let sent = self.results.task(&id);
        let mut taker = Taker { task: &task, options: &mut options };
        let route_name = taker.text("route_name").or(inner);
        let route_name = route_name.as_deref().unwrap_or(&task);
        let celery = self.publisher.celery;
        let queue = taker.queue()?.unwrap_or_else(|| celery.queue_for(route_name).to_owned());
        queue_name::check(&queue, celery)
            .map_err(|reason| taker.wrong("queue", &format!("is refused: {reason}")))?;
        let when = taker.when(self.publisher.now)?;
        taker.serializer()?;
        let priority = taker.whole("priority", u8::MAX.into())?;
        let priority = priority.and_then(|priority| u8::try_from(priority).ok());
        let new = NewTask {
            task: task.clone(),
            id,
            queue: queue.clone(),
            args,
            kwargs,
            eta: None,
            expires: None,
            priority: priority.or(self.priority).unwrap_or_else(|| celery.priority_for(route_name)),
            ignore_result: take(taker.options, "ignore_result").and_then(|value| value.as_bool()),
            root_id: taker.text("root_id").or_else(|| self.root_id.clone()),
            parent_id: taker.text("parent_id").or_else(|| self.parent_id.clone()),
            retries: taker.whole("retries", u32::MAX)?.unwrap_or_default(),
            timelimit: (taker.seconds("time_limit")?, taker.seconds("soft_time_limit")?),
            shadow: taker.text("shadow"),
            headers: taker.map("headers")?,
            embed: taker.embed(chain)?,
            reply_to: taker.text("reply_to").or_else(|| Some(self.publisher.reply_to.to_owned())),
            origin: taker.text("origin").or_else(|| Some(self.publisher.origin.to_owned())),
            group: taker.text("group_id"),
            group_index: take(taker.options, "group_index").and_then(|index| index.as_u64()),
            beat: false,
        };
        let mut envelope = new.into_envelope(self.fresh_id());
        self.spend(envelope.body.len() + ENVELOPE)?;
        let headers = &mut envelope.headers;
        headers.eta = when.eta;
        headers.expires = when.expires;
        envelope.properties.expiration = when.expiration_ms;
        // Shown in place of arguments that must not be seen.
        headers.argsrepr = take_text(&mut options, "argsrepr").or(headers.argsrepr.take());
        headers.kwargsrepr = take_text(&mut options, "kwargsrepr").or(headers.kwargsrepr.take());
        let nesting = take(&mut options, "replaced_task_nesting");
        headers.replaced_task_nesting =
            nesting.and_then(|nesting| nesting.as_u64()).unwrap_or_default();
        if options.get("stamped_headers").is_some_and(Value::is_array) {
            let stamped = names(options.get("stamped_headers"));
            headers.stamps = stamps(&stamped, &mut options);
            headers.stamped_headers = Some(stamped);
        }
        self.messages.push(Outgoing { queue, envelope });
        Ok(sent)
    }
}

fn stamps(stamped: &[String], options: &mut Options) -> Map<String, Value> {
    stamped.iter().filter_map(|name| Some((name.clone(), options.shift_remove(name)?))).collect()
}

/// The maps are run by whoever knows the task that they call.
fn inner_task(part: &Part) -> Option<String> {
    if !matches!(part.task.as_str(), "celery.map" | "celery.starmap" | "celery.chunks") {
        return None;
    }
    part.kwargs.get("task")?.get("task")?.as_str().map(str::to_owned)
}

fn check_name(name: &str, option: &'static str, task: &str) -> Result<(), CanvasError> {
    if name.is_empty() || name.len() > 512 || name.chars().any(char::is_control) {
        let reason = "has 1 to 512 characters and no control characters".to_owned();
        let task = task.chars().filter(|c| !c.is_control()).take(64).collect();
        return Err(CanvasError::Option { task, name: option, reason });
    }
    Ok(())
}

/// Takes options out, each as what it has to be.
struct Taker<'a> {
    task: &'a str,
    options: &'a mut Options,
}

impl Taker<'_> {
    fn wrong(&self, name: &'static str, reason: &str) -> CanvasError {
        CanvasError::Option { task: self.task.to_owned(), name, reason: reason.to_owned() }
    }

    fn text(&mut self, key: &str) -> Option<String> {
        take_text(self.options, key)
    }

    fn whole(&mut self, key: &'static str, most: u32) -> Result<Option<u32>, CanvasError> {
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

    /// `countdown` wins over `eta`, as in Celery.
    fn when(&mut self, now: Timestamp) -> Result<When, CanvasError> {
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
        let left = |at: &Time| {
            let left = at.resolve(&jiff::tz::TimeZone::UTC).duration_since(now);
            left.max(SignedDuration::ZERO).as_millis().to_string()
        };
        Ok(When { expiration_ms: expires.as_ref().map(left), eta, expires })
    }

    fn after(&self, now: Timestamp, seconds: f64, name: &'static str) -> Result<Time, CanvasError> {
        let after = SignedDuration::try_from_secs_f64(seconds).ok();
        match after.and_then(|after| now.checked_add(after).ok()) {
            // Python's calendar begins with the year 1, and a time before it is read nowhere.
            Some(at) if at.as_second() >= YEAR_1 => Ok(Time::at(at)),
            _ => Err(self.wrong(name, "is beyond the calendar")),
        }
    }

    fn time(&self, value: Value, name: &'static str) -> Result<Time, CanvasError> {
        let text = rhubarb_wire::plain(value);
        text.as_str()
            .and_then(Time::parse)
            .ok_or_else(|| self.wrong(name, "must be an ISO 8601 time"))
    }

    fn embed(&mut self, chain: Vec<Signature>) -> Result<Embed, CanvasError> {
        let mut read = |key| signatures(items(take(self.options, key)));
        let callbacks = read("link")?;
        let errbacks = read("link_error")?;
        let chord = signatures(take(self.options, "chord").into_iter().collect())?.pop();
        Ok(Embed { callbacks, errbacks, chain, chord, other: Map::new() })
    }
}
