"""The workers that are compared, each with the same few verbs.

`start` begins one; `stage` puts messages where it does not look yet and `release` lets it see them
all at once; `left` tells how many are not done, at a fixed number of commands in one round trip.
"""

import itertools
import json
import os
import pathlib
import subprocess
import tempfile

from . import messages
from .messages import TEXT
from .process import Processes
from .server import run
from .tools import PEERS

STAGED = "bench:staged"
# Each worker has a name of its own, so that a second one is no duplicate.
NUMBERS = itertools.count(1)


class Worker:
    """One worker process with what it needs; subclasses say how each does it."""

    # Which tools it needs, and what a reader has to know of its settings.
    needs = None
    settings = ""
    # How many commands one `left` sends.
    look_commands = 2

    def __init__(self, tools, server, log=None, concurrency=None):
        self.tools, self.server, self.log = tools, server, log
        self.concurrency = concurrency or self.concurrency
        self.number, self.processes = next(NUMBERS), None
        self.dir = pathlib.Path(server.dir)

    def environment(self):
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        environment |= {"REDIS_URL": self.server.url, "PYTHONDONTWRITEBYTECODE": "1"}
        return environment | ({"BENCH_LOG": self.log} if self.log else {})

    def start(self):
        command, cwd = self.command()
        log = self.dir / f"worker-{self.number}.log"
        self.processes = Processes(command, log, self.environment(), cwd)
        return self

    def stop(self):
        """Ends it without asking: its server ends too."""
        if self.processes:
            self.processes.kill()

    def check(self):
        """Raises when the worker has ended."""
        if self.processes.ended():
            raise RuntimeError(f"{self.name} ended by itself: {self.processes.complaint()}")

    def look(self, *commands):
        with self.server.client.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return pipeline.execute()

    def held(self):
        """How many tasks are kept for a worker that may be dead."""
        return 0


class Listed(Worker):
    """Takes from a list of Redis; the staged list is renamed."""

    list = "celery"

    def template(self, task, args):
        path = pathlib.Path(tempfile.mkstemp(dir=self.dir, prefix="template-")[1])
        path.write_text(self.message(task, args))
        return str(path)

    def client(self, what, task, args, *more, list_name):
        to = ["--address", self.server.address, "--list", list_name, "--template", self.template(task, args)]
        return json.loads(run([self.tools.binary("e2e-bench-client"), what, *to, *map(str, more)]))

    def stage(self, count, task="noop", milliseconds=0):
        args = [TEXT] if task == "noop" else [milliseconds, TEXT]
        self.count = count
        return self.client("load", task, args, "--count", count, list_name=STAGED)

    def release(self):
        self.server.client.rename(STAGED, self.list)

    def pace(self, rate, seconds, log):
        more = ["--rate", rate, "--seconds", seconds, "--log", log]
        return self.client("pace", "mark", [0, TEXT], *more, list_name=self.list)


class Celery(Listed):
    name = "Celery"
    needs = "celery"
    settings = "prefork 2, default settings (early acknowledgement, prefetch 4), results stored and published"
    concurrency = 2
    ignore_result = False

    def message(self, task, args):
        return messages.celery(f"bench.{task}", *args, ignore_result=self.ignore_result)

    def environment(self):
        ignore = {"BENCH_IGNORE_RESULT": "1"} if self.ignore_result else {}
        return super().environment() | ignore

    def command(self):
        worker = ["worker", "-c", str(self.concurrency), "-l", "warning", "-n", f"w{self.number}@%h"]
        return [self.tools.celery, "-A", "bench_app", *worker], PEERS / "celery"

    def stage(self, count, task="noop", milliseconds=0):
        self.before = self.server.client.dbsize()
        return super().stage(count, task, milliseconds)

    def left(self):
        waiting, keys = self.look(("LLEN", "celery"), ("DBSIZE",))
        # Not the list: a message is acknowledged before its task runs.
        return max(waiting, self.count - (keys - self.before))

    def held(self):
        return self.server.client.hlen("unacked")


class CeleryIgnoring(Celery):
    name = "Celery, ignore_result"
    settings = "as Celery, with `task_ignore_result`"
    ignore_result = True

    def left(self):
        return sum(self.look(("LLEN", "celery"), ("HLEN", "unacked")))


