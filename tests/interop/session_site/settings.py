"""A site with logins. SESSIONS names the backend (`cache` or `cached_db`), DATABASE the file of its
users.
"""

import os

from hire_voo_ai.settings import *  # noqa: F403

SECRET_KEY = "only for tests, and not short at all: 0123456789"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SESSION_ENGINE = f"django.contrib.sessions.backends.{os.environ['SESSIONS']}"
ROOT_URLCONF = "session_site.urls"
ALLOWED_HOSTS = ["*"]
LOGGING_CONFIG = None
