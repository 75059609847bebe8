"""Messages as the producers of Celery and Sidekiq write them, with places for fresh ids."""

import functools
import json

from celery import Celery

from .server import Server

# What a task is called with, in bytes.
TEXT = "x" * 200
PLACE = "11111111-2222-4333-8444-555555555555"


@functools.cache
def celery(task, *args, ignore_result=False):
    """What a real Celery client pushes; `@ID@` and `@TAG@` stand for the ids."""
    # On a server of its own: where a worker listens, it would take it.
    with Server() as server:
        app = Celery("bench", broker=server.url)
        app.send_task(task, args=args, task_id=PLACE, ignore_result=ignore_result)
        app.close()
        text = server.client.lpop("celery").decode()
    tag = json.loads(text)["properties"]["delivery_tag"]
    return text.replace(PLACE, "@ID@").replace(tag, "@TAG@")


def sidekiq(name, args):
    """What Sidekiq's client pushes: the keys of `Sidekiq::JobUtil` in 6.4."""
    at = 1764000000.123456
    job = {"retry": True, "queue": "default", "args": args, "class": name, "jid": "@ID@"}
    return json.dumps(job | {"created_at": at, "enqueued_at": at}, separators=(",", ":"))
