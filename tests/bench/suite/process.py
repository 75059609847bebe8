"""A program and all that it starts: CPU seconds and memory by /proc, and its end."""

import os
import signal
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")
# Of everything that is running, so that an interrupted run leaves nothing behind.
RUNNING = []


class Processes:
    """One program in a session of its own; its children belong to it."""

    def __init__(self, command, log, env=None, cwd=None):
        self.log = log
        with open(log, "ab") as out:
            self.first = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=cwd, start_new_session=True
            )
        RUNNING.append(self)

    def pids(self):
        """The living processes of the session."""
        session = str(self.first.pid)
        return [pid for pid, fields in _stats() if fields[3] == session and fields[0] != "Z"]

    def cpu(self):
        """Seconds of CPU so far: user and system, of those that live and of the children that they
        have waited for.
        """
        session = str(self.first.pid)
        return sum(sum(map(int, fields[11:15])) for _, fields in _stats() if fields[3] == session) / TICKS

    def resident(self):
        """Resident memory now, bytes; what forked processes share is counted for each."""
        return sum(_status(pid, "VmRSS") for pid in self.pids())

    def peak(self):
        """The most that was ever resident, bytes."""
        return sum(_status(pid, "VmHWM") for pid in self.pids())

    def ended(self):
        return self.first.poll() is not None

    def complaint(self):
        """The end of what it printed."""
        with open(self.log, errors="replace") as log:
            return log.read()[-2000:]

    def signal(self, number):
        for pid in self.pids():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """Ends all at once, as a machine's failure does."""
        while self.pids():
            self.signal(signal.SIGKILL)
            time.sleep(0.001)
        self.first.wait()
        if self in RUNNING:
            RUNNING.remove(self)


def end_all():
    for processes in list(RUNNING):
        processes.kill()


def _stats():
    """Each process's id, and the fields of its stat file from the state on (proc(5), field 3)."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    yield int(name), stat.read().rpartition(") ")[2].split()
            except OSError:
                continue


def _status(pid, name):
    try:
        with open(f"/proc/{pid}/status") as status:
            for line in status:
                if line.startswith(name):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
