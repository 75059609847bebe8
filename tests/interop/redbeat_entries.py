"""Saves and deletes entries of the real RedBeat: `redbeat_entries.py save NAME SECONDS QUEUE` or
`delete NAME`.

Prints what RedBeat itself reads of the entry afterwards: {"task", "every", "queue", "enabled",
"runs"}, or null.
"""

import json
import os
import sys

from celery import Celery
from celery.schedules import schedule
from redbeat import RedBeatSchedulerEntry

app = Celery("shop", broker=f"{os.environ['REDIS']}/0")
app.conf.redbeat_redis_url = f"{os.environ['REDIS']}/0"


def save(name, seconds, queue):
    RedBeatSchedulerEntry(
        name, "counted", schedule(float(seconds)), args=[name], options={"queue": queue}, app=app
    ).save()


def delete(name):
    RedBeatSchedulerEntry.from_key(f"redbeat:{name}", app=app).delete()


def told(name):
    try:
        entry = RedBeatSchedulerEntry.from_key(f"redbeat:{name}", app=app)
    except KeyError:
        return None
    return {
        "task": entry.task,
        "every": entry.schedule.run_every.total_seconds(),
        "queue": entry.options["queue"],
        "enabled": entry.enabled,
        "runs": entry.total_run_count,
    }


command, name, *rest = sys.argv[1:]
{"save": save, "delete": delete}[command](name, *rest)
print(json.dumps(told(name)))
