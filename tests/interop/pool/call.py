"""Calls tasks of the application and prints how they ended: `call.py '[[name, args, options], …]'`."""

import json
import sys

from celery.exceptions import TimeoutError as NotYet

from .app import app


def ended(result):
    try:
        value = result.get(timeout=120, propagate=False)
    except NotYet:
        return {"state": result.state, "value": "no end within 120 s"}
    failed = isinstance(value, BaseException)
    return {
        "id": result.id,
        "state": result.state,
        "value": [type(value).__name__, str(value)] if failed else value,
        "traceback": result.traceback,
        "children": [child.id for child in result.children or []],
    }


calls = json.loads(sys.argv[1])
results = [app.send_task(name, args, **options) for name, args, options in calls]
print(json.dumps([ended(result) for result in results]))
