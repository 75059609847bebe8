"""Random values through real django-redis, for every serializer and compressor.

`cache_values.py write FILE SEED N` stores N values under each configuration and tells in FILE, a
line of JSON each, what django-redis reads back. `cache_values.py check FILE` reads what FILE tells
and prints {"checked": n, "different": [...]}.

A value is told as nested lists that keep its types: ["int", "41"], ["float", its bits], ["dict",
[[key, value], ...]].
"""

import datetime
import decimal
import json
import os
import random
import struct
import sys
import uuid
from collections import OrderedDict

import django
from django.conf import settings

SERIALIZERS = {
    "pickle": "django_redis.serializers.pickle.PickleSerializer",
    "json": "django_redis.serializers.json.JSONSerializer",
    "msgpack": "django_redis.serializers.msgpack.MSGPackSerializer",
}
COMPRESSORS = {
    "none": "django_redis.compressors.identity.IdentityCompressor",
    "zlib": "django_redis.compressors.zlib.ZlibCompressor",
    "gzip": "django_redis.compressors.gzip.GzipCompressor",
    "lzma": "django_redis.compressors.lzma.LzmaCompressor",
    "lz4": "django_redis.compressors.lz4.Lz4Compressor",
    "zstd": "django_redis.compressors.zstd.ZStdCompressor",
}
ALIASES = {(s, c): f"{s}-{c}" for s in SERIALIZERS for c in COMPRESSORS}


def cache(serializer, compressor):
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"{os.environ['REDIS']}/1",
        "KEY_PREFIX": ALIASES[serializer, compressor],
        "OPTIONS": {"SERIALIZER": SERIALIZERS[serializer], "COMPRESSOR": COMPRESSORS[compressor]},
    }


settings.configure(
    CACHES={alias: cache(*which) for which, alias in ALIASES.items()}
    | {"default": cache("pickle", "none")}
)
django.setup()

from django.core.cache import caches  # noqa: E402


def text(told):
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def tell(value):
    kind = type(value)
    if value is None:
        return ["none"]
    if kind is bool:
        return ["bool", value]
    if kind is int:
        return ["int", str(value)]
    if kind is float:
        return ["float", "nan" if value != value else struct.pack(">d", value).hex()]
    if kind is str:
        return ["str", value]
    if kind in (bytes, bytearray):
        return [kind.__name__, value.hex()]
    if kind in (list, tuple):
        return [kind.__name__, [tell(item) for item in value]]
    if kind in (set, frozenset):
        return [kind.__name__, sorted((tell(item) for item in value), key=text)]
    if kind in (dict, OrderedDict):
        return [kind.__name__, [[tell(k), tell(v)] for k, v in value.items()]]
    if kind is datetime.datetime:
        return ["datetime", value.isoformat(timespec="microseconds"), value.fold]
    if kind is datetime.time:
        return ["time", value.isoformat(timespec="microseconds"), value.fold]
    if kind is datetime.date:
        return ["date", value.isoformat()]
    if kind is datetime.timedelta:
        return ["timedelta", value.days, value.seconds, value.microseconds]
    if kind in (decimal.Decimal, uuid.UUID):
        return [kind.__name__, str(value)]
    raise TypeError(f"{kind} is not told")


