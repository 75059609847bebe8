"""`rhubarb monitor` on a Redis with 1,000,000 keys: each form's first answer, and Redis's worst
command meanwhile.

Usage: monitor.py RHUBARB [N]; RHUBARB is the binary, N the number of keys. Needs redis-server and
redis-cli.

The times of commands are those of Redis's own slow log, which counts what the machine does in
between as well: as root Redis is run before everything else, otherwise a busy machine makes the
worst worse.
"""

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

rhubarb, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
MIB = 1 << 20

# A shop's keys, by database: what is queued, general caches, sessions, job caches. In Lua, because
# that is fastest; in steps, so that no one of them takes long.
FILL = {
    0: ("redis.call('SET', 'celery-task-meta-'..i, v, 'EX', 86400)", 0.1),
    1: ("redis.call('SET', 'hire_voo_ai:1:api:'..i, v, 'EX', 3000)", 0.2),
    2: ("redis.call('SET', 'session:1:django.contrib.sessions.cache'..i, v, 'EX', 1209600)", 0.3),
    3: ("redis.call('SET', (i % 5 == 0 and 'jobs:1:listing:' or 'jobs:1:jobs:')..i, v, 'EX', 1800)", 0.4),
}


def fill(cli):
    for db, (command, share) in FILL.items():
        for start in range(0, int(n * share), 20_000):
            end = min(start + 20_000, int(n * share))
            script = f"local v = string.rep('x', 100) for i={start + 1},{end} do {command} end"
            subprocess.run([*cli, "-n", str(db), "EVAL", script, "0"], capture_output=True, check=True)


def ask(cli, *words):
    return subprocess.run([*cli, *words], capture_output=True, text=True, check=True).stdout


def worst(cli):
    """Tells the slowest command since the slow log was emptied, how many took 5 ms, and the slowest
    of each kind.
    """
    by_name = {}
    for entry in json.loads(ask(cli, "--json", "SLOWLOG", "GET", "-1")):
        by_name.setdefault(entry[3][0].upper(), []).append(entry[2] / 1000)
    if not by_name:
        return "worst command below 0.1 ms"
    slowest = max(max(times) for times in by_name.values())
    over = sum(1 for times in by_name.values() for time in times if time >= 5)
    kinds = sorted(((max(times), name) for name, times in by_name.items()), reverse=True)[:4]
    return f"worst command {slowest:.2f} ms ({over} over 5 ms; {', '.join(f'{name} {ms:.2f}' for ms, name in kinds)})"


def alone():
    """Lets nothing else run in Redis's place: its slow log would count that. Needs root; without, a
    busy machine shows.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except (AttributeError, PermissionError):
        pass


def run(cli, environment, label, *arguments):
    """Runs a form to its end; its first output is what a person waits for."""
    # Linux holds up for 50 ms who ran before everything else for all of a second, as filling does.
    time.sleep(2)
    ask(cli, "SLOWLOG", "RESET")
    begun = time.monotonic()
    command = [rhubarb, "monitor", *arguments]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    first = process.stdout.read(1)
    answered = time.monotonic() - begun
    output = first + process.stdout.read()
    process.wait()
    whole = time.monotonic() - begun
    print(f"{label}: first answer after {answered:.2f} s, all after {whole:.2f} s, {worst(cli)}", flush=True)
    if process.returncode:
        sys.exit(f"exit code {process.returncode}:\n{output.decode()}")
    return output.decode()


def watch(cli, environment, seconds=10):
    """Runs the live view at a terminal of its own for a while."""
    ask(cli, "SLOWLOG", "RESET")
    begun = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        os.execve(rhubarb, [rhubarb, "monitor", "--watch"], {**environment, "TERM": "xterm-256color"})
    written, answered = b"", None
    while time.monotonic() < begun + seconds:
        if select.select([terminal], [], [], 0.1)[0]:
            written += os.read(terminal, 65_536)
        # The frame in which the server has answered tells its keys.
        if answered is None and b"keys" in written:
            answered = time.monotonic() - begun
    os.kill(pid, signal.SIGTERM)
    while True:
        try:
            if not os.read(terminal, 65_536):
                break
        except OSError:
            break
    _, status = os.waitpid(pid, 0)
    print(
        f"--watch for {seconds} s: first answer after {answered or float('nan'):.2f} s, {worst(cli)}, "
        f"exit code {os.waitstatus_to_exitcode(status)}",
        flush=True,
    )


def lua(cli, script):
    ask(cli, "-n", "3", "EVAL", script, "0")


def make_big(cli):
    """Puts values into the job caches that take the server long to free: a large string and two
    large collections.
    """
    lua(cli, f"redis.call('SET', 'jobs:1:jobs:big_string', string.rep('x', {16 * MIB}))")
    for _ in range(10):
        lua(cli, "for i=1,100000 do redis.call('RPUSH', 'jobs:1:jobs:big_list', i) end")
    lua(cli, "for i=1,500000 do redis.call('HSET', 'jobs:1:jobs:big_hash', 'f'..i, i) end")


def clear(cli, environment, label):
    told = run(cli, environment, f"--clear, {label}", "--clear", "--yes")
    print("    " + told.strip().replace("\n", "\n    "), flush=True)


with tempfile.TemporaryDirectory() as folder:
    port = 20_000 + os.getpid() % 20_000
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
    options += ["--slowlog-log-slower-than", "100", "--slowlog-max-len", "100000"]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, preexec_fn=alone)
    cli = ["redis-cli", "-p", str(port)]
    environment = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{port}", "RHUBARB_CONFIG": os.devnull}
    try:
        while subprocess.run([*cli, "PING"], capture_output=True).stdout != b"PONG\n":
            time.sleep(0.05)
        fill(cli)
        print(f"{n} keys in four databases")
        run(cli, environment, "basic")
        run(cli, environment, "--json", "--json")
        run(cli, environment, "--prometheus", "--prometheus")
        run(cli, environment, "--info", "--info")
        run(cli, environment, "--info --prometheus", "--info", "--prometheus")
        run(cli, environment, "--info --effort 30 (every key)", "--info", "--effort", "30")
        watch(cli, environment)
        make_big(cli)
        clear(cli, environment, "a 16 MiB string, a list of 1,000,000 and a hash of 500,000 among the keys")
        for start in range(0, n, 20_000):
            lua(cli, f"for i={start + 1},{min(start + 20_000, n)} do redis.call('SET', 'jobs:1:jobs:'..i, 'x') end")
        clear(cli, environment, f"{n} listings")
        # Redis (7.0) frees a string in the command itself, UNLINK or not.
        lua(cli, f"redis.call('SET', 'jobs:1:jobs:huge_string', string.rep('x', {64 * MIB}))")
        clear(cli, environment, "a 64 MiB string")
    finally:
        server.terminate()
        server.wait()
