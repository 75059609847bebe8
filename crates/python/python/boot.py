"""Runs as ``python -c``: takes the package ``rhubarb_pool`` from the worker and starts its zygote.

The socket to the worker is the standard input. The first frame has the package's modules as text.
"""

import importlib.abc
import importlib.util
import json
import socket
import struct
import sys


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that the worker has sent."""

    def __init__(self, modules):
        self.modules = modules

    def find_spec(self, name, path=None, target=None):
        if name in self.modules:
            is_package = name == "rhubarb_pool"
            return importlib.util.spec_from_loader(name, self, is_package=is_package)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__spec__.name
        exec(compile(self.modules[name], "<" + name + ">", "exec"), module.__dict__)

    def get_source(self, name):
        return self.modules[name]


def exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            sys.exit(1)
        data += more
    return data


def boot():
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=0)
    size, _ = struct.unpack(">II", exactly(sock, 8))
    first = json.loads(exactly(sock, size))
    sys.meta_path.insert(0, Finder(first.pop("modules")))
    from rhubarb_pool import zygote

    zygote.main(sock, first)


boot()
