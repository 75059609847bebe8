"""The shop's settings with schedules: in CELERY_BEAT_SCHEDULE, and in django-celery-beat's tables
on the database.
"""

import os
from datetime import timedelta

from celery.schedules import crontab, schedule

from hire_voo_ai.settings import *  # noqa: F403

INSTALLED_APPS = ["django_celery_beat"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CELERY_TIMEZONE = "Europe/Berlin"
CELERY_BEAT_SCHEDULE = {
    "nightly": {
        "task": "shop.report",
        "schedule": crontab(minute=30, hour="1,2", day_of_week="mon-fri"),
        "args": ("all", None),
        "options": {"queue": "slow", "priority": 3, "expires": timedelta(hours=1)},
    },
    "often": {"task": "shop.ping", "schedule": 30.0},
    "hourly": {"task": "shop.ping", "schedule": schedule(timedelta(hours=1), relative=True)},
    "linked": {"task": "shop.ping", "schedule": 60, "options": {"link": "shop.next"}},
    "in both": {"task": "shop.setting", "schedule": 60},
}
