"""Celery as it is, by sentinels. argv: their URL as kombu spells it, their password, a task, its
arguments as JSON. Prints the result.
"""

import json
import sys

from celery import Celery

url, password, task, args = sys.argv[1:]
options = {"master_name": "mymaster", "sentinel_kwargs": {"password": password}}
app = Celery("sentinels", broker=url, backend=url)
app.conf.broker_transport_options = options
app.conf.result_backend_transport_options = options
print(json.dumps(app.send_task(task, args=json.loads(args)).get(timeout=60)))
