"""The dashboard beside 2,000 tasks a second: what the worker's CPU a task gains by it, and the
dashboard's memory.

Usage: web.py BINARIES [SECONDS]; BINARIES is the folder of the binaries, SECONDS how long each half
of a round takes. Rounds go with and without the dashboard in turn, on one worker. While it
runs, ten visitors look at its pages as open browsers do: each three seconds. Needs redis-server.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, os.path.dirname(__file__))
from suite.process import Processes, end_all  # noqa: E402

binaries = Path(sys.argv[1])
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20
RATE, ROUNDS, VISITORS = 2_000, 4, 10
PAGES = ["/", "/queues", "/tasks", "/schedules", "/workers", "/letters", "/caches", "/metrics"]
MESSAGE = {
    # [[0], {}, {}]
    "body": "W1swXSwge30sIHt9XQ==",
    "content-encoding": "utf-8",
    "content-type": "application/json",
    "headers": {"lang": "py", "task": "e2e.sleep", "id": "@ID@", "root_id": "@ID@"},
    "properties": {
        "correlation_id": "@ID@",
        "delivery_info": {"exchange": "", "routing_key": "celery"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": "@TAG@",
    },
}


def visit(base, stop, took):
    """Looks at one page after the other, as an open browser does."""
    while not stop.is_set():
        for page in PAGES:
            begun = time.monotonic()
            with urllib.request.urlopen(base + page, timeout=30) as answer:
                answer.read()
            took.append(time.monotonic() - begun)
            if stop.wait(3):
                return


def load(folder, port):
    """Has so many tasks run; returns how many."""
    line = [binaries / "e2e-bench-client", "pace", "--address", f"127.0.0.1:{port}"]
    line += ["--list", "celery"]
    line += ["--template", folder / "message.json", "--rate", str(RATE), "--seconds", str(seconds)]
    line += ["--log", folder / "sent"]
    subprocess.run(line, check=True, capture_output=True)
    return int(RATE * seconds)


def half(folder, port, worker, address):
    """Returns the worker's CPU a task, microseconds; with the dashboard where it has an address."""
    stop, took, visitors = threading.Event(), [], []
    if address:
        for _ in range(VISITORS):
            visitors.append(threading.Thread(target=visit, args=(address, stop, took)))
            visitors[-1].start()
    before = worker.cpu()
    n = load(folder, port)
    while int(subprocess.check_output(["redis-cli", "-p", str(port), "LLEN", "celery"])):
        time.sleep(0.05)
    time.sleep(0.5)
    cpu = (worker.cpu() - before) / n * 1e6
    stop.set()
    for visitor in visitors:
        visitor.join()
    return cpu, sorted(took)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), 20_000 + os.getpid() % 20_000
        (folder / "message.json").write_text(json.dumps(MESSAGE))
        env = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{port}", "RHUBARB_CONFIG": os.devnull}
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name]
        Processes(["redis-server", *options], folder / "redis.log")
        time.sleep(1)
        own = [binaries / "e2e-own-worker", "-l", "warn", "--concurrency", "16"]
        worker = Processes(own, folder / "worker.log", env=env)
        time.sleep(2)
        half(folder, port, worker, None)
        rows, peak, waits = [], 0, []
        for _ in range(ROUNDS):
            without, _ = half(folder, port, worker, None)
            line = [binaries / "rhubarb", "web", "--port", str(port + 1)]
            web = Processes(line, folder / "web.log", env=env)
            time.sleep(1)
            beside, took = half(folder, port, worker, f"http://127.0.0.1:{port + 1}")
            peak, waits = max(peak, web.peak()), waits + took
            web.kill()
            rows.append((without, beside))
        end_all()
        report(rows, peak, sorted(waits))


def report(rows, peak, waits):
    print("| round | worker's CPU a task without, µs | beside the dashboard, µs | ratio |")
    print("|---|---|---|---|")
    for nth, (without, beside) in enumerate(rows, 1):
        print(f"| {nth} | {without:.1f} | {beside:.1f} | {beside / without:.3f} |")
    ratios = sorted(beside / without for without, beside in rows)
    figures = {
        "ratio": round((ratios[1] + ratios[2]) / 2, 3),
        "dashboard_peak_mb": round(peak / 1e6, 1),
        "page_p50_ms": round(waits[len(waits) // 2] * 1000, 1),
        "page_max_ms": round(waits[-1] * 1000, 1),
        "pages": len(waits),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    try:
        main()
    finally:
        end_all()
