"""Cache aliases, prefixes and databases as in the Django application whose Redis is shared."""

import os

REDIS = os.environ["REDIS"]

SECRET_KEY = "only for tests"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["job_scraper"]
DATABASES = {}


def cache(database, prefix, timeout):
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{REDIS}/{database}",
        "KEY_PREFIX": prefix,
        "TIMEOUT": timeout,
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
    }


CACHES = {
    "default": cache(1, "hire_voo_ai", 300),
    "sessions": cache(2, "session", 1_209_600),
    "jobs": cache(3, "jobs", 3_600),
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "sessions"

CELERY_BROKER_URL = f"{REDIS}/0"
CELERY_RESULT_BACKEND = f"{REDIS}/0"
CELERY_TIMEZONE = "UTC"
