import unittest
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

from rhubarb_tasks.schedules import of_settings, of_tables


def crontab(**fields):
    every = {"minute": "*", "hour": "*", "day_of_week": "*", "day_of_month": "*", "month_of_year": "*"}
    return SimpleNamespace(**{f"_orig_{name}": value for name, value in {**every, **fields}.items()})


def one(given, zone=None):
    return of_settings({"n": {"task": "t", **given}}, zone)["n"]


class Settings(unittest.TestCase):
    def test_each_way_to_say_when(self):
        base = {"task": "t", "args": [], "kwargs": {}}
        self.assertEqual(one({"schedule": 30}), {**base, "every": 30})
        self.assertEqual(one({"schedule": timedelta(hours=1)}, "UTC"), {**base, "every": 3600.0})
        interval = SimpleNamespace(run_every=timedelta(seconds=5), relative=True)
        self.assertEqual(one({"schedule": interval}), {**base, "every": 5.0, "relative": True})
        self.assertEqual(one({"schedule": 5, "relative": True}), {**base, "every": 5, "relative": True})
        found = one({"schedule": crontab(minute=0, hour={8, 20}, day_of_week="mon-fri")}, "Europe/Berlin")
        self.assertEqual(found["crontab"]["minute"], "0")
        self.assertEqual(found["crontab"]["hour"], "8,20")
        self.assertEqual(found["crontab"]["day_of_week"], "mon-fri")
        self.assertEqual(found["timezone"], "Europe/Berlin")
        relative = one({"schedule": interval}, "Europe/Berlin")
        self.assertEqual(relative["timezone"], "Europe/Berlin")

    def test_options_have_their_places(self):
        at = datetime(2027, 1, 1, tzinfo=timezone.utc)
        given = {"queue": "q", "priority": 3, "expires": timedelta(minutes=1), "time_limit": 9, "routing_key": "x"}
        found = one({"schedule": 5, "args": (1, "a"), "kwargs": {"b": None}, "options": given})
        self.assertEqual((found["queue"], found["priority"], found["expires"]), ("q", 3, 60.0))
        self.assertEqual(found["options"], {"time_limit": 9})
        self.assertEqual((found["args"], found["kwargs"]), ([1, "a"], {"b": None}))
        self.assertEqual(one({"schedule": 5, "options": {"expires": at}})["end_at"], "2027-01-01T00:00:00+00:00")

    def test_what_cannot_be_taken_says_so_and_stops_no_other(self):
        class solar:
            pass

        found = of_settings({
            "sun": {"task": "t", "schedule": solar()},
            "odd": {"task": "t", "schedule": "soon"},
            "args": {"task": "t", "schedule": 5, "args": (datetime.now(),)},
            "option": {"task": "t", "schedule": 5, "options": {"link": "x"}},
            "none": {"schedule": 5},
            "good": {"task": "t", "schedule": 5},
        }, None)
        self.assertIn("solar", found["sun"]["problem"])
        self.assertIn("type str", found["odd"]["problem"])
        self.assertIn("no JSON", found["args"]["problem"])
        self.assertIn("option link", found["option"]["problem"])
        self.assertIn("'task'", found["none"]["problem"])
        self.assertEqual(found["good"]["every"], 5)


def row(**fields):
    empty = dict.fromkeys(
        ["interval", "crontab", "clocked", "queue", "priority", "expires", "expire_seconds", "start_time"]
    )
    base = {"name": "n", "task": "t", "enabled": True, "args": "[]", "kwargs": "{}", "headers": "{}", "one_off": False}
    return SimpleNamespace(**{**base, **empty, **fields})


class Tables(unittest.TestCase):
    def entry(self, **fields):
        return of_tables([row(**fields)])["n"]

    def test_rows_become_entries(self):
        at = datetime(2027, 1, 1, tzinfo=timezone.utc)
        interval = SimpleNamespace(every=10, period="minutes")
        found = self.entry(interval=interval, queue="q", expire_seconds=60, start_time=at, one_off=True, args="[1]")
        self.assertEqual(found, {
            "task": "t", "enabled": True, "every": 600.0, "args": [1], "kwargs": {}, "queue": "q", "expires": 60,
            "start_at": "2027-01-01T00:00:00+00:00", "max_runs": 1,
        })
        fields = {"minute": "0", "hour": "4", "day_of_week": "*", "day_of_month": "*", "month_of_year": "*"}
        found = self.entry(crontab=SimpleNamespace(**fields, timezone="Europe/Berlin"), enabled=False)
        self.assertEqual((found["crontab"]["hour"], found["timezone"]), ("4", "Europe/Berlin"))
        self.assertFalse(found["enabled"])
        self.assertEqual(self.entry(clocked=SimpleNamespace(clocked_time=at))["at"], "2027-01-01T00:00:00+00:00")

    def test_a_bad_row_says_so(self):
        self.assertIn("solar", self.entry()["problem"])
        self.assertIn("JSONDecodeError", self.entry(clocked=SimpleNamespace(clocked_time=datetime.now()), args="x")["problem"])
