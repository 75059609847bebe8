import unittest
from datetime import datetime
from unittest.mock import patch

from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from rhubarb_tasks.backend import RhubarbBackend, RhubarbTask, aware, shared_client


def function():
    raise AssertionError("run")


def task(**more):
    """A task as ``@task`` makes it; Django 6.0's has no defaults."""
    fields = {"priority": 0, "backend": "default", "queue_name": "default", "run_after": None, "takes_context": False}
    return RhubarbTask(func=function, **fields, **more)


A_TASK = task()


def backend(**options):
    with patch.dict("os.environ", clear=True):
        return RhubarbBackend("default", {"OPTIONS": options})


class Backend(unittest.TestCase):
    def test_without_a_url_it_is_made_warns_and_refuses_to_be_used(self):
        one = backend()
        self.assertEqual([warning.id for warning in one.check()], ["rhubarb_tasks.W001"])
        with self.assertRaisesRegex(ImproperlyConfigured, "CELERY_BROKER_URL"):
            one.enqueue(task(), (), {})
        self.assertEqual(backend(REDIS_URL="redis://h").check(), [])

    def test_what_is_wrong_with_options_is_found_by_the_check_and_refused_at_use(self):
        for options in (
            {"TASK_NAME": {}},
            {"RESULT_EXPIRES": "soon", "CLIENT": "password=hunter2"},
            {7: 8},
            ["REDIS_URL"],
            {"REDIS_URL": "hunter2"},
        ):
            with self.subTest(options), self.assertLogs("rhubarb_tasks.backend", "ERROR") as logged:
                with patch.dict("os.environ", clear=True):
                    one = RhubarbBackend("default", {"OPTIONS": options})
                found = one.check()
                self.assertEqual([error.id for error in found], ["rhubarb_tasks.E001"])
                with self.assertRaisesRegex(ImproperlyConfigured, "expected|no option"):
                    one.enqueue(task(), (), {})
                self.assertNotIn("hunter2", f"{found} {logged.output}")

    def test_a_name_that_is_no_tasks_is_found_by_the_check(self):
        one = backend(REDIS_URL="redis://h", TASK_NAMES={"no.such": "a", f"{__name__}.function": "b", "x": "c"})
        self.assertEqual([warning.id for warning in one.check()], ["rhubarb_tasks.W002"] * 3)
        one = backend(REDIS_URL="redis://h", TASK_NAMES={f"{__name__}.A_TASK": "a"})
        self.assertEqual(one.check(), [])

    def test_a_task_is_called_by_its_own_name_the_projects_or_that_of_its_function(self):
        path = f"{__name__}.function"
        plain, named = task(), task(task_name="own")
        mapped = backend(TASK_NAMES={path: "mapped"})
        self.assertEqual(backend().call(plain, [], {}).name, path)
        self.assertEqual(mapped.call(plain, [], {}).name, "mapped")
        self.assertEqual(mapped.call(named, [], {}).name, "own")
        self.assertEqual(mapped.call(named.using(priority=5), [], {}).name, "own")

    def test_using_changes_what_it_is_told_and_keeps_the_rest(self):
        first = task().using(task_name="own", priority=5)
        self.assertEqual((first.task_name, first.priority, first.enqueue_on_commit), ("own", 5, None))
        second = first.using(enqueue_on_commit=False, queue_name="default")
        self.assertEqual((second.task_name, second.priority, second.enqueue_on_commit), ("own", 5, False))

    def test_naive_times_are_in_the_projects_zone(self):
        with override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin"):
            self.assertEqual(aware(datetime(2026, 11, 24, 12)).isoformat(), "2026-11-24T12:00:00+01:00")

    def test_certificates_are_as_redis_py_has_them(self):
        url = backend(REDIS_URL="rediss://h?ssl_cert_reqs=CERT_NONE").settings.redis_url
        self.assertEqual(shared_client(url, {}).connection_pool.connection_kwargs["ssl_cert_reqs"], "none")
        one = backend(REDIS_URL="rediss://h", CLIENT={"ssl_cert_reqs": None, "socket_timeout": 1})
        used = one.redis(one.settings.redis_url).connection_pool.connection_kwargs
        self.assertEqual((used["ssl_cert_reqs"], used["socket_timeout"], used["socket_connect_timeout"]), (None, 1, 5))

    def test_all_backends_of_a_process_share_a_client(self):
        url = "redis://h"
        self.assertIs(backend(REDIS_URL=url).redis(url), backend(REDIS_URL=url).redis(url))
        self.assertIsNot(backend(REDIS_URL=url).redis(url), backend(CLIENT={"db": 3}).redis(url))
