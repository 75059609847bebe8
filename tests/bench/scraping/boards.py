"""1,000 boards, 240,000 postings, 20 keywords on loopback: one run, and the one after it.

The worker scrapes all keywords in one task, `scrape_jobs_hourly`. CPU and memory are the worker's.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from celery import Celery
from measured import Measured, free_port, settled

BOARDS = int(os.environ.get("BENCH_BOARDS", "1000"))
KEYWORDS = [
    "software engineer", "data scientist", "product manager", "full stack developer",
    "machine learning engineer", "devops engineer", "cloud architect", "cybersecurity analyst",
    "business analyst", "project manager", "sales manager", "marketing manager",
    "financial analyst", "operations manager", "ui ux designer", "qa engineer",
    "system administrator", "network engineer", "database administrator", "frontend developer",
]  # fmt: skip
HOURLY = "job_scraper.tasks.scrape_jobs_hourly"


def configuration(redis: str, site: str) -> str:
    sources = "".join(
        f'[[sources]]\ntype = "greenhouse"\nname = "b{n}"\nboard = "b{n}"\nbase_url = "{site}"\n'
        for n in range(BOARDS)
    )
    return (
        f'[redis]\nurl = "{redis}"\n[scrape]\nmin_interval = 0\nconcurrent_per_host = 8\n'
        f'concurrent_sources = 8\nallow_private = ["*"]\nboard_cache_bytes = "4 GiB"\n'
        f"keywords = {json.dumps(KEYWORDS)}\n{sources}"
    )


def hits(site: str) -> list[int]:
    with urllib.request.urlopen(f"{site}/hits") as answer:
        return json.load(answer)


def main(worker: str):
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        here = Path(__file__).parent
        served = subprocess.Popen(
            [sys.executable, here / "site.py", "0", json.dumps(KEYWORDS)], stdout=subprocess.PIPE
        )
        try:
            site = f"http://127.0.0.1:{int(served.stdout.readline())}"
            url = f"redis://127.0.0.1:{port}"
            config = Path(folder) / "rhubarb.toml"
            config.write_text(configuration(url, site))
            environment = {**os.environ, "RHUBARB_CONFIG": str(config)}
            log = (Path(folder) / "worker.log").open("w")
            run = subprocess.Popen([worker, "-l", "warn"], env=environment, stderr=log, stdout=log)
            try:
                measure(Celery(broker=f"{url}/0", backend=f"{url}/0"), Measured(run.pid), site)
            finally:
                run.terminate()
                run.wait()
                print((Path(folder) / "worker.log").read_text()[-2000:], file=sys.stderr)
        finally:
            for process in (served, redis):
                process.terminate()
                process.wait()


def measure(app: Celery, worker: Measured, site: str):
    settled(worker)
    print("| run | s | CPU s | MB | requests | 304 | status | found of one keyword |")
    print("|---|---|---|---|---|---|---|---|")
    for name in ("first", "all 304", "all 304"):
        cpu, begun, before = worker.cpu(), time.monotonic(), hits(site)
        summary = app.send_task(HOURLY).get(timeout=900)
        took, used = time.monotonic() - begun, worker.cpu() - cpu
        asked, unchanged = (now - then for now, then in zip(hits(site), before))
        print(
            f"| {name} | {took:.1f} | {used:.2f} | {worker.peak_mb():.0f} | {asked} | {unchanged} "
            f"| {summary['status']} | {summary['count']} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1])
