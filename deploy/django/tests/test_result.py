import bz2
import json
import unittest
import zlib
from datetime import datetime, timezone

from django.test import override_settings

from rhubarb_tasks.framework import TaskResultStatus as Status
from rhubarb_tasks.result import Record, read_outcome, read_time, remote_error


def outcome(status, result=None, **more):
    return read_outcome(json.dumps({"status": status, "result": result, "task_id": "i", **more}).encode())


EXCEPTION = {"exc_type": "ValueError", "exc_message": ["no"], "exc_module": "builtins"}


class Outcomes(unittest.TestCase):
    def test_each_state_of_celery_is_a_status(self):
        self.assertEqual(read_outcome(None).status, Status.READY)
        for state, status in {
            "PENDING": Status.READY,
            "RECEIVED": Status.READY,
            "RETRY": Status.READY,
            "STARTED": Status.RUNNING,
            "PROGRESS": Status.RUNNING,
            "half way": Status.RUNNING,
            "SUCCESS": Status.SUCCESSFUL,
            "FAILURE": Status.FAILED,
            "REVOKED": Status.FAILED,
        }.items():
            with self.subTest(state):
                self.assertEqual(outcome(state).status, status)

    def test_only_a_success_has_a_value(self):
        self.assertEqual(outcome("SUCCESS", {"n": 1}).return_value, {"n": 1})
        self.assertEqual(outcome("PROGRESS", {"n": 1}).return_value, None)

    def test_the_end_is_the_date_done(self):
        ended = outcome("SUCCESS", date_done="2026-11-24T12:00:00.5Z").finished_at
        self.assertEqual(ended, datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=timezone.utc))
        self.assertIsNone(outcome("STARTED", date_done=None).finished_at)

    def test_the_worker_is_known_while_started_and_from_an_extended_result(self):
        self.assertEqual(outcome("STARTED", {"pid": 1, "hostname": "a@b"}).worker_ids, ("a@b",))
        self.assertEqual(outcome("SUCCESS", 1, worker="c@d").worker_ids, ("c@d",))
        self.assertEqual(outcome("SUCCESS", 1).worker_ids, ())

    def test_failures_and_retries_have_their_error(self):
        for state in ("FAILURE", "REVOKED", "RETRY"):
            error = outcome(state, EXCEPTION, traceback="Traceback …").errors[0]
            self.assertEqual((error.exception_class, error.traceback), (ValueError, "Traceback …"))
        self.assertEqual(outcome("SUCCESS").errors, ())

    def test_a_compressed_result_is_read_and_a_damaged_one_refused(self):
        text = json.dumps({"status": "SUCCESS", "result": "x" * 5_000}).encode()
        for method, body in (("zlib", zlib.compress(text)), ("application/x-bz2", bz2.compress(text))):
            stored = b"\0celery-compressed\0" + method.encode() + b"\0" + body
            with self.subTest(method):
                self.assertEqual(read_outcome(stored).return_value, "x" * 5_000)
                for wrong in (stored[:-9], stored.replace(body, b"no"), stored.replace(method.encode(), b"lzma")):
                    with self.assertRaises(ValueError):
                        read_outcome(wrong)

    def test_what_is_no_result_is_refused(self):
        for text in (b"", b"no", b"[]", b"{}", b'{"status": 1}', b'{"status": "SUCCESS", "date_done": "soon"}'):
            with self.subTest(text), self.assertRaises(ValueError):
                read_outcome(text)


class Errors(unittest.TestCase):
    def test_without_a_traceback_its_last_line_is_made_up(self):
        self.assertEqual(remote_error(EXCEPTION, None).traceback, "ValueError: no\n")
        bare = {"exc_type": "E", "exc_module": "core.num", "exc_message": []}
        self.assertEqual(remote_error(bare, "").traceback, "core.num.E\n")
        two = {"exc_type": "OSError", "exc_module": None, "exc_message": [2, "gone"]}
        error = remote_error(two, None)
        self.assertEqual((error.exception_class, error.traceback), (OSError, "OSError: (2, 'gone')\n"))

    def test_a_class_that_is_not_loaded_is_made_up_and_never_imported(self):
        import sys

        self.assertNotIn("antigravity", sys.modules)
        made = remote_error({"exc_type": "Up", "exc_module": "antigravity", "exc_message": []}, None).exception_class
        self.assertEqual((made.__module__, made.__name__, made.__bases__), ("antigravity", "Up", (Exception,)))
        self.assertNotIn("antigravity", sys.modules)

    def test_a_name_that_is_no_exception_is_refused(self):
        with self.assertRaises(ValueError):
            remote_error({"exc_type": "system", "exc_module": "os", "exc_message": ["x"]}, None).exception_class

    def test_odd_exceptions_are_shown_as_they_are(self):
        self.assertEqual(remote_error("broken", None).traceback, "Exception: broken\n")
        self.assertEqual(remote_error({"exc_type": "KeyError", "exc_message": "k"}, None).traceback, "KeyError: k\n")
        self.assertEqual(remote_error(None, 5).traceback, "Exception: None\n")


class Records(unittest.TestCase):
    def test_a_record_comes_back_as_it_was(self):
        now = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
        for run_after in (None, now):
            record = Record("m.f", "default", -5, run_after, now, [1], {"k": None})
            self.assertEqual(Record.decode(record.encode().encode()), record)

    def test_what_is_no_record_is_refused(self):
        for text in (b"[]", b"1", b"null", b"{}", b"x", b'{"run_after": 1, "enqueued_at": 1}'):
            with self.subTest(text), self.assertRaises(ValueError):
                Record.decode(text)

    def test_times_are_as_the_project_has_them(self):
        with override_settings(USE_TZ=False, TIME_ZONE="Europe/Berlin"):
            self.assertEqual(read_time("2026-11-24T12:00:00+00:00"), datetime(2026, 11, 24, 13, 0))
        self.assertEqual(read_time("2026-11-24T12:00:00"), datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc))
