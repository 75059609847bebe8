"""The Python side of a mixed fleet: `celery -A fleet worker`. It has tasks of its own, and twins of
`own_worker`'s.

Every task says that Python ran it. What acknowledges late is in `unacked` while it runs. With
CONSIDERATE set, what it does not know is left for Rhubarb's workers, with SHARING their share of
what it knows as well (docs/migrate.md).
"""

import hashlib
import json
import os
import time

import redis
from celery import Celery
from celery.worker.consumer import Consumer

REDIS = os.environ["REDIS"]

app = Celery("fleet", broker=f"{REDIS}/0", backend=f"{REDIS}/0")


class Considerate(Consumer):
    """Celery fails a task that it does not know; this one leaves it for whoever does."""

    def on_unknown_task(self, body, message, exc):
        message.requeue()
        time.sleep(0.05)  # While it waits here, the others can take it.


class Shares:
    """What `rhubarb share` says of tasks that a live worker of Rhubarb's runs; by the task's id."""

    def __init__(self, url):
        self.redis = redis.Redis.from_url(url, decode_responses=True)
        self.shares, self.read_again = {}, 0

    def read(self):
        seconds, _ = self.redis.time()
        alive = self.redis.zrangebyscore("rhubarb:workers", seconds * 1000, "+inf")
        records = self.redis.mget([f"rhubarb:worker:{id}" for id in alive]) if alive else []
        runs = {task for record in records if record for task in json.loads(record)["tasks"]}
        shares = self.redis.hgetall("rhubarb:shares")
        self.shares = {task: int(share) for task, share in shares.items() if task in runs}

    def are_theirs(self, task, id):
        if time.monotonic() >= self.read_again:
            self.read()
            self.read_again = time.monotonic() + 2
        share = self.shares.get(task, 0)
        return int(hashlib.sha1(id.encode()).hexdigest()[:8], 16) % 100 < share


class Sharing(Considerate):
    """Leaves Rhubarb's workers their share of a task."""

    def create_task_handler(self, **options):
        run, shares = super().create_task_handler(**options), Shares(f"{REDIS}/0")

        def on_task_received(message):
            headers = message.headers
            if "task" in headers and shares.are_theirs(headers["task"], headers["id"]):
                message.requeue()
                time.sleep(0.02)  # While it waits here, the others can take it.
            else:
                run(message)

        return on_task_received


if "SHARING" in os.environ:
    app.conf.worker_consumer = "fleet:Sharing"
elif "CONSIDERATE" in os.environ:
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
