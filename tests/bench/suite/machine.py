"""The machine: what it is, and how fast Redis's own benchmark is on it at the moment."""

import csv
import io
import os
import platform
import shutil

from .server import Server, run

# Pops what was pushed, so that the list is as long before as after.
EVAL = "return redis.call('RPOP', KEYS[1])"


def facts():
    def first(path, name):
        try:
            with open(path) as lines:
                return next(line.partition(":")[2].strip() for line in lines if line.startswith(name))
        except (OSError, StopIteration):
            return "unknown"

    memory = first("/proc/meminfo", "MemTotal").split()[0]
    return {
        "cpu": first("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(memory) / 1e6) if memory.isdigit() else None,
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
    }


class RedisBenchmark:
    """redis-benchmark on a server of its own, with one client and messages as long as a task's."""

    def __init__(self, message_bytes):
        self.server = Server()
        self.message = "x" * message_bytes
        self.sha = self.server.client.script_load(EVAL)
        self.program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")

    def rate(self, count, pipeline, *command):
        """Commands a second."""
        sizes = ["-c", "1", "-n", str(count), "-P", str(pipeline)]
        said = run([self.program, "-p", str(self.server.port), "--csv", *sizes, *command])
        rows = list(csv.DictReader(io.StringIO(said)))
        return float(rows[-1]["rps"])

    def lpush(self, count, pipeline):
        rate = self.rate(count, pipeline, "LPUSH", "list", self.message)
        self.server.client.delete("list")
        return rate

    def state(self):
        """The machine's state: commands a second, in about a second."""
        rates = {}
        for pipeline, count in ((1, 5_000), (16, 40_000)):
            rates[f"LPUSH, pipeline {pipeline}"] = self.rate(count, pipeline, "LPUSH", "list", self.message)
            rates[f"RPOP, pipeline {pipeline}"] = self.rate(count, pipeline, "RPOP", "list")
        self.server.client.lpush("list", *["x"] * 5_000)
        rates["EVALSHA"] = self.rate(5_000, 1, "EVALSHA", self.sha, "1", "list")
        self.server.client.delete("list")
        return rates
