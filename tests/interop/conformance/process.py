"""The processes of a recording: a Redis server of its own, and the workers under test."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class RedisServer:
    """A server on a free port of the loopback that keeps nothing; ended by `stop`."""

    def __init__(self, folder):
        chosen = os.environ.get("RHUBARB_TEST_REDIS")
        program = chosen or shutil.which("redis-server") or shutil.which("valkey-server")
        for _ in range(10):
            port = free_port()
            options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            log = (folder / "redis.log").open("w")
            self.process = subprocess.Popen([program, *options], cwd=folder, stdout=log, stderr=log)
            self.url = f"redis://127.0.0.1:{port}/0"
            if self._answers():
                return
        raise RuntimeError("no Redis server could be started")

    def _answers(self):
        client = redis.Redis.from_url(self.url)
        for _ in range(200):
            try:
                return client.ping()
            except redis.ConnectionError:
                if self.process.poll() is not None:
                    return False
                time.sleep(0.05)
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Worker:
    """A worker under test, started by its command line with the placeholders filled in."""

    def __init__(self, command, url, node, queues, concurrency, folder):
        filled = command.format(url=url, node=node, queues=",".join(queues), concurrency=concurrency)
        self.node = node
        self.queues = queues
        self.log = folder / f"{node}.log"
        environment = dict(os.environ, CONFORMANCE_REDIS=url, REDIS_URL=url)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                shlex.split(filled), env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, within=40):
        """Ends it by SIGTERM and returns its exit code; None when it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.ended(within)

    def ended(self, within):
        """Waits until it has ended by itself and returns its exit code; kills it when it has not."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def folder():
    return Path(tempfile.mkdtemp(prefix="conformance-"))
