"""Asks a worker by Celery's own remote control and prints what it replied: remote.py NODE
WAITING_TASK RUNNING_TASK.

RUNNING_TASK runs on NODE and is ended here; WAITING_TASK waits for its time and is revoked here.
"""

import json
import sys

from celery.exceptions import TaskRevokedError

from hire_voo_ai import celery_app as app

node, waiting, running = sys.argv[1:]
inspect = app.control.inspect(destination=[node], timeout=5)
control = {"destination": [node], "reply": True, "timeout": 5}
questions = ["ping", "active", "reserved", "scheduled", "revoked", "registered", "stats", "active_queues", "conf",
             "report", "clock", "memsample"]
told = {question: (getattr(inspect, question)() or {}).get(node) for question in questions}
told["query_task"] = (inspect.query_task(waiting, running) or {}).get(node)


def order(method, *args, **kwargs):
    replies = getattr(app.control, method)(*args, **kwargs, **control)
    return replies[0][node] if replies else None


told["rate_limit"] = order("rate_limit", "e2e.who", "100/m")
told["time_limit"] = order("time_limit", "e2e.who", soft=60, hard=120)
told["add_consumer"] = order("add_consumer", "extra")
told["queues"] = [queue["name"] for queue in inspect.active_queues()[node]]
told["cancel_consumer"] = order("cancel_consumer", "extra")
told["pool_grow"] = order("pool_grow", n=1)
told["pool_shrink"] = order("pool_shrink", n=1)
told["enable_events"] = order("enable_events")
told["autoscale"] = order("autoscale", 4, 1)
told["pool_restart"] = order("pool_restart")
told["nobody"] = app.control.ping(destination=["nobody@nowhere"], timeout=0.5)
told["pattern"] = app.control.ping(pattern=f"{node[:3]}*", matcher="glob", limit=1, timeout=5)


def raised(result):
    try:
        return result.get(timeout=10)
    except TaskRevokedError as error:
        return str(error)


told["terminate"] = order("revoke", running, terminate=True)
told["terminated"] = raised(app.AsyncResult(running))
told["revoke"] = order("revoke", waiting)
told["revoked_result"] = raised(app.AsyncResult(waiting))
told["revoked"] = (inspect.revoked() or {}).get(node)
print(json.dumps(told))
