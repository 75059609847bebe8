"""What workers cost that have nothing to do: commands, CPU, memory, connections."""

import re
import socket
import time

from .server import Server

SETTLE_S = 5


def idle(kinds, tools, seconds):
    """All at the same time, each on a server of its own; none does anything that could disturb the
    others.
    """
    servers = [Server() for _ in kinds]
    workers = [kind(tools, server) for kind, server in zip(kinds, servers)]
    try:
        for worker in workers:
            worker.start()
        time.sleep(SETTLE_S)
        for worker in workers:
            worker.check()
        monitors = [Monitor(server) for server in servers]
        before = [Reading(worker) for worker in workers]
        time.sleep(seconds)
        after = [Reading(worker) for worker in workers]
        sent = [monitor.sent() for monitor in monitors]
        return [figures(*each) for each in zip(workers, before, after, sent)]
    finally:
        for worker in workers:
            worker.stop()
        for server in servers:
            server.stop()


class Monitor:
    """What clients send, by MONITOR; what scripts call is left out, and our own INFO."""

    LINE = re.compile(rb'^\+[\d.]+ \[\d+ (?P<client>\S+)\] "(?P<command>[^"]*)"', re.M)

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        self.socket.sendall(b"MONITOR\r\n")
        self.socket.recv(5)

    def sent(self):
        said = b""
        self.socket.setblocking(False)
        try:
            while some := self.socket.recv(1 << 20):
                said += some
        except BlockingIOError:
            pass
        self.socket.close()
        return count_sent(said)


def count_sent(said):
    lines = Monitor.LINE.finditer(said)
    return sum(line["client"] != b"lua" and line["command"].upper() != b"INFO" for line in lines)


class Reading:
    def __init__(self, worker):
        self.at = time.monotonic()
        self.worker, self.redis = worker.processes.cpu(), worker.server.processes.cpu()
        self.commands = worker.server.counters()["total_commands_processed"]


def figures(worker, before, after, sent):
    seconds = after.at - before.at
    return {
        "seconds": seconds,
        "sent_per_second": sent / seconds,
        # With those that scripts call. One is the INFO before.
        "commands_per_second": (after.commands - before.commands - 1) / seconds,
        "cpu_s_per_minute": (after.worker - before.worker) * 60 / seconds,
        "redis_cpu_s_per_minute": (after.redis - before.redis) * 60 / seconds,
        "rss_mb": worker.processes.resident() / 1e6,
        "connections": worker.server.connections(),
    }
