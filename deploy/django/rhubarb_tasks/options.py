"""OPTIONS of the TASKS setting: read, given defaults, and checked. Nothing here connects."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured

DAY = 86_400

MOST = 10**9
"""Seconds; more would not be an expiry, and Redis refuses times that do not fit."""


@dataclass(frozen=True)
class Options:
    """What the backend goes by. The names are those of OPTIONS, which may be in upper or in lower case.

    Where OPTIONS says nothing, Celery's settings of the project count (``CELERY_BROKER_URL`` and so
    on), then the environment, so that a project that has Celery needs no OPTIONS at all.
    """

    redis_url: str | None = None
    """The queue's Redis: redis://, rediss:// or unix://. None: nobody named one, and using the
    backend is an error.
    """

    result_url: str | None = None
    """The results' Redis; by default the queue's."""

    client: Mapping[str, Any] = field(default_factory=dict)
    """More keyword arguments for redis-py, such as ``ssl_cert_reqs`` or ``socket_timeout``
    (seconds).
    """

    global_keyprefix: str = ""
    """Stands in front of every key of Celery's and ours; the worker's setting
    ``celery.global_keyprefix``.
    """

    result_global_keyprefix: str = ""
    """Stands in front of Celery's keys of results; the worker's setting
    ``celery.result_global_keyprefix``.
    """

    result_keyprefix_form: str = "5.7"
    """How it is joined, "5.7" or "5.4"; the worker's setting ``celery.result_keyprefix_form``."""

    priority_steps: tuple[int, ...] = (0, 3, 6, 9)
    """Celery's priority steps; the worker's setting ``celery.priority_steps``."""

    sep: str = "\x06\x16"
    """Between a queue's name and its step; the worker's setting ``celery.sep``."""

    default_priority: int = 4
    """Celery's priority (0 is the most urgent, 9 the least) of a task whose Django priority is 0."""

    queue_names: Mapping[str, str] = field(default_factory=dict)
    """Celery's queue for a ``queue_name``; one that is not here keeps its name."""

    task_names: Mapping[str, str] = field(default_factory=dict)
    """The worker's name of a task for its ``module.function``; one that is not here is called just
    that.
    """

    results: bool = True
    """False: no record and no result is kept, and ``get_result`` is refused."""

    result_expires: int = DAY
    """Seconds for which a task is known by its id; not longer than the worker keeps results."""

    enqueue_on_commit: bool = False
    """True: a task enqueued inside a transaction is sent when that commits, and never if it rolls
    back.
    """

    def result_prefix(self) -> str:
        """Returns what stands before the name of a result, as Celery 5.7 or 5.4 joins it."""
        prefix = self.result_global_keyprefix
        joined = not prefix or (self.result_keyprefix_form == "5.7" and prefix[-1] in ":_-.")
        return prefix if joined else f"{prefix}_"

    def queue_problem(self, name: str) -> str | None:
        """Returns why no queue can have a name; None when one can. The worker refuses the same
        names.
        """
        return queue_problem(name, self.global_keyprefix, self.result_prefix())


BEGINNINGS = ("rhubarb:", "_kombu.")
WHOLE = ("unacked", "unacked_index", "unacked_mutex", "celery.pidbox", "reply.celery.pidbox", "celeryev")


def queue_problem(name: str, prefix: str, result_prefix: str) -> str | None:
    """Returns why no queue can have a name, under these prefixes; None when one can."""
    if not 1 <= len(name.encode(errors="replace")) <= 512 or any(unicodedata.category(c) == "Cc" for c in name):
        return f"{name!r} is no queue's name: it has 1 to 512 characters and no control characters"
    key = prefix + name
    others = (f"{result_prefix}celery-task-meta-", f"{result_prefix}celery-taskset-meta-", "redbeat:")
    ends = name.endswith(".reply.celery.pidbox")
    if name.startswith(BEGINNINGS) or name in WHOLE or ends or key.startswith(others):
        return f"no queue can be named {name!r}: such names are other keys of Rhubarb's or Celery's; give it another name"
    return None


def read_options(
    given: Mapping[str, Any], setting: Callable[[str], Any], environment: Mapping[str, str]
) -> Options:
    """Returns the options as they hold.

    ``given`` is OPTIONS, ``setting`` returns a Django setting or None, ``environment`` is that of
    the process. Raises ImproperlyConfigured with every problem found, not only the first.
    """
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured(f"OPTIONS is {type(given).__name__}, and a dict is expected")
    named = {str(name).lower(): value for name, value in given.items()}
    known = [option.name for option in fields(Options)]
    there = ", ".join(known).upper()
    problems = [f"{name} is no option; there are {there}" for name in given if str(name).lower() not in known]
    broker, of_results = (transport_options(name, setting, problems) for name in TRANSPORTS)
    values = {
        **{name: broker[name] for name in ("global_keyprefix", "priority_steps", "sep") if name in broker},
        # Celery takes None for none there.
        "result_global_keyprefix": of_results.get("global_keyprefix") or "",
        "redis_url": broker_url(setting, environment),
        "result_expires": celery_expires(setting("CELERY_RESULT_EXPIRES")),
        **{name: value for name, value in named.items() if name in known},
    }
    if values.get("results", True):
        values.setdefault("result_url", result_url(setting, environment))
    problems += [problem for name, value in values.items() if (problem := wrong(name, value))]
    if not problems:
        options = Options(**settled(values, setting("CELERY_TASK_DEFAULT_QUEUE") or "celery"))
        problems = list(filter(None, map(options.queue_problem, options.queue_names.values())))
    if problems:
        raise ImproperlyConfigured("; ".join(problems))
    return options


