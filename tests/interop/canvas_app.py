"""A Celery application with the tasks of the canvases in `it/canvas.rs`."""

import os

from celery import Celery

REDIS = os.environ["REDIS"]

app = Celery("canvas_app", broker=f"{REDIS}/0", backend=f"{REDIS}/0")
app.conf.broker_connection_retry_on_startup = True


@app.task(name="c.add")
def add(*numbers):
    return sum(numbers)


@app.task(name="c.total")
def total(numbers, more=0):
    return sum(flat(numbers)) + more


@app.task(name="c.collect")
def collect(*args):
    return list(args)


@app.task(name="c.fail")
def fail(*args):
    raise ValueError(*args)


@app.task(name="c.note")
def note(*args):
    app.backend.client.rpush("noted", repr(args[-1]))


def flat(value):
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    else:
        yield value
