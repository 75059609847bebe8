"""Messages that a client would not send. Those that end Celery's process, or cost it its
connection, are not among them: `tests/it/bad_input.rs` has them."""

import base64
import json

from celery.result import AsyncResult
from kombu.utils.uuid import uuid

from ..app import app
from . import case

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def send(body=None, headers=None, properties=None, **envelope):
    """Puts a message of one's own making into the queue; what is given replaces what a client
    sends.
    """
    task_id = uuid()
    body = [[1, 2], {}, EMBED] if body is None else body
    text = body if isinstance(body, str) else base64.b64encode(json.dumps(body).encode()).decode()
    message = {
        "body": text,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "conformance.add", "id": task_id} | (headers or {}),
        "properties": {
            "correlation_id": task_id,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "delivery_tag": uuid(),
            "body_encoding": "base64",
        }
        | (properties or {}),
    } | envelope
    with app.connection_for_write() as connection:
        connection.default_channel.client.lpush("celery", json.dumps(message))
    return AsyncResult(task_id, app=app)


def later(result):
    """A result that nobody waits for: Celery stores none."""
    return [], [result]


@case("tolerated: sparse messages")
def only_task_and_id():
    return send()


@case("tolerated: sparse messages")
def no_embed():
    return [send([[1, 2], {}, None]), send([[1, 2], {}, {}])]


@case("tolerated: sparse messages")
def a_body_that_is_not_encoded():
    envelope = {"correlation_id": "x", "delivery_info": {"exchange": "", "routing_key": "celery"}, "delivery_tag": uuid()}
    return send(json.dumps([[1, 2], {}, EMBED]), properties=envelope | {"body_encoding": None})


@case("tolerated: sparse messages")
def an_eta_with_Z():
    return send(headers={"eta": "2020-01-01T00:00:00Z"})


@case("tolerated: sparse messages")
def no_time_limits():
    return send(headers={"timelimit": None})


@case("tolerated: sparse messages")
def unknown_headers():
    return send(headers={"something": {"of": ["our", "own"]}})


@case("malformed: refused with a reason")
def keyword_arguments_that_are_a_list():
    return later(send([[1, 2], [], EMBED]))


@case("malformed: refused with a reason")
def another_content_type():
    return later(send(**{"content-type": "application/x-yaml"}))


@case("malformed: refused with a reason")
def a_body_that_is_not_JSON():
    return later(send(base64.b64encode(b"not JSON").decode()))


@case("malformed: refused with a reason")
def an_eta_that_is_no_time():
    return later(send(headers={"eta": "tomorrow"}))
