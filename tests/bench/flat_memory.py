"""Whether a worker's memory, and Redis's, stay flat: `flat_memory.py WORKER_PID [TASKS]`, with
REDIS as run.sh sets it.

Publishes tasks with `ignore_result` as fast as the worker ends them, never more than 20,000 ahead.
Prints the worker's resident memory after the first 50,000 and at the end, Redis's `used_memory`
before and after, and how long it took.
"""

import base64
import json
import os
import sys
import time
import uuid

import redis

pid, tasks = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
WARM, AHEAD, BATCH = 50_000, 20_000, 1_000
server = redis.Redis.from_url(os.environ["REDIS"] + "/0")
embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
body = base64.b64encode(json.dumps([[0.0], {}, embed]).encode()).decode()


def message():
    id = str(uuid.uuid4())
    headers = {
        "lang": "py", "task": "e2e.sleep", "id": id, "shadow": None, "eta": None, "expires": None, "group": None,
        "group_index": None, "retries": 0, "timelimit": [None, None], "root_id": id, "parent_id": None,
        "argsrepr": "(0.0,)", "kwargsrepr": "{}", "origin": "gen1@bench", "ignore_result": True,
    }
    properties = {
        "correlation_id": id, "reply_to": "", "delivery_mode": 2, "priority": 0, "body_encoding": "base64",
        "delivery_info": {"exchange": "", "routing_key": "celery"}, "delivery_tag": id,
    }
    return json.dumps({
        "body": body, "content-encoding": "utf-8", "content-type": "application/json", "headers": headers,
        "properties": properties,
    })


def resident():
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def used():
    return server.info("memory")["used_memory"] / 1e6


def claimed():
    return sum(server.hlen(key) for key in server.keys("rhubarb:{celery}:claims:*"))


def run(n):
    for _ in range(n // BATCH):
        while server.llen("celery") > AHEAD:
            time.sleep(0.02)
        server.lpush("celery", *[message() for _ in range(BATCH)])
    while server.llen("celery") + claimed():
        time.sleep(0.05)


def change(value, of):
    return f"{(value / of - 1) * 100:+.1f} %"


# One batch first, so that what is there for as long as the worker lives is there.
run(BATCH)
before, begun = used(), time.monotonic()
run(WARM)
warm = resident()
print(f"after {WARM:,} tasks: worker {warm:.1f} MB, Redis {used():.2f} MB", flush=True)
run(tasks - WARM)
seconds, end, after = time.monotonic() - begun, resident(), used()
print(
    f"after {tasks:,} tasks: worker {end:.1f} MB ({change(end, warm)}); Redis {after:.2f} MB, {before:.2f} MB before "
    f"({change(after, before)}); {seconds:.0f} s, {tasks / seconds:.0f} tasks/s"
)
