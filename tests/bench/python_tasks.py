"""The same Python tasks under Celery's prefork worker and ours: `python_tasks.py WORKER [TASKS]`.

Both have two processes, keep results, and take tasks from a full queue of a private Redis: one kind
does nothing, the other works for 10 ms. Printed are the rate between a tenth and nine tenths of the
tasks, and of all processes together the CPU a task, the memory at the end (proportional, so that
what forked processes share counts once), the connections to Redis, and the time from the start to
the first result.

Linux only: the figures are read from /proc. Prints a Markdown table and, last, the same as a line
of JSON.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import redis
from celery import Celery

app = Celery("python_tasks", broker=os.environ.get("REDIS"), backend=os.environ.get("REDIS"))
PROCESSES = 2


@app.task(name="bench.nothing")
def nothing(n):
    return n


@app.task(name="bench.work")
def work(n):
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass
    return n


def tree(pid):
    """The ids of a process and of all below it."""
    found, looked = [pid], 0
    while looked < len(found):
        try:
            children = Path(f"/proc/{found[looked]}/task/{found[looked]}/children").read_text()
        except OSError:
            children = ""
        found.extend(map(int, children.split()))
        # A process that another thread has started stands in that thread's list.
        for task in Path(f"/proc/{found[looked]}/task").glob("*/children"):
            found.extend(int(one) for one in task.read_text().split() if int(one) not in found)
        looked += 1
    return found


def cpu(pids):
    """The CPU time of processes so far, with that of children that have ended, seconds."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pids):
    """The proportional memory of processes, MB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def measure(name, command, task, tasks, server, url):
    server.flushall()
    with app.producer_pool.acquire() as producer:
        for n in range(tasks):
            task.apply_async((n,), producer=producer, ignore_result=False)
    environment = dict(
        os.environ, REDIS_URL=url, RHUBARB_CONFIG=os.devnull, RHUBARB_PYTHON_INTERPRETER=sys.executable
    )
    folder = Path(__file__).parent
    with tempfile.TemporaryFile() as log:
        begin = time.monotonic()
        worker = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            return {"worker": name, "task": task.name, **followed(worker, begin, tasks, server)}
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(60)


def followed(worker, begin, tasks, server):
    # A client of ours beside those of the worker.
    own = len(server.client_list())

    def results():
        return server.info("keyspace").get("db0", {}).get("keys", 0)

    first = None
    while (left := server.llen("celery")) > 0.9 * tasks:
        if first is None and results() > 10:
            first = time.monotonic() - begin
        time.sleep(0.005)
    since, at, before = time.monotonic(), left, cpu(tree(worker.pid))
    while (left := server.llen("celery")) > 0.1 * tasks:
        time.sleep(0.005)
    pids = tree(worker.pid)
    done, seconds, spent = at - left, time.monotonic() - since, cpu(pids) - before
    return {
        "tasks_per_s": round(done / seconds),
        "cpu_us_per_task": round(spent / done * 1e6),
        "memory_mb": round(memory(pids), 1),
        "connections": len(server.client_list()) - own,
        "first_result_s": round(first or 0, 2),
    }


def main():
    binary, tasks = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    url = os.environ["REDIS"]
    server = redis.Redis.from_url(url)
    celery = [sys.executable, "-m", "celery", "-A", "python_tasks", "worker", "-l", "warning"]
    workers = {
        "Celery prefork": [*celery, "-c", str(PROCESSES)],
        "Rhubarb": [binary, "--python", "python_tasks:app", "-c", str(PROCESSES), "-l", "warn"],
    }
    os.environ["RHUBARB_PYTHON_PROCESSES"] = str(PROCESSES)
    rows = [
        measure(name, command, task, n, server, url)
        for task, n in ((nothing, tasks), (work, max(tasks // 10, 100)))
        for name, command in workers.items()
    ]
    print("| task | worker | tasks a second | CPU a task, µs | memory, MB | connections | first result, s |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        shown = [row["task"], row["worker"], row["tasks_per_s"], row["cpu_us_per_task"]]
        shown += [row["memory_mb"], row["connections"], row["first_result_s"]]
        print("| " + " | ".join(map(str, shown)) + " |")
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
