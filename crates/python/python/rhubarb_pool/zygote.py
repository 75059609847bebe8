"""The zygote: imports the application once and forks the children that run its tasks.

It runs no task itself, so that what a task breaks is gone with its child. It alone signals and
buries children, because it alone knows that a process id is still theirs. When the worker dies, its
end of the socket closes, and the zygote ends with all its children.
"""

import ctypes
import fcntl
import gc
import os
import select
import signal
import socket
import sys
import time
import traceback

from . import frames

_PR_SET_PDEATHSIG = 1
#: Above the descriptors that a task may close by mistake.
_HIGH = 200
#: How long children may take to end once the worker has gone, seconds.
_LAST_WORDS = 2.0


def main(sock, first):
    """Serve a worker on a socket; ``first`` is what it said first."""
    os.setsid()
    stream = frames.Stream(_out_of_the_way(sock))
    _nothing_on_stdin()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        # Not ignored: that would be inherited by what the application starts.
        signal.signal(getattr(signal, name), _pass_over)
    try:
        from . import application

        loaded = application.load(first)
    except BaseException:
        stream.send({"kind": "broken", "error": traceback.format_exc()})
        return
    stream.send({"kind": "hello", "pid": os.getpid(), **loaded.description()})
    gc.collect()
    gc.freeze()
    _Zygote(stream, loaded).serve()


def _out_of_the_way(sock):
    high = fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, _HIGH)
    sock.detach()
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=high)


def _nothing_on_stdin():
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _pass_over(_number, _frame):
    """A platform that stops its processes tells all of them; the worker tells ours when to end."""


class _Zygote:
    def __init__(self, stream, loaded):
        self._stream = stream
        self._loaded = loaded
        self._children = set()
        self._forked = 0
        self._told, wakes = socket.socketpair()
        for end in (self._told, wakes):
            end.setblocking(False)
        self._wakes = wakes
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _pass_over)

    def serve(self):
        """Do what the worker says until it has gone."""
        try:
            while True:
                ready, _, _ = select.select([self._stream.socket, self._told], [], [])
                if self._told in ready:
                    self._drain()
                    self._bury()
                if self._stream.socket in ready:
                    self._stream.fill()
                    while (found := self._stream.next()) is not None:
                        self._do(found[0])
        except frames.Closed:
            self._end()
        finally:
            for pid in self._children:
                _signal(pid, signal.SIGKILL)

    def _end(self):
        """Give the children a moment: their own sockets to the worker have closed too."""
        self._loaded.ends()
        last = time.monotonic() + _LAST_WORDS
        while self._children and time.monotonic() < last:
            self._bury_quietly()
            time.sleep(0.01)

    def _drain(self):
        try:
            while self._told.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _do(self, head):
        if head["kind"] == "fork":
            self._fork(self._stream.passed())
        elif head["kind"] == "signal":
            known = head["pid"] in self._children
            if known:
                _signal(head["pid"], getattr(signal, head["signal"], signal.SIGKILL))
            self._stream.send({"kind": "signalled", "known": known})

    def _fork(self, descriptor):
        sys.stdout.flush()
        sys.stderr.flush()
        zygote = os.getpid()
        self._forked += 1
        # No signal may find the child with the zygote's way of being woken.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        try:
            pid = os.fork()
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            os.close(descriptor)
            self._stream.send({"kind": "forked", "error": str(error)})
            return
        if pid == 0:
            self._become_a_child(descriptor, zygote)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
        os.close(descriptor)
        self._children.add(pid)
        self._stream.send({"kind": "forked", "pid": pid})

    def _become_a_child(self, descriptor, zygote):
        code = 1
        try:
            _die_with(zygote)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            for end in (self._stream.socket, self._told, self._wakes):
                end.close()
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=descriptor)
            from . import child

            stream = frames.Stream(_out_of_the_way(sock))
            code = child.serve(stream, self._loaded, self._forked)
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)

    def _bury(self):
        for pid, code in self._bury_quietly():
            self._stream.send({"kind": "exit", "pid": pid, "code": code})

    def _bury_quietly(self):
        buried = []
        for pid in list(self._children):
            try:
                found, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                found, status = pid, 0
            if found:
                self._children.discard(pid)
                buried.append((pid, os.waitstatus_to_exitcode(status)))
        return buried


def _die_with(zygote):
    """Have the system end this process with the zygote, also when that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != zygote:
        os._exit(1)


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
