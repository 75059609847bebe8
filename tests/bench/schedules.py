"""A beat with 10,000 schedules of which none is due: time until it leads, memory, commands a
second.

Usage: schedules.py BEAT [N]; BEAT is the binary, N the number of schedules. Needs redis-server and
redis-cli.
"""

import json
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
    when = {"every": 86_400 + i} if i % 2 else {"cron": f"{i % 60} {i % 24} 1 1 *"}
    return f"report-{i:05}", {"task": "shop.tasks.report", **when, "args": [i], "kwargs": {"kind": "daily"}}


def toml(name, entry):
    kwargs = ", ".join(f"{key} = {json.dumps(value)}" for key, value in entry["kwargs"].items())
    lines = [f"{key} = {json.dumps(value)}" for key, value in entry.items() if key != "kwargs"]
    return "\n".join([f'[schedules."{name}"]', *lines, f"kwargs = {{ {kwargs} }}"])


def add_live(cli):
    """Puts the schedules into Redis as `rhubarb schedules import` does."""
    def command(*parts):
        return "".join([f"*{len(parts)}\r\n", *(f"${len(part.encode())}\r\n{part}\r\n" for part in parts)])

    fields = ((name, f"{int(time.time() * 1000)} {json.dumps(one)}") for name, one in map(entry, range(n)))
    text = "".join(command("HSET", "rhubarb:schedules", *field) for field in fields)
    subprocess.run([*cli, "--pipe"], input=text, text=True, stdout=subprocess.DEVNULL, check=True)


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
    file = folder / "rhubarb.toml"
    port = 20_000 + os.getpid() % 20_000
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    cli, url = ["redis-cli", "-p", str(port)], f"redis://127.0.0.1:{port}"
    try:
        while subprocess.run([*cli, "PING"], capture_output=True).stdout != b"PONG\n":
            time.sleep(0.05)
        file.write_text("\n\n".join(toml(*entry(i)) for i in range(n)))
        run(cli, folder, url, "in the file, first start")
        run(cli, folder, url, "in the file, later start")
        subprocess.run([*cli, "FLUSHALL"], stdout=subprocess.DEVNULL, check=True)
        file.write_text("[schedules]\n")
        add_live(cli)
        run(cli, folder, url, "in Redis, first start")
        run(cli, folder, url, "in Redis, later start")
    finally:
        server.terminate()
        server.wait()
