"""Frames over a socket: a head, which is a JSON object, and bytes that are passed as they are.

A frame is two lengths (unsigned, 4 bytes, big endian: of all that follows both, of the head), the
head and the parts. The head's ``kind`` says what it is, ``sizes`` how long each part is.
"""

import array
import json
import socket
import struct

_LENGTHS = struct.Struct(">II")
_READ = 1 << 18
#: More than a worker ever sends: what is longer is no frame of ours.
_MOST = 1 << 30


class Closed(Exception):
    """The other side has gone."""


def frame(head, parts=()):
    """Return the bytes of a frame."""
    if parts:
        head["sizes"] = [len(part) for part in parts]
    text = json.dumps(head, separators=(",", ":")).encode()
    size = len(text) + sum(map(len, parts))
    return b"".join((_LENGTHS.pack(size, len(text)), text, *parts))


class Stream:
    """One end of a socket on which frames go both ways."""

    def __init__(self, sock):
        self.socket = sock
        self._buffer = bytearray()
        self._passed = []

    def send(self, head, parts=()):
        """Send a frame."""
        try:
            self.socket.sendall(frame(head, parts))
        except OSError as error:
            raise Closed(str(error)) from error

    def receive(self):
        """Wait for the next frame; return its head and its parts."""
        while True:
            found = self.next()
            if found is not None:
                return found
            self.fill()

    def fill(self):
        """Read what has come, waiting for it where nothing has; descriptors are kept."""
        room = socket.CMSG_SPACE(8 * 4)
        try:
            data, ancillary, _, _ = self.socket.recvmsg(_READ, room)
        except OSError as error:
            raise Closed(str(error)) from error
        for level, kind, passed in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(passed[: len(passed) - len(passed) % numbers.itemsize])
                self._passed.extend(numbers)
        if not data:
            raise Closed("the other side has gone")
        self._buffer += data

    def next(self):
        """Return the next frame if all of it is there."""
        if len(self._buffer) < _LENGTHS.size:
            return None
        size, text = _LENGTHS.unpack_from(self._buffer)
        if text > size or size > _MOST:
            raise Closed("what came is no frame")
        end = _LENGTHS.size + size
        if len(self._buffer) < end:
            return None
        at = _LENGTHS.size + text
        head = json.loads(bytes(self._buffer[_LENGTHS.size : at]))
        parts = []
        for length in head.get("sizes", ()):
            parts.append(bytes(self._buffer[at : at + length]))
            at += length
        del self._buffer[:end]
        return head, parts

    def passed(self):
        """Return the oldest descriptor that was passed."""
        return self._passed.pop(0)
