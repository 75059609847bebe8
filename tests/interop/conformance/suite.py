"""The whole differential: recordings of Celery and of the worker under test, side by side, and what
they say.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path

from . import compare, known, process

# In a mixed fleet: what more than one worker takes part in.
MIXED = ["calling: link", "canvas", "results: retry"]
MIXED_TITLE = "mixed with "
HERE = Path(__file__).parent.parent


def celery(python):
    """Returns the command line of Celery's own worker."""
    start = f"{shlex.quote(python)} -m celery -A conformance.app worker -P prefork -l info --without-mingle --without-gossip"
    return f"{start} -c {{concurrency}} -Q {{queues}} -n {{node}}"


class Recorder:
    """Makes recordings in processes of their own, all at once."""

    def __init__(self, seed, count, logs):
        self.seed, self.count = seed, count
        self.folder = logs or process.folder()
        self.running = {}

    def begin(self, name, python, workers, extended=None, only=()):
        command = [python, "-m", "conformance", "record", "--seed", str(self.seed), "--random", str(self.count)]
        for worker in workers:
            command += ["--worker", worker]
        for feature in only:
            command += ["--only", feature]
        command += ["--extended", extended] if extended else []
        logs = self.folder / name
        logs.mkdir(parents=True, exist_ok=True)
        command += ["--logs", str(logs), "--out", str(self.folder / f"{name}.json")]
        with (logs / "recorder.log").open("w") as log:
            self.running[name] = subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def recording(self, name):
        """Waits for a recording and returns it."""
        if self.running.pop(name).wait() != 0:
            log = (self.folder / name / "recorder.log").read_text()
            raise SystemExit(f"no recording of {name}:\n{log[-6000:]}")
        return json.loads((self.folder / f"{name}.json").read_text())

    def end(self):
        """Ends the recordings that still run; each ends its own processes before."""
        for one in self.running.values():
            one.terminate()
        for one in self.running.values():
            one.wait()


class Fleets:
    """What is recorded: Celery of each version alone, the worker alone, and both in one fleet."""

    def __init__(self, recorder, worker, extended, pythons):
        self.recorder, self.worker, self.extended, self.pythons = recorder, worker, extended, pythons

    def begin(self, n, kind, suffix="", only=()):
        python, newest = self.pythons[n], self.pythons[0]
        own = celery(python)
        workers, extended = {
            "celery": ([own], f"env CONFORMANCE_EXTENDED=1 {own}"),
            "worker": ([self.worker], self.extended),
            "mixed": ([own, self.worker], None),
            "newer": ([celery(newest)], f"env CONFORMANCE_EXTENDED=1 {celery(newest)}"),
        }[kind]
        only = only or (MIXED if kind == "mixed" else ())
        self.recorder.begin(f"{kind}-{n}{suffix}", python, workers, extended, only)

    def recordings(self, n, kind, suffix=""):
        """Returns Celery's recording, that of `kind`, and the newest Celery's where this one is
        older.
        """
        reference = self.recorder.recording(f"celery-{n}{suffix}")
        reference["about"]["worker"] = reference["about"]["celery"]
        return reference, self.recorder.recording(f"{kind}-{n}{suffix}"), self.newer(n, suffix)

    def newer(self, n, suffix=""):
        return self.recorder.recording(f"newer-{n}{suffix}") if n else None


def run(worker, extended, pythons, seed, count, logs):
    """Runs everything; returns {column title: verdict} and the lines to print."""
    recorder = Recorder(seed, count, logs)
    fleets = Fleets(recorder, worker, extended, pythons)
    try:
        for n, _ in enumerate(pythons):
            for kind in ("celery", "worker", "mixed", *(["newer"] if n else [])):
                fleets.begin(n, kind)
        return judged(fleets, seed)
    finally:
        recorder.end()


def judged(fleets, seed):
    verdicts, lines, used = {}, [], set()
    places = {}
    for n, _ in enumerate(fleets.pythons):
        reference, recording, newer = fleets.recordings(n, "worker")
        version = reference["about"]["celery"]
        if newer:
            newer["about"]["worker"] = list(verdicts.values())[0].reference
        mixed = fleets.recorder.recording(f"mixed-{n}")
        for kind, recording in (("worker", recording), ("mixed", mixed)):
            title = f"Celery {version}" if kind == "worker" else MIXED_TITLE + version
            verdicts[title] = compare.judge(title, reference, recording, known.MEANT, newer)
            places[title] = (n, kind)
    for title, verdict in verdicts.items():
        by_chance = look_again(fleets, title, verdict, *places[title], next(iter(verdicts.values())).reference)
        used |= verdict.used
        random = sum(case.startswith("canvas: random") for case in verdict.cases)
        chance = f", {by_chance} by chance" if by_chance else ""
        lines.append(
            f"{title}: {len(verdict.cases)} cases, {random} random, seed {seed}: {len(verdict.unexplained)} differences{chance}"
        )
    alone = [title for title in verdicts if not title.startswith(MIXED_TITLE)]
    return verdicts, lines, [entry for entry in known.MEANT if entry not in used and entry.concerns(alone)]


def look_again(fleets, title, verdict, n, kind, newest):
    """Records the cases that differed once more, by fresh workers with the machine to themselves.

    Celery's pool and its control are a race on a busy machine: what differs once and not again is
    told and is no difference. Returns how many cases that were.
    """
    suspects = {difference.case for difference in verdict.unexplained}
    if not suspects:
        return 0
    only = sorted({case.rsplit(": ", 1)[0] for case in suspects})
    for each in ("celery", kind, *(["newer"] if n else [])):
        fleets.begin(n, each, f"-again-{kind}", only)
    reference, recording, newer = fleets.recordings(n, kind, f"-again-{kind}")
    if newer:
        newer["about"]["worker"] = newest
    again = compare.judge(title, reference, recording, known.MEANT, newer)
    still = [difference for difference in again.unexplained if difference.case in suspects]
    for difference in verdict.unexplained:
        if difference.case not in {one.case for one in still}:
            print(f"{title}: once, and not again: {difference}")
    verdict.unexplained = still
    verdict.cases.update({case: again.cases[case] for case in suspects if case in again.cases})
    verdict.used |= again.used
    return len(suspects - {difference.case for difference in still})


def report(verdicts):
    """Prints every difference that nobody meant."""
    for title, verdict in verdicts.items():
        for difference in verdict.unexplained:
            print(f"{title}: {difference}")
    sys.stdout.flush()
