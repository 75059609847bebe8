"""How fast tasks are published with our client, beside redis-benchmark pushing as many bytes on one connection."""

import json

from .messages import TEXT
from .server import Server, run


def enqueue(tools, benchmark, what, count, pipeline):
    """`single` against pipeline 1, `bulk` against pipeline 16; the same bytes for both."""
    with Server() as server:
        command = [tools.binary("e2e-bench-client"), what, "--url", server.url, "--count", str(count), "--text", TEXT]
        figures = json.loads(run(command))
    figures["per_second"] = figures["count"] / figures["seconds"]
    figures["redis_benchmark"] = benchmark.lpush(max(count, 20_000), pipeline)
    figures["ratio"] = figures["per_second"] / figures["redis_benchmark"]
    return figures
