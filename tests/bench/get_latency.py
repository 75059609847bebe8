"""How long after a task's end a waiting Celery client's `get()` returns: `get_latency.py [TASKS]`.

Each task waits 20 ms, so that the client is subscribed and waiting by then, and returns the time at
which it ends. What is measured lies between that and the return of `get()`: the worker's
acknowledging script, Redis's push, and the client's own work. Prints a Markdown table and, last,
the same as one line of JSON.
"""

import json
import os
import statistics
import sys
import time

import celery
from celery import Celery

url = os.environ["REDIS"]
app = Celery("bench", broker=f"{url}/0", backend=f"{url}/0")


def one():
    result = app.send_task("e2e.now", kwargs={"seconds": 0.02})
    ended = result.get(timeout=30)
    return (time.time() - ended) * 1000


for _ in range(20):
    one()
took = sorted(one() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
figures = {
    "celery": celery.__version__,
    "tasks": len(took),
    "p50_ms": round(statistics.median(took), 2),
    "p99_ms": round(took[int(len(took) * 0.99) - 1], 2),
    "max_ms": round(took[-1], 2),
    "within_20_ms": sum(ms <= 20 for ms in took),
}
print("| client | tasks | p50 ms | p99 ms | max ms | within 20 ms |")
print("|---|---|---|---|---|---|")
print("| Celery {celery} `get()` | {tasks} | {p50_ms} | {p99_ms} | {max_ms} | {within_20_ms} |".format(**figures))
print(json.dumps(figures))
