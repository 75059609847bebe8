"""Settings for either framework: Django 6's own tasks, or the backport on the Django before it."""

import json
import os

import django

REDIS = os.environ["REDIS"]

SECRET_KEY = "only for tests"
USE_TZ = True
INSTALLED_APPS = ["rhubarb_tasks"] if django.VERSION >= (6,) else ["django_tasks", "rhubarb_tasks"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

CELERY_BROKER_URL = f"{REDIS}/0"

TASKS = {
    "default": {
        "BACKEND": "rhubarb_tasks.backend.RhubarbBackend",
        "QUEUES": ["default", "scrapes"],
        "OPTIONS": {
            "TASK_NAMES": {"background.tasks.nap": "e2e.sleep"},
            **json.loads(os.environ.get("TASKS_OPTIONS", "{}")),
        },
    }
}
