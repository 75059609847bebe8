"""A private Redis, and what it says of itself."""

import shutil
import socket
import subprocess
import tempfile
import time

import redis

from . import process
from .process import Processes

# Those that are running, so that an interrupted run leaves nothing behind.
RUNNING = []
# What one measurement needs of INFO; the figures of the server, not of a client.
COUNTERS = ("total_commands_processed", "total_reads_processed", "total_writes_processed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """Keeps nothing on disk. Its own client is connected before anything is counted."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="rhubarb-bench-")
        RUNNING.append(self)
        # Somebody else may take a port between our asking for a free one and the server's.
        for _ in range(10):
            if self._start():
                return
        raise RuntimeError("redis-server started on none of ten free ports")

    def _start(self):
        self.port = free_port()
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        command = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.processes = Processes(command + ["--dir", self.dir], f"{self.dir}/redis.log")
        self.client = redis.Redis(port=self.port, socket_timeout=60)
        deadline = time.monotonic() + 10
        while not self.processes.ended():
            try:
                if self.client.info("server")["process_id"] == self.processes.first.pid:
                    return True
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)
        self.processes.kill()
        return False

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"redis://{self.address}/0"

    def counters(self):
        """Commands (those inside scripts too) and socket reads so far, the caller's own included."""
        info = self.client.info("stats")
        return {name: info[name] for name in COUNTERS}

    def used_memory(self):
        return self.client.info("memory")["used_memory"]

    def connections(self):
        """How many clients are connected besides this one."""
        return self.client.info("clients")["connected_clients"] - 1

    def stop(self):
        self.client.close()
        self.processes.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
        if self in RUNNING:
            RUNNING.remove(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def end_all():
    """Ends what is still running: workers first."""
    process.end_all()
    for server in list(RUNNING):
        server.stop()


def run(command, **options):
    """Runs a command to its end and returns what it printed; raises with what it complained of."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")
    return done.stdout
