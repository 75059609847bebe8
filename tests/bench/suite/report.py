"""A run as Markdown."""

from .stats import median_of
from .targets import NOISE, all_targets, figure, pairs, spread
from .workers import (
    ALL, Apalis, BullMQ, BullMQRemoving, Celery, CeleryIgnoring, Rhubarb, RhubarbIgnoring, RhubarbOfficial, Sidekiq,
)


def table(heads, rows):
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return lines + [f"| {' | '.join(map(str, row))} |" for row in rows] + [""]


def medians(run, what, kind):
    found = run.of(what, kind)
    return median_of(found) if found else None


def short(run, about):
    """What docs/benchmarks.md shows."""
    return "\n".join([*heading(about), *left_out(run), *compared(run), *targets(run), *notes(run)]).rstrip() + "\n"


def whole(run, about):
    parts = [
        [f"# Benchmarks ({about['size']})", ""], heading(about), left_out(run), targets(run), ratios(run), drains(run),
        latencies(run), crashes(run), idles(run), enqueueing(run), memory(run), scripts(run), pure(run), states(run),
        notes(run),
    ]
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def heading(about):
    machine, versions = about["machine"], about["versions"]
    return [
        f"`sh tests/bench/run.sh {about['size']}` on {about['date']}: {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gb']} GB, {machine['system']}; " + ", ".join(f"{k} {v}" for k, v in versions.items())
        + f". It took {about['minutes']:.0f} minutes.",
        "",
    ]


def left_out(run):
    return [f"**LEFT OUT: {name}** {reason.splitlines()[0]}\n" for name, reason in run.left_out.items()]


def compared(run):
    """One line a worker, as a reader compares them."""
    rows = []
    for kind in ALL:
        what = "drain small batch" if kind is Apalis else "drain"
        one, late = medians(run, what, kind), medians(run, "latency at 20/s", kind)
        if not one:
            continue
        cpu = f"{one['worker_cpu_per_1000']:.3f} + {one['redis_cpu_per_1000']:.3f}"
        latency = f"{late['p50_ms']:.2f} / {late['p99_ms']:.2f}" if late else "–"
        traffic = f"{figure(one['commands_per_task'])} / {figure(one['reads_per_task'])}"
        rows.append([kind.name, figure(one["per_second"]), cpu, traffic, latency, crash_words(run, kind)])
    heads = [
        "worker", "tasks a second", "CPU s per 1,000: worker + Redis", "Redis commands / socket reads a task",
        "start latency p50 / p99, ms", "after kill -9, of 1,000",
    ]
    return table(heads, rows) if rows else []


def crash_words(run, kind):
    found = run.of("kill -9", kind)
    if not found:
        return "–"
    worst = max(found, key=lambda one: (one["lost"], one["held"], one["recovered_s"] or 0))
    words = [f"{worst['lost']} lost"]
    if worst["held"]:
        words.append(f"{worst['held']} still held after {worst['patience_s']:.0f} s")
    if worst["recovered_s"] is not None:
        words.append(f"done after {max(0, worst['recovered_s']):.0f} s")
    return ", ".join(words)


def targets(run):
    rows = [[target.what, target.asked, target.measured, target.verdict] for target in all_targets(run)]
    return table(["target", "asked", "measured", ""], rows)


def ratios(run):
    """Each peer against ours of the same round, which ran next to it."""
    rows = []
    compare = (
        ("drain", Rhubarb, (Celery, BullMQ, Sidekiq)),
        ("drain", RhubarbIgnoring, (CeleryIgnoring, BullMQRemoving, Sidekiq)),
        ("drain small batch", Rhubarb, (Apalis,)),
    )
    for what, ours, peers in compare:
        for peer in peers:
            row = [f"{ours.name} : {peer.name}"]
            for name, up in (("per_second", True), ("cpu_per_1000", False), ("reads_per_task", False)):
                found = pairs(run, what, ours, peer, name, up)
                middle, shown = spread(found) if found else (None, "–")
                noise = middle is not None and 1 / NOISE < middle < NOISE
                row.append(shown + (", noise" if noise else ""))
            if row[1:] != ["–"] * 3:
                rows.append(row)
    if not rows:
        return []
    heads = ["in pairs, above 1 × is in our favour", "tasks a second", "less CPU", "fewer round trips"]
    return ["## Ratios", "", *table(heads, rows)]


def drains(run):
    rows = []
    drained = (record for record in run.records if record["what"].startswith("drain"))
    for what, worker in dict.fromkeys((record["what"], record["worker"]) for record in drained):
        found = run.of(what, worker)
        one = median_of(found)
        rates = [record["per_second"] for record in found]
        rows.append([
            worker, f"{one['tasks']:,.0f}", one["workers"],
            f"{figure(one['per_second'])} ({figure(min(rates))} to {figure(max(rates))})",
            f"{one['worker_cpu_per_1000']:.4f} + {one['redis_cpu_per_1000']:.4f}", figure(one["commands_per_task"]),
            figure(one["reads_per_task"]), figure(one["waiting_bytes"]), figure(one["finished_bytes"]),
            f"{figure(one.get('idle_rss_mb'))} / {figure(one['peak_rss_mb'])}", figure(one["connections"]),
        ])
    heads = [
        "worker", "tasks", "workers", "tasks a second", "CPU s per 1,000: worker + Redis", "commands a task",
        "socket reads a task", "bytes waiting", "bytes finished", "RSS idle / peak, MB", "connections a worker",
    ]
    return ["## Draining a backlog", "", *table(heads, rows)] if rows else []


