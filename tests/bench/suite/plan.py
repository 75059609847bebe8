"""What a run measures, in which order: the same things in pairs, one right after the other, round
by round.
"""

import json
import sys
import time
import traceback
from dataclasses import asdict, dataclass

from . import crash, drain, enqueue, idle, latency, messages, pure, running, scripts
from .machine import RedisBenchmark
from .workers import (
    ALL, Apalis, BullMQ, BullMQRemoving, Celery, CeleryIgnoring, Rhubarb, RhubarbIgnoring, RhubarbOfficial, Sidekiq,
    is_there,
)


@dataclass
class Size:
    """How much of each a run does."""

    rounds: int
    # How many tasks each drains; what is slow gets fewer, and its rate does not depend on it.
    ours: int = 100_000
    bullmq: int = 100_000
    celery: int = 3_000
    sidekiq: int = 20_000
    apalis: int = 7_500
    small: int = 20_000
    large: int = 1_000_000
    large_rounds: int = 0
    single: int = 20_000
    bulk: int = 100_000
    latency_s: float = 20
    half_s: float = 5
    idle_s: float = 60
    patience_s: float = 100
    teams: tuple = (2, 4)
    pure: bool = True


QUICK = Size(
    rounds=1, bullmq=30_000, celery=1_500, sidekiq=10_000, single=10_000, bulk=50_000, latency_s=8, half_s=3, idle_s=20,
    patience_s=40, pure=False,
)
FULL = Size(rounds=3, large_rounds=3)
SIZES = {"quick": QUICK, "full": FULL}
# The parts of a run, by the names that `--only` takes.
PARTS = ("enqueue", "drain", "large", "teams", "latency", "scripts", "running", "crash", "idle", "pure")


