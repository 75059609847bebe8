"""Does what a project does with its tasks: `python -m background.steps JSON`.

JSON is a list of steps, done in order; prints a list of what came of each.

- {"enqueue": TASK, "args", "kwargs", "using": {"queue_name", "priority"}, "in": seconds until it
may run, "odd": a name from ODD for an argument more, "async": true for `aenqueue`, "atomic":
"commit" or "rollback"} - {"result": ID or the number of an earlier step, "of": TASK; without it the
backend is asked, "wait": true to look again until it has ended or "until": STATUS, "async": true
for `aget_result`}

TASK is a name of `background.tasks`. What came of it is the result as a dict, or {"raised": class,
"text"}.
"""

import asyncio
import json
import sys
import time
from datetime import datetime, timedelta, timezone

import django

django.setup()

from django.db import transaction  # noqa: E402

from background import tasks  # noqa: E402

try:
    from django.tasks import default_task_backend
except ModuleNotFoundError:
    from django_tasks import default_task_backend

WITHIN = 60

ODD = {
    "time": datetime(2026, 1, 1),
    "nan": float("nan"),
    "surrogate": "\ud800",
    "bytes": b"\xff",
    "set": {1},
}


class Back(Exception):
    """Ends a transaction without committing it."""


def enqueue(step):
    task = getattr(tasks, step["enqueue"]).using(**step.get("using", {}))
    if "in" in step:
        task = task.using(run_after=datetime.now(timezone.utc) + timedelta(seconds=step["in"]))
    args = step.get("args", []) + ([ODD[step["odd"]]] if "odd" in step else [])
    kwargs = step.get("kwargs", {})
    if step.get("async"):
        return asyncio.run(task.aenqueue(*args, **kwargs))
    if "atomic" not in step:
        return task.enqueue(*args, **kwargs)
    try:
        with transaction.atomic():
            result = task.enqueue(*args, **kwargs)
            step["before"] = time_text(result.enqueued_at)
            if step["atomic"] == "rollback":
                raise Back
    except Back:
        pass
    return result


def look(step, earlier):
    wanted = step["result"]
    wanted = earlier[wanted]["id"] if isinstance(wanted, int) else wanted
    of = getattr(tasks, step["of"]) if "of" in step else default_task_backend
    result = asyncio.run(of.aget_result(wanted)) if step.get("async") else of.get_result(wanted)
    deadline = time.monotonic() + WITHIN
    while "until" in step or "wait" in step:
        if result.is_finished or result.status == step.get("until"):
            break
        if time.monotonic() > deadline:
            raise TimeoutError(result.status)
        time.sleep(0.02)
        result.refresh()
    return result


def time_text(time):
    return time and time.astimezone(timezone.utc).isoformat()


def told(result):
    return {
        "id": result.id,
        "task": result.task.module_path,
        "queue_name": result.task.queue_name,
        "priority": result.task.priority,
        "run_after": time_text(result.task.run_after),
        "status": str(result.status),
        "args": result.args,
        "kwargs": result.kwargs,
        "enqueued_at": time_text(result.enqueued_at),
        "started_at": time_text(result.started_at),
        "finished_at": time_text(result.finished_at),
        "worker_ids": result.worker_ids,
        "errors": [[e.exception_class_path, e.exception_class.__name__, e.traceback] for e in result.errors],
        "return_value": result.return_value if result.status == "SUCCESSFUL" else None,
    }


def done(step, earlier):
    try:
        outcome = told(enqueue(step) if "enqueue" in step else look(step, earlier))
    except Exception as error:
        return {"raised": type(error).__name__, "text": str(error)}
    if "before" in step:
        outcome["enqueued_at_inside"] = step["before"]
    return outcome


outcomes = []
for step in json.loads(sys.argv[-1]):
    outcomes.append(done(step, outcomes))
print(json.dumps(outcomes))
