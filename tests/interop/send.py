"""Sends tasks as `send_task` does and tells what became of them: `send.py [--no-wait] JSON`.

JSON is a list of {"task", "args", "kwargs", "options"}; options are those of `apply_async`. Prints
a list of {"id", "state", "result", "error", "states", "seconds"} in the same order: `states` are
those that a client which looks on saw, each once; `error` is [class, module, arguments] of a
failure as the client rebuilds it. The application is the Django project's, or the module that
CELERY_APP names.
"""

import importlib
import json
import os
import sys
import time

from celery.exceptions import TimeoutError as NotInTime

app = importlib.import_module(os.environ.get("CELERY_APP", "hire_voo_ai.celery")).app

WITHIN = 90


# By task id: a client's results share one subscription, so that waiting for one sees the others'
# messages too.
seen = {}


def note(message):
    states = seen.setdefault(message["task_id"], [])
    if message["status"] not in states:
        states.append(message["status"])


def outcome(result, begun):
    told = {"id": result.id}
    try:
        told["result"] = result.get(timeout=WITHIN, on_message=note)
    except NotInTime:
        told["error"] = ["no result", "", [WITHIN]]
    except Exception as error:
        told["error"] = [type(error).__name__, type(error).__module__, [str(a) for a in error.args]]
    told.setdefault("error", None)
    told["state"] = result.state
    told["states"] = seen.get(result.id, [])
    told["seconds"] = time.monotonic() - begun
    return told


wait = "--no-wait" not in sys.argv
begun = time.monotonic()
sent = [
    app.send_task(one["task"], one.get("args"), one.get("kwargs"), **one.get("options", {}))
    for one in json.loads(sys.argv[-1])
]
print(json.dumps([outcome(result, begun) if wait else {"id": result.id} for result in sent]))
