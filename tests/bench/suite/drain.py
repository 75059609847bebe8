"""How fast a backlog of no-op tasks is worked off, and what it costs: CPU, commands, socket reads,
bytes.
"""

import time

from .server import Server

WARM = 500
# A worker that does not move for so long will not.
STUCK_S = 60


def drain(kind, tools, count, workers=1):
    """One backlog on a server of its own; the workers run and are warm when they first see it."""
    with Server() as server:
        some = [kind(tools, server) for _ in range(workers)]
        try:
            return _drain(some, server, count)
        finally:
            for worker in some:
                worker.stop()


def _drain(workers, server, count):
    first = workers[0]
    figures = {"tasks": count, "workers": len(workers)}
    if not getattr(first, "starts_on_release", False):
        warm(workers, server)
        figures["idle_rss_mb"] = sum(worker.processes.resident() for worker in workers) / 1e6
    empty = server.used_memory()
    figures |= first.stage(count) | {"waiting_bytes": (server.used_memory() - empty) / count}
    figures["load_seconds"] = figures.pop("seconds", None)
    before = Costs(workers, server)
    begun = time.monotonic()
    first.release()
    looks = wait_until_done(workers, count)
    figures["seconds"] = time.monotonic() - begun
    figures |= Costs(workers, server).since(before, count, looks)
    figures["per_second"] = count / figures["seconds"]
    figures["connections"] = server.connections() / len(workers)
    figures["peak_rss_mb"] = sum(worker.processes.peak() for worker in workers) / 1e6
    figures["finished_bytes"] = (server.used_memory() - empty) / count
    return figures


def warm(workers, server):
    """A few tasks, so that all is up and compiled; and a moment for what goes on afterwards."""
    for worker in workers:
        worker.start()
    first = workers[0]
    if first.name.startswith("Rhubarb"):
        # Each worker says when it is there; what they do not yet share is not staged.
        _until(lambda: len(first.ids()) == len(workers), first)
    first.stage(WARM)
    first.release()
    wait_until_done(workers, WARM)
    time.sleep(0.3)


def wait_until_done(workers, count):
    """Looks until nothing is left; returns how many looks it took."""
    # Often enough for a short one, seldom enough to take no CPU from a long one.
    pause = min(0.05, max(0.004, count / 4_000_000))
    looks, fewest, moved = 0, count + 1, time.monotonic()
    while True:
        left, looks = workers[0].left(), looks + 1
        if left <= 0:
            return looks
        if left < fewest:
            fewest, moved = left, time.monotonic()
        elif time.monotonic() - moved > STUCK_S:
            raise RuntimeError(f"{workers[0].name} does not move: {left} of {count} are left")
        for worker in workers:
            if worker.processes:
                worker.check()
        time.sleep(pause)


def _until(there, worker, seconds=15):
    deadline = time.monotonic() + seconds
    while not there():
        worker.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{worker.name} did not come up: {worker.processes.complaint()}")
        time.sleep(0.02)


class Costs:
    """What workers and server have used so far."""

    def __init__(self, workers, server):
        self.worker = sum(worker.processes.cpu() for worker in workers if worker.processes)
        self.redis = server.processes.cpu()
        self.counters = server.counters()
        self.look_commands = workers[0].look_commands

    def since(self, before, count, looks):
        """A task's share, without what our own looking cost in commands and reads."""
        commands = self.counters["total_commands_processed"] - before.counters["total_commands_processed"]
        reads = self.counters["total_reads_processed"] - before.counters["total_reads_processed"]
        worker, redis = self.worker - before.worker, self.redis - before.redis
        return {
            "worker_cpu_per_1000": worker * 1000 / count,
            "redis_cpu_per_1000": redis * 1000 / count,
            "cpu_per_1000": (worker + redis) * 1000 / count,
            # One is the INFO before.
            "commands_per_task": (commands - looks * self.look_commands - 1) / count,
            "reads_per_task": (reads - looks - 1) / count,
        }
