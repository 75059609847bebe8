"""Fills django-celery-beat's tables on a fresh database, with its own models; prints how many
entries there are.
"""

import json

import django
from django.core.management import call_command

django.setup()
call_command("migrate", verbosity=0)

from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask  # noqa: E402

ten_minutes = IntervalSchedule.objects.create(every=10, period=IntervalSchedule.MINUTES)
at_four = CrontabSchedule.objects.create(minute="0", hour="4", timezone="America/New_York")
PeriodicTask.objects.create(name="in both", task="shop.table", interval=ten_minutes, args="[1]", queue="q")
PeriodicTask.objects.create(name="at four", task="shop.table", crontab=at_four, enabled=False, expire_seconds=60)
print(json.dumps(PeriodicTask.objects.count()))
