"""What can be wrong without a server: reading, medians, verdicts, the page's marks."""

import os
import tempfile
import types
import unittest

from . import marks, report
from .idle import count_sent
from .latency import figures
from .plan import Run
from .stats import median_of, percentile
from .targets import all_targets, at_least, at_most, pairs
from .workers import Celery, Rhubarb


def run_of(*records):
    run = Run.__new__(Run)
    run.records, run.left_out, run.message_bytes = list(records), {}, 1_000
    run.size = types.SimpleNamespace(rounds=2)
    return run


def drained(kind, round_number, per_second, **more):
    return {"what": "drain", "worker": kind.name, "round": round_number, "per_second": per_second} | more


class Suite(unittest.TestCase):
    def test_percentiles_are_nearest_ranks(self):
        values = list(range(1, 101))
        self.assertEqual([percentile(values, share) for share in (0.5, 0.99, 1)], [50, 99, 100])
        self.assertEqual(percentile([7], 0.99), 7)

    def test_a_median_takes_numbers_only(self):
        records = [{"a": 1, "b": "x", "c": None}, {"a": 9, "b": "y", "c": 3}, {"a": 2, "b": "z", "c": 4}]
        self.assertEqual(median_of(records), {"a": 2, "b": "x", "c": None})

    def test_ratios_are_of_one_round(self):
        run = run_of(
            drained(Rhubarb, 0, 40), drained(Celery, 0, 1), drained(Celery, 1, 10), drained(Rhubarb, 1, 100),
            drained(Rhubarb, 2, 7),
        )
        self.assertEqual(pairs(run, "drain", Rhubarb, Celery, "per_second"), [40, 10])
        self.assertEqual(pairs(run, "drain", Rhubarb, Celery, "per_second", up=False), [1 / 40, 1 / 10])

    def test_a_verdict_says_whether_it_is_within_noise(self):
        cases = [
            (at_least("", [100, 39, 38], 40), "**not met**, within noise"),
            (at_least("", [70], 40), "met"),
            (at_least("", [10], 40), "**not met**"),
            (at_least("", [], 40), "not measured"),
            (at_most("", 4, 5, "ms", noisy=True), "met, within noise"),
        ]
        for target, expected in cases:
            self.assertEqual(target.verdict, expected)
        # Counts and bytes do not swing.
        self.assertEqual(at_most("", 16, 15, "MB").verdict, "**not met**")
        self.assertEqual(at_most("", 0, 0, "").verdict, "met")

    def test_a_run_that_measured_nothing_meets_nothing(self):
        self.assertEqual({target.verdict for target in all_targets(run_of())}, {"not measured"})

    def test_a_task_that_did_not_come_back_is_no_recovery(self):
        crash = {"what": "kill -9", "worker": "Rhubarb", "round": 0, "lost": 0, "held": 2, "recovered_s": None}
        verdicts = {target.what: target.verdict for target in all_targets(run_of(crash))}
        self.assertEqual(verdicts["kill -9: lost"], "**not met**")
        self.assertEqual(verdicts["kill -9: all done, besides the work"], "**not met**")

    def test_torn_lines_are_no_marks(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "log")
            with open(path, "wb") as log:
                log.write(b"a 1\nb 2\na 3\nc 4")
            self.assertEqual(marks.read(path), {b"a": [1, 3], b"b": [2]})
            self.assertEqual(marks.count(path), 3)
            self.assertEqual(marks.read(path + "nowhere"), {})

    def test_a_latency_is_to_the_first_start_and_what_has_not_begun_is_told(self):
        sent = {b"a": [1_000_000], b"b": [2_000_000], b"c": [3_000_000]}
        told = figures(sent, {b"a": [9_000_000, 2_000_000], b"b": [5_000_000]}, 20, 1)
        self.assertEqual(told["sent_per_second"], 1000)
        self.assertEqual((told["p50_ms"], told["max_ms"], told["tasks"], told["missing"]), (1, 3, 2, 1))

    def test_what_scripts_call_is_not_sent(self):
        said = (
            b'+1764000000.1 [0 127.0.0.1:4] "EVALSHA" "abc" "1" "k"\r\n+1764000000.1 [0 lua] "TIME"\r\n'
            b'+1764000000.2 [0 127.0.0.1:5] "INFO" "stats"\r\n+1764000000.3 [0 127.0.0.1:4] "PING"\r\n'
        )
        self.assertEqual(count_sent(said), 2)

    def test_the_readme_is_changed_between_its_marks_only(self):
        text = "above\n<!-- b -->\nold\n<!-- e -->\nbelow\n"
        changed = report.write_between(text, "<!-- b -->", "<!-- e -->", "new\n")
        self.assertEqual(changed, "above\n<!-- b -->\nnew\n<!-- e -->\nbelow\n")
        with self.assertRaises(ValueError):
            report.write_between("no marks", "<!-- b -->", "<!-- e -->", "new\n")

    def test_a_report_of_what_was_left_out_says_so_first(self):
        run = run_of()
        run.left_out = {"BullMQ": "is not installed\nand more"}
        about = {
            "size": "quick", "date": "today", "minutes": 1, "versions": {},
            "machine": {"cores": 2, "cpu": "x", "memory_gb": 1, "system": "y"},
        }
        self.assertIn("**LEFT OUT: BullMQ** is not installed\n", report.whole(run, about))


if __name__ == "__main__":
    unittest.main()
