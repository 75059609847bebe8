"""What is read back: Celery's stored result, and our record of what was enqueued, as
``django.tasks`` tells it.

Two keys speak of a task. ``celery-task-meta-<id>`` is Celery's, and the worker writes it; there is
none before the task has begun, and it says neither which task it was nor that it ever was one.
``<prefix>rhubarb:django:<id>`` is ours, written with the message: without it a task that waits
could not be told from an id that never was, and ``Task.get_result`` could not tell whose result it
has.
"""

import builtins
import bz2
import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone as offset
from inspect import isclass
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from .framework import TaskError, TaskResultStatus

STATUSES = {
    "PENDING": TaskResultStatus.READY,
    "RECEIVED": TaskResultStatus.READY,
    "RETRY": TaskResultStatus.READY,
    "REJECTED": TaskResultStatus.READY,
    "SUCCESS": TaskResultStatus.SUCCESSFUL,
    "FAILURE": TaskResultStatus.FAILED,
    "REVOKED": TaskResultStatus.FAILED,
}
"""Celery's states; STARTED, PROGRESS and a task's own states are not here: it is running."""


class RemoteError(TaskError):
    """An exception that was raised elsewhere, perhaps in Rust."""

    @property
    def exception_class(self) -> type[BaseException]:
        """The class, if a module that is already loaded has it; else an empty class of that name.

        Nothing is imported: the name comes from Redis.
        """
        found = loaded(self.exception_class_path)
        if found is None:
            module, _, name = self.exception_class_path.rpartition(".")
            return type(name, (Exception,), {"__module__": module or __name__})
        if not isclass(found) or not issubclass(found, BaseException):
            raise ValueError(f"{self.exception_class_path!r} does not reference a valid exception.")
        return found


def loaded(path: str) -> Any:
    """Returns what a dotted path names in the modules that are loaded; None when there is no such
    thing.
    """
    parts = path.split(".")
    for n in range(len(parts) - 1, 0, -1):
        found = sys.modules.get(".".join(parts[:n]))
        if found is not None:
            for name in parts[n:]:
                found = getattr(found, name, None)
            return found
    return None


@dataclass(frozen=True)
class Record:
    """What was enqueued, as long as its result is of interest."""

    task: str
    """The ``module.function`` of the task."""
    queue_name: str
    """Django's name of the queue."""
    priority: int
    """Django's priority."""
    run_after: datetime | None
    enqueued_at: datetime
    args: list
    kwargs: dict[str, Any]

    def encode(self) -> str:
        """Returns the record as JSON, times in ISO form with their offset."""
        times = {name: value and value.isoformat() for name, value in vars(self).items() if name in TIMES}
        return json.dumps({**vars(self), **times})

    @classmethod
    def decode(cls, text: bytes) -> "Record":
        """Returns the record; raises ValueError where it is none."""
        try:
            value = json.loads(text)
            times = {name: value[name] and read_time(value[name]) for name in TIMES}
            return cls(**{**{name: value[name] for name in cls.__dataclass_fields__}, **times})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not a record of rhubarb_tasks: {error!r}") from error


TIMES = ("run_after", "enqueued_at")


def record_key(prefix: str, result_id: str) -> str:
    """Returns our key: string, JSON; written with the message, read by ``get_result``, gone by its TTL.

    ``prefix`` is the broker's, as in front of every key of Rhubarb's.
    """
    return f"{prefix}rhubarb:django:{result_id}"


def result_key(prefix: str, result_id: str) -> str:
    """Returns Celery's key: string, JSON; written by the worker."""
    return f"{prefix}celery-task-meta-{result_id}"


@dataclass(frozen=True)
class Outcome:
    """What is known of a task's run."""

    status: TaskResultStatus = TaskResultStatus.READY
    finished_at: datetime | None = None
    worker_ids: tuple[str, ...] = ()
    errors: tuple[TaskError, ...] = ()
    return_value: Any = None


