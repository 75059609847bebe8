"""Task ids that tell which case made them, and are the same in every run.

Celery's client draws all its ids by one function. Inside `numbered(case)` that function counts
instead: the third id of case 7 is `00000007-0000-4000-8000-000000000003`. So two recordings name
the same task alike, and an id of any other form was drawn by a worker.
"""

import re
import threading
import uuid
from contextlib import contextmanager

from kombu.utils.uuid import uuid as celerys

ANY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OURS = re.compile(r"([0-9a-f]{8})-0000-4000-8000-([0-9a-f]{12})")

_counting = threading.local()


def _next():
    case = getattr(_counting, "case", None)
    if case is None:
        return uuid.uuid4()
    _counting.n += 1
    return uuid.UUID(f"{case:08x}-0000-4000-8000-{_counting.n:012x}")


# Every module of Celery holds the same function object, so that its default argument is the one
# place to turn.
celerys.__defaults__ = (_next,)


@contextmanager
def numbered(case):
    """Counts the ids that this thread's client draws."""
    _counting.case, _counting.n = case, 0
    try:
        yield
    finally:
        _counting.case = None


def number(task_id):
    """Returns (case, n) of an id that was counted, else None."""
    found = _OURS.fullmatch(task_id)
    return (int(found[1], 16), int(found[2], 16)) if found else None