class Run:
    """Records what is measured; a peer that fails is left out with its reason, ours is not."""

    def __init__(self, tools, size, only=PARTS):
        self.tools, self.size, self.only = tools, size, only
        self.begun = time.monotonic()
        # [{"what", "worker", "round", "before", "after", figures...}]
        self.records = []
        self.left_out = {}
        message = messages.celery("bench.noop", messages.TEXT)
        self.message_bytes = len(message.replace("@ID@", messages.PLACE).replace("@TAG@", messages.PLACE))
        self.benchmark = RedisBenchmark(self.message_bytes)
        self.state = self.benchmark.state()
        for kind in ALL:
            if not is_there(kind, tools):
                self.left_out[kind.name] = "is not installed and could not be"

    def all(self):
        for part in self.only:
            getattr(self, f"part_{part}")()
        self.benchmark.server.stop()

    def measure(self, what, kind, round_number, function, *args, **more):
        """Measures one thing, with the machine's state before and after."""
        if kind.name in self.left_out:
            return None
        before = self.state
        try:
            figures = function(*args)
        except Exception as error:
            if kind in (Rhubarb, RhubarbIgnoring, RhubarbOfficial):
                raise
            traceback.print_exc()
            self.left_out[kind.name] = f"failed at {what}: {error}"
            return None
        self.state = self.benchmark.state()
        return self.record(what, kind, round_number, {"before": before, "after": self.state} | figures | more)

    def record(self, what, kind, round_number, figures):
        record = {"what": what, "worker": kind.name, "round": round_number} | figures
        self.records.append(record)
        shown = {name: value for name, value in record.items() if name not in ("before", "after", "what", "worker")}
        shown = {name: round(value, 4) if isinstance(value, float) else value for name, value in shown.items()}
        print(f"[{time.monotonic() - self.begun:5.0f} s] {what}, {kind.name}: {json.dumps(shown)}", flush=True)
        return record

    def drained(self, what, kind, round_number, count, workers=1):
        return self.measure(what, kind, round_number, drain.drain, kind, self.tools, count, workers)

    def part_enqueue(self):
        for n in range(self.size.rounds):
            for what, count, pipeline in (("single", self.size.single, 1), ("bulk", self.size.bulk, 16)):
                arguments = (self.tools, self.benchmark, what, count, pipeline)
                self.measure(f"enqueue {what}", Rhubarb, n, enqueue.enqueue, *arguments)
                self.measure(f"enqueue {what}", BullMQ, n, enqueue.by_bullmq, self.tools, what, count // 4)
            self.measure("enqueue single", Celery, n, enqueue.by_celery, self.size.single // 10)

    def part_drain(self):
        """Each peer stands between two of ours in time."""
        size = self.size
        for n in range(size.rounds):
            self.drained("drain", Celery, n, size.celery)
            self.drained("drain", Rhubarb, n, size.ours)
            self.drained("drain", BullMQ, n, size.bullmq)
            self.drained("drain small batch", Rhubarb, n, size.apalis)
            self.drained("drain small batch", Apalis, n, size.apalis)
            self.drained("drain", RhubarbIgnoring, n, size.ours)
            self.drained("drain", CeleryIgnoring, n, size.celery)
            self.drained("drain", BullMQRemoving, n, size.bullmq)
            self.drained("drain", Sidekiq, n, size.sidekiq)

    def part_large(self):
        for n in range(max(self.size.rounds, self.size.large_rounds)):
            self.drained("drain 20,000", Rhubarb, n, self.size.small)
            if n < self.size.large_rounds:
                self.drained("drain 1,000,000", Rhubarb, n, self.size.large)

    def part_teams(self):
        for n in range(self.size.rounds):
            for workers in self.size.teams:
                self.drained(f"drain by {workers}", Rhubarb, n, self.size.ours, workers)

    def part_latency(self):
        """At 20 a second, and at half of what each drained in this run (of the same kind of task)."""
        kinds = (Sidekiq, Rhubarb, Celery, BullMQ)
        for n in range(self.size.rounds):
            for kind in kinds:
                arguments = (kind, self.tools, 20, self.size.latency_s)
                self.measure("latency at 20/s", kind, n, latency.latency, *arguments)
            for kind in kinds:
                capacity = self.median("drain", kind, "per_second")
                if capacity:
                    arguments = (kind, self.tools, capacity / 2, self.size.half_s)
                    self.measure("latency at half of capacity", kind, n, latency.latency, *arguments)

    def part_scripts(self):
        self.measure("scripts", Rhubarb, 0, scripts.scripts, self.tools, 10_000, 300, 60)

    def part_running(self):
        self.measure("running", Rhubarb, 0, running.running_bytes, self.tools)

    def part_crash(self):
        """Three of ours; of the others one, and only where there is time to wait for them."""
        peers = [Celery, Sidekiq, BullMQ, Apalis] if self.size.rounds > 1 else []
        kinds = [Rhubarb] * 3 + [kind for kind in peers if kind.name not in self.left_out]
        rounds = {}
        for kind, future in crash.crashes(kinds, self.tools, self.size.patience_s):
            n = rounds[kind] = rounds.get(kind, -1) + 1
            self.measure("kill -9", kind, n, future.result)

    def part_idle(self):
        kinds = [RhubarbOfficial, Celery, Sidekiq, BullMQ]
        kinds = [kind for kind in kinds if kind.name not in self.left_out]
        for kind, figures in zip(kinds, idle.idle(kinds, self.tools, self.size.idle_s)):
            self.record("idle", kind, 0, figures)

    def part_pure(self):
        if self.size.pure:
            self.measure("pure", Rhubarb, 0, pure.pure, self.tools)

    def of(self, what, kind):
        name = kind if isinstance(kind, str) else kind.name
        return [record for record in self.records if record["what"] == what and record["worker"] == name]

    def median(self, what, kind, figure):
        """The median of a figure, or None where nothing was measured."""
        from statistics import median

        values = [record[figure] for record in self.of(what, kind) if record.get(figure) is not None]
        return median(values) if values else None

    def as_json(self):
        return {"size": asdict(self.size), "records": self.records, "left_out": self.left_out}


def shout(lines):
    for line in lines:
        print(f"  LEFT OUT: {line}", file=sys.stderr, flush=True)
