"""What is asked of us, and whether it was met: each from one run, by pairs of it."""

from dataclasses import dataclass

from .stats import median_of
from .workers import Apalis, BullMQ, Celery, Rhubarb, RhubarbOfficial, Sidekiq

# Below this a difference is called noise: the machine itself swings more.
NOISE = 1.5


@dataclass
class Target:
    what: str
    asked: str
    measured: str
    met: bool | None
    near: bool = False

    @property
    def verdict(self):
        if self.met is None:
            return "not measured"
        return ("met" if self.met else "**not met**") + (", within noise" if self.near else "")


def pairs(run, what, ours, theirs, figure, up=True):
    """The ratio of each round's pair; above 1 is in our favour."""
    mine = {record["round"]: record[figure] for record in run.of(what, ours)}
    other = {record["round"]: record[figure] for record in run.of(what, theirs)}
    return [
        (mine[n] / other[n]) if up else (other[n] / mine[n])
        for n in sorted(mine.keys() & other.keys()) if mine[n] and other[n]
    ]


def spread(ratios):
    middle = median_of([{"x": ratio} for ratio in ratios])["x"]
    least, most = min(ratios), max(ratios)
    shown = f"{figure(middle)} ×"
    return middle, shown if len(ratios) == 1 else f"{shown} ({figure(least)} to {figure(most)})"


def figure(value):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def at_least(what, ratios, least):
    """The median of the pairs has to be at least so much."""
    if not ratios:
        return Target(what, f"at least {figure(least)} ×", "–", None)
    middle, shown = spread(ratios)
    return Target(what, f"at least {figure(least)} ×", shown, middle >= least, near(middle, least))


def at_most(what, value, most, unit, noisy=False):
    asked = f"at most {figure(most)} {unit}".strip()
    if value is None:
        return Target(what, asked, "–", None)
    return Target(what, asked, f"{figure(value)} {unit}".strip(), value <= most, noisy and near(value, most))


def near(value, limit):
    return value > 0 and limit / NOISE < value < limit * NOISE


def all_targets(run):
    return [*throughput(run), *traffic(run), *enqueueing(run), *latencies(run), *memory(run), *rest(run)]


def throughput(run):
    of_size = ({one["round"]: one["per_second"] for one in run.of(f"drain {n}", Rhubarb)} for n in ("1,000,000", "20,000"))
    large, small = of_size
    steady = [large[n] / small[n] for n in sorted(large.keys() & small.keys())]
    return [
        at_least("drain: Celery with results", pairs(run, "drain", Rhubarb, Celery, "per_second"), 40),
        at_least("drain: BullMQ", pairs(run, "drain", Rhubarb, BullMQ, "per_second"), 2.5),
        at_least("drain: apalis-redis at 7,500", pairs(run, "drain small batch", Rhubarb, Apalis, "per_second"), 0.8),
        at_least("drain: 1,000,000 against 20,000", steady, 1),
        at_least("CPU a task: BullMQ", pairs(run, "drain", Rhubarb, BullMQ, "cpu_per_1000", up=False), 3),
        at_least("CPU a task: Celery with results", pairs(run, "drain", Rhubarb, Celery, "cpu_per_1000", up=False), 40),
    ]


def traffic(run):
    return [
        at_most("Redis commands a task", run.median("drain", Rhubarb, "commands_per_task"), 8, ""),
        at_most("round trips a task", run.median("drain", Rhubarb, "reads_per_task"), 0.1, ""),
    ]


def enqueueing(run):
    ratios = {what: [record["ratio"] for record in run.of(f"enqueue {what}", Rhubarb)] for what in ("single", "bulk")}
    return [
        at_least("enqueue single: `redis-benchmark -c 1` LPUSH, pipeline 1", ratios["single"], 0.8),
        at_least("enqueue bulk: the same at pipeline 16", ratios["bulk"], 0.5),
    ]


def latencies(run):
    found = []
    for name in ("p50_ms", "p99_ms"):
        ratios = pairs(run, "latency at 20/s", Rhubarb, Sidekiq, name, up=False)
        found.append(at_least(f"latency at 20 a second, {name[:3]}: Sidekiq", ratios, 1))
    p99 = run.median("latency at 20/s", Rhubarb, "p99_ms")
    return [*found, at_most("latency at 20 a second, p99", p99, 5, "ms", noisy=True)]


def memory(run):
    waiting, message = (run.median("drain", Rhubarb, name) for name in ("waiting_bytes", "message_bytes"))
    over = waiting - message if waiting and message else None
    return [
        at_most("RSS idle", run.median("idle", RhubarbOfficial, "rss_mb"), 15, "MB"),
        at_most("RSS over 1,000,000 tasks", run.median("drain 1,000,000", Rhubarb, "peak_rss_mb"), 40, "MB"),
        at_most("a waiting task in Redis, over its message", over, 128, "bytes"),
    ]


def rest(run):
    crashed = run.of("kill -9", Rhubarb)
    lost = max((record["lost"] + record["held"] for record in crashed), default=None)
    recovered = [record["recovered_s"] for record in crashed]
    slowest = None if not recovered else float("inf") if None in recovered else max(recovered)
    return [
        at_most("idle: commands sent", run.median("idle", RhubarbOfficial, "sent_per_second"), 1, "a second"),
        at_most("idle: CPU", run.median("idle", RhubarbOfficial, "cpu_s_per_minute"), 0.1, "s a minute"),
        at_most("kill -9: lost", lost, 0, ""),
        at_most("kill -9: all done, besides the work", slowest, 30, "s"),
    ]
