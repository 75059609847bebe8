"""The application: with it in INSTALLED_APPS, ``manage.py check`` looks at the backends of TASKS."""

from contextlib import suppress

from django.apps import AppConfig


class RhubarbTasksConfig(AppConfig):
    name = "rhubarb_tasks"
    verbose_name = "Rhubarb's tasks"

    def ready(self) -> None:
        # Django 6.1 has this check, and imports it nowhere. The backport's application registers
        # its own.
        with suppress(ModuleNotFoundError):
            import django.tasks.checks  # noqa: F401
