"""A beat with 10,000 schedules of which none is due: time until it leads, memory, commands a second.

Usage: schedules.py BEAT [N]; BEAT is the binary, N the number of schedules. Needs redis-server and redis-cli.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

beat, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
OVER = 10


def entry(i):
    # One in two is an interval, one in two a crontab; due tomorrow at the earliest.
    when = f"every = {86_400 + i}" if i % 2 else f'cron = "{i % 60} {i % 24} 1 1 *"'
    return f'[schedules."report-{i:05}"]\ntask = "shop.tasks.report"\n{when}\nargs = [{i}]\nkwargs = {{ kind = "daily" }}\n'


def commands(cli):
    """Counts what arrives in ten seconds; what a script does inside of Redis is not sent by anyone."""
    with subprocess.Popen([*cli, "MONITOR"], stdout=subprocess.PIPE, text=True) as monitor:
        time.sleep(OVER)
        monitor.terminate()
        return sum(1 for line in monitor.stdout if line[:1].isdigit() and " lua]" not in line)


def run(cli, folder, url, label):
    log = folder / "beat.log"
    begun = time.monotonic()
    environment = {**os.environ, "REDIS_URL": url, "RHUBARB_CONFIG": str(folder / "rhubarb.toml")}
    with log.open("w") as out:
        process = subprocess.Popen([beat, "-l", "info"], env=environment, stdout=out, stderr=out)
    try:
        while "this beat leads" not in log.read_text():
            if process.poll() is not None or time.monotonic() > begun + 60:
                sys.exit(f"beat does not lead:\n{log.read_text()[-2_000:]}")
            time.sleep(0.005)
        took = time.monotonic() - begun
        time.sleep(1)
        sent = commands(cli) / OVER
        status = Path(f"/proc/{process.pid}/status").read_text()
        memory = {name: int(status.split(name)[1].split()[0]) / 1024 for name in ("VmRSS:", "VmHWM:")}
        print(
            f"{label}: {n} schedules, leads after {took:.2f} s, {memory['VmRSS:']:.1f} MB RSS "
            f"(peak {memory['VmHWM:']:.1f} MB), {sent:.1f} commands/s"
        )
    finally:
        process.terminate()
        process.wait()


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    (folder / "rhubarb.toml").write_text("\n".join(map(entry, range(n))))
    port = 20_000 + os.getpid() % 20_000
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    cli = ["redis-cli", "-p", str(port)]
    try:
        while subprocess.run([*cli, "PING"], capture_output=True).stdout != b"PONG\n":
            time.sleep(0.05)
        run(cli, folder, f"redis://127.0.0.1:{port}", "first start")
        run(cli, folder, f"redis://127.0.0.1:{port}", "later start")
    finally:
        server.terminate()
        server.wait()
