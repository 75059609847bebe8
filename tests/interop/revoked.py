"""Prints the ids that a Celery worker knows as revoked: revoked.py NODE."""

import json
import sys

from hire_voo_ai import celery_app as app

node = sys.argv[1]
print(json.dumps((app.control.inspect(destination=[node], timeout=10).revoked() or {}).get(node)))
