"""The backend: what ``django.tasks`` calls, and all that speaks to Redis."""

import dataclasses
import logging
import os
import socket
import threading
import uuid
from datetime import datetime
from functools import partial
from typing import Any

import redis
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone
from django.utils.module_loading import import_string

from . import message
from .framework import (
    BaseTaskBackend,
    Task,
    TaskResult,
    TaskResultDoesNotExist,
    TaskResultMismatch,
    TaskResultStatus,
    task_enqueued,
)
from .options import Options, read_options
from .result import Outcome, Record, read_outcome, record_key, result_key

logger = logging.getLogger(__name__)

TIMEOUTS = {"socket_connect_timeout": 5, "socket_timeout": 5}
"""Seconds; redis-py before 8 waits for ever. The URL's and CLIENT's come first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RhubarbTask(Task):
    """A task with what ``@task`` takes besides, for this backend (not that of Django 6.0: there it
    is ``using``).
    """

    task_name: str | None = None
    """The worker's name of the task; None: TASK_NAMES, or else ``module.function``."""

    enqueue_on_commit: bool | None = None
    """Whether to send it only when the transaction commits; None: as ENQUEUE_ON_COMMIT says."""

    def using(self, *, task_name: str | None = None, enqueue_on_commit: bool | None = None, **changes: Any) -> "Task":
        """Returns the task with these changes; None leaves a thing as it is."""
        ours = {"task_name": task_name, "enqueue_on_commit": enqueue_on_commit}
        # Not `super()`: with slots, this class is not the one that the decorator returns.
        changed = Task.using(self, **changes)
        return dataclasses.replace(changed, **{name: value for name, value in ours.items() if value is not None})


