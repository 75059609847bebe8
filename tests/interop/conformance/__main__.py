"""The suite's command line; `../README.md` tells how to point it at a worker."""

import argparse
import difflib
import os
import signal
import sys
from pathlib import Path

from . import known, record, suite, table


def arguments():
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record", help="run every case against a worker and write what became of it")
    one.add_argument("--worker", action="append", required=True, help="a worker's command line; twice for a mixed fleet")
    one.add_argument("--only", action="append", default=[], help="only features that begin so")
    one.add_argument("--out", required=True)
    whole = commands.add_parser("run", help="compare a worker with Celery's own")
    whole.add_argument("--worker", required=True, help="the command line of the worker under test")
    whole.add_argument("--older", help="a Python with an older Celery, to compare with too")
    whole.add_argument("--python-tasks", action="store_true", help="the worker under test runs the tasks in Python")
    whole.add_argument("--table", type=Path, help="the document whose table has to be what the run says")
    whole.add_argument("--write", action="store_true", help="write the table instead of comparing it")
    for command in (one, whole):
        command.add_argument("--extended", help="the worker's command line with result_extended set")
        command.add_argument("--seed", type=int, default=1)
        command.add_argument("--random", type=int, default=40, help="how many random canvases")
        command.add_argument("--logs", type=Path, help="keep recordings and the processes' output in this folder")
    return parser.parse_args()


def run(given):
    if given.python_tasks:
        known.MEANT = known.PYTHON
    print(f"conformance: seed {given.seed}, {given.random} random canvases", flush=True)
    pythons = [sys.executable] + ([given.older] if given.older else [])
    verdicts, lines, unused = suite.run(given.worker, given.extended, pythons, given.seed, given.random, given.logs)
    suite.report(verdicts)
    wrong = sum(len(verdict.unexplained) for verdict in verdicts.values())
    for entry in unused:
        print(f"known, but not seen: {entry.cases}: {entry.reason}")
    code = 1 if wrong or unused else 0
    if given.table:
        code = max(code, check(given.table, table.table(verdicts), given.write))
    print("conformance: " + "; ".join(lines))
    return code


def check(path, new, write):
    """Compares the document's table with the run's, or writes it; returns the exit code."""
    text = path.read_text()
    old = table.between_markers(text)
    if old is None:
        print(f"{path} has no markers for the table")
        return 1
    if write:
        path.write_text(table.replaced(text, new))
        return 0
    if old != new:
        print(f"the table of {path.name} is not what the suite says; run with --write")
        print(*difflib.unified_diff(old.splitlines(), new.splitlines(), n=0, lineterm=""), sep="\n")
    return int(old != new)


def main():
    given = arguments()
    if given.command == "run":
        return run(given)
    # Whoever ends a recording ends its workers and its Redis too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    recording = record.Recording(given.worker, given.extended, given.seed, given.random, given.only, given.logs)
    record.write(recording.run(), given.out)
    return 0


code = main()
sys.stdout.flush()
# Without Celery's goodbye to a Redis that has gone.
os._exit(code)
