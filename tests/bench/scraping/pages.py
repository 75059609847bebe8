"""2,000 pages of postings with JSON-LD: ours beside aiohttp, httpx and Scrapy, in one run."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from celery import Celery
from measured import Measured, free_port, settled

PAGES = 2_000
SOURCES = 20
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
KEYWORD = "job_scraper.tasks.scrape_specific_keyword"
HERE = Path(__file__).parent


def configuration(redis: str, site: str) -> str:
    each = PAGES // SOURCES
    urls = [[f"{site}/job/{n * each + page}" for page in range(each)] for n in range(SOURCES)]
    sources = "".join(
        f'[[sources]]\ntype = "jsonld"\nname = "s{n}"\nurls = {of_one}\n'
        for n, of_one in enumerate(urls)
    ).replace("'", '"')
    return (
        f'[redis]\nurl = "{redis}"\n[scrape]\nmin_interval = 0\nconcurrent_per_host = 16\n'
        f'concurrent_sources = 16\nallow_private = ["*"]\n{sources}'
    )


def ours(worker: str, site: str, folder: Path) -> tuple[int, float, float]:
    port = free_port()
    redis = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    url = f"redis://127.0.0.1:{port}"
    config = folder / "rhubarb.toml"
    config.write_text(configuration(url, site))
    environment = {**os.environ, "RHUBARB_CONFIG": str(config)}
    run = subprocess.Popen([worker, "-l", "error"], env=environment, stderr=sys.stderr)
    try:
        measured = Measured(run.pid)
        settled(measured)
        app = Celery(broker=f"{url}/0", backend=f"{url}/0")
        cpu = measured.cpu()
        summary = app.send_task(KEYWORD, ["data engineer"]).get(timeout=300)
        return summary["count"], measured.cpu() - cpu, measured.peak_mb()
    finally:
        for process in (run, redis):
            process.terminate()
            process.wait()


def peer(python: str, name: str, site: str) -> tuple[int, float, float]:
    """CPU with its start, which takes about half a second of Python's imports."""
    run = subprocess.Popen(
        [python, HERE / "peer.py", name, site, str(PAGES)], stdout=subprocess.PIPE
    )
    found = int(run.stdout.read())
    _, _, used = os.wait4(run.pid, 0)
    return found, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main(worker: str, python: str):
    served = subprocess.Popen(
        [sys.executable, HERE / "site.py", str(PAGES), "[]"], stdout=subprocess.PIPE
    )
    site = f"http://127.0.0.1:{int(served.stdout.readline())}"
    print("| | pages | CPU s per 1,000 pages | MB |")
    print("|---|---|---|---|")
    try:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as folder:
                row("rhubarb", ours(worker, site, Path(folder)))
            for name, told in (
                ("aiohttp", "aiohttp + selectolax"),
                ("httpx", "httpx + selectolax"),
                ("scrapy", "Scrapy"),
            ):
                row(told, peer(python, name, site))
    finally:
        served.terminate()
        served.wait()


def row(name: str, measured: tuple[int, float, float]):
    found, cpu, memory = measured
    print(f"| {name} | {found} | {cpu / PAGES * 1_000:.2f} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
