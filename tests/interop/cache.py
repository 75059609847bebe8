"""Reads a Django cache: `cache.py ALIAS KEY`. Prints {"value": ..., "ttl": seconds, "type": its
Python type}.
"""

import json
import sys

import django

django.setup()

from django.core.cache import caches  # noqa: E402

alias, key = sys.argv[1:]
value = caches[alias].get(key)
print(json.dumps({"value": value, "ttl": caches[alias].ttl(key), "type": type(value).__name__}))
