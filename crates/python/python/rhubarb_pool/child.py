"""A child: runs one task at a time by Celery's own tracer."""

import base64
import json
import multiprocessing
import os
import resource
import signal
import sys
import traceback

from billiard.einfo import ExceptionInfo
from billiard.exceptions import SoftTimeLimitExceeded
from billiard.process import current_process
from celery import signals, states
from celery._state import _set_task_join_will_block
from celery.exceptions import Reject
from celery.worker import state as worker_state
from kombu.compression import decompress
from kombu.serialization import loads, prepare_accept_content
from kombu.utils.encoding import safe_repr

from . import backend, frames, parent, phases

_KILOBYTE = 1 if sys.platform == "linux" else 1024


def serve(stream, loaded, number):
    """Run tasks until the worker has gone; return the exit code."""
    # Celery's loggers show it, and applications read it.
    for process in (current_process(), multiprocessing.current_process()):
        process._name = f"ForkPoolWorker-{number}"
    current_process().index = number - 1
    parent.begin(stream)
    os.register_at_fork(after_in_child=parent.forget)
    app = loaded.app
    _signals()
    _set_task_join_will_block(True)
    app.set_current()
    app.loader.init_worker_process()
    worker_state.reset_state()
    signals.worker_process_init.send(sender=loaded.hostname)
    accept = prepare_accept_content(app.conf.accept_content)
    code = 0
    try:
        stream.send({"kind": "ready", "pid": os.getpid()})
        while not code:
            head, parts = parent.receive()
            told, parts = _Run(app, loaded.hostname, accept, head, parts).end()
            parent.tell(told, parts)
            code = told.get("exits", 0)
    except frames.Closed:
        pass
    except SystemExit:
        code = 1
    signals.worker_process_shutdown.send(sender=loaded.hostname, pid=os.getpid(), exitcode=code)
    return code


def _signals():
    signal.signal(signal.SIGUSR1, _over_its_soft_limit)
    signal.signal(signal.SIGUSR2, _terminated)


def _over_its_soft_limit(_number, _frame):
    if phases.current is not None and not phases.current.is_over:
        raise SoftTimeLimitExceeded()


def _terminated(_number, _frame):
    raise SystemExit(1)


class _Run:
    """One run of one task."""

    def __init__(self, app, hostname, accept, head, parts):
        self._app = app
        self._hostname = hostname
        self._accept = accept
        self._head = head
        self._message = json.loads(parts[0])
        self._headers = self._message["headers"]
        self._body = parts[1]
        self.id = self._headers["id"]
        self.is_json = self._message["content-type"] == "application/json"
        #: Whether the task's own code has ended, and what follows it is published.
        self.has_ended = False
        #: Whether all of it is over.
        self.is_over = False
        self.messages = []
        self.stored = None
        self.part = None
        self.errbacks_called = []

    def keeps(self, message):
        """Tell whether a message is for the worker to publish with the end.

        What follows the end is, and what stands for this task: its retry, its replacement.
        """
        return self.has_ended or message.get("headers", {}).get("id") == self.id

    def store(self, meta):
        """Keep the task's state for the worker to write."""
        self.stored = meta

    def end(self):
        """Run the task and return what the worker is told."""
        try:
            args, kwargs, embed = self._read()
        except Exception as error:
            return {"kind": "end", "state": "UNREADABLE", "error": _exception(error)}, ()
        phases.current = self
        try:
            return self._traced(args, kwargs, embed)
        except Reject as error:
            return {
                "kind": "end",
                "state": states.REJECTED,
                "requeue": bool(error.requeue),
                "reason": str(error.reason),
            }, ()
        except SystemExit as error:
            return {"kind": "end", "state": "EXITED", "exits": 1, "code": str(error.code)}, ()
        except BaseException as error:
            return self._raised(error)
        finally:
            self.is_over = True
            phases.current = None

    def _raised(self, error):
        """What is told of an error that the tracer itself lets pass, or raises."""
        return {
            "kind": "end",
            "state": states.FAILURE,
            "error": _exception(error),
            "traceback": traceback.format_exc(),
            "exits": 0 if isinstance(error, Exception) else 1,
        }, ()

    def _read(self):
        message, body = self._message, self._body
        if message["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        compression = self._headers.get("compression")
        if compression:
            body = decompress(body, compression)
        kind, encoding = message["content-type"], message["content-encoding"]
        return loads(body, kind, encoding, accept=self._accept)

    def _traced(self, args, kwargs, embed):
        task = self._app._tasks[self._head["task"]]
        request = self._request(args, kwargs, embed)
        retval, info, _, text = task.__trace__(self.id, args, kwargs, request)
        self.is_over = True
        if info is None and isinstance(retval, ExceptionInfo):
            return self._raised(retval.exception)
        head = {"kind": "end", "told": True, "state": info.state if info else states.SUCCESS}
        if info is None:
            head["text"] = text if text is not None else safe_repr(retval)
        else:
            self._why(head, info, retval)
        return self._with_parts(head, task)

    def _request(self, args, kwargs, embed):
        properties, request = self._message["properties"], self._headers
        delivery_info = properties.get("delivery_info") or {}
        request.update(
            properties=properties,
            reply_to=properties.get("reply_to"),
            correlation_id=properties.get("correlation_id"),
            delivery_info={
                "exchange": delivery_info.get("exchange"),
                "routing_key": delivery_info.get("routing_key"),
                "priority": properties.get("priority"),
                "redelivered": self._head["redelivered"],
            },
            args=args,
            kwargs=kwargs,
            hostname=self._hostname,
            is_eager=False,
        )
        request.update(embed or {})
        return request

    def _why(self, head, info, retval):
        error = info.retval
        if info.state in (states.FAILURE, states.RETRY):
            head["traceback"] = getattr(retval, "traceback", None)
        if info.state == states.RETRY:
            head["when"] = safe_repr(error.humanize()) if hasattr(error, "humanize") else None
            error = getattr(error, "exc", None) or error
        if info.state == states.REJECTED:
            head["requeue"] = bool(getattr(error, "requeue", False))
            head["reason"] = str(getattr(error, "reason", error))
        if isinstance(error, BaseException):
            head["error"] = _exception(error)

    def _with_parts(self, head, task):
        parts = []
        if self.stored is not None:
            head["stored"] = len(parts)
            parts.append(self.stored)
        if self.part is not None:
            head["part"] = len(parts)
            parts.append(self.part)
        if self.messages:
            head["messages"] = [one for one, _ in self.messages]
            parts.extend(body for _, body in self.messages)
        head["errbacks_called"] = self.errbacks_called
        # Another backend has told those who wait already, as Celery does.
        is_ours = isinstance(task.backend, backend.Backend)
        head["rest"] = self.is_json and is_ours
        if self._head.get("memory"):
            head["rss"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // _KILOBYTE
        return head, parts


def _exception(error):
    kind = type(error)
    return {
        "exc_type": getattr(kind, "__qualname__", kind.__name__),
        "exc_message": [_plain(arg) for arg in error.args],
        "exc_module": kind.__module__,
    }


def _plain(value):
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return safe_repr(value)
