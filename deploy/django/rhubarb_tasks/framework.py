"""The tasks framework: Django's own where there is one, else the ``django-tasks`` backport.

Both have the same classes under the same names (Django 6.0 and 6.1, django-tasks 0.12.0); older
backports differ in statuses, exceptions and the fields of a result, and are refused here rather
than half supported.
"""

from django.core.exceptions import ImproperlyConfigured

try:
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import Task, TaskError, TaskResult, TaskResultStatus
    from django.tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
    from django.tasks.signals import task_enqueued
    from django.utils.json import normalize_json
except ModuleNotFoundError as no_django_tasks:
    try:
        from django_tasks.backends.base import BaseTaskBackend
        from django_tasks.base import Task, TaskError, TaskResult, TaskResultStatus
        from django_tasks.exceptions import TaskResultDoesNotExist, TaskResultMismatch
        from django_tasks.signals import task_enqueued
        from django_tasks.utils import normalize_json
    except ImportError as error:
        raise ImproperlyConfigured(
            f"rhubarb_tasks needs Django 6, or django-tasks 0.12 or later on an earlier Django ({error})"
        ) from no_django_tasks
    if not hasattr(TaskResultStatus, "SUCCESSFUL"):
        raise ImproperlyConfigured("rhubarb_tasks needs django-tasks 0.12 or later")

__all__ = [
    "BaseTaskBackend",
    "Task",
    "TaskError",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultMismatch",
    "TaskResultStatus",
    "normalize_json",
    "task_enqueued",
]