class Maker:
    """Makes random values that a serializer takes."""

    def __init__(self, serializer, seed):
        self.serializer = serializer
        self.random = random.Random(f"{serializer} {seed}")

    def chars(self, most):
        alphabet = "abc 0189_:.{}'\"\\\n\0üß日本語😀\u2028"
        return "".join(self.random.choices(alphabet, k=self.random.randrange(most)))

    def leaf(self):
        r = self.random
        common = [
            lambda: None,
            lambda: r.random() < 0.5,
            lambda: r.randrange(-(2**63), 2**64),
            lambda: r.choice([0, 1, -1, 255, 256, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**63 - 1, -(2**63)]),
            lambda: r.choice([0.0, -0.0, 1.0, 1e16, 1e-5, 5e-324, 1.7e308, r.random(), r.uniform(-1e9, 1e9)]),
            lambda: r.choice([float("inf"), float("-inf"), float("nan")]),
            lambda: self.chars(12),
            lambda: self.chars(600),
        ]
        made = [lambda: bytes(r.choices(range(256), k=r.randrange(400)))]
        times = [
            self.datetime,
            lambda: self.datetime().time(),
            lambda: datetime.date(r.randrange(1, 10000), r.randrange(1, 13), r.randrange(1, 29)),
            lambda: datetime.timedelta(r.randrange(-(10**8), 10**8), r.randrange(86400), r.randrange(10**6)),
            lambda: decimal.Decimal(r.randrange(-(10**12), 10**12)).scaleb(r.randrange(-20, 20)),
            lambda: decimal.Decimal(r.choice(["NaN", "Infinity", "-0", "1E+30", "0E-9"])),
            lambda: uuid.UUID(int=r.getrandbits(128)),
            lambda: r.getrandbits(r.choice([65, 200, 2000, 10000])) * r.choice([1, -1]),
        ]
        pickled = [
            lambda: bytearray(r.choices(range(256), k=r.randrange(400))),
            lambda: {self.key() for _ in range(r.randrange(6))},
            lambda: frozenset(self.key() for _ in range(r.randrange(6))),
        ]
        more = {"msgpack": made, "json": times, "pickle": made + times + pickled}[self.serializer]
        return r.choice(common + more)()

    def datetime(self):
        r = self.random
        utc = datetime.timezone.utc
        zone = r.choice([None, utc, datetime.timezone(datetime.timedelta(seconds=r.randrange(-86399, 86400)))])
        return datetime.datetime(
            r.randrange(1, 10000), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60),
            r.randrange(60), r.choice([0, 1, 999, 1000, r.randrange(10**6)]), zone, fold=r.randrange(2),
        )

    def key(self):
        """A dict's key or a set's member; none is equal to one of another type."""
        r = self.random
        some = [lambda: "k" + self.chars(10)]
        if self.serializer != "json":
            some.append(lambda: bytes(r.choices(range(256), k=8)))
        if self.serializer != "msgpack":
            some.append(lambda: r.randrange(2, 10**6))
            some.append(lambda: r.choice([None, r.randrange(1000) + 0.5, 1.5e300, 2.5e-9]))
        if self.serializer == "pickle":
            some.append(lambda: ("t", r.randrange(9), self.chars(3)))
            some.append(lambda: uuid.UUID(int=r.getrandbits(128)))
        return r.choice(some)()

    def value(self, depth=0):
        r = self.random
        if depth > 3 or r.random() < 0.3 + 0.15 * depth:
            return self.leaf()
        size = r.choice([0, 1, 2, 3, 5, 8] if depth or r.random() < 0.95 else [30, 1300])
        kind = r.choice([list, tuple, dict, OrderedDict])
        if kind in (list, tuple):
            items = [self.value(depth + (1 if size <= 8 else 3)) for _ in range(min(size, 8))]
            # The same objects again, which pickle writes once.
            return kind(items + [r.choice(items) for _ in range(size - len(items))])
        shared = self.value(depth + 1)
        return kind((self.key(), shared if r.random() < 0.3 else self.value(depth + 2)) for _ in range(min(size, 200)))


def write(path, seed, n):
    with open(path, "w", encoding="utf-8") as out:
        for (serializer, _), alias in ALIASES.items():
            maker = Maker(serializer, f"{alias} {seed}")
            for i in range(int(n)):
                value, key = maker.value(), f"py:{i}"
                caches[alias].set(key, value, timeout=3600)
                back = caches[alias].get(key)
                if serializer == "pickle":
                    assert text(tell(back)) == text(tell(value)), (alias, key)
                out.write(text({"alias": alias, "key": key, "value": tell(back)}) + "\n")
    return {"written": len(ALIASES) * int(n)}


def check(path):
    checked, different = 0, []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            checked += 1
            try:
                found = tell(caches[told["alias"]].get(told["key"]))
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
            if found != told["value"] and len(different) < 5:
                different.append({"alias": told["alias"], "key": told["key"], "rust": told["value"], "python": found})
    return {"checked": checked, "different": different}


command, *args = sys.argv[1:]
print(json.dumps({"write": write, "check": check}[command](*args)))
