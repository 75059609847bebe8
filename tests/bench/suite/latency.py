"""From enqueueing to the first line of the task, by the machine's one clock."""

import os
import time

from . import marks
from .server import Server
from .stats import percentile

WARM = 50
# What is under way when the last one was sent may take so long.
TAIL_S = 15


def latency(kind, tools, rate, seconds):
    with Server() as server:
        started, sent = f"{server.dir}/started", f"{server.dir}/sent"
        worker = kind(tools, server, log=started)
        worker.start()
        try:
            worker.stage(WARM, "mark")
            worker.release()
            _wait(started, WARM, worker)
            os.truncate(started, 0)
            worker.pace(rate, seconds, sent)
            expected = marks.count(sent)
            _wait(started, expected, worker)
        finally:
            worker.stop()
        return figures(marks.read(sent), marks.read(started), rate, seconds)


def figures(sent, started, rate, seconds):
    """Percentiles in ms over what was sent and has begun."""
    took = sorted((min(started[id]) - at[0]) / 1e6 for id, at in sent.items() if id in started)
    if not took:
        raise RuntimeError("none of the tasks that were sent has begun")
    times = [at[0] for at in sent.values()]
    return {
        "rate": rate,
        # What the producer could do of it.
        "sent_per_second": (len(times) - 1) / max(1, max(times) - min(times)) * 1e9,
        "seconds": seconds,
        "tasks": len(took),
        "missing": len(sent) - len(took),
        "p50_ms": percentile(took, 0.5),
        "p99_ms": percentile(took, 0.99),
        "max_ms": took[-1],
    }


def _wait(path, expected, worker):
    deadline = time.monotonic() + TAIL_S
    while marks.count(path) < expected and time.monotonic() < deadline:
        worker.check()
        time.sleep(0.02)
