//! What is ordered of a worker.

use std::{sync::Arc, time::Duration};

use rhubarb_queue::{error::redis, keys::QueueKeys, queue_name};
use serde_json::Value;

use super::{Answer, Control, command::Arguments, revoke};
use crate::rate::Rate;

/// Carries an order out; none when it is none that is known.
pub(super) fn answer(
    control: &Arc<Control>,
    method: &str,
    arguments: &Arguments<'_>,
) -> Option<Answer> {
    let answer = match method {
        "revoke" => told(control, revoke::revoke(control, arguments, arguments.flag("terminate"))),
        "terminate" => told(control, revoke::revoke(control, arguments, true)),
        "revoke_by_stamped_headers" => told(control, revoke::revoke_by_stamps(control, arguments)),
        "rate_limit" => rate_limit(control, arguments),
        "time_limit" => time_limit(control, arguments),
        "add_consumer" => add_consumer(control, arguments),
        "cancel_consumer" => cancel_consumer(control, arguments),
        "pool_grow" => resize(control, arguments, true),
        "pool_shrink" => resize(control, arguments, false),
        "pool_restart" => Err("ValueError('Pool restarts not enabled')".to_owned()),
        "autoscale" => Err("ValueError('Autoscale not enabled')".to_owned()),
        "enable_events" => Ok(enable_events(control)),
        "disable_events" => Ok(disable_events(control)),
        "heartbeat" => Ok(heartbeat(control)),
        "shutdown" => Ok(shutdown(control, arguments)),
        // Workers that gossip elect among themselves; nobody elects us.
        "election" => Ok(Answer::Now(Value::Null)),
        _ => return None,
    };
    Some(answer.unwrap_or_else(Answer::error))
}

fn told(control: &Control, answer: Result<Answer, String>) -> Result<Answer, String> {
    answer.inspect_err(|wrong| revoke::refused(control, wrong))
}

fn rate_limit(control: &Control, arguments: &Arguments<'_>) -> Result<Answer, String> {
    let task = arguments.required("rate_limit", "task_name")?;
    let text = match arguments.get("rate_limit") {
        None | Some(Value::Bool(_)) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(number) => number.to_string(),
    };
    let rate = Rate::parse(&text).map_err(|wrong| wrong.to_string())?;
    if !control.tasks.set_rate(task, rate) {
        return Err("unknown task".to_owned());
    }
    // Celery looks at what was given and not at what it means: the text "0/s" is a new limit to it.
    let disabled = text.is_empty() || arguments.get("rate_limit").is_some_and(is_zero);
    tracing::info!(task, rate = text, "rate limit changed by remote control");
    Ok(Answer::ok(if disabled {
        "rate limit disabled successfully"
    } else {
        "new rate limit set successfully"
    }))
}

fn is_zero(value: &Value) -> bool {
    value.as_f64() == Some(0.0)
}

fn time_limit(control: &Control, arguments: &Arguments<'_>) -> Result<Answer, String> {
    let task = arguments.required("time_limit", "task_name")?;
    let limit = |name: &str| match arguments.get(name) {
        None => Ok(None),
        Some(value) => {
            let seconds = value.as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok());
            let seconds =
                seconds.ok_or_else(|| format!("ValueError('{name} is no time limit')"))?;
            Ok::<_, String>(Some(seconds).filter(|limit| !limit.is_zero()))
        }
    };
    let (soft, hard) = (limit("soft")?, limit("hard")?);
    if !control.tasks.set_time_limits(task, soft, hard) {
        return Err("unknown task".to_owned());
    }
    tracing::info!(task, ?soft, ?hard, "time limits changed by remote control");
    Ok(Answer::ok("time limits set successfully"))
}

fn add_consumer(control: &Arc<Control>, arguments: &Arguments<'_>) -> Result<Answer, String> {
    let queue = arguments.required("add_consumer", "queue")?;
    if let Err(reason) = queue_name::check(queue, control.broker.client.celery()) {
        return Err(format!("ValueError({reason:?})"));
    }
    if !control.broker.queues.add(QueueKeys::new(queue, control.broker.client.celery())) {
        return Err("ValueError('this worker serves too many queues')".to_owned());
    }
    control.broadcasts.added.notify_one();
    tracing::info!(queue, "queue added by remote control");
    let (control, queue) = (control.clone(), queue.to_owned());
    Ok(Answer::later(async move {
        let mut pipeline = ::redis::pipe();
        rhubarb_queue::client::declare(&mut pipeline, &queue, control.broker.client.celery());
        let declared = control.broker.queue.pipe::<::redis::Value>(&pipeline).await;
        if let Err(error) = declared.map_err(redis(format!("declare queue `{queue}`"))) {
            // Clients declare it as well, with their first message.
            tracing::debug!(%error, "a queue that was added was not declared");
        }
        control.signals.changed.notify_one();
        serde_json::json!({ "ok": format!("add consumer {queue}") })
    }))
}

fn cancel_consumer(control: &Control, arguments: &Arguments<'_>) -> Result<Answer, String> {
    let queue = arguments.required("cancel_consumer", "queue")?;
    control.broker.queues.cancel(queue);
    control.signals.changed.notify_one();
    tracing::info!(queue, "queue cancelled by remote control");
    Ok(Answer::ok(format!("no longer consuming from {queue}")))
}

fn resize(control: &Control, arguments: &Arguments<'_>, grow: bool) -> Result<Answer, String> {
    let n = arguments.count("n")?;
    let done = if grow { control.slots.grow(n) } else { control.slots.shrink(n) };
    let size = control.slots.size();
    if !done {
        let verb = if grow { "grow" } else { "shrink" };
        return Err(format!("ValueError('cannot {verb} a pool of {size} by {n}')"));
    }
    tracing::info!(concurrency = size, "pool resized by remote control");
    Ok(Answer::ok(if grow { "pool will grow" } else { "pool will shrink" }))
}

fn enable_events(control: &Control) -> Answer {
    let switched = control.events.enable();
    Answer::ok(if switched { "task events enabled" } else { "task events already enabled" })
}

fn disable_events(control: &Control) -> Answer {
    let switched = control.events.disable();
    Answer::ok(if switched { "task events disabled" } else { "task events already disabled" })
}

fn heartbeat(control: &Control) -> Answer {
    control.signals.beat_wanted.notify_one();
    Answer::Now(Value::Null)
}

fn shutdown(control: &Control, arguments: &Arguments<'_>) -> Answer {
    let reason = arguments.text("msg").unwrap_or("Got shutdown from remote");
    tracing::warn!(reason, "asked to stop by remote control");
    control.signals.stop_asked.cancel();
    Answer::Silence
}
