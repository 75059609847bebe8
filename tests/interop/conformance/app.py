"""The application of the suite: its settings, and the tasks that every worker under test has to
have.

A worker in another language registers the same names with the same behaviour
(`../../conformance_worker/main.rs` is one). Numbers are added up by `total`, which takes anything
that JSON holds, so that no canvas of these tasks fails by the accident of a type.

Environment: CONFORMANCE_REDIS is the URL of the broker and of the results; CONFORMANCE_EXTENDED=1
sets `result_extended`.
"""

import decimal
import os
import time
import uuid
from datetime import date, datetime, timezone

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded

URL = os.environ.get("CONFORMANCE_REDIS", "redis://127.0.0.1:6379/0")

app = Celery("conformance", broker=URL, backend=URL)
app.conf.update(
    task_track_started=True,
    result_extended=os.environ.get("CONFORMANCE_EXTENDED") == "1",
    # Else a revoked or refused task of one case would wait for the prefetched ones of another.
    worker_prefetch_multiplier=1,
    accept_content=["json", "msgpack"],
    broker_connection_retry_on_startup=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


class Broken(Exception):
    """An exception of the application's own, with two arguments."""


class Outer:
    class Inner(Exception):
        """One that is defined inside a class: its qualified name has a dot."""


KINDS = {
    "ValueError": ValueError,
    "KeyError": KeyError,
    "RuntimeError": RuntimeError,
    "ZeroDivisionError": ZeroDivisionError,
    "OSError": OSError,
    "Broken": Broken,
    "Inner": Outer.Inner,
}


def total(value):
    """Adds up every number inside a JSON value; a text counts as its length, null and the booleans
    as nothing.
    """
    if isinstance(value, bool) or value is None:
        return 0
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(total(one) for one in value.values())
    return sum(total(one) for one in value)


@app.task(name="conformance.add")
def add(x, y):
    return total(x) + total(y)


@app.task(name="conformance.mul")
def mul(x, y):
    return total(x) * total(y) % 1_000_003


@app.task(name="conformance.xsum")
def xsum(values):
    return total(values)


@app.task(name="conformance.identity")
def identity(value):
    return value


@app.task(name="conformance.echo")
def echo(*args, **kwargs):
    return {"args": list(args), "kwargs": kwargs}


@app.task(name="conformance.nothing")
def nothing():
    return None


@app.task(name="conformance.fail")
def fail(*args, kind="ValueError", arguments=("failed",)):
    """Takes any positional arguments, as a step of a chain gets the result before it."""
    raise KINDS[kind](*arguments)


@app.task(name="conformance.retry_then", bind=True, max_retries=5)
def retry_then(self, times, value, wait=0.5):
    """Retries that often, then returns the value."""
    if self.request.retries < times:
        raise self.retry(exc=ValueError("again"), countdown=wait)
    return value


@app.task(name="conformance.exhausts", bind=True, max_retries=2)
def exhausts(self, message):
    """Retries until none is left: the exception itself is the failure."""
    raise self.retry(exc=KeyError(message), countdown=0.5)


@app.task(name="conformance.progress", bind=True)
def progress(self, steps):
    for step in range(1, steps + 1):
        self.update_state(state="PROGRESS", meta={"current": step, "total": steps})
    return steps


@app.task(name="conformance.sleep")
def sleep(seconds):
    time.sleep(seconds)
    return seconds


@app.task(name="conformance.ignored", ignore_result=True)
def ignored(value):
    return value


@app.task(name="conformance.soft")
def soft(seconds):
    """Ends in time when its soft limit tells it to."""
    try:
        time.sleep(seconds)
    except SoftTimeLimitExceeded:
        return "told in time"
    return "not told"


@app.task(name="conformance.family")
def family(children):
    """Publishes tasks of its own: they are its children."""
    for n in range(children):
        add.delay(n, n)
    return children


@app.task(name="conformance.whoami", bind=True)
def whoami(self, *args):
    request = self.request
    return {
        "id": request.id,
        "root_id": request.root_id,
        "parent_id": request.parent_id,
        "group": request.group,
        "group_index": request.get("group_index"),
        "retries": request.retries,
        "queue": request.delivery_info["routing_key"],
        "priority": request.delivery_info["priority"],
        "x-trace": request.get("x-trace"),
        "stamps": request.get("stamps"),
        "args": list(args),
    }


@app.task(name="conformance.big")
def big(length):
    return "x" * length


@app.task(name="conformance.typed")
def typed():
    """Returns what JSON has no words for."""
    return {
        "datetime": datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc),
        "date": date(2026, 1, 2),
        "decimal": decimal.Decimal("12.50"),
        "uuid": uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
    }


@app.task(name="conformance.failed")
def failed(task_id):
    """An errback of the old form: it takes the id of the task that failed, and is published as a
    task.
    """
    return {"failed": task_id}


@app.task(name="conformance.noted")
def noted(request, exception, traceback):
    """An errback of the new form."""
    return {"failed": request.id}


@app.task(name="conformance.done")
def done(value, note=None):
    """A callback."""
    return {"done": value, "note": note}
