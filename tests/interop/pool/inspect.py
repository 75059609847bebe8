"""Prints what `celery inspect` is told: `inspect.py active`."""

import json
import sys

from .app import app

print(json.dumps(getattr(app.control.inspect(timeout=5), sys.argv[1])()))
