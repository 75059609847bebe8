"""What is sent: a message of Celery's protocol 2 in kombu's envelope, from values alone."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .framework import normalize_json

LEAST_URGENT = 9
"""Celery's priorities on Redis go from 0, which is served first, to this."""

REPR_LIMIT = 1_024
"""Celery cuts the text of arguments at about so many characters; it is for people who look on."""


@dataclass(frozen=True)
class Call:
    """A task that is to run."""

    id: str
    name: str
    """As the worker knows the task."""
    queue: str
    """Celery's queue."""
    priority: int
    """Celery's: 0 is the most urgent."""
    eta: datetime | None
    """Not before; with its offset."""
    args: Sequence[Any]
    """JSON values, as :func:`json_arguments` returns them."""
    kwargs: Mapping[str, Any]
    ignore_result: bool


def json_arguments(task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list, dict]:
    """Returns the arguments as JSON values: a tuple becomes a list, bytes become text.

    Raises TypeError for a type that JSON does not have, ValueError for a value it cannot hold (NaN,
    infinities, half of a surrogate pair, bytes that are no UTF-8, circles); either names the task
    and the argument.
    """
    positional = [json_value(f"positional argument {n} of {task}", arg) for n, arg in enumerate(args, 1)]
    keyword = {name: json_value(f"argument {name!r} of {task}", arg) for name, arg in kwargs.items()}
    return positional, keyword


def json_value(what: str, value: Any) -> Any:
    """Returns a value as JSON has it; ``what`` names it in errors."""
    try:
        value = normalize_json(value)
        # Not all that Python's encoder writes by default is JSON, or text that another language can
        # read.
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except TypeError as error:
        raise TypeError(f"{what} is not JSON: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is not JSON: {error}") from error
    return value


def celery_priority(priority: int, default: int) -> int:
    """Returns Celery's priority (0 to 9, 0 first) for Django's (-100 to 100, 100 first).

    Django's 0 is ``default``, its 100 is 0 and its -100 is 9; between them it is linear, rounded.
    """
    if priority >= 0:
        return default - (priority * default + 50) // 100
    return default + (-priority * (LEAST_URGENT - default) + 50) // 100


def list_key(queue: str, priority: int, steps: Sequence[int], sep: str) -> str:
    """Returns the list of a queue for a priority: that of the greatest step not above it; step 0
    has the bare name.
    """
    step = max(step for step in steps if step <= priority)
    return f"{queue}{sep}{step}" if step else queue


def envelope(call: Call, origin: str, delivery_tag: str) -> bytes:
    """Returns the message as it stands in a queue's list.

    Format: Celery's message protocol 2 and kombu's Redis transport, as Celery 5.7.0 sends it.
    """
    body = [call.args, call.kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    message = {
        "body": base64.b64encode(json.dumps(body).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers(call, origin),
        "properties": {
            "correlation_id": call.id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": call.queue},
            "priority": call.priority,
            "body_encoding": "base64",
            "delivery_tag": delivery_tag,
        },
    }
    return json.dumps(message).encode()


def headers(call: Call, origin: str) -> dict[str, Any]:
    """Returns the headers, complete, as Celery sends them."""
    return {
        "lang": "py",
        "task": call.name,
        "id": call.id,
        "shadow": None,
        "eta": call.eta and call.eta.astimezone(timezone.utc).isoformat(),
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": call.id,
        "parent_id": None,
        "argsrepr": shortened(repr(tuple(call.args))),
        "kwargsrepr": shortened(repr(dict(call.kwargs))),
        "origin": origin,
        "ignore_result": call.ignore_result,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }


def shortened(text: str) -> str:
    """Returns text cut at Celery's limit."""
    return text if len(text) <= REPR_LIMIT else text[: REPR_LIMIT - 3] + "..."
