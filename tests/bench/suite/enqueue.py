"""How fast tasks are published: our client beside redis-benchmark pushing as many bytes on one
connection; peers'.
"""

import json
import time

from celery import Celery

from .messages import TEXT
from .server import Server, run
from .tools import PEERS

WARM = 50


def enqueue(tools, benchmark, what, count, pipeline):
    """`single` against pipeline 1, `bulk` against pipeline 16; the same bytes for both."""
    before = benchmark.lpush(max(count, 20_000), pipeline)
    with Server() as server:
        command = [tools.binary("e2e-bench-client"), what, "--url", server.url, "--count", str(count), "--text", TEXT]
        figures = json.loads(run(command))
    figures["per_second"] = figures["count"] / figures["seconds"]
    # Before and after: the machine swings more within a second than the two differ.
    figures["redis_benchmark"] = (before + benchmark.lpush(max(count, 20_000), pipeline)) / 2
    figures["ratio"] = figures["per_second"] / figures["redis_benchmark"]
    return figures


def by_bullmq(tools, what, count):
    """`single` awaits each add, `bulk` adds 1,000 at once."""
    with Server() as server:
        command = ["node", str(PEERS / "bullmq" / "producer.mjs"), str(server.port), what, str(count), TEXT]
        seconds = json.loads(run(command, cwd=tools.node_modules))["seconds"]
    return {"count": count, "seconds": seconds, "per_second": count / seconds}


def by_celery(count):
    """Python has no other way than one after the other. The queue is declared and the connection
    there.
    """
    with Server() as server:
        app = Celery("bench", broker=server.url)
        for _ in range(WARM):
            app.send_task("bench.noop", args=[TEXT])
        begun = time.monotonic()
        for _ in range(count):
            app.send_task("bench.noop", args=[TEXT])
        seconds = time.monotonic() - begun
        app.close()
    return {"count": count, "seconds": seconds, "per_second": count / seconds}
