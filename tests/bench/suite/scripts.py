"""What our scripts cost inside Redis for each task, by its slow log: in batches, and one by one."""

import collections
import hashlib

from . import tools as here
from .drain import wait_until_done, warm
from .server import Server
from .workers import Rhubarb

SCRIPTS = here.HERE.parents[2] / "crates" / "queue" / "src" / "scripts"


def scripts(tools, batched, alone, rate):
    with Server() as server:
        worker = Rhubarb(tools, server, log=f"{server.dir}/started")
        try:
            warm([worker], server)
            worker.stage(batched)
            watch(server)
            worker.release()
            wait_until_done([worker], batched)
            in_batches = told(server, batched)
            watch(server)
            worker.pace(rate, alone / rate, f"{server.dir}/sent")
            wait_until_done([worker], alone)
            return {"batched": in_batches, "alone": told(server, alone)}
        finally:
            worker.stop()


def watch(server):
    # Commands inside scripts are logged too and would be in the scripts' time; hardly one of them
    # takes so long, and no script is shorter.
    server.client.config_set("slowlog-log-slower-than", 8)
    server.client.config_set("slowlog-max-len", 1_000_000)
    server.client.slowlog_reset()


def told(server, count):
    """By script: calls and microseconds for each task."""
    names = {hashlib.sha1(path.read_bytes()).hexdigest(): path.stem for path in SCRIPTS.glob("*.lua")}
    server.client.config_set("slowlog-log-slower-than", -1)
    calls, microseconds = collections.Counter(), collections.Counter()
    for entry in server.client.slowlog_get(10_000_000):
        words = entry["command"].split()
        if words[0].upper() == b"EVALSHA":
            name = names.get(words[1].decode(), "another")
            calls[name] += 1
            microseconds[name] += entry["duration"]
    if not calls:
        raise RuntimeError("the slow log has none of our scripts")
    return {
        name: {"calls_per_task": calls[name] / count, "us_per_task": microseconds[name] / count}
        for name in calls
        if microseconds[name] / count >= 0.01
    }
