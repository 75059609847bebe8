"""Writes a Django project's Celery schedules as JSON, for ``rhubarb schedules import``.

    DJANGO_SETTINGS_MODULE=shop.settings python -m rhubarb_tasks.schedules >schedules.json
    rhubarb schedules import schedules.json

Reads ``CELERY_BEAT_SCHEDULE`` of the settings (or ``beat_schedule`` of the application that
``--app`` names) and, where django-celery-beat is installed, its tables, whose entries go before the
settings' as its own scheduler has it. Only reads. An entry that Rhubarb cannot take is written with
a ``problem``, which the import tells and skips.

Not for: solar schedules and links (callbacks) of an entry, which Rhubarb's beat has not.
"""

import argparse
import importlib
import json
import sys
from datetime import datetime, timedelta

CRONTAB = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
# Where a task goes is Rhubarb's queue alone; the rest has no meaning on Redis, or is a default.
IGNORED = {"exchange", "routing_key", "retry", "retry_policy", "serializer", "compression", "delivery_mode"}
OWN = {"queue", "priority"}
OPTIONS = {"ignore_result", "time_limit", "soft_time_limit", "shadow", "headers"}
# Celery's own entry that removes results; Rhubarb's end by themselves.
BUILT_IN = {"celery.backend_cleanup"}


class Problem(Exception):
    """Why an entry cannot be written."""


def plain(entry):
    """Returns the entry as JSON keeps it; raises Problem for a value that JSON has not."""
    try:
        return json.loads(json.dumps(entry, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Problem(f"its arguments or options are no JSON: {error}") from error


def seconds(length):
    return length.total_seconds() if isinstance(length, timedelta) else length


def moment(at):
    return at.isoformat()


def field(value):
    """Returns one field of a crontab as text; Celery takes numbers and sets of them too."""
    if isinstance(value, (str, int)):
        return str(value)
    return ",".join(str(part) for part in sorted(value))


def when(schedule, relative):
    """Returns the keys that say when, of anything that ``beat_schedule`` takes."""
    if isinstance(schedule, (int, float, timedelta)):
        every = {"every": seconds(schedule)}
    elif hasattr(schedule, "_orig_minute"):
        return {"crontab": {name: field(getattr(schedule, f"_orig_{name}")) for name in CRONTAB}}
    elif type(schedule).__name__ == "solar":
        raise Problem("solar schedules are not supported; a crontab at a fixed time is")
    elif type(schedule).__name__ == "clocked":
        return {"at": moment(schedule.clocked_time)}
    elif hasattr(schedule, "run_every"):
        every = {"every": seconds(schedule.run_every)}
        relative = relative or bool(getattr(schedule, "relative", False))
    else:
        raise Problem(f"a schedule of type {type(schedule).__name__} is not understood")
    return {**every, "relative": True} if relative else every


def options(given):
    """Splits options of ``apply_async`` into keys of the entry and ``options``."""
    entry, kept = {}, {}
    for name, value in (given or {}).items():
        if value is None or name in IGNORED:
            continue
        if name in OWN:
            entry[name] = value
        elif name == "expires":
            # A moment at which every task expires is the schedule's end.
            key = "end_at" if isinstance(value, datetime) else "expires"
            entry[key] = moment(value) if isinstance(value, datetime) else seconds(value)
        elif name in OPTIONS:
            kept[name] = value
        else:
            raise Problem(f"the option {name} is not supported")
    if kept:
        entry["options"] = kept
    return entry


def of_settings(schedules, timezone):
    """Returns entries by name, of ``beat_schedule``."""
    return {name: guarded(one_of_settings, given, timezone) for name, given in schedules.items()}


def one_of_settings(given, timezone):
    entry = {"task": given["task"], **when(given["schedule"], given.get("relative", False))}
    entry["args"] = list(given.get("args") or ())
    entry["kwargs"] = dict(given.get("kwargs") or {})
    entry.update(options(given.get("options")))
    # Only an interval that is not on whole units is the same everywhere.
    if timezone and ("every" not in entry or "relative" in entry):
        entry["timezone"] = timezone
    return entry


def of_tables(tasks):
    """Returns entries by name, of django-celery-beat's ``PeriodicTask``."""
    return {task.name: guarded(one_of_tables, task) for task in tasks}


def one_of_tables(task):
    entry = {"task": task.task, "enabled": task.enabled}
    if task.interval:
        entry["every"] = timedelta(**{task.interval.period: task.interval.every}).total_seconds()
    elif task.crontab:
        entry["crontab"] = {name: getattr(task.crontab, name) for name in CRONTAB}
        entry["timezone"] = str(task.crontab.timezone)
    elif task.clocked:
        entry["at"] = moment(task.clocked.clocked_time)
    else:
        raise Problem("solar schedules are not supported; a crontab at a fixed time is")
    entry["args"] = json.loads(task.args or "[]")
    entry["kwargs"] = json.loads(task.kwargs or "{}")
    entry.update(options({
        "queue": task.queue,
        "priority": task.priority,
        "expires": task.expires or task.expire_seconds,
        # The table's own default is no headers, not an empty set of them.
        "headers": json.loads(task.headers or "{}") or None,
    }))
    if task.start_time:
        entry["start_at"] = moment(task.start_time)
    if task.one_off:
        entry["max_runs"] = 1
    return entry


def guarded(make, *given):
    """Makes one entry; what is wrong with it stops no other."""
    try:
        return plain(make(*given))
    except Problem as problem:
        return {"problem": str(problem)}
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        return {"problem": f"{type(error).__name__}: {error}"}


def application(path):
    """Returns the Celery application at ``module:attribute``; the attribute is ``app`` when absent."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute or "app")


def export(app=None):
    """Returns all entries by name: those of the settings or the application, and those of the
    tables.
    """
    import django
    from django.apps import apps
    from django.conf import settings

    django.setup()
    if app is not None:
        schedules, timezone = app.conf.beat_schedule, app.conf.timezone
    else:
        schedules = getattr(settings, "CELERY_BEAT_SCHEDULE", {})
        timezone = getattr(settings, "CELERY_TIMEZONE", None)
    entries = of_settings(schedules, str(timezone) if timezone else None)
    if apps.is_installed("django_celery_beat"):
        from django_celery_beat.models import PeriodicTask

        tasks = PeriodicTask.objects.select_related("interval", "crontab", "clocked").order_by("name")
        entries.update(of_tables(tasks))
    return {name: entry for name, entry in entries.items() if name not in BUILT_IN}


def main():
    parser = argparse.ArgumentParser(prog="python -m rhubarb_tasks.schedules", description=__doc__.splitlines()[0])
    parser.add_argument("--app", help="the Celery application, module:attribute, in place of the settings")
    arguments = parser.parse_args()
    entries = export(application(arguments.app) if arguments.app else None)
    json.dump({"schedules": entries}, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")
    problems = {name: entry["problem"] for name, entry in entries.items() if "problem" in entry}
    for name, problem in problems.items():
        print(f"{name}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    main()
