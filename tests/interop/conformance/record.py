"""Makes a recording: starts a Redis and the workers under test, runs every case, and writes what
became of it.
"""

import json
import shutil
import sys
import time
import traceback

from . import ids
from .process import RedisServer, Worker, folder

# Queues of the message cases, all served by the fleet; the extended worker has its own.
QUEUES = ["celery", "second"]
# How long all message cases together may take. Generous: it is reached only where a worker lost
# something.
MESSAGES_WITHIN = 60
# No state has been published and nothing waited for so long: what has not ended by then will not.
QUIET = 3


class Recording:
    """One run of the suite against a fleet of workers."""

    def __init__(self, fleet, extended, seed, count, only, logs):
        self.fleet_commands, self.extended_command, self.own_command = fleet, extended, fleet[0]
        self.seed, self.count, self.only = seed, count, only
        self.node = "under-test-1@host"
        self._own = None
        self.folder = logs or folder()
        self.keep = logs is not None
        self.cases = {}
        self.workers = []

    def run(self):
        """Runs everything; the workers and the Redis are gone afterwards."""
        self.redis = RedisServer(self.folder)
        try:
            self._import()
            self._start()
            self._messages()
            self._procedures()
        finally:
            self.watch.stop()
            for worker in self.workers:
                worker.stop()
            self.redis.stop()
        if not self.keep:
            shutil.rmtree(self.folder)
        return {"about": self._about(), "cases": self.cases}

    def _import(self):
        """The application reads its URL when it is imported, so that happens only now."""
        import os

        os.environ["CONFORMANCE_REDIS"] = self.redis.url
        from . import app, cases, outcome, watch
        from .cases import calling, canvas, control, events, malformed, random, results  # noqa: F401

        self.app, self.outcome = app.app, outcome
        self.watch = watch.Watch(self.redis.url)
        self.messages = [case for case in cases.MESSAGES + random.cases(self.seed, self.count) if self._wanted(case)]
        self.procedures = [case for case in cases.PROCEDURES if self._wanted(case)]

    def _wanted(self, case):
        return not self.only or any(case.feature.startswith(prefix) for prefix in self.only)

    def _about(self):
        import celery
        import kombu

        return {"celery": celery.__version__, "kombu": kombu.__version__, "seed": self.seed, "random": self.count}

    def start(self, command, node, queues, concurrency, ready=True):
        """Starts a worker and waits until it has run a task on each of its queues."""
        worker = Worker(command, self.redis.url, node, queues, concurrency, self.folder)
        self.workers.append(worker)
        if ready:
            self.ready(worker)
        return worker

    def own(self):
        """Returns a worker that a procedure may reconfigure; the same for all of them."""
        if self._own is None:
            self._own = self.start_own("own@host", ["own"], 2)
        return self._own

    def start_own(self, node, queues, concurrency, ready=True):
        """Starts another worker of the kind under test."""
        return self.start(self.own_command, node, queues, concurrency, ready)

    def all_events(self):
        """Returns (channel, event) of every event so far; a batch counts as its events."""
        found = []
        for channel, body in list(self.watch.events):
            batch = body if isinstance(body, list) else [body]
            form = "a list" if isinstance(body, list) else "one"
            found += [(f"{channel} ({form})", event) for event in batch]
        return found

    def events_of(self, node, kind):
        return [event for _, event in self.all_events() if event["hostname"] == node and event["type"] == kind]

    def ready(self, worker, within=40):
        from .app import nothing

        for queue in worker.queues:
            result = nothing.apply_async(queue=queue)
            if not self.watch.final([result.id], within):
                raise SystemExit(f"{worker.node} has not begun: {worker.log.read_text()[-4000:]}")

    def _start(self):
        nodes = [f"under-test-{n}@host" for n in range(1, len(self.fleet_commands) + 1)]
        for command, node in zip(self.fleet_commands, nodes):
            self.start(command, node, QUEUES, 4)
        if self.extended_command and any(case.feature == "results: extended" for case in self.messages):
            self.start(self.extended_command, "extended@host", ["extended"], 2)

    def _messages(self):
        known, leaves, waited = {}, set(), {}
        for number, case in enumerate(self.messages, 1):
            if case.feature == "results: extended" and not self.extended_command:
                continue
            try:
                with ids.numbered(number):
                    handed = case.run()
            except Exception as error:
                self.cases[case.full_name] = {"not sent": f"{type(error).__name__}: {error}"}
                continue
            # A pair of lists: results to wait for, and results that may never come.
            handed, silent = handed if isinstance(handed, tuple) and len(handed) == 2 and isinstance(handed[0], list) else (handed, [])
            known[number], waited[number] = self.outcome.handles(handed)
            known[number] |= self.outcome.handles(silent)[0]
            leaves |= waited[number]
        self._until_all_ended(leaves)
        recorded = self.outcome.Recorded(self.watch.redis, self.watch)
        for number, case in enumerate(self.messages, 1):
            if number in known:
                self.cases[case.full_name] = recorded.outcome(number, known[number])

    def _until_all_ended(self, leaves):
        begun = time.monotonic()
        self.watch.until(
            lambda: all(map(self.watch.is_final, leaves)) or time.monotonic() - self.watch.last > 8, MESSAGES_WITHIN
        )
        # What nobody waits for: callbacks, errbacks, ignored tasks.
        self.watch.quiet(QUEUES, QUIET, 20)
        print(f"messages: {time.monotonic() - begun:.1f} s", file=sys.stderr)

    def _procedures(self):
        for number, case in enumerate(self.procedures, 0x10000):
            begun = time.monotonic()
            try:
                with ids.numbered(number):
                    seen = case.run(self)
                self.cases[case.full_name] = seen
            except Exception as error:
                self.cases[case.full_name] = {"broke off": f"{type(error).__name__}: {error}"}
                traceback.print_exc()
            print(f"{case.full_name}: {time.monotonic() - begun:.1f} s", file=sys.stderr)


def write(recording, path):
    with open(path, "w") as file:
        json.dump(recording, file, indent=1, ensure_ascii=False, sort_keys=True)
        file.write("\n")
