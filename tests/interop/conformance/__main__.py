"""The suite's command line; see README.md."""

import argparse
import os
import sys
from pathlib import Path

from . import record


def arguments():
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("record", help="run every case against a worker and write what became of it")
    one.add_argument("--worker", action="append", required=True, help="command line of a worker; twice for a mixed fleet")
    one.add_argument("--extended", help="the same with result_extended set")
    one.add_argument("--seed", type=int, default=1)
    one.add_argument("--random", type=int, default=40, help="how many random canvases")
    one.add_argument("--only", action="append", default=[], help="only features that begin so")
    one.add_argument("--logs", type=Path, help="keep the processes' output in this folder")
    one.add_argument("--out", required=True)
    return parser.parse_args()


def main():
    given = arguments()
    if given.command == "record":
        recording = record.Recording(
            given.worker, given.extended, given.worker[0], given.seed, given.random, given.only, given.logs
        )
        record.write(recording.run(), given.out)
    return 0


code = main()
sys.stdout.flush()
# Without Celery's goodbye to a Redis that has gone.
os._exit(code)
