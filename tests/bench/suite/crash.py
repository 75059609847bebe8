"""kill -9 of a worker in the middle of its work, another one started at once: what is lost, and
when all is done.
"""

import concurrent.futures
import time

from . import marks
from .server import Server

TASKS = 1_000
MILLISECONDS = 50
KILL_AFTER = 0.3


def crashes(kinds, tools, patience):
    """All at the same time, each on a server of its own: they sleep more than they work."""
    with concurrent.futures.ThreadPoolExecutor(len(kinds)) as pool:
        running = [(kind, pool.submit(crash, kind, tools, patience)) for kind in kinds]
        return [(kind, future) for kind, future in running]


def crash(kind, tools, patience):
    with Server() as server:
        log = f"{server.dir}/done"
        killed, second = kind(tools, server, log=log), kind(tools, server, log=log)
        try:
            return _crash(killed, second, server, log, patience)
        finally:
            killed.stop()
            second.stop()


def _crash(killed, second, server, log, patience):
    if not getattr(killed, "starts_on_release", False):
        killed.start()
        # One task shows that it is up; it is not counted.
        killed.stage(1, "mark", 0)
        killed.release()
        _until(log, 1, time.monotonic() + 30)
    extra = marks.count(log)
    killed.stage(TASKS, "mark", MILLISECONDS)
    killed.release()
    _until(log, extra + TASKS * KILL_AFTER, time.monotonic() + 60)
    killed.processes.kill()
    at, done_before = time.monotonic(), len(marks.read(log)) - extra
    second.start()
    # What a worker can do in this time at the best, if it had begun at once.
    work = (TASKS - done_before) * MILLISECONDS / 1000 / killed.concurrency
    all_done = _until(log, extra + TASKS, at + work + patience)
    seen = marks.read(log)
    missing = extra + TASKS - len(seen)
    held = min(missing, second.held()) if missing else 0
    return {
        "tasks": TASKS,
        "done_before": done_before,
        "work_s": work,
        "recovered_s": all_done - at - work if all_done else None,
        "patience_s": patience,
        "lost": missing - held,
        "held": held,
        "twice": sum(len(times) - 1 for times in seen.values()),
    }


def _until(log, n, deadline):
    """Waits for so many different tasks in the log; returns when, or None at the deadline."""
    while True:
        # Reading all lines is for the end only.
        if marks.count(log) >= n and len(marks.read(log)) >= n:
            return time.monotonic()
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)
