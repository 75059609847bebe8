"""Events: which are sent, in which order and form."""

from datetime import datetime, timezone

from ..app import add, app, exhausts, fail, nothing, retry_then, sleep
from ..shape import named
from . import procedure
from .control import OWN, SOON, ask, ended, started

# Values that are a matter of time, place and process.
CHANCE = {"timestamp", "clock", "pid", "runtime", "loadavg", "active", "processed", "sw_ident", "sw_ver", "sw_sys"}


def told(event):
    """Returns an event with chance values as the names of their types, and a traceback as `text`."""
    said = {key: type(value).__name__ if key in CHANCE else value for key, value in event.items()}
    return said | ({"traceback": "text"} if said.get("traceback") else {})


def of_task(run, send, last, within=SOON):
    """Sends a task with events on, waits for its last event, and returns all of them."""
    node = run.own().node
    ask(run, "enable_events", node)
    result = send()

    def seen():
        return [(channel, event) for channel, event in run.all_events() if event.get("uuid") == result.id]

    run.watch.until(lambda: any(event["type"] == last for _, event in seen()), within)
    ask(run, "disable_events", node)
    return named([[channel, told(event)] for channel, event in seen()])


@procedure("events: worker")
def online_heartbeat_and_offline(run):
    worker = run.start_own("events@host", ["events"], 1)
    run.watch.until(lambda: run.events_of(worker.node, "worker-heartbeat"), SOON)
    worker.stop()
    run.watch.until(lambda: run.events_of(worker.node, "worker-offline"), SOON)
    kinds = ["worker-online", "worker-heartbeat", "worker-offline"]
    return {kind: [told(event) for event in run.events_of(worker.node, kind)[:1]] for kind in kinds}


@procedure("events: worker")
def none_about_tasks_by_default(run):
    return sorted({event["type"] for _, event in run.all_events() if event["hostname"] == run.node} - {"worker-offline"})


@procedure("events: task")
def a_success(run):
    return of_task(run, lambda: add.apply_async((1, 2), **OWN), "task-succeeded")


@procedure("events: task")
def a_success_with_keywords_and_text(run):
    return of_task(run, lambda: app.send_task("conformance.echo", ["ü", None, True], {"k": [1.5, "x" * 30]}, **OWN), "task-succeeded")


@procedure("events: task")
def a_failure(run):
    return of_task(run, lambda: fail.apply_async(kwargs={"kind": "KeyError", "arguments": ["why"]}, **OWN), "task-failed")


def apart(seen):
    """Sorts out task-received: the next attempt is on its way before the one before it has been
    told to have ended, so that which of the two comes first is chance."""
    received = [event for event in seen if event[1]["type"] == "task-received"]
    return [received, [event for event in seen if event not in received]]


@procedure("events: task")
def a_retry(run):
    return apart(of_task(run, lambda: retry_then.apply_async((1, "v"), **OWN), "task-succeeded"))


@procedure("events: task")
def retries_and_a_failure(run):
    return apart(of_task(run, lambda: exhausts.apply_async(("why",), **OWN), "task-failed"))


@procedure("events: task")
def expired(run):
    past = datetime(2020, 1, 1, tzinfo=timezone.utc)
    return of_task(run, lambda: nothing.apply_async(expires=past, **OWN), "task-revoked")


@procedure("events: task")
def a_countdown(run):
    return of_task(run, lambda: nothing.apply_async(countdown=1, **OWN), "task-succeeded")


@procedure("events: task")
def terminated(run):
    node = run.own().node

    def send():
        running = sleep.apply_async((30,), **OWN)
        started(run, running)
        ask(run, "revoke", node, task_id=running.id, terminate=True)
        return running

    return of_task(run, send, "task-revoked")


@procedure("events: task")
def of_a_name_that_nobody_registers(run):
    return of_task(run, lambda: app.send_task("conformance.nobody", **OWN), "task-failed", within=2)


@procedure("events: task")
def none_after_disabling(run):
    ask(run, "disable_events", run.own().node)
    result = nothing.apply_async(**OWN)
    ended(run, result)
    ended(run, nothing.apply_async(**OWN))
    return [event for _, event in run.all_events() if event.get("uuid") == result.id]
