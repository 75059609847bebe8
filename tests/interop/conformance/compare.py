"""Compares two recordings, case by case, and sorts the differences into those that are known and
the others.
"""

from dataclasses import dataclass, field


class Absent:
    def __repr__(self):
        return "(absent)"


ABSENT = Absent()


@dataclass
class Difference:
    """One place where two recordings differ."""

    case: str
    path: tuple
    reference: object
    worker: object

    @property
    def where(self):
        return " > ".join(map(str, self.path))

    def __str__(self):
        return f"{self.case}\n    at {self.where}\n    Celery:      {short(self.reference)}\n    under test:  {short(self.worker)}"


def short(value, most=600):
    text = repr(value)
    return text if len(text) <= most else text[:most] + " …"


def differences(reference, worker, path=()):
    """Yields (path, value of the one, value of the other) for each place where two JSON values
    differ.
    """
    if isinstance(reference, dict) and isinstance(worker, dict):
        for key in [*reference, *(key for key in worker if key not in reference)]:
            yield from differences(reference.get(key, ABSENT), worker.get(key, ABSENT), (*path, key))
    elif isinstance(reference, list) and isinstance(worker, list) and len(reference) == len(worker):
        for n, (one, other) in enumerate(zip(reference, worker)):
            yield from differences(one, other, (*path, n))
    elif type(reference) is not type(worker) or reference != worker:
        yield path, reference, worker


def at(value, path):
    """Returns what stands at a path, `ABSENT` where nothing does."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return value


@dataclass
class Verdict:
    """How a worker did against a reference."""

    reference: str
    cases: dict = field(default_factory=dict)
    unexplained: list = field(default_factory=list)
    used: set = field(default_factory=set)
    not_run: list = field(default_factory=list)


def judge(title, reference, worker, known, as_newer=None):
    """Compares all cases that both recordings have, under a title.

    `known` are the differences that are meant. `as_newer` is a recording of a newer Celery by the
    same client: where the worker does what that one does, the difference is between Celery's
    versions.
    """
    verdict = Verdict(reference["about"]["worker"])
    for name, expected in reference["cases"].items():
        if name not in worker["cases"]:
            verdict.not_run.append(name)
            continue
        notes = set()
        for found in differences(expected, worker["cases"][name]):
            difference = Difference(name, *found)
            note = explanation(difference, title, known, as_newer, verdict.used)
            if note is None:
                verdict.unexplained.append(difference)
            notes.add(note)
        verdict.cases[name] = notes
    return verdict


def explanation(difference, title, known, as_newer, used):
    """Returns why a difference is meant; None when it is not."""
    if as_newer:
        newer = at(as_newer["cases"].get(difference.case), difference.path)
        if type(newer) is type(difference.worker) and newer == difference.worker:
            return f"as Celery {as_newer['about']['worker']}"
    for entry in known:
        if entry.covers(difference, title):
            used.add(entry)
            return entry.reason
    return None
