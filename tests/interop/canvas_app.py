"""A Celery application with tasks of `tests/own_worker`, so that both kinds of workers can run the
same canvases.
"""

import os

from celery import Celery

REDIS = os.environ["REDIS"]

app = Celery("canvas_app", broker=f"{REDIS}/0", backend=f"{REDIS}/0")
app.conf.broker_connection_retry_on_startup = True


@app.task(name="e2e.add")
def add(x, y):
    return x + y


@app.task(name="e2e.sum")
def total(numbers):
    return sum(numbers)


@app.task(name="e2e.echo")
def echo(*args):
    return list(args)


@app.task(name="e2e.fail")
def fail(text):
    raise ValueError(text)
