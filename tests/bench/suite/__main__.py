"""`python -m suite quick|full [--only PART,...] [--write-docs]`."""

import argparse
import datetime
import json
import signal
import sys
import time
import traceback

from . import machine, report, server
from .plan import PARTS, SIZES, Run, shout
from .targets import all_targets
from .tools import HERE, Tools

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
PAGE = HERE.parents[2] / "docs" / "benchmarks.md"


def arguments():
    parser = argparse.ArgumentParser(prog="sh tests/bench/run.sh", description="Measures Rhubarb beside its peers.")
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    given = parser.parse_args()
    parts = given.only.split(",") if given.only else list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if given.write_docs and given.only:
        parser.error("docs/benchmarks.md shows whole runs only")
    return given, parts


def main():
    given, parts = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tools = Tools.from_environment()
    about = {"size": given.size, "machine": machine.facts(), "versions": tools.versions}
    about["date"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    begun = time.monotonic()
    whole = False
    try:
        run = Run(tools, SIZES[given.size], parts)
        shout(f"{name} {reason}" for name, reason in run.left_out.items())
        whole = attempt(run)
    finally:
        server.end_all()
    about["minutes"] = (time.monotonic() - begun) / 60
    write(tools, run, about, given.write_docs and whole)
    shout(f"{name} {reason}" for name, reason in run.left_out.items())
    sys.exit(not whole)


def attempt(run):
    """Measures everything; what was measured before ours failed is kept all the same."""
    try:
        run.all()
        return True
    except Exception as error:
        traceback.print_exc()
        run.left_out["the rest"] = f"this run was broken off: {error}"
        return False


def write(tools, run, about, write_docs):
    tools.out.mkdir(parents=True, exist_ok=True)
    text = report.whole(run, about)
    stem = tools.out / about["size"]
    stem.with_suffix(".md").write_text(text)
    targets = [vars(target) | {"verdict": target.verdict} for target in all_targets(run)]
    stem.with_suffix(".json").write_text(json.dumps(about | run.as_json() | {"targets": targets}, indent=1))
    if write_docs:
        PAGE.write_text(report.write_between(PAGE.read_text(), BEGIN, END, report.short(run, about)))
    print(f"\n{text}\n{stem}.md, {stem}.json")


main()
