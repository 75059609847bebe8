import base64
import json
import unittest
from datetime import datetime, timedelta, timezone

from rhubarb_tasks.message import Call, celery_priority, envelope, json_arguments, list_key

STEPS = (0, 3, 6, 9)
SEP = "\x06\x16"


class Priorities(unittest.TestCase):
    def test_the_most_urgent_is_0_and_the_least_9(self):
        expected = {100: 0, 88: 0, 87: 1, 63: 1, 50: 2, 38: 2, 37: 3, 12: 4, 0: 4, -9: 4, -10: 5, -50: 7, -90: 9, -100: 9}
        self.assertEqual({priority: celery_priority(priority, 4) for priority in expected}, expected)

    def test_it_never_grows_with_djangos_and_has_its_ends_and_its_default(self):
        for default in range(10):
            all_of_them = [celery_priority(priority, default) for priority in range(-100, 101)]
            self.assertEqual(all_of_them, sorted(all_of_them, reverse=True))
            self.assertEqual((all_of_them[0], all_of_them[100], all_of_them[-1]), (9, default, 0))

    def test_a_list_is_that_of_the_greatest_step_not_above(self):
        lists = [list_key("celery", priority, STEPS, SEP) for priority in range(10)]
        expected = ["celery"] * 3 + ["celery\x06\x163"] * 3 + ["celery\x06\x166"] * 3 + ["celery\x06\x169"]
        self.assertEqual(lists, expected)
        self.assertEqual(list_key("q", 9, (0,), SEP), "q")


class Arguments(unittest.TestCase):
    def test_json_has_lists_and_text(self):
        args, kwargs = json_arguments("t", ((1, None), b"text", {"a": (True, 1.5)}), {"k": "ä"})
        self.assertEqual((args, kwargs), ([[1, None], "text", {"a": [True, 1.5]}], {"k": "ä"}))

    def test_what_json_cannot_hold_is_named(self):
        circle = []
        circle.append(circle)
        for value, kind in [
            (datetime(2026, 1, 1), TypeError),
            ({1, 2}, TypeError),
            ({(1, 2): 3}, TypeError),
            (float("inf"), ValueError),
            ("\ud800", ValueError),
            (b"\xff", ValueError),
            (circle, ValueError),
        ]:
            with self.subTest(value):
                with self.assertRaisesRegex(kind, "^positional argument 2 of t is not JSON: "):
                    json_arguments("t", [1, value], {})
                with self.assertRaisesRegex(kind, "^argument 'k' of t is not JSON: "):
                    json_arguments("t", [], {"k": value})


class Message(unittest.TestCase):
    def sent(self, **changes):
        call = {"id": "i", "name": "n", "queue": "q", "priority": 4, "eta": None, "args": [1], "kwargs": {"k": "ä"}}
        return json.loads(envelope(Call(**{**call, "ignore_result": False, **changes}), "gen1@host", "tag"))

    def test_the_body_has_arguments_and_an_empty_embed(self):
        embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
        self.assertEqual(json.loads(base64.b64decode(self.sent()["body"])), [[1], {"k": "ä"}, embed])

    def test_an_eta_is_in_utc_with_its_offset(self):
        eta = datetime(2026, 11, 24, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        self.assertEqual(self.sent(eta=eta)["headers"]["eta"], "2026-11-24T06:30:00.000005+00:00")

    def test_the_text_of_arguments_is_cut(self):
        self.assertEqual(self.sent()["headers"]["argsrepr"], "(1,)")
        self.assertEqual(len(self.sent(args=["x" * 5_000])["headers"]["argsrepr"]), 1_024)