TRANSPORTS = ("CELERY_BROKER_TRANSPORT_OPTIONS", "CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS")


def transport_options(name: str, setting: Callable[[str], Any], problems: list[str]) -> Mapping[str, Any]:
    """Returns a setting of Celery's that is a dict; adds a problem where it is something else."""
    options = setting(name) or {}
    if isinstance(options, Mapping):
        return options
    problems.append(f"the setting {name} is no dict")
    return {}


def settled(values: dict[str, Any], default_queue: str) -> dict[str, Any]:
    """Returns values that are all fit, each in the form that Options has it."""
    urls = {name: url and redis_py_url(url) for name in ("redis_url", "result_url") for url in [values.get(name)]}
    expires = values["result_expires"]
    return {
        **values,
        "redis_url": urls["redis_url"],
        "result_url": urls["result_url"] or urls["redis_url"],
        "priority_steps": tuple(values.get("priority_steps", Options.priority_steps)),
        "queue_names": {"default": default_queue, **values.get("queue_names", {})},
        "result_expires": int(expires.total_seconds() if isinstance(expires, timedelta) else expires),
    }


def broker_url(setting: Callable[[str], Any], environment: Mapping[str, str]) -> str | None:
    """Returns the URL that Celery or the platform names."""
    names = ("CELERY_BROKER_URL", "REDIS_TLS_URL", "REDIS_URL")
    return setting("CELERY_BROKER_URL") or next(filter(None, map(environment.get, names)), None)


def result_url(setting: Callable[[str], Any], environment: Mapping[str, str]) -> str | None:
    """Returns the URL that Celery names for results."""
    return setting("CELERY_RESULT_BACKEND") or environment.get("CELERY_RESULT_BACKEND")


def celery_expires(value: Any) -> Any:
    """Returns Celery's expiry of results; a day where it has none ("for ever" is no bound for our
    records).
    """
    return value if isinstance(value, (int, float, timedelta)) and value else DAY


def redis_py_url(url: str) -> str:
    """Returns the URL as redis-py reads it: Celery also takes ``ssl_cert_reqs=CERT_NONE``, redis-py
    only ``none``.
    """
    return re.sub(r"(?<=ssl_cert_reqs=)CERT_(\w+)", lambda found: found[1].lower(), url)


def wrong(name: str, value: Any) -> str | None:
    """Returns what is wrong with a value; None when it is fit. Says nothing of a URL but its
    scheme.
    """
    expected = {
        "redis_url": "a URL of redis://, rediss:// or unix://",
        "result_url": "a URL of redis://, rediss:// or unix:// (or RESULTS: False for no results)",
        "client": "a dict of redis-py's keyword arguments",
        "global_keyprefix": "text",
        "result_global_keyprefix": "text",
        "result_keyprefix_form": "'5.7' or '5.4'",
        "priority_steps": "an ascending list of numbers from 0 to 255 that begins with 0",
        "sep": "text",
        "default_priority": "a whole number from 0 to 9",
        "queue_names": "a dict of names",
        "task_names": "a dict of names",
        "results": "True or False",
        "result_expires": "a number of seconds, 1 or more, or a timedelta",
        "enqueue_on_commit": "True or False",
    }[name]
    if fits(name, value):
        return None
    return f"{name.upper()} is {shown(name, value)}, and {expected} is expected"


def shown(name: str, value: Any) -> str:
    """Returns a value as an error may have it: a URL and what goes to redis-py may hold a password."""
    if name == "client":
        return type(value).__name__
    if name.endswith("_url"):
        scheme, colon, _ = str(value).partition("://")
        return repr(f"{scheme}://…") if colon else "no URL"
    return repr(value)


def fits(name: str, value: Any) -> bool:
    """Tells whether a value can be an option's."""
    match name:
        case "redis_url" | "result_url":
            return value is None or (isinstance(value, str) and re.match(r"(rediss?|unix)://", value) is not None)
        case "client":
            return isinstance(value, Mapping)
        case "queue_names" | "task_names":
            return isinstance(value, Mapping) and all(isinstance(one, str) and one for one in value.values())
        case "result_keyprefix_form":
            return value in ("5.7", "5.4")
        case "priority_steps":
            whole = isinstance(value, (list, tuple)) and all(type(step) is int for step in value)
            return whole and list(value[:1]) == [0] and list(value) == sorted(set(value)) and value[-1] <= 255
        case "results" | "enqueue_on_commit":
            return isinstance(value, bool)
        case "default_priority":
            return type(value) is int and 0 <= value <= 9
        case "result_expires":
            seconds = value.total_seconds() if isinstance(value, timedelta) else value
            return isinstance(seconds, (int, float)) and type(seconds) is not bool and 1 <= seconds <= MOST
        case _:
            return isinstance(value, str)
