"""Criterion's figures of what is computed without Redis."""

import json
import os

from . import tools as here
from .server import run

# In the crates wire, core and cache.
BENCHES = ("messages", "crontab", "pickle", "off")
ROOT = here.HERE.parents[2]


def pure(tools):
    command = ["cargo", "bench", "--quiet", "--workspace"]
    command += [word for name in BENCHES for word in ("--bench", name)] + ["--"]
    short = ["--warm-up-time", "1", "--measurement-time", "2", "--noplot"]
    run(command + short, cwd=ROOT)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return {"microseconds": dict(sorted(read(target)))}


def read(target):
    """Each benchmark's name and its median, µs."""
    for folder, _, files in os.walk(os.path.join(target, "criterion")):
        if os.path.basename(folder) == "new" and "estimates.json" in files:
            with open(os.path.join(folder, "benchmark.json")) as named:
                name = json.load(named)["full_id"]
            with open(os.path.join(folder, "estimates.json")) as estimates:
                yield name, json.load(estimates)["median"]["point_estimate"] / 1000
