"""A small Django project whose tasks Rhubarb runs.

What matters for Rhubarb is at the end: databases, prefixes and Celery's settings, as any project
has them.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import django

FOLDER = Path(__file__).resolve().parent.parent

DEBUG = os.environ.get("DEBUG", "1") == "1"
SECRET_KEY = os.environ.get("SECRET_KEY", "only for a try: not for a site that others can reach")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "127.0.0.1,localhost").split(",")
ROOT_URLCONF = "careers.urls"
WSGI_APPLICATION = "careers.wsgi.application"
STATIC_URL = "static/"
USE_TZ = True

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "jobs",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The same variable as the worker's. The database's number is added here and there.
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379").rstrip("/")

CELERY_BROKER_URL = f"{REDIS_URL}/0"
CELERY_RESULT_BACKEND = f"{REDIS_URL}/0"


def cache(database, prefix, timeout):
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{REDIS_URL}/{database}",
        "KEY_PREFIX": prefix,
        "TIMEOUT": timeout,
    }


# As rhubarb.toml has them under [cache.aliases].
CACHES = {
    "default": cache(1, "careers", 300),
    "sessions": cache(2, "session", 1_209_600),
    "jobs": cache(3, "jobs", 3600),
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "sessions"

# Django's own tasks go the same way, where the package of deploy/django is installed.
if find_spec("rhubarb_tasks"):
    if django.VERSION < (6,):
        INSTALLED_APPS += ["django_tasks"]
    INSTALLED_APPS += ["rhubarb_tasks"]
    TASK_NAMES = {"jobs.background.refresh": "job_scraper.tasks.scrape_specific_keyword"}
    TASKS = {
        "default": {
            "BACKEND": "rhubarb_tasks.backend.RhubarbBackend",
            "QUEUES": [],
            "OPTIONS": {"TASK_NAMES": TASK_NAMES},
        }
    }
