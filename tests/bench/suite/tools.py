"""Where the programs are that are measured; None for what could not be had."""

import os
import pathlib
import shutil
import subprocess
from dataclasses import dataclass, field

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE.parent / "peers"


@dataclass
class Tools:
    """What run.sh has set up, from its environment."""

    binaries: pathlib.Path
    celery: str | None
    node_modules: str | None
    sidekiq: str | None
    apalis: str | None
    out: pathlib.Path
    versions: dict = field(default_factory=dict)

    @classmethod
    def from_environment(cls):
        def existing(name):
            path = os.environ.get(name)
            return path if path and os.path.exists(path) else None

        tools = cls(
            binaries=pathlib.Path(os.environ["BENCH_BINARIES"]),
            celery=existing("BENCH_CELERY"),
            node_modules=existing("BENCH_NODE"),
            sidekiq=existing("BENCH_SIDEKIQ"),
            apalis=existing("BENCH_APALIS"),
            out=pathlib.Path(os.environ["BENCH_OUT"]),
        )
        tools.versions = versions(tools)
        return tools

    def binary(self, name):
        return str(self.binaries / name)


def versions(tools):
    import celery
    import redis

    found = {
        "redis-server": _first(["redis-server", "--version"], "v="),
        "redis-py": redis.__version__,
        "Celery": celery.__version__,
        "rustc": _first(["rustc", "--version"], "rustc "),
        "Rhubarb": _first(["git", "-C", str(HERE), "describe", "--always", "--dirty"], ""),
    }
    if tools.node_modules:
        found["Node"] = _first(["node", "--version"], "v")
        for package in ("bullmq", "ioredis"):
            show = f"console.log(require('./node_modules/{package}/package.json').version)"
            found[package] = _first(["node", "-e", show], "", cwd=tools.node_modules)
    if tools.sidekiq:
        found["Sidekiq"] = _first(["sidekiq", "--version"], "Sidekiq ")
        found["Ruby"] = _first(["ruby", "--version"], "ruby ")
    if tools.apalis:
        lock = (PEERS / "apalis" / "Cargo.lock").read_text()
        found["apalis-redis"] = lock.partition('name = "apalis-redis"\nversion = "')[2].partition('"')[0]
    return found


def _first(command, after, cwd=None):
    """The word behind a text in what a program prints."""
    if not shutil.which(command[0]):
        return "?"
    said = subprocess.run(command, capture_output=True, text=True, cwd=cwd).stdout
    words = said.partition(after)[2].split() if after else said.split()
    return words[0] if words else "?"