# What a compressed result begins with, before the method's name and a zero (Celery 5.7,
# ``celery/backends/base.py``).
MAGIC = b"\0celery-compressed\0"
METHODS = {
    "zlib": zlib.decompressobj,
    "gzip": zlib.decompressobj,
    "application/x-gzip": zlib.decompressobj,
    "bzip2": bz2.BZ2Decompressor,
    "bzip": bz2.BZ2Decompressor,
    "application/x-bz2": bz2.BZ2Decompressor,
}
# What comes out of a compressed result at the most, as the worker has it.
MAX_BYTES = 64 << 20


def plain(text: bytes) -> bytes:
    """Returns a stored result as JSON, decompressed where it says how. Raises ValueError where that
    cannot be done.
    """
    if not text.startswith(MAGIC):
        return text
    method, _, body = text[len(MAGIC) :].partition(b"\0")
    if (make := METHODS.get(method.decode(errors="replace"))) is None:
        raise ValueError(f"a result compressed with {method!r}: celery.result_compression has to be zlib or bzip2 here")
    decompressor = make()
    try:
        json_text = decompressor.decompress(body, MAX_BYTES)
    except (zlib.error, OSError) as error:
        raise ValueError(f"a damaged result: {error}") from error
    if not decompressor.eof:
        raise ValueError("a result that is cut off, or too large after decompression")
    return json_text


def read_outcome(text: bytes | None) -> Outcome:
    """Returns what a stored result says; None is one that is not there (yet). Raises ValueError
    where it is no result.
    """
    if text is None:
        return Outcome()
    stored = json.loads(plain(text))
    if not isinstance(stored, Mapping) or not isinstance(stored.get("status"), str):
        raise ValueError("not a result as Celery stores it")
    state, value = stored["status"], stored.get("result")
    status = STATUSES.get(state, TaskResultStatus.RUNNING)
    failed = status == TaskResultStatus.FAILED or state == "RETRY"
    return Outcome(
        status=status,
        finished_at=read_time(stored["date_done"]) if stored.get("date_done") else None,
        worker_ids=workers(stored),
        errors=(remote_error(value, stored.get("traceback")),) if failed else (),
        return_value=value if status == TaskResultStatus.SUCCESSFUL else None,
    )


def workers(stored: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the node that ran it, if it is told: by ``result_extended``, or while it is STARTED."""
    value = stored.get("result")
    started = value.get("hostname") if stored["status"] == "STARTED" and isinstance(value, Mapping) else None
    worker = stored.get("worker") or started
    return (worker,) if isinstance(worker, str) else ()


def remote_error(exception: Any, traceback: Any) -> RemoteError:
    """Returns the error for a stored exception. Where no traceback is stored, its last line is made
    up: the message.
    """
    if not isinstance(exception, Mapping):
        exception = {"exc_type": "Exception", "exc_message": [exception]}
    kind, module = str(exception.get("exc_type")), exception.get("exc_module")
    if not isinstance(module, str) or not module:
        module = "builtins" if hasattr(builtins, kind) else ""
    path = f"{module}.{kind}" if module else kind
    if not isinstance(traceback, str) or not traceback:
        shown = kind if module == "builtins" else path
        message = exception_text(exception.get("exc_message"))
        traceback = f"{shown}: {message}\n" if message else f"{shown}\n"
    return RemoteError(exception_class_path=path, traceback=traceback)


def exception_text(args: Any) -> str:
    """Returns what ``str()`` of an exception with these arguments is."""
    if not isinstance(args, (list, tuple)):
        return "" if args is None else str(args)
    return str(args[0]) if len(args) == 1 else str(tuple(args)) if args else ""


def read_time(text: Any) -> datetime:
    """Returns a stored time as this project has times: aware, or naive local time without USE_TZ.
    No offset means UTC.
    """
    time = parse_datetime(text) if isinstance(text, str) else None
    if time is None:
        raise ValueError(f"{text!r} is no time")
    if timezone.is_naive(time):
        time = time.replace(tzinfo=offset.utc)
    return time if settings.USE_TZ else timezone.make_naive(time)