class RhubarbBackend(BaseTaskBackend):
    """Enqueues tasks as Celery messages, and reads their results as Celery's."""

    task_class = RhubarbTask

    supports_defer = True
    supports_priority = True
    # What kind of function stands for the task makes no difference: its body does not run here.
    supports_async_task = True

    def __init__(self, alias: str, params: dict) -> None:
        super().__init__(alias, params)
        self.problem: str | None = None
        try:
            self.read = read_options(self.options, lambda name: getattr(settings, name, None), os.environ)
            self.supports_get_result = self.read.results
        except ImproperlyConfigured as error:
            # Raised here it would come out of the import of some module with tasks, in place of
            # what `check` says.
            self.problem = str(error)
            logger.error("TASKS[%r]: %s", alias, error)

    @property
    def settings(self) -> Options:
        """What OPTIONS and the settings mean. Raises ImproperlyConfigured where they are wrong."""
        if self.problem:
            raise ImproperlyConfigured(f"TASKS[{self.alias!r}]: {self.problem}")
        return self.read

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """Sends the task and returns its result, which is READY.

        At least once: redis-py sends again when it loses the connection before the answer. Raises
        TypeError or ValueError for arguments that are no JSON and for a queue that cannot be,
        before anything is sent, and redis-py's errors when Redis does not take it. In a
        transaction, with ENQUEUE_ON_COMMIT, it is sent when that commits: until then the result has
        no ``enqueued_at``, and Redis's errors come from the commit.
        """
        self.validate_task(task)
        args, kwargs = message.json_arguments(task.module_path, args, kwargs)
        call = self.call(task, args, kwargs)
        result = self.result(task, call.id, args, kwargs, Outcome(), enqueued_at=None)
        send = partial(self.send, call, result)
        on_commit = getattr(task, "enqueue_on_commit", None)
        if self.settings.enqueue_on_commit if on_commit is None else on_commit:
            transaction.on_commit(send)
        else:
            send()
        return result

    def call(self, task: Task, args: list, kwargs: dict) -> message.Call:
        """Returns the call of a task, under Celery's names."""
        names = self.settings
        queue = names.queue_names.get(task.queue_name, task.queue_name)
        if problem := names.queue_problem(queue):
            raise ValueError(problem)
        return message.Call(
            id=str(uuid.uuid4()),
            name=getattr(task, "task_name", None) or names.task_names.get(task.module_path, task.module_path),
            queue=queue,
            priority=message.celery_priority(int(task.priority), names.default_priority),
            eta=task.run_after and aware(task.run_after),
            args=args,
            kwargs=kwargs,
            ignore_result=not names.results,
        )

    def send(self, call: message.Call, result: TaskResult) -> None:
        """Writes the record and the message; on one server both or neither.

        On two servers the record comes first: one without its task goes by its TTL, a task without
        its record would have run unknown.
        """
        origin = f"gen{os.getpid()}@{socket.gethostname()}"
        text = message.envelope(call, origin, str(uuid.uuid4()))
        options = self.settings
        key = options.global_keyprefix + message.list_key(
            call.queue, call.priority, options.priority_steps, options.sep
        )
        enqueued_at = timezone.now()
        broker = self.redis(options.redis_url)
        if not options.results:
            broker.lpush(key, text)
        elif options.result_url == options.redis_url:
            pipe = broker.pipeline(transaction=True)
            self.write_record(pipe, result, call, enqueued_at)
            pipe.lpush(key, text).execute()
        else:
            self.write_record(self.redis(options.result_url), result, call, enqueued_at)
            broker.lpush(key, text)
        object.__setattr__(result, "enqueued_at", enqueued_at)
        task_enqueued.send(type(self), task_result=result)

    def write_record(self, client: Any, result: TaskResult, call: message.Call, enqueued_at: datetime) -> None:
        """Writes our record of a task; one that has to wait is known for as much longer."""
        record = Record(
            task=result.task.module_path,
            queue_name=result.task.queue_name,
            priority=int(result.task.priority),
            run_after=call.eta,
            enqueued_at=aware(enqueued_at),
            args=result.args,
            kwargs=result.kwargs,
        )
        wait = (call.eta - record.enqueued_at).total_seconds() if call.eta else 0
        key = record_key(self.settings.global_keyprefix, result.id)
        client.set(key, record.encode(), ex=int(self.settings.result_expires + max(wait, 0)))

    def get_result(self, result_id: str) -> TaskResult:
        """Returns what is known of a task that this backend enqueued, from any process.

        Raises TaskResultDoesNotExist for an id that is not known or no longer (RESULT_EXPIRES),
        TaskResultMismatch when what is stored is no result or its task is not in this project,
        NotImplementedError with RESULTS off.
        """
        if not self.settings.results:
            return super().get_result(result_id)
        options = self.settings
        keys = [record_key(options.global_keyprefix, result_id), result_key(options.result_prefix(), result_id)]
        record, stored = self.redis(options.result_url).mget(keys)
        if record is None:
            raise TaskResultDoesNotExist(result_id)
        try:
            record, outcome = Record.decode(record), read_outcome(stored)
            task = self.enqueued_task(record)
        except (ValueError, ImportError) as error:
            raise TaskResultMismatch(f"cannot read the result of task {result_id}: {error}") from error
        return self.result(task, result_id, record.args, record.kwargs, outcome, record.enqueued_at)

    def enqueued_task(self, record: Record) -> Task:
        """Returns the task as it was enqueued. Raises ImportError or ValueError where the project
        has no such task.
        """
        task = import_string(record.task)
        if not isinstance(task, Task):
            raise ValueError(f"{record.task} is not a task")
        return dataclasses.replace(
            task,
            backend=self.alias,
            queue_name=record.queue_name,
            priority=record.priority,
            run_after=record.run_after,
        )

    def result(
        self, task: Task, result_id: str, args: list, kwargs: dict, outcome: Outcome, enqueued_at: datetime | None
    ) -> TaskResult:
        """Returns a result. Celery stores no time of a start, so there is none here."""
        result = TaskResult(
            task=task,
            id=result_id,
            status=outcome.status,
            enqueued_at=enqueued_at,
            started_at=None,
            finished_at=outcome.finished_at,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=list(outcome.errors),
            worker_ids=list(outcome.worker_ids),
        )
        object.__setattr__(result, "_return_value", outcome.return_value)
        return result

    def redis(self, url: str | None) -> redis.Redis:
        """Returns the client for a URL. Raises ImproperlyConfigured when nobody named one."""
        if url is None:
            raise ImproperlyConfigured(NO_URL)
        return shared_client(url, {**TIMEOUTS, **self.settings.client})

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        """Tells what is wrong with OPTIONS, and warns of a missing URL and of names that are no
        task's.
        """
        place = f"TASKS[{self.alias!r}]"
        if self.problem:
            return [checks.Error(self.problem, obj=place, id="rhubarb_tasks.E001")]
        found = [] if self.read.redis_url else [checks.Warning(NO_URL, obj=place, id="rhubarb_tasks.W001")]
        for path in filter(no_task, self.read.task_names):
            text = f"TASK_NAMES has {path!r}, and this project has no such task"
            hint = "A key is the module.function of a task; the value is the worker's name for it."
            found.append(checks.Warning(text, hint=hint, obj=place, id="rhubarb_tasks.W002"))
        return found


def no_task(path: Any) -> bool:
    """Tells whether a dotted path is none of a task of this project."""
    try:
        return not isinstance(import_string(path), Task)
    except (ImportError, AttributeError, TypeError):
        return True


NO_URL = "no Redis is named for tasks: set REDIS_URL in OPTIONS, the setting CELERY_BROKER_URL or the variable REDIS_URL"

clients: dict[tuple[str, str], redis.Redis] = {}
clients_lock = threading.Lock()


def shared_client(url: str, keywords: dict[str, Any]) -> redis.Redis:
    """Returns this process's client for a URL.

    Django makes a backend for each thread; redis-py's clients may be shared by threads and survive
    a fork, and one pool for the process keeps the connections few.
    """
    key = (url, repr(sorted(keywords.items())))
    with clients_lock:
        if key not in clients:
            clients[key] = redis.Redis.from_url(url, **keywords)
        return clients[key]


def aware(time: datetime) -> datetime:
    """Returns a time with its offset; without USE_TZ, Django's times are naive and in TIME_ZONE."""
    return timezone.make_aware(time) if timezone.is_naive(time) else time
