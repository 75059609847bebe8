"""Publishes canvases as a Celery client does and tells what it wrote: `canvases.py FILE`.

The file is a JSON list of {"signature", "args"}: signatures in Celery's own form. Prints
{"version", "published"}: a list of {"messages", "sizes", "saved", "result"}, or {"error"} where
Celery itself refuses: each message as {"headers", "properties", "body"} in the order of sending,
the sizes of chords and the saved groups by group id, and the result's `as_tuple()`.
"""

import base64
import json
import os
import sys

import celery
import redis
from celery import Celery
from celery.canvas import Signature

URL = os.environ["REDIS"] + "/5"
QUEUES = ["celery", "other"]
GROUP = "celery-taskset-meta-"

app = Celery("client", broker=URL, backend=URL)
# Nobody waits here: each client's subscription would be one more connection.
app.backend.on_task_call = lambda *args: None
store = redis.Redis.from_url(URL, decode_responses=True)


def message(text):
    envelope = json.loads(text)
    return {
        "headers": envelope["headers"],
        "properties": envelope["properties"],
        "body": json.loads(base64.b64decode(envelope["body"])),
    }


def published():
    sent = [text for queue in QUEUES for step in ["", "\x06\x163", "\x06\x166", "\x06\x169"]
            for text in reversed(store.lrange(queue + step, 0, -1))]
    sizes, saved = {}, {}
    for key in store.scan_iter(GROUP + "*"):
        name = key[len(GROUP):]
        if name.endswith(".s"):
            sizes[name[:-2]] = int(store.get(key))
        else:
            saved[name] = json.loads(store.get(key))["result"]
    return {"messages": [message(text) for text in sent], "sizes": sizes, "saved": saved}


def publish(one):
    store.flushdb()
    signature = Signature.from_dict(one["signature"], app=app)
    try:
        result = signature.apply_async(args=one["args"])
    except Exception as error:  # What Celery does not take is told, whatever it is.
        return {"error": f"{type(error).__name__}: {error}"}
    return {**published(), "result": result and result.as_tuple()}


with open(sys.argv[1]) as file:
    print(json.dumps({"version": celery.__version__, "published": [publish(one) for one in json.load(file)]}))