class Rhubarb(Listed):
    name = "Rhubarb"
    settings = "concurrency 100, results stored and published, acknowledged with the result; log level warn as Celery's"
    concurrency = 100
    ignore_result = False
    binary = "e2e-own-worker"

    def message(self, task, args):
        return messages.celery(f"bench.{task}", *args, ignore_result=self.ignore_result)

    def environment(self):
        return super().environment() | {"RHUBARB_CONFIG": "/dev/null"}

    def command(self):
        more = ["-n", f"w{self.number}@%h", "-c", str(self.concurrency), "-l", "warn"]
        return [self.tools.binary(self.binary), *more], None

    def stage(self, count, task="noop", milliseconds=0):
        self.claims = [f"rhubarb:{{celery}}:claims:{id.decode()}" for id in self.ids()]
        self.look_commands = 1 + len(self.claims)
        return super().stage(count, task, milliseconds)

    def ids(self):
        return self.server.client.zrange("rhubarb:workers", 0, -1)

    def left(self):
        return sum(self.look(("LLEN", "celery"), *(("HLEN", key) for key in self.claims)))

    def held(self):
        return sum(self.server.client.hlen(key) for key in self.server.client.keys("rhubarb:{celery}:claims:*"))


class RhubarbIgnoring(Rhubarb):
    name = "Rhubarb, ignore_result"
    settings = "as Rhubarb, with `ignore_result` in the messages"
    ignore_result = True


class RhubarbOfficial(Rhubarb):
    """The binary `worker`, for what it costs idle."""

    settings = "the binary `worker`"
    binary = "worker"


class Sidekiq(Listed):
    name = "Sidekiq"
    needs = "sidekiq"
    settings = "10 threads, default settings (no results; what a killed worker had is lost)"
    concurrency = 10
    list = "queue:default"
    look_commands = 1

    def message(self, task, args):
        return messages.sidekiq(f"Bench{task.capitalize()}", args)

    def command(self):
        worker = str(PEERS / "sidekiq" / "worker.rb")
        return [self.tools.sidekiq, "-r", worker, "-c", str(self.concurrency), "-q", "default"], None

    def left(self):
        # Ten may still be running; it tells of them every five seconds only.
        return self.look(("LLEN", self.list))[0]


class BullMQ(Worker):
    name = "BullMQ"
    needs = "node_modules"
    settings = "concurrency 50, default settings (what is done is kept with its result)"
    concurrency = 50
    done = "keep"

    def command(self):
        script = str(PEERS / "bullmq" / "worker.mjs")
        command = ["node", script, str(self.server.port), str(self.concurrency), self.done]
        return command, self.tools.node_modules

    def producer(self, what, *more):
        script = str(PEERS / "bullmq" / "producer.mjs")
        return ["node", script, str(self.server.port), what, *map(str, more)]

    def stage(self, count, task="noop", milliseconds=0):
        # The producer stays: what ends the pause is one of its scripts.
        self.resume = subprocess.Popen(
            self.producer("load", task, milliseconds, count, TEXT),
            cwd=self.tools.node_modules, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        return json.loads(self.resume.stdout.readline())

    def release(self):
        self.resume.stdin.write("resume\n")
        self.resume.stdin.flush()
        self.resume.stdout.readline()
        self.resume.communicate()

    def left(self):
        return sum(self.look(("LLEN", "bull:bench:wait"), ("LLEN", "bull:bench:active")))

    def held(self):
        return self.server.client.llen("bull:bench:active")

    def pace(self, rate, seconds, log):
        return json.loads(run(self.producer("pace", rate, seconds, log, TEXT), cwd=self.tools.node_modules))


class BullMQRemoving(BullMQ):
    name = "BullMQ, removeOnComplete"
    settings = "as BullMQ, with `removeOnComplete: {count: 0}`"
    done = "remove"


class Apalis(Worker):
    """Its backlog cannot be renamed into place: the worker is started on it, which takes
    milliseconds.
    """

    name = "apalis-redis"
    needs = "apalis"
    settings = "tuned: no locks, no events, batches of 100, concurrency 100, polled every 50 ms; at most 7,500 tasks"
    concurrency = 100
    look_commands = 1
    starts_on_release = True

    def command(self):
        return [self.tools.apalis, "work", "bench"], None

    def stage(self, count, task="noop", milliseconds=0):
        self.count = count
        self.before = self.server.client.scard("bench:done")
        push = [self.tools.apalis, "push", "bench", str(count), "-" if task == "noop" else str(milliseconds), TEXT]
        run(push, env=self.environment())
        return {}

    def release(self):
        if not self.processes:
            self.start()

    def left(self):
        return self.count - (self.look(("SCARD", "bench:done"))[0] - self.before)

    def held(self):
        return sum(self.server.client.scard(key) for key in self.server.client.keys("bench:inflight:*"))


ALL = (Rhubarb, RhubarbIgnoring, Celery, CeleryIgnoring, BullMQ, BullMQRemoving, Sidekiq, Apalis)


def is_there(kind, tools):
    return kind.needs is None or getattr(tools, kind.needs) is not None
