//! The message of one task: Celery's `send_task` and `as_task_v2`.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rhubarb_wire::{CallOptions, Embed, Headers, NewTask, Signature, Time, memory_of};
use serde_json::{Map, Value};

use super::{
    CanvasError, Outgoing, Publisher,
    options::{Options, Taker, names, take, take_text, time_after},
    part::{PART, Part, memory_of_signature},
    results::Res,
    unroll::Unroll,
};
use crate::{published, queue_name};

/// About what a message has beside its body, bytes.
const ENVELOPE: usize = 3_000;

/// A task whose call is known.
#[derive(Default)]
pub(crate) struct Task {
    pub(crate) name: String,
    pub(crate) args: Vec<Value>,
    pub(crate) kwargs: Map<String, Value>,
    pub(crate) options: CallOptions,
    /// The name that the routes go by, where it is not the task's own.
    route_name: Option<String>,
    /// What a message carries that no caller says.
    carried: Carried,
    /// What follows, reversed.
    chain: Vec<Signature>,
}

impl Task {
    /// A task that no canvas is around.
    pub(crate) fn new(
        name: String,
        args: Vec<Value>,
        kwargs: Map<String, Value>,
        options: CallOptions,
    ) -> Self {
        Self { name, args, kwargs, options, ..Self::default() }
    }
}

/// What a canvas adds to the message of a task, and what a message that is sent again keeps.
#[derive(Default)]
struct Carried {
    retries: u32,
    reply_to: Option<String>,
    origin: Option<String>,
    group: Option<String>,
    group_index: Option<u64>,
    chord: Option<Signature>,
    argsrepr: Option<String>,
    kwargsrepr: Option<String>,
    nesting: u64,
    stamped: Option<Vec<String>>,
    stamps: Map<String, Value>,
}

impl Carried {
    fn take(taker: &mut Taker<'_>) -> Result<Self, CanvasError> {
        let retries = taker.whole("retries", u32::MAX)?.unwrap_or_default();
        let chord = taker.signature("chord")?;
        let options = &mut *taker.options;
        let number = |options: &mut Options, key| take(options, key)?.as_u64();
        let stamped = options.get("stamped_headers").filter(|names| names.is_array());
        let stamped = stamped.map(|stamped| names(Some(stamped)));
        Ok(Self {
            retries,
            chord,
            reply_to: take_text(options, "reply_to"),
            origin: take_text(options, "origin"),
            group: take_text(options, "group_id"),
            group_index: number(options, "group_index"),
            // Shown in place of arguments that must not be seen.
            argsrepr: take_text(options, "argsrepr"),
            kwargsrepr: take_text(options, "kwargsrepr"),
            nesting: number(options, "replaced_task_nesting").unwrap_or_default(),
            stamps: stamped.iter().flat_map(|names| stamps(names, options)).collect(),
            stamped,
        })
    }
}

impl Unroll<'_> {
    /// Adds the message of a task as a signature gives it; `chain` is what follows, reversed.
    pub(super) fn send(&mut self, part: Part, chain: Vec<Signature>) -> Result<Res, CanvasError> {
        let inner = inner_task(&part);
        let Part { task, args, kwargs, mut options, .. } = part;
        check_name(&task, "task", &task)?;
        // They become headers and properties; a part is counted with some already.
        self.spend(memory_of(&options).saturating_sub(PART))?;
        let mut taker = Taker { task: &task, options: &mut options };
        let route_name = taker.text("route_name").or(inner);
        let options = taker.call(self.publisher.now)?;
        let carried = Carried::take(&mut taker)?;
        self.message(Task { name: task, args, kwargs, options, route_name, carried, chain })
    }

    /// Adds the message of a task whose options are typed already.
    pub(super) fn send_typed(&mut self, task: Task) -> Result<Res, CanvasError> {
        let CallOptions { headers, link, link_error, .. } = &task.options;
        let linked = link.iter().chain(link_error).map(memory_of_signature).sum::<usize>();
        self.spend((memory_of(headers) + linked).saturating_sub(PART))?;
        self.message(task)
    }

    fn message(&mut self, task: Task) -> Result<Res, CanvasError> {
        let Task { name, args, kwargs, mut options, route_name, carried, chain } = task;
        check_name(&name, "task", &name)?;
        let id = options.id.take().unwrap_or_else(|| self.fresh_id());
        check_name(&id, "task_id", &name)?;
        let sent = self.results.task(&id);
        let Publisher { celery, now, .. } = self.publisher;
        let route_name = route_name.as_deref().unwrap_or(&name);
        let queue = options.queue.take().unwrap_or_else(|| celery.queue_for(route_name).to_owned());
        let refused = |option: &'static str, reason| CanvasError::option(&name, option, reason);
        queue_name::check(&queue, celery)
            .map_err(|reason| refused("queue", format!("is refused: {reason}")))?;
        let (eta, expires) = times(&mut options, &name, now)?;
        let priority = options.priority.or(self.priority);
        let seconds = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64());
        let new = NewTask {
            args,
            kwargs,
            queue: queue.clone(),
            priority: priority.unwrap_or_else(|| celery.priority_for(route_name)),
            reply_to: carried.reply_to.unwrap_or_else(|| self.publisher.reply_to.to_owned()),
            expiration: expires.as_ref().map(|expires| left(expires, now)),
            embed: Embed {
                callbacks: options.link,
                errbacks: options.link_error,
                chord: carried.chord,
                chain,
                other: Map::new(),
            },
            headers: Headers {
                shadow: options.shadow,
                eta,
                expires,
                group: carried.group,
                group_index: carried.group_index,
                retries: carried.retries,
                timelimit: (seconds(options.time_limit), seconds(options.soft_time_limit)),
                root_id: options.root_id.or_else(|| self.root_id.clone()),
                parent_id: options.parent_id.or_else(|| self.parent_id.clone()),
                argsrepr: carried.argsrepr,
                kwargsrepr: carried.kwargsrepr,
                origin: carried.origin.or_else(|| Some(self.publisher.origin.to_owned())),
                ignore_result: options.ignore_result,
                replaced_task_nesting: carried.nesting,
                stamped_headers: carried.stamped,
                stamps: carried.stamps,
                other: options.headers,
                ..Headers::new(name, id)
            },
        };
        let envelope = new.into_envelope(published::tag(now, self.fresh_id()));
        self.spend(envelope.body.len() + ENVELOPE)?;
        self.messages.push(Outgoing { queue, envelope });
        Ok(sent)
    }
}

/// When a task runs, and until when it may.
fn times(
    options: &mut CallOptions,
    task: &str,
    now: Timestamp,
) -> Result<(Option<Time>, Option<Time>), CanvasError> {
    let after = |at: Option<Time>, wait: Option<Duration>, option| match (at, wait) {
        (None, Some(wait)) => time_after(now, wait.as_secs_f64())
            .map(Some)
            .map_err(|reason| CanvasError::option(task, option, reason)),
        (at, _) => Ok(at),
    };
    let eta = after(options.eta.take(), options.countdown, "countdown")?;
    let expires = after(options.expires.take(), options.expires_in, "expires")?;
    Ok((eta, expires))
}

/// How long it is until then, in milliseconds, for the message's property `expiration`.
fn left(at: &Time, now: Timestamp) -> String {
    let left = at.resolve(&TimeZone::UTC).duration_since(now);
    left.max(SignedDuration::ZERO).as_millis().to_string()
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
        let task: String = task.chars().filter(|c| !c.is_control()).take(64).collect();
        return Err(CanvasError::option(&task, option, reason));
    }
    Ok(())
}
