"""Compares two recordings, case by case, and sorts the differences into those that are known and the others."""

from dataclasses import dataclass, field


@dataclass
class Difference:
    case: str
    path: str
    reference: object
    worker: object

    def __str__(self):
        return f"{self.case}\n    at {self.path}\n    Celery:       {short(self.reference)}\n    under test:   {short(self.worker)}"


class Absent:
    def __repr__(self):
        return "(absent)"


ABSENT = Absent()


def short(value, most=400):
    text = repr(value)
    return text if len(text) <= most else text[:most] + " …"


def differences(reference, worker, path=""):
    """Yields (path, value of the one, value of the other) for each place where two JSON values differ."""
    if isinstance(reference, dict) and isinstance(worker, dict):
        for key in [*reference, *(key for key in worker if key not in reference)]:
            yield from differences(reference.get(key, ABSENT), worker.get(key, ABSENT), f"{path}/{key}")
    elif isinstance(reference, list) and isinstance(worker, list) and len(reference) == len(worker):
        for n, (one, other) in enumerate(zip(reference, worker)):
            yield from differences(one, other, f"{path}/{n}")
    elif type(reference) is not type(worker) or reference != worker:
        yield path, reference, worker


@dataclass
class Verdict:
    """How a worker did against a reference."""

    cases: dict = field(default_factory=dict)
    unexplained: list = field(default_factory=list)
    explained: dict = field(default_factory=dict)
    not_run: list = field(default_factory=list)


def judge(reference, worker, known):
    """Compares all cases of the reference; `known` are the differences that are meant."""
    verdict = Verdict()
    for name, expected in reference["cases"].items():
        if name not in worker["cases"]:
            verdict.not_run.append(name)
            continue
        found = [Difference(name, *one) for one in differences(expected, worker["cases"][name])]
        reasons = set()
        for difference in found:
            reason = next((entry for entry in known if entry.covers(difference)), None)
            if reason is None:
                verdict.unexplained.append(difference)
            else:
                verdict.explained.setdefault(reason, []).append(difference)
                reasons.add(reason)
        bad = any(difference in verdict.unexplained for difference in found)
        verdict.cases[name] = "differs" if bad else sorted(r.reason for r in reasons) if reasons else "same"
    return verdict
