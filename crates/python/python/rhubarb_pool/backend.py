"""Celery's Redis result backend by way of the worker.

The final state of the task that runs is not written here: it goes to the worker with the task's
end, which writes it together with all that follows, in one step. Everything else (states on the
way, groups, what a task reads of others) goes through the worker's connection at once.
"""

from functools import partial

from celery import states
from celery.backends.base import SyncBackendMixin
from celery.backends.redis import RedisBackend
from celery.utils.functional import arity_greater
from celery.utils.log import get_logger
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import ConnectionError as RedisConnectionError

from . import parent, phases

_logger = get_logger(__name__)
_FINAL = frozenset([*states.READY_STATES, states.RETRY])


class Pipeline:
    """Commands that are carried out together."""

    def __init__(self):
        self._commands = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def __getattr__(self, name):
        def add(*args, **kwargs):
            self._commands.append(_command(name, args, kwargs))
            return self

        return add

    def execute(self):
        """Carry them out and return their answers."""
        commands, self._commands = self._commands, []
        return _redis(commands, atomic=True)


class Client:
    """As much of redis-py's client as Celery's backend uses."""

    def __getattr__(self, name):
        def run(*args, **kwargs):
            return _redis([_command(name, args, kwargs)])[0]

        return run

    def pipeline(self, *_, **__):
        """Return commands that are carried out together."""
        return Pipeline()

    def register_script(self, text):
        """Return a function that runs a script."""

        def run(keys=(), args=(), client=None):
            return _redis([["EVAL", text, len(keys), *keys, *args]])[0]

        return run


#: Names that redis-py has for commands of other names.
_NAMES = {"delete": "DEL", "incr": "INCRBY", "decr": "DECRBY"}


def _command(name, args, kwargs):
    words = [_NAMES.get(name, name.upper())]
    if name in ("incr", "decr") and len(args) == 1 and not kwargs:
        args = (*args, 1)
    for arg in args:
        if isinstance(arg, dict):
            words.extend(word for member, score in arg.items() for word in (score, member))
        else:
            words.extend(arg if isinstance(arg, (list, tuple)) else [arg])
    for key, value in kwargs.items():
        if value is not None and value is not False:
            words.extend([key.upper()] if value is True else [key.upper(), value])
    if name == "setex":
        words[2] = int(words[2])
    return words


def _redis(commands, atomic=False):
    try:
        return parent.redis("results", commands, atomic)
    except parent.Refused as error:
        raise RedisConnectionError(str(error)) from error


class Backend(SyncBackendMixin, RedisBackend):
    """The Redis backend of an application, in a child."""

    @property
    def client(self):
        """The worker's connection, or in a process that a task has forked one of its own."""
        if parent.is_here():
            return Client()
        return self._own_client()

    def _own_client(self):
        own = self.__dict__.get("_own")
        if own is None:
            own = self.__dict__["_own"] = self._create_client(**self.connparams)
        return own

    def on_task_call(self, producer, task_id):
        """Listen to nothing: results are asked for."""
        return {}

    def forget(self, task_id):
        """Forget a result."""
        self._cache.pop(task_id, None)
        self.delete(self.get_key_for_task(task_id))

    def _store_result(self, task_id, result, state, traceback=None, request=None, **kwargs):
        run = phases.current
        if run is None or task_id != run.id or state not in _FINAL:
            return super()._store_result(
                task_id, result, state, traceback=traceback, request=request, **kwargs
            )
        meta = self._get_result_meta(
            result=result, state=state, traceback=traceback, request=request
        )
        meta["task_id"] = bytes_to_str(task_id)
        run.store(_bytes(self.encode(meta)))
        return result

    def mark_as_failure(
        self,
        task_id,
        exc,
        traceback=None,
        request=None,
        store_result=True,
        call_errbacks=True,
        state=states.FAILURE,
    ):
        """Store a failure; the worker tells the rest of a chain, the chord and the errbacks."""
        run = phases.current
        if run is None or request is None or task_id != run.id or not run.is_json:
            return super().mark_as_failure(
                task_id,
                exc,
                traceback=traceback,
                request=request,
                store_result=store_result,
                call_errbacks=call_errbacks,
                state=state,
            )
        if store_result:
            self.store_result(task_id, exc, state, traceback=traceback, request=request)
        if call_errbacks and request.errbacks:
            run.errbacks_called = self._call_those_that_are_functions(request, exc, traceback)

    def _call_those_that_are_functions(self, request, exc, traceback):
        called = []
        for place, errback in enumerate(request.errbacks):
            errback = self.app.signature(errback)
            if not errback._app:
                errback._app = self.app
            if self._is_called_as_a_function(errback):
                try:
                    errback(request, exc, traceback)
                except Exception:
                    _logger.exception("Errback %r raised an exception", errback.task)
                called.append(place)
        return called

    def _is_called_as_a_function(self, errback):
        try:
            header = errback.type.__header__
        except (AttributeError, KeyError):
            return False
        if isinstance(header, partial):
            return False
        greater = getattr(self, "_errback_arity_greater", None)
        return greater(errback, 1) if greater else arity_greater(header, 1)

    def on_chord_part_return(self, request, state, result, **kwargs):
        """Leave the part of a chord to the worker, which stores it with the task's end.

        The worker reads JSON: what is anything else stays with Celery's own code.
        """
        run = phases.current
        is_readable = run is not None and run.is_json and self.serializer == "json"
        if not is_readable or request.id != run.id:
            return super().on_chord_part_return(request, state, result, **kwargs)
        result = self.encode_result(result, state)
        run.part = _bytes(self.encode([1, request.id, state, result]))
        return None


def _bytes(payload):
    return payload.encode() if isinstance(payload, str) else bytes(payload)


def install(app):
    """Have an application whose results are in Redis store them by way of the worker."""
    original = app._get_backend
    made = original()
    if not isinstance(made, RedisBackend):
        return
    app._get_backend = lambda: Backend(app=app, url=made.url)
    app._backend_cache = None
    app._local.__dict__.pop("backend", None)
