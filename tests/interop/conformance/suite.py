"""The whole differential: recordings of Celery and of the worker under test, side by side, and what they say."""

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
        for one in self.running.values():
            one.terminate()


def run(worker, extended, pythons, seed, count, logs):
    """Runs everything; returns {column title: verdict} and the lines to print."""
    recorder = Recorder(seed, count, logs)
    newest = pythons[0]
    try:
        for n, python in enumerate(pythons):
            own = celery(python)
            recorder.begin(f"celery-{n}", python, [own], f"env CONFORMANCE_EXTENDED=1 {own}")
            recorder.begin(f"worker-{n}", python, [worker], extended)
            recorder.begin(f"mixed-{n}", python, [own, worker], only=MIXED)
            if python != newest:
                recorder.begin(f"newer-{n}", python, [celery(newest)], f"env CONFORMANCE_EXTENDED=1 {celery(newest)}")
        return judged(recorder, pythons, seed)
    finally:
        recorder.end()


def judged(recorder, pythons, seed):
    verdicts, lines, used = {}, [], set()
    for n, _ in enumerate(pythons):
        reference = recorder.recording(f"celery-{n}")
        version = reference["about"]["worker"] = reference["about"]["celery"]
        newer = recorder.recording(f"newer-{n}") if n else None
        if newer:
            newer["about"]["worker"] = list(verdicts.values())[0].reference
        for kind in ("worker", "mixed"):
            title = f"Celery {version}" if kind == "worker" else MIXED_TITLE + version
            recording = recorder.recording(f"{kind}-{n}")
            verdict = compare.judge(title, reference, recording, known.RHUBARB, newer)
            verdicts[title] = verdict
            used |= verdict.used
            random = sum(case.startswith("canvas: random") for case in verdict.cases)
            lines.append(f"{title}: {len(verdict.cases)} cases, {random} random, seed {seed}: {len(verdict.unexplained)} differences")
    alone = [title for title in verdicts if not title.startswith(MIXED_TITLE)]
    return verdicts, lines, [entry for entry in known.RHUBARB if entry not in used and entry.concerns(alone)]


def report(verdicts):
    """Prints every difference that nobody meant."""
    for title, verdict in verdicts.items():
        for difference in verdict.unexplained:
            print(f"{title}: {difference}")
    sys.stdout.flush()
