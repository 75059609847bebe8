"""The worker, as a child sees it: questions that are answered, one at a time."""

import os
import threading

_stream = None
_lock = threading.RLock()
_owner = None


class Refused(Exception):
    """The worker could not do what it was asked."""


def begin(stream):
    """Take the socket over; only this process may speak on it."""
    global _stream, _owner
    _stream, _owner = stream, os.getpid()


def is_here():
    """Tell whether this process may ask; one that a task has forked may not."""
    return _stream is not None and _owner == os.getpid()


def forget():
    """Close the socket in a process that a task has forked."""
    global _stream, _owner, _lock
    if _stream is not None:
        _stream.socket.close()
    _stream, _owner, _lock = None, None, threading.RLock()


def ask(head, parts=()):
    """Ask the worker, and return the head and parts of its answer."""
    with _lock:
        _stream.send(head, parts)
        answer, parts = _stream.receive()
    if answer.get("error"):
        raise Refused(answer["error"])
    return answer, parts


def tell(head, parts=()):
    """Tell the worker something that has no answer."""
    with _lock:
        _stream.send(head, parts)


def receive():
    """Wait for what the worker says next."""
    return _stream.receive()


def redis(database, commands, atomic=False):
    """Have Redis commands carried out on the worker's connection; return their answers."""
    parts = [_bytes(word) for command in commands for word in command]
    head = {
        "kind": "redis",
        "database": database,
        "commands": [len(command) for command in commands],
        "atomic": atomic,
    }
    answer, parts = ask(head, parts)
    return [_value(value, parts) for value in answer["values"]]


def _bytes(word):
    if isinstance(word, bytes):
        return word
    if isinstance(word, (bytearray, memoryview)):
        return bytes(word)
    return str(word).encode()


def _value(value, parts):
    if isinstance(value, dict):
        return parts[value["part"]]
    if isinstance(value, list):
        return [_value(one, parts) for one in value]
    return value
