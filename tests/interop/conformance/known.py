"""The differences that are meant, each with its reason. The table in docs/celery.md shows them;
nothing else is let pass.
"""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Known:
    """Covers differences of the cases whose names match, at the paths that match from their
    beginning; `against` is the comparison's title: `Celery 5.7.0`, `mixed with 5.7.0`."""

    reason: str
    cases: str
    path: str = ""
    against: str = "*"

    def concerns(self, titles):
        return any(fnmatchcase(title, self.against) for title in titles)

    def covers(self, difference, title):
        named = fnmatchcase(difference.case, self.cases) and fnmatchcase(title, self.against)
        return named and re.match(self.path, difference.where) is not None


# What handlers in Rust have otherwise.
HANDLERS = [
    Known(
        "exception and class as in Python, the text says it in our words",
        "results: wrong arguments: *",
        r"tasks > #1 > result > exc_message > 0$",
    ),
    Known(
        "exception and class as in Python, the text says it in our words",
        "canvas: map, starmap, chunks: a failing item",
        r"tasks > #1 > result > exc_message > 0$",
    ),
    Known(
        "dates, decimals and UUIDs reach a handler as their texts; what it returns in Celery's form is kept",
        "results: special types: an argument *",
        r"tasks > #1 > result > \d$",
    ),
    Known(
        "integers over 64 bits reach a handler as their texts",
        "results: success: values of every json type",
        r"tasks > #5 > result$",
    ),
    Known(
        "no traceback: the limit was not raised in a place",
        "results: time limits: a soft limit that the task does not catch",
        r"tasks > #1 > traceback$",
    ),
]

# What Rhubarb does otherwise on purpose. What is seen only in a mixed fleet need not be seen in
# each run of it.
WORKER = [
    Known("task-received is told again when the task is due", "events: task: a countdown"),
    Known("figures of our own besides", "control: inspect the worker: stats", r"rhubarb$"),
    Known("Celery stores the failure twice", "results: time limits: a hard limit of the call", r"tasks > #1 > published"),
    Known(
        "parked, without a result, until somebody registers it; Celery fails it",
        "*: *nobody registers",
    ),
    Known("a FAILURE says why; in Celery get() waits for ever", "calling: refused serializers: *", r"tasks > #1 > "),
    Known("a FAILURE says why; in Celery get() waits for ever", "malformed: *", r"tasks > #1 > "),
    Known(
        "what waits for a step that will never run is told so; in Celery get() waits for ever",
        "calling: expires: the first step of a chain",
        r"tasks > #1 > ",
    ),
    Known(
        "what waits for a step that will never run is told so; in Celery get() waits for ever",
        "canvas: errors in a chain: a * after the failure",
        r"tasks > #[23] > ",
    ),
    Known(
        "what waits for a step that will never run is told so; in Celery get() waits for ever",
        "canvas: errors in a chord: a failure in an inner chord",
        r"(tasks > #2 > |group keys > #1\.)",
    ),
    Known(
        "what waits for a step that will never run is told so; in Celery get() waits for ever",
        "canvas: errors in a chord: steps after a failed chord",
        r"tasks > #3$",
    ),
    Known(
        "Celery 5.4 fails in doing so: `task_id must not be empty`",
        "canvas: errors in a chord: steps after a failed chord",
        against="*5.4*",
    ),
    Known(
        "beside a worker of Celery 5.4 a key that 5.7 counts parts in may stay for a day",
        "canvas: *",
        r"group keys > \S+\.d$",
        "mixed with 5.4*",
    ),
    Known(
        # A worker of Celery 5.7 beside one of 5.4 gives the same (measured 2026-11).
        "a chord that Celery 5.4 began and another worker ends has other relations than with either alone",
        "canvas: *",
        r"tasks > \S+ > (group_id|parent_id)$",
        "mixed with 5.4*",
    ),
    Known(
        "acknowledged when it has ended, so that a worker's death loses nothing",
        "control: inspect a running task: active",
        r".* > acknowledged$",
    ),
    Known("nothing is fetched before a slot is free", "control: inspect a waiting task: reserved"),
    Known("Celery 5.7 shows an empty password", "control: inspect the worker: conf", r"(broker_url|result_backend)$"),
    Known("no child processes to write to", "control: inspect the worker: stats", r"pool > writes"),
    Known("takes effect; in Celery 5 the new limit is not looked at", "control: time_limit: ends a task", r"0$"),
]

# The worker whose tasks are handlers in Rust, and the one whose tasks run in Python.
RHUBARB = HANDLERS + WORKER
PYTHON = WORKER + [
    Known("the worker has tasks of its own besides", "control: inspect the worker: registered *"),
]

# What is let pass in this run.
MEANT = RHUBARB
