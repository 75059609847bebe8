"""Enqueues the tasks of ``django.tasks`` to Rhubarb's worker.

For: Django 6, and Django 4.2 to 5.2 with the ``django-tasks`` backport, whose tasks a Rhubarb
worker (or a Celery worker) runs. Not for: running tasks in Python. There is no worker here, and a
task function's body never runs.

    TASKS = {"default": {"BACKEND": "rhubarb_tasks.backend.RhubarbBackend"}}

Reading order: ``backend`` (what Django calls), ``options`` (OPTIONS of the setting), ``message``
(what is sent), ``result`` (what is read back), ``framework`` (where ``django.tasks`` is imported
from); apart from these, ``schedules`` (exports Celery's schedules).
"""
