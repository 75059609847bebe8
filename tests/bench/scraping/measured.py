"""CPU time and memory of a process, by /proc."""

import os
import socket
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Measured:
    def __init__(self, pid: int):
        self.folder = Path(f"/proc/{pid}")

    def cpu(self) -> float:
        """Seconds of user and system time."""
        fields = (self.folder / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def peak_mb(self) -> float:
        """The most memory that it had at once."""
        lines = (self.folder / "status").read_text().splitlines()
        peak = next(line for line in lines if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def settled(process: Measured):
    """Waits until it has started."""
    last = -1.0
    while process.cpu() != last:
        last = process.cpu()
        time.sleep(0.5)
