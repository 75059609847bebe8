"""Makes calls of django-redis's API one after the other: `cache_calls.py PREFIX CALLS`.

CALLS is a JSON list of [name, positional arguments, keyword arguments]. Prints a list of what each
returned, or of the exception's name.
"""

import json
import os
import sys

import django
from django.conf import settings

prefix, calls = sys.argv[1], json.loads(sys.argv[2])
settings.configure(
    CACHES={
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"{os.environ['REDIS']}/1",
            "KEY_PREFIX": prefix,
            "TIMEOUT": 300,
        }
    }
)
django.setup()

from django.core.cache import cache  # noqa: E402


def call(name, args, kwargs):
    try:
        found = getattr(cache, name)(*args, **kwargs)
        return sorted(found) if name in ("keys", "iter_keys") else found
    except (ValueError, TypeError) as error:
        return type(error).__name__


returned = [call(*each) for each in calls]
print(json.dumps(returned))
