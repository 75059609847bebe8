"""Sessions of random values, for a comparison of what each side writes with what the other reads.

`session_values.py write SEED COUNT` saves sessions by Django and prints {key: what it holds};
`session_values.py read FILE` loads the sessions whose keys are the lines of FILE, saves each again
under its key, and prints the same. A value is told as [its type, its text or its parts], so that
nothing is lost on the way.
"""

import datetime
import json
import random
import struct
import sys
import uuid
from collections import OrderedDict
from decimal import Decimal

import django

django.setup()

from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def told(value):
    kind = type(value).__name__
    if isinstance(value, dict):
        return [kind, [[told(k), told(v)] for k, v in value.items()]]
    if isinstance(value, (list, tuple)):
        return [kind, [told(item) for item in value]]
    if isinstance(value, (set, frozenset)):
        return [kind, sorted((told(item) for item in value), key=compact)]
    if isinstance(value, (bytes, bytearray)):
        return [kind, value.hex()]
    if isinstance(value, float):
        return [kind, struct.pack(">d", value).hex()]
    if isinstance(value, datetime.datetime):
        return [kind, f"{value.isoformat(timespec='microseconds')} {value.fold}"]
    if isinstance(value, datetime.time):
        return [kind, f"{value.isoformat(timespec='microseconds')} {value.fold}"]
    if isinstance(value, datetime.timedelta):
        return [kind, f"{value.days} {value.seconds} {value.microseconds}"]
    return [kind, str(value)]


def text(rng):
    return "".join(rng.choice("ab z\n\t\0\"'\\é漢😀\x7f") for _ in range(rng.choice([0, 1, 5, 40, 300])))


def scalar(rng):
    zone = rng.choice([None, datetime.timezone.utc, datetime.timezone(datetime.timedelta(minutes=rng.randint(-1439, 1439)))])
    moment = datetime.datetime(
        rng.randint(1, 9999), rng.randint(1, 12), rng.randint(1, 28), rng.randrange(24), rng.randrange(60),
        rng.randrange(60), rng.randrange(10**6), tzinfo=zone, fold=rng.randrange(2),
    )
    return rng.choice([
        None, True, False, rng.randint(-300, 300), rng.randint(-(2**63), 2**63 - 1), rng.randint(-(2**90), 2**90),
        rng.uniform(-1e9, 1e9), rng.choice([0.0, -0.0, float("inf"), 5e-324]), text(rng), rng.randbytes(rng.randrange(300)),
        moment, moment.date(), moment.timetz(), datetime.timedelta(rng.randint(-9999, 9999), rng.randrange(86400), rng.randrange(10**6)),
        Decimal(rng.randint(-(10**12), 10**12)).scaleb(rng.randint(-9, 9)), uuid.UUID(int=rng.getrandbits(128)),
        frozenset(rng.randrange(9) for _ in range(3)),
    ])


def value(rng, depth):
    size = rng.randrange(5)
    if depth == 0 or rng.random() < 0.4:
        return rng.choice([scalar(rng), {scalar(rng) for _ in range(size)}, bytearray(rng.randbytes(size))])
    parts = [value(rng, depth - 1) for _ in range(size)]
    keys = [scalar(rng) for _ in range(size)]
    return rng.choice([parts, tuple(parts), dict(zip(keys, parts)), OrderedDict(zip(keys, parts))])


def write(seed, count):
    rng, saved = random.Random(seed), {}
    for _ in range(count):
        session = SessionStore()
        for _ in range(rng.randrange(6)):
            session[text(rng)] = value(rng, 3)
        session.create()
        session.save()
        saved[session.session_key] = told(session._session)
    return saved


def read(file):
    loaded = {}
    for key in open(file).read().split():
        session = SessionStore(key)
        loaded[key] = told(session._session)
        session.save()
    return loaded


command, *args = sys.argv[1:]
result = write(int(args[0]), int(args[1])) if command == "write" else read(args[0])
print(json.dumps(result))
