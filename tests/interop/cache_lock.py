"""Tries to take django-redis's lock once: `cache_lock.py PREFIX KEY [--keep]`. Prints whether it
got it; gives it back unless told to keep it for a minute.
"""

import json
import os
import sys

import django
from django.conf import settings

prefix, key, *rest = sys.argv[1:]
settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"{os.environ['REDIS']}/1",
            "KEY_PREFIX": prefix,
        }
    }
)
django.setup()

from django.core.cache import cache  # noqa: E402

lock = cache.lock(key, timeout=60)
taken = lock.acquire(blocking=False)
if taken and "--keep" not in rest:
    lock.release()
print(json.dumps(taken))
