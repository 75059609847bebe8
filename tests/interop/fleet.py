"""The Python side of a mixed fleet: `celery -A fleet worker`. It has tasks of its own, and twins of
`own_worker`'s.

Every task says that Python ran it. What acknowledges late is in `unacked` while it runs. With
CONSIDERATE set, what it does not know is left for Rhubarb's workers (docs/migrate.md).
"""

import os
import time

from celery import Celery
from celery.worker.consumer import Consumer

REDIS = os.environ["REDIS"]

app = Celery("fleet", broker=f"{REDIS}/0", backend=f"{REDIS}/0")


class Considerate(Consumer):
    """Celery fails a task that it does not know; this one leaves it for whoever does."""

    def on_unknown_task(self, body, message, exc):
        message.requeue()
        time.sleep(0.05)  # While it waits here, the others can take it.


if "CONSIDERATE" in os.environ:
    app.conf.worker_consumer = "fleet:Considerate"


@app.task(name="python.echo")
def echo(*args, **kwargs):
    return {"args": list(args), "kwargs": kwargs, "by": "python"}


@app.task(name="python.sleep")
def python_sleep(seconds):
    time.sleep(seconds)
    return "python"


@app.task(name="e2e.who", acks_late=True)
def who(seconds):
    """Never ends here: for a worker that dies while it runs it."""
    time.sleep(600)


@app.task(name="e2e.sleep", acks_late=True)
def sleep(seconds):
    return "python"


@app.task(name="e2e.later", acks_late=True)
def later(seconds):
    return "python"