def latencies(run):
    rows = []
    for what in ("latency at 20/s", "latency at half of capacity"):
        for kind in ALL:
            one = medians(run, what, kind)
            if one:
                counts = [f"{one[name]:,.0f}" for name in ("rate", "sent_per_second", "tasks", "missing")]
                rows.append([kind.name, *counts, *(f"{one[name]:.2f}" for name in ("p50_ms", "p99_ms", "max_ms"))])
    heads = ["worker", "asked a second", "sent a second", "tasks", "not begun", "p50 ms", "p99 ms", "greatest ms"]
    return ["## From enqueueing to the start", "", *table(heads, rows)] if rows else []


def crashes(run):
    rows = []
    for kind in ALL:
        for one in run.of("kill -9", kind):
            recovered = one["recovered_s"]
            done = f"not within {one['patience_s']:.0f}" if recovered is None else f"{max(0, recovered):.1f}"
            counts = [one[name] for name in ("done_before", "lost", "held", "twice")]
            rows.append([kind.name, *counts, f"{one['work_s']:.1f}", done])
    heads = ["worker", "done at the kill", "lost", "still held", "run twice", "the rest's work, s"]
    heads.append("all done, s besides the work")
    return ["## kill -9 in the middle of 1,000 tasks of 50 ms", "", *table(heads, rows)] if rows else []


def idles(run):
    rows = []
    for kind in (RhubarbOfficial, Celery, Sidekiq, BullMQ):
        for one in run.of("idle", kind):
            rows.append([
                one["worker"], figure(one["sent_per_second"]), figure(one["commands_per_second"]), figure(one["cpu_s_per_minute"]),
                figure(one["redis_cpu_s_per_minute"]), figure(one["rss_mb"]), one["connections"],
            ])
    heads = ["worker", "commands sent a second", "with those in scripts", "CPU s a minute", "Redis CPU s a minute", "RSS MB", "connections"]
    return ["## Idle", "", *table(heads, rows)] if rows else []


def enqueueing(run):
    rows = []
    for what, pipeline in (("single", 1), ("bulk", 16)):
        for kind in (Rhubarb, BullMQ, Celery):
            one = medians(run, f"enqueue {what}", kind)
            if one:
                rates = [figure(one.get(name)) for name in ("per_second", "redis_benchmark", "ratio")]
                rows.append([kind.name, what, pipeline if "ratio" in one else "–", *rates])
    heads = ["client of", "how", "at pipeline", "tasks a second", "redis-benchmark -c 1 LPUSH of as many bytes", "ratio"]
    return ["## Enqueueing", "", *table(heads, rows)] if rows else []


def memory(run):
    one = medians(run, "running", Rhubarb)
    if not one:
        return []
    return [
        f"A running task takes {figure(one['running_bytes'])} bytes in Redis, of which its message is "
        f"{figure(one['message_bytes'])}.", "",
    ]


def scripts(run):
    found = run.of("scripts", Rhubarb)
    if not found:
        return []
    rows = []
    for how in ("batched", "alone"):
        for name, one in sorted(found[0][how].items(), key=lambda item: -item[1]["us_per_task"]):
            rows.append([name, how, figure(one["calls_per_task"]), f"{one['us_per_task']:.2f}"])
    heads = ["script", "tasks", "calls a task", "µs a task in Redis"]
    return ["## Scripts", "", *table(heads, rows)]


def pure(run):
    found = run.of("pure", Rhubarb)
    if not found:
        return []
    rows = [[name, f"{value:.2f}"] for name, value in found[0]["microseconds"].items()]
    return ["## Without Redis", "", *table(["what", "µs"], rows)]


def states(run):
    """redis-benchmark between all measurements."""
    found = [record["after"] for record in run.records if "after" in record]
    rows = []
    for name in found[0] if found else ():
        rates = [state[name] for state in found]
        middle = median_of([{"x": rate} for rate in rates])["x"]
        rows.append([name, figure(middle), figure(min(rates)), figure(max(rates)), f"{max(rates) / min(rates):.1f} ×"])
    heads = [f"redis-benchmark -c 1, {run.message_bytes} bytes", "median", "least", "most", "swing"]
    return ["## The machine's state between the measurements", "", *table(heads, rows)] if rows else []


def notes(run):
    lines = [
        f"No-op tasks with 200 bytes of arguments: a Celery envelope of {run.message_bytes} bytes. Medians of "
        f"{run.size.rounds} round(s); ratios are those of neighbours in one round, and a difference below {NOISE} × is "
        "noise. CPU is that of all processes of the worker, and of Redis, by /proc. Commands count those inside scripts. "
        "Settings:",
        "",
    ]
    used = {record["worker"] for record in run.records}
    for kind in ALL:
        if kind.name in used:
            lines.append(f"- {kind.name}: {kind.settings}.")
    return lines + [""]


def write_between(text, begin, end, content):
    """A text with the content between two marks replaced; raises when they are not there."""
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no {begin} … {end}")
    return f"{head}{begin}\n{content}{end}{tail}"
